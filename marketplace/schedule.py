"""When sessions take place: one at a time, or weekly on the wall clock of their location.

Ten o'clock stays ten o'clock when the clocks change. docs/schedule.md tells the rules, decision 0012 why they are so.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from core.errors import ValidationFailed
from marketplace.filters import WEEKDAYS

MOST_SESSIONS = 500
HORIZON = timedelta(days=731)
LONGEST = timedelta(days=92)
MOST_SEATS = 10_000
DAY = timedelta(days=1)


class EndsTooEarlyOrLate(ValidationFailed):
    def __init__(self) -> None:
        super().__init__(f"Must come after startsAt, by at most {LONGEST.days} days.", field="endsAt")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """From when to when, in UTC; `notes` says what the clock did to it. `session_id` where there is a session."""

    starts_at: datetime
    ends_at: datetime
    notes: tuple[str, ...] = ()
    session_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """Slots in order of time, the days left out with the reason, and what the provider should look at."""

    slots: list[Slot]
    skipped: dict[date, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Timing(Protocol):
    """What can say its slots: one instant, or a recurrence."""

    def timetable(self, *, zone: ZoneInfo, country: str, now: datetime) -> Timetable: ...


@dataclass(frozen=True, kw_only=True)
class Once:
    """One slot, by its end or by how long it lasts."""

    starts_at: datetime
    ends_at: datetime | None = None
    duration: timedelta | None = None

    def timetable(self, *, zone: ZoneInfo, country: str, now: datetime) -> Timetable:
        """Raises `ValidationFailed` for a time that is past, too far ahead, or too long."""
        check_ahead(self.starts_at, now=now)
        if self.ends_at:
            check_end(self.starts_at, self.ends_at)
        end = self.ends_at or ending(self.starts_at, self.duration or timedelta(), zone)
        return Timetable(slots=[Slot(starts_at=self.starts_at, ends_at=end)])


@dataclass(frozen=True, kw_only=True)
class Weekly:
    """Some weekdays (Monday is 0) of every `interval`-th week, at one wall time.

    The first is the first such day from `start_date` on; weeks begin on Monday. It ends after the day `until`, or once
    there are `count` sessions: days that are skipped do not count.
    """

    start_date: date
    start_time: time
    duration: timedelta
    weekdays: frozenset[int]
    interval: int = 1
    until: date | None = None
    count: int | None = None
    skip_dates: frozenset[date] = frozenset()
    skip_holidays: bool = False

    def days(self) -> Iterator[date]:
        """Its days in order, skipped ones included; without `until` they do not end."""
        monday = self.start_date - timedelta(days=self.start_date.weekday())
        while True:
            for weekday in sorted(self.weekdays):
                day = monday + timedelta(days=weekday)
                if self.until and day > self.until:
                    return
                if day >= self.start_date:
                    yield day
            monday += timedelta(weeks=self.interval)

    def timetable(self, *, zone: ZoneInfo, country: str, now: datetime) -> Timetable:
        """Its slots where clocks show `zone`. Raises `ValidationFailed` if they are none, too many, past or too far."""
        first, last = now.astimezone(zone).date(), (now + HORIZON).astimezone(zone).date()
        if not first <= self.start_date <= last:
            raise ValidationFailed("Must lie between today and two years ahead.", field="recurrence.startDate")
        skip = dict.fromkeys(self.skip_dates, "Skipped as asked.")
        if self.skip_holidays:
            skip = public_holidays(country, first=self.start_date, last=last) | skip
        slots: list[Slot] = []
        skipped: dict[date, str] = {}
        for day in self.days():
            if day > last:
                end = "until" if self.until else "count"
                raise ValidationFailed("Sessions are planned at most two years ahead.", field=f"recurrence.{end}")
            if day in skip:
                skipped[day] = skip[day]
                continue
            if len(slots) == MOST_SESSIONS:
                raise ValidationFailed(f"At most {MOST_SESSIONS} sessions in one request.", field="recurrence.until")
            slots.append(slot(datetime.combine(day, self.start_time), self.duration, zone))
            if len(slots) == self.count:
                break
        if not slots:
            raise ValidationFailed("No day is left to take place on.", field="recurrence")
        if slots[0].starts_at <= now:
            raise ValidationFailed("The first session would begin in the past.", field="recurrence.startDate")
        unmet = sorted(self.skip_dates - skipped.keys())
        return Timetable(
            slots=slots,
            skipped=skipped,
            warnings=[f"{day} was to be skipped, but is no day of this timetable." for day in unmet],
        )


def check_ahead(starts_at: datetime, *, now: datetime) -> None:
    """Raises `ValidationFailed` unless a session may begin then."""
    if starts_at <= now:
        raise ValidationFailed("Must lie in the future.", field="startsAt")
    if starts_at > now + HORIZON:
        raise ValidationFailed("Sessions are planned at most two years ahead.", field="startsAt")


def check_end(starts_at: datetime, ends_at: datetime) -> None:
    """Raises `EndsTooEarlyOrLate`."""
    if not starts_at < ends_at <= starts_at + LONGEST:
        raise EndsTooEarlyOrLate


def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock there shows."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def instant(shown: datetime, zone: ZoneInfo) -> datetime:
    """The moment (UTC) when the clock there shows it: the first where it does so twice.

    A time that a clock change leaves out moves forward by the gap, as the clock does.
    """
    return shown.replace(tzinfo=zone, fold=0).astimezone(UTC)


def ending(starts_at: datetime, duration: timedelta, zone: ZoneInfo) -> datetime:
    """When a session ends: so many minutes later, or, from a whole day on, as much later on the wall clock.

    A class of an hour lasts an hour also in the night of a clock change; a camp that ends on Sunday at four does so
    whatever happened to the clocks in between.
    """
    if duration < DAY:
        return starts_at + duration
    return instant(wall(starts_at, zone) + duration, zone)


def lasting(starts_at: datetime, ends_at: datetime, zone: ZoneInfo) -> timedelta:
    """How long a session is in the sense of `ending`."""
    shown = wall(ends_at, zone) - wall(starts_at, zone)
    return shown if shown >= DAY else ends_at - starts_at


def slot(shown: datetime, duration: timedelta, zone: ZoneInfo) -> Slot:
    """The slot that begins when the clock shows `shown`, with a note wherever a clock change plays into it."""
    starts_at = instant(shown, zone)
    ends_at = ending(starts_at, duration, zone)
    notes = []
    begins, ends = wall(starts_at, zone), wall(ends_at, zone)
    if begins != shown:
        notes.append(f"Clocks go forward: {shown:%H:%M} does not exist on this day, so it begins at {begins:%H:%M}.")
    elif shown.replace(tzinfo=zone, fold=0).utcoffset() != shown.replace(tzinfo=zone, fold=1).utcoffset():
        notes.append(f"Clocks go back: {shown:%H:%M} comes twice on this day, and it begins at the first.")
    if starts_at.astimezone(zone).utcoffset() != ends_at.astimezone(zone).utcoffset():
        notes.append(f"Clocks change while it takes place: it ends at {ends:%H:%M}.")
    return Slot(starts_at=starts_at, ends_at=ends_at, notes=tuple(notes))


def public_holidays(country: str, *, first: date, last: date) -> dict[date, str]:
    """The public holidays of a whole country (ISO code) by day, with the days on which they are observed."""
    # Half a second and 45 MB, which only those who ask for it should pay.
    import holidays  # noqa: PLC0415

    try:
        # In one language, whatever the server's own is.
        years = range(first.year, last.year + 1)
        found = holidays.country_holidays(country, years=years, language=f"en_{country}")
    except NotImplementedError:
        raise ValidationFailed(
            "The holidays of this country are not known here. Name the days in skipDates.",
            field="recurrence.skipHolidays",
        ) from None
    return {day: name for day, name in found.items() if first <= day <= last}


def overlaps(slots: Sequence[Slot], taken: Sequence[Slot]) -> list[list[Slot]]:
    """For each of `slots`, the others among `slots` and `taken` that share time with it; touching ends share none."""
    everything = sorted((*slots, *taken), key=lambda each: each.starts_at)
    starts = [each.starts_at for each in everything]
    longest = max((each.ends_at - each.starts_at for each in everything), default=timedelta())
    return [
        [
            other
            for other in everything[bisect_right(starts, each.starts_at - longest) : bisect_left(starts, each.ends_at)]
            if other is not each and other.ends_at > each.starts_at
        ]
        for each in slots
    ]


def weekday_numbers(names: Sequence[str]) -> frozenset[int]:
    """`mon` is 0."""
    return frozenset(WEEKDAYS.index(name) for name in names)
