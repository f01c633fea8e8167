"""Weekly timetables on a wall clock, held against dateutil's recurrence rules and against the clocks of real places."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule, tz
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.errors import ValidationFailed
from marketplace import schedule
from marketplace.schedule import Once, Slot, Weekly

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Every kind of clock that a launch city has, and Phoenix, which never changes its own.
ZONES = [
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "Asia/Kolkata",
]
CHICAGO = ZoneInfo("America/Chicago")


def timetable(weekly, zone=CHICAGO, country="US", now=NOW):
    return weekly.timetable(zone=zone, country=country, now=now)


def weekly(**changes):
    """Mondays at ten for an hour, from the first one of 2026 on that lies ahead."""
    plan = {
        "start_date": date(2026, 1, 6),
        "start_time": time(10),
        "duration": HOUR,
        "weekdays": frozenset({0}),
        "count": 3,
    }
    return Weekly(**{**plan, **changes})


def days(table):
    return [each.starts_at.astimezone(CHICAGO).date().isoformat() for each in table.slots]


# --- Against another implementation -------------------------------------------------------------------------------

recurrences = st.fixed_dictionaries(
    {
        "start_date": st.dates(date(2026, 1, 7), date(2026, 12, 31)),
        # A third of them around the hours in which clocks change.
        "start_time": st.one_of(
            st.times().map(lambda each: each.replace(second=0, microsecond=0)),
            st.builds(time, st.integers(0, 3), st.sampled_from([0, 15, 30, 59])),
        ),
        "weekdays": st.frozensets(st.integers(0, 6), min_size=1),
        "interval": st.integers(1, 6),
        "duration": st.integers(1, 600).map(lambda minutes: timedelta(minutes=minutes)),
    }
)


def independent(plan, zone, *, until):
    """dateutil's dates for the plan, and dateutil's own word on the moments that they are."""
    rule = rrule.rrule(
        rrule.WEEKLY,
        dtstart=datetime.combine(plan["start_date"], plan["start_time"]),
        until=datetime.combine(until, time.max),
        interval=plan["interval"],
        byweekday=sorted(plan["weekdays"]),
        wkst=rrule.MO,
    )
    place = tz.gettz(zone)
    shown = list(rule)
    return shown, [tz.resolve_imaginary(each.replace(tzinfo=place)).astimezone(UTC) for each in shown]


@settings(max_examples=400, deadline=None)
@given(plan=recurrences, zone=st.sampled_from(ZONES), length=st.integers(0, 365))
def test_until_a_day_it_gives_what_dateutil_gives(plan, zone, length):
    until = plan["start_date"] + timedelta(days=length)
    shown, moments = independent(plan, zone, until=until)
    if not moments:
        with pytest.raises(ValidationFailed):
            timetable(Weekly(**plan, until=until), ZoneInfo(zone))
        return
    slots = timetable(Weekly(**plan, until=until), ZoneInfo(zone)).slots
    assert [each.starts_at for each in slots] == moments
    assert [each.ends_at for each in slots] == [each + plan["duration"] for each in moments]
    # The wall clock shows what was asked for, or, where it skips that, an hour more.
    for asked, each in zip(shown, slots, strict=True):
        begins = schedule.wall(each.starts_at, ZoneInfo(zone))
        assert begins == asked or (begins == asked + HOUR and "does not exist" in each.notes[0])


@pytest.mark.parametrize("zone", ZONES)
def test_in_the_small_hours_of_a_whole_year_it_gives_what_dateutil_gives(zone):
    for minutes in range(0, 4 * 60, 15):
        plan = {
            "start_date": date(2026, 1, 7),
            "start_time": time(*divmod(minutes, 60)),
            "weekdays": frozenset(range(7)),
            "interval": 1,
            "duration": HOUR,
        }
        _, moments = independent(plan, zone, until=date(2027, 1, 6))
        table = timetable(Weekly(**plan, until=date(2027, 1, 6)), ZoneInfo(zone))
        assert [each.starts_at for each in table.slots] == moments
        assert len(moments) == 365


@settings(max_examples=200, deadline=None)
@given(
    plan=recurrences,
    zone=st.sampled_from(ZONES),
    count=st.integers(1, 60),
    skipped=st.frozensets(st.integers(0, 700), max_size=40),
)
def test_a_count_is_of_the_sessions_that_are_left(plan, zone, count, skipped):
    last = plan["start_date"] + timedelta(days=366)
    skip_dates = frozenset(plan["start_date"] + timedelta(days=each) for each in skipped)
    shown, moments = independent(plan, zone, until=last)
    left = [moment for day, moment in zip(shown, moments, strict=True) if day.date() not in skip_dates]
    assume(len(left) >= count)
    table = timetable(Weekly(**plan, count=count, skip_dates=skip_dates), ZoneInfo(zone))
    assert [each.starts_at for each in table.slots] == left[:count]
    passed = {day.date() for day, moment in zip(shown, moments, strict=True) if moment < left[count - 1]}
    assert set(table.skipped) == passed & skip_dates
    assert len(table.warnings) == len(skip_dates - passed)


@settings(max_examples=300, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    shown=st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)).map(lambda each: each.replace(microsecond=0)),
    minutes=st.integers(1, 14 * 24 * 60),
)
def test_an_end_and_a_length_say_the_same(zone, shown, minutes):
    place, duration = ZoneInfo(zone), timedelta(minutes=minutes)
    starts_at = schedule.instant(shown, place)
    ends_at = schedule.ending(starts_at, duration, place)
    assert ends_at > starts_at
    if duration < timedelta(days=1):
        assert ends_at - starts_at == duration
        # Of a day by the clock, but not by the sun: the wall clock is what counts.
        assert schedule.lasting(starts_at, ends_at, place) in (duration, duration + HOUR)
    else:
        assert schedule.ending(starts_at, schedule.lasting(starts_at, ends_at, place), place) == ends_at


# --- Clock changes, one by one ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("America/New_York", "15:00", "14:00"),
        ("America/Chicago", "16:00", "15:00"),
        ("America/Los_Angeles", "18:00", "17:00"),
        ("America/Phoenix", "17:00", "17:00"),
        ("Asia/Kolkata", "04:30", "04:30"),
    ],
)
def test_ten_oclock_stays_ten_oclock_in_march(zone, before, after):
    # Clocks go forward in the United States on Sunday 8 March 2026.
    table = timetable(weekly(start_date=date(2026, 3, 2), count=2), ZoneInfo(zone))
    assert [f"{each.starts_at:%d %H:%M}" for each in table.slots] == [f"02 {before}", f"09 {after}"]
    assert [each.notes for each in table.slots] == [(), ()]
    assert all(each.ends_at - each.starts_at == HOUR for each in table.slots)


def test_a_time_that_does_not_exist_moves_forward_by_the_gap():
    table = timetable(weekly(start_date=date(2026, 3, 1), weekdays=frozenset({6}), start_time=time(2, 30), count=3))
    shown = [f"{schedule.wall(each.starts_at, CHICAGO):%d %H:%M}" for each in table.slots]
    assert shown == ["01 02:30", "08 03:30", "15 02:30"]
    assert [each.notes for each in table.slots] == [
        (),
        ("Clocks go forward: 02:30 does not exist on this day, so it begins at 03:30.",),
        (),
    ]
    assert table.slots[1].starts_at == datetime(2026, 3, 8, 8, 30, tzinfo=UTC)


def test_a_time_that_comes_twice_is_the_first_one():
    table = timetable(weekly(start_date=date(2026, 11, 1), weekdays=frozenset({6}), start_time=time(1, 30), count=1))
    assert table.slots[0].starts_at == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert table.slots[0].notes == (
        "Clocks go back: 01:30 comes twice on this day, and it begins at the first.",
        "Clocks change while it takes place: it ends at 01:30.",
    )


def test_a_night_lasts_as_long_as_planned_and_says_so():
    table = timetable(
        weekly(
            start_date=date(2026, 3, 7),
            weekdays=frozenset({5}),
            start_time=time(18),
            duration=timedelta(hours=15),
            count=1,
        )
    )
    assert table.slots[0].ends_at - table.slots[0].starts_at == timedelta(hours=15)
    assert table.slots[0].notes == ("Clocks change while it takes place: it ends at 10:00.",)


def test_a_camp_of_days_ends_when_the_clock_says_so():
    # From Friday at six to Sunday at four: 46 hours, of which the clocks take one.
    starts_at = schedule.instant(datetime(2026, 3, 6, 18), CHICAGO)
    ends_at = schedule.ending(starts_at, timedelta(hours=46), CHICAGO)
    assert schedule.wall(ends_at, CHICAGO) == datetime(2026, 3, 8, 16)
    assert ends_at - starts_at == timedelta(hours=45)
    assert schedule.lasting(starts_at, ends_at, CHICAGO) == timedelta(hours=46)


# --- What a timetable is, and what it refuses ---------------------------------------------------------------------


def test_it_begins_on_the_first_of_its_days():
    # The sixth is a Tuesday.
    table = timetable(weekly(weekdays=frozenset({0, 2, 4}), count=4))
    assert days(table) == ["2026-01-07", "2026-01-09", "2026-01-12", "2026-01-14"]


def test_every_other_week_is_counted_from_the_week_of_the_start():
    table = timetable(weekly(weekdays=frozenset({0, 3}), interval=2, until=date(2026, 2, 5), count=None))
    assert days(table) == ["2026-01-08", "2026-01-19", "2026-01-22", "2026-02-02", "2026-02-05"]


def test_skipped_days_are_made_up_for_by_a_count():
    table = timetable(weekly(skip_dates=frozenset({date(2026, 1, 19), date(2026, 1, 20)})))
    assert days(table) == ["2026-01-12", "2026-01-26", "2026-02-02"]
    assert table.skipped == {date(2026, 1, 19): "Skipped as asked."}
    assert table.warnings == ["2026-01-20 was to be skipped, but is no day of this timetable."]


@pytest.mark.parametrize(
    ("country", "skipped"),
    [
        (
            "US",
            {
                "2026-11-11": "Veterans Day",
                "2026-11-26": "Thanksgiving Day",
                "2026-12-25": "Christmas Day",
                "2027-01-01": "New Year's Day",
            },
        ),
        ("IN", {"2026-11-24": "Guru Nanak's Jayanti", "2026-12-25": "Christmas", "2027-01-26": "Republic Day"}),
    ],
)
def test_public_holidays_are_left_out_on_request(country, skipped):
    every_weekday = {"start_date": date(2026, 11, 9), "weekdays": frozenset(range(5)), "count": None}
    plan = weekly(**every_weekday, until=date(2027, 1, 27), skip_holidays=True)
    table = timetable(plan, country=country)
    # The 18th is Martin Luther King Jr. Day.
    skipped = skipped | ({"2027-01-18": "Martin Luther King Jr. Day"} if country == "US" else {})
    assert {day.isoformat(): reason for day, reason in table.skipped.items()} == skipped
    assert not set(days(table)) & skipped.keys()
    assert len(timetable(weekly(**every_weekday, until=date(2027, 1, 27))).slots) == len(table.slots) + len(skipped)


def test_a_country_without_known_holidays_says_so():
    with pytest.raises(ValidationFailed, match="not known here"):
        timetable(weekly(skip_holidays=True), country="XX")


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"start_date": date(2026, 1, 4)}, "recurrence.startDate", "Must lie between today and two years ahead."),
        ({"start_date": date(9999, 12, 31)}, "recurrence.startDate", "Must lie between today and two years ahead."),
        (
            {"start_date": date(2026, 1, 5), "start_time": time(5)},
            "recurrence.startDate",
            "The first session would begin in the past.",
        ),
        (
            {"count": None, "until": date(2028, 3, 1)},
            "recurrence.until",
            "Sessions are planned at most two years ahead.",
        ),
        ({"count": 200}, "recurrence.count", "Sessions are planned at most two years ahead."),
        (
            {"count": None, "until": date(2027, 12, 31), "weekdays": frozenset(range(7))},
            "recurrence.until",
            "At most 500 sessions in one request.",
        ),
        ({"count": None, "until": date(2026, 1, 11)}, "recurrence", "No day is left to take place on."),
        (
            {"count": None, "until": date(2026, 1, 12), "skip_dates": frozenset({date(2026, 1, 12)})},
            "recurrence",
            "No day is left to take place on.",
        ),
    ],
)
def test_it_refuses(changes, field, message):
    with pytest.raises(ValidationFailed) as refused:
        timetable(weekly(**changes))
    assert refused.value.details == [{"field": field, "message": message}]


def test_five_hundred_sessions_are_no_more_than_allowed():
    assert len(timetable(weekly(weekdays=frozenset(range(7)), count=500)).slots) == 500


@pytest.mark.parametrize("ahead", [timedelta(0), -HOUR, schedule.HORIZON + HOUR, timedelta(days=5000)])
def test_a_single_session_lies_ahead_and_not_too_far(ahead):
    with pytest.raises(ValidationFailed):
        Once(starts_at=NOW + ahead, duration=HOUR).timetable(zone=CHICAGO, country="US", now=NOW)


# --- Overlaps -----------------------------------------------------------------------------------------------------


def at(first, last):
    return Slot(starts_at=NOW + timedelta(minutes=first), ends_at=NOW + timedelta(minutes=last))


def test_touching_ends_share_no_time():
    assert schedule.overlaps([at(10, 20)], [at(0, 10), at(20, 30)]) == [[]]
    assert schedule.overlaps([at(10, 20), at(20, 30)], []) == [[], []]


spans = st.lists(
    st.builds(lambda first, length: at(first, first + length), st.integers(0, 300), st.integers(1, 90)), max_size=25
)


@settings(deadline=None)
@given(slots=spans, taken=spans)
def test_overlaps_are_those_that_looking_at_every_pair_finds(slots, taken):
    expected = [
        [
            other
            for other in (*slots, *taken)
            if other is not each and other.starts_at < each.ends_at and each.starts_at < other.ends_at
        ]
        for each in slots
    ]
    found = schedule.overlaps(slots, taken)
    assert [{id(other) for other in others} for others in found] == [{id(o) for o in others} for others in expected]
