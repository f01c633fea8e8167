"""Money, days and times as each region writes them, in the place's own zone."""

from datetime import UTC, datetime, timedelta

import pytest

from notifications.formats import moment, money, span

WRITTEN = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cents", "currency", "shown"),
    [
        (4500, "USD", "$45.00"),
        (0, "USD", "$0.00"),
        (7, "USD", "$0.07"),
        (123456789, "USD", "$1,234,567.89"),
        (2500_00, "INR", "₹2,500.00"),
        (999_99, "INR", "₹999.99"),
        (1000_00, "INR", "₹1,000.00"),
        (1_25_000_50, "INR", "₹1,25,000.50"),
        (12_34_56_789_01, "INR", "₹12,34,56,789.01"),
        (100_00_00_000_00, "INR", "₹1,00,00,00,000.00"),
    ],
)
def test_money(cents, currency, shown):
    assert money(cents, currency) == shown


@pytest.mark.parametrize(
    ("at", "zone", "us", "india"),
    [
        ("2026-03-07T16:00Z", "America/Chicago", "Sat, Mar 7 at 10:00 AM CST", "Sat 7 Mar, 10:00 am CST"),
        # The next day, and another offset.
        ("2026-03-08T16:00Z", "America/Chicago", "Sun, Mar 8 at 11:00 AM CDT", "Sun 8 Mar, 11:00 am CDT"),
        ("2026-03-07T04:30Z", "Asia/Kolkata", "Sat, Mar 7 at 10:00 AM IST", "Sat 7 Mar, 10:00 am IST"),
        # Still yesterday there.
        ("2026-03-07T09:59Z", "Pacific/Honolulu", "Fri, Mar 6 at 11:59 PM HST", "Fri 6 Mar, 11:59 pm HST"),
        ("2026-03-07T18:00Z", "America/Chicago", "Sat, Mar 7 at 12:00 PM CST", "Sat 7 Mar, 12:00 pm CST"),
        ("2026-03-07T06:00Z", "America/Chicago", "Sat, Mar 7 at 12:00 AM CST", "Sat 7 Mar, 12:00 am CST"),
        # Another year than now is named, by the place's calendar.
        ("2027-01-01T05:59Z", "America/Chicago", "Thu, Dec 31 at 11:59 PM CST", "Thu 31 Dec, 11:59 pm CST"),
        ("2027-01-01T06:00Z", "America/Chicago", "Fri, Jan 1, 2027 at 12:00 AM CST", "Fri 1 Jan 2027, 12:00 am CST"),
        # A zone without letters.
        ("2026-03-07T04:15Z", "Asia/Kathmandu", "Sat, Mar 7 at 10:00 AM UTC+05:45", "Sat 7 Mar, 10:00 am UTC+05:45"),
    ],
)
def test_a_moment_is_told_in_its_places_own_time(at, zone, us, india):
    when = datetime.fromisoformat(at)
    assert moment(when, zone, region="us", since=WRITTEN) == us
    assert moment(when, zone, region="in", since=WRITTEN) == india


def test_both_hours_of_a_clock_set_back_are_told_apart():
    first = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    shown = [moment(first + timedelta(hours=n), "America/Chicago", region="us", since=WRITTEN) for n in (0, 1)]
    assert shown == ["Sun, Nov 1 at 1:30 AM CDT", "Sun, Nov 1 at 1:30 AM CST"]


@pytest.mark.parametrize(
    ("starts_at", "hours", "us", "india"),
    [
        (
            "2026-03-07T17:30Z", 1,
            "Sat, Mar 7, 11:30 AM to 12:30 PM CST", "Sat 7 Mar, 11:30 am to 12:30 pm CST",
        ),
        (
            "2026-03-07T05:30Z", 1,
            "Fri, Mar 6 at 11:30 PM CST to Sat, Mar 7 at 12:30 AM CST",
            "Fri 6 Mar, 11:30 pm CST to Sat 7 Mar, 12:30 am CST",
        ),
        # Over the change of the clock.
        (
            "2026-03-08T07:30Z", 1,
            "Sun, Mar 8 at 1:30 AM CST to Sun, Mar 8 at 3:30 AM CDT",
            "Sun 8 Mar, 1:30 am CST to Sun 8 Mar, 3:30 am CDT",
        ),
    ],
)  # fmt: skip
def test_a_span_names_the_day_once_unless_it_must(starts_at, hours, us, india):
    start = datetime.fromisoformat(starts_at)
    end = start + timedelta(hours=hours)
    assert span(start, end, "America/Chicago", region="us", since=WRITTEN) == us
    assert span(start, end, "America/Chicago", region="in", since=WRITTEN) == india
