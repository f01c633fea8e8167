"""What is told because time has come: a hold that is about to end, a session tomorrow where it takes place."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine

from bookings import reminders, tasks
from bookings.models import Booking, Seat
from notifications.models import Notification
from tests.factories import (
    BookingFactory,
    ChildFactory,
    CityFactory,
    LocationFactory,
    OfferingFactory,
    SessionFactory,
)

pytestmark = pytest.mark.django_db

AUSTIN = "America/Chicago"


def at(text: str, zone: str = AUSTIN) -> datetime:
    """A moment on the clock of `zone`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def session_at(starts_at: datetime, zone: str = AUSTIN, **fields):
    city = CityFactory(name=zone, slug=zone.lower().replace("/", "-"), timezone=zone)
    offering = fields.pop("offering", None) or OfferingFactory()
    location = LocationFactory(provider=offering.activity.provider, city=city)
    ends_at = starts_at + timedelta(minutes=45)
    return SessionFactory(offering=offering, location=location, starts_at=starts_at, ends_at=ends_at, **fields)


def booked(session, *, confirmed_at: datetime | None = None, **fields):
    confirmed_at = confirmed_at or session.starts_at - timedelta(days=20)
    return BookingFactory(session=session, status="confirmed", confirmed_at=confirmed_at, **fields)


def told(kind: str = "session_reminder") -> list[tuple]:
    return list(Notification.objects.filter(kind=kind).order_by("pk").values_list("subject_id", "user"))


def first_reminder(since: datetime, until: datetime) -> datetime | None:
    """When the sweep, every five minutes, first finds somebody to remind."""
    moment = since
    while moment < until:
        if reminders.remind_of_sessions(now=moment):
            return moment
        moment += timedelta(minutes=5)
    return None


# --- The day before --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "starts", "reminded"),
    [
        (AUSTIN, "2026-03-07T10:00", "2026-03-06T09:00"),
        # Late in the evening it is already the next day in UTC.
        (AUSTIN, "2026-03-07T23:30", "2026-03-06T09:00"),
        (AUSTIN, "2026-03-07T00:15", "2026-03-06T09:00"),
        ("Pacific/Honolulu", "2026-03-07T20:00", "2026-03-06T09:00"),
        # Early in the morning it is still the day before in UTC.
        ("Asia/Kolkata", "2026-03-07T05:00", "2026-03-06T09:00"),
        ("Asia/Kolkata", "2026-03-07T23:59", "2026-03-06T09:00"),
        # The clock goes forward that night: 23 hours from nine to ten past eight, and nine stays nine.
        (AUSTIN, "2026-03-08T10:00", "2026-03-07T09:00"),
        ("America/New_York", "2026-03-08T03:30", "2026-03-07T09:00"),
        # It goes back: 25 hours.
        (AUSTIN, "2026-11-01T10:00", "2026-10-31T09:00"),
        ("America/New_York", "2026-11-01T00:30", "2026-10-31T09:00"),
        # The morning before is itself the day of the change.
        (AUSTIN, "2026-03-09T10:00", "2026-03-08T09:00"),
        (AUSTIN, "2026-11-02T10:00", "2026-11-01T09:00"),
        # Arizona has no summer time, and its neighbour has.
        ("America/Phoenix", "2026-03-08T10:00", "2026-03-07T09:00"),
        ("America/Denver", "2026-03-08T10:00", "2026-03-07T09:00"),
        # Over the turn of the year and of February.
        ("Asia/Kolkata", "2027-01-01T08:00", "2026-12-31T09:00"),
        (AUSTIN, "2028-03-01T08:00", "2028-02-29T09:00"),
    ],
)
def test_it_comes_at_nine_in_the_morning_of_the_day_before_where_it_takes_place(zone, starts, reminded):
    starts_at = at(starts, zone)
    booking = booked(session_at(starts_at, zone))
    due = at(reminded, zone)
    assert first_reminder(due - timedelta(hours=12), starts_at) == due
    assert told() == [(booking.session_id, booking.parent.user_id)]
    assert first_reminder(due, starts_at + timedelta(hours=1)) is None
    assert len(told()) == 1


def test_beat_reminds_by_the_clock_until_nobody_is_left():
    for _ in range(5):
        booked(session_at(at("2026-03-07T10:00")))
    assert reminders.remind_of_sessions(now=at("2026-03-06T09:01"), batch=2) == 2
    with time_machine.travel(at("2026-03-06T08:59"), tick=False):
        tasks.remind_of_sessions()
    assert len(told()) == 2
    with time_machine.travel(at("2026-03-06T09:01"), tick=False):
        tasks.remind_of_sessions()
        tasks.remind_of_sessions()
    assert len(told()) == len(set(told())) == 5


def test_after_an_outage_it_still_comes_before_the_session_and_never_after():
    early, late = (booked(session_at(at(f"2026-03-07T{hour}:00"))) for hour in ("10", "12"))
    assert reminders.remind_of_sessions(now=at("2026-03-07T11:00")) == 1
    assert [subject for subject, _ in told()] == [late.session_id]
    assert early.session_id != late.session_id


def test_who_booked_after_that_morning_was_only_just_told():
    session = session_at(at("2026-03-07T10:00"))
    booked(session, confirmed_at=at("2026-03-06T09:00:01"))
    in_time = booked(session, confirmed_at=at("2026-03-06T08:59"))
    assert reminders.remind_of_sessions(now=at("2026-03-06T18:00")) == 1
    assert told() == [(session.pk, in_time.parent.user_id)]


def test_two_children_in_one_session_are_one_reminder():
    session, parent = session_at(at("2026-03-07T10:00")), ChildFactory().parent
    for _ in range(2):
        booked(session, child=ChildFactory(parent=parent))
    reminders.remind_of_sessions(now=at("2026-03-06T09:00"))
    assert told() == [(session.pk, parent.user_id)]


def test_each_session_of_a_package_has_its_own():
    first = session_at(at("2026-03-07T10:00"))
    second = session_at(at("2026-03-14T10:00"), offering=first.offering)
    booked(first, seats=[first, second])
    reminders.remind_of_sessions(now=at("2026-03-06T09:00"))
    assert [subject for subject, _ in told()] == [first.pk]
    reminders.remind_of_sessions(now=at("2026-03-13T09:00"))
    assert [subject for subject, _ in told()] == [first.pk, second.pk]


def test_one_that_moves_to_another_day_is_told_again_and_to_another_hour_is_not():
    session = session_at(at("2026-03-07T10:00"))
    booked(session)
    assert reminders.remind_of_sessions(now=at("2026-03-06T09:00")) == 1
    for starts_at, now, again in [
        (at("2026-03-07T15:00"), at("2026-03-06T10:00"), 0),
        (at("2026-03-09T15:00"), at("2026-03-08T09:00"), 1),
    ]:
        session.starts_at, session.ends_at = starts_at, starts_at + timedelta(hours=1)
        session.save()
        assert reminders.remind_of_sessions(now=now) == again


@pytest.mark.parametrize("status", sorted(set(Booking.Status) - {"confirmed"}))
def test_only_confirmed_bookings_are_reminded_of(status):
    booking = booked(session_at(at("2026-03-07T10:00")))
    Booking.objects.filter(pk=booking.pk).update(status=status, expires_at=at("2026-03-20T10:00"))
    assert reminders.remind_of_sessions(now=at("2026-03-06T09:00")) == 0


def test_neither_seats_given_back_nor_cancelled_sessions_are_reminded_of():
    given_back = booked(session_at(at("2026-03-07T10:00")))
    Seat.objects.filter(booking=given_back).update(released_at=at("2026-03-01T10:00"))
    booked(session_at(at("2026-03-07T10:00"), status="cancelled"))
    assert reminders.remind_of_sessions(now=at("2026-03-06T09:00")) == 0


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_remind_once(at_once):
    for _ in range(10):
        booked(session_at(at("2026-03-07T10:00")))
    at_once(lambda now: reminders.remind_of_sessions(now=now), [at("2026-03-06T09:00")] * 4)
    assert len(told()) == len(set(told())) == 10


def test_a_sweep_takes_one_query_to_look_and_one_for_each_session(django_assert_num_queries):
    session = session_at(at("2026-03-07T10:00"))
    for _ in range(3):
        booked(session)
    with django_assert_num_queries(2):
        reminders.remind_of_sessions(now=at("2026-03-06T09:00"))
    with django_assert_num_queries(1):
        reminders.remind_of_sessions(now=at("2026-03-06T09:05"))


# --- Holds -----------------------------------------------------------------------------------------------------------


def held(now: datetime, *, minutes: float, of: int = 35) -> Booking:
    """A hold with so many minutes left of those that it had."""
    expires_at = now + timedelta(minutes=minutes)
    return BookingFactory(expires_at=expires_at, created_at=expires_at - timedelta(minutes=of))


def test_ten_minutes_before_a_hold_ends_its_parent_hears_of_it_once(now):
    booking = held(now, minutes=35)
    moments = [now + timedelta(seconds=30 * n) for n in range(80)]
    told_at = [moment for moment in moments if reminders.tell_of_holds(now=moment)]
    assert told_at == [now + timedelta(minutes=25)]
    assert told("hold_ending") == [(booking.pk, booking.parent.user_id)]


@pytest.mark.parametrize("minutes", [10.5, 0, -1])
def test_not_before_and_not_when_it_is_over(now, minutes):
    held(now, minutes=minutes)
    assert reminders.tell_of_holds(now=now) == 0


def test_a_hold_that_was_short_from_the_start_is_not_told_of(now):
    held(now, minutes=9, of=15)
    assert reminders.tell_of_holds(now=now) == 0


@pytest.mark.parametrize("status", sorted(set(Booking.Status) - {"pending_payment"}))
def test_what_is_paid_or_over_is_not_told_of(now, status):
    Booking.objects.filter(pk=held(now, minutes=5).pk).update(status=status)
    assert reminders.tell_of_holds(now=now) == 0


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_tell_of_each_hold_once(at_once, now):
    for _ in range(10):
        held(now, minutes=5)
    at_once(lambda when: reminders.tell_of_holds(now=when), [now] * 4)
    assert len(told("hold_ending")) == len(set(told("hold_ending"))) == 10


def test_beat_asks_for_holds_by_the_clock(now):
    held(now, minutes=20)
    with time_machine.travel(now, tick=False):
        tasks.tell_of_holds()
    assert told("hold_ending") == []
    with time_machine.travel(now + timedelta(minutes=12), tick=False):
        tasks.tell_of_holds()
    assert len(told("hold_ending")) == 1
