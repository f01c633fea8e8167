"""How a demo activity is sold and when it takes place.

Everything is planned on the clock of the location's city, over the eight weeks from tomorrow; only summer camps wait
for the coming school summer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from marketplace.demo.catalogue import ActivityPlan, Catalogue
from marketplace.demo.details import Details

WEEKS = 8
SCHOOL_DAYS, WEEKEND = (0, 1, 2, 3, 4), (5, 6)
# First and last day, as (month, day), of the school summer in each market.
SUMMER = {"us": ((6, 8), (8, 9)), "in": ((4, 6), (5, 31))}
COUNTED = {1: "One Day", 2: "Two Days", 3: "Three Days"}


@dataclass(frozen=True)
class OfferingPlan:
    """One offering and its sessions, each a start and an end in UTC."""

    type: str
    name: str
    price_cents: int
    sessions: list[tuple[datetime, datetime]]
    session_count: int | None = None
    refund_window_hours: int = 24


def offerings(catalogue: Catalogue, plan: ActivityPlan, details: Details, *, now: datetime) -> list[OfferingPlan]:
    """The offerings of `plan`; `now` moves their dates and changes nothing else."""
    return list(Seller(catalogue, plan, details, now=now).offerings())


class Seller:
    """Draws the offerings of one activity, according to its category's plan."""

    def __init__(self, catalogue: Catalogue, plan: ActivityPlan, details: Details, *, now: datetime) -> None:
        self.rng = catalogue.rng("offerings", plan.index)
        self.market = catalogue.content.market
        self.kit = catalogue.content.kits[plan.category]
        self.plan = plan
        self.minutes = details.minutes
        self.unit = details.unit
        self.youngest = details.ages[0]
        self.zone = ZoneInfo(plan.provider.city.timezone)
        self.tomorrow = now.astimezone(self.zone).date() + timedelta(days=1)
        self.free_slots: list[tuple[int, str]] = []

    def offerings(self) -> Iterator[OfferingPlan]:
        return {
            "class": self.classes,
            "camp": self.camp,
            "summer": self.summer_camp,
            "care": self.care,
            "after": self.care,
            "party": self.party,
        }[self.kit.plan]()

    def classes(self) -> Iterator[OfferingPlan]:
        mix = self.rng.choices(("drop pack", "drop term", "pack term", "drop", "term"), (40, 20, 15, 15, 10))[0]
        if "drop" in mix:
            slots = [self.slot() for _ in range(self.rng.choice((1, 1, 1, 2)))]
            dates = [self.at(day, hour) for weekday, hour in slots for day in self.weekly(weekday)]
            name = self.rng.choice(("Drop-in Class", "Single Class"))
            yield OfferingPlan("single_session", name, self.price(self.unit), sorted(dates))
        if "pack" in mix:
            yield self.pack("Class", self.rng.choice((4, 4, 5, 6)))
        if "term" in mix:
            weekday, hour = self.slot()
            dates = [self.at(day, hour) for day in self.weekly(weekday)[self.rng.choice((0, 0, 1)) :]]
            price = self.price(self.unit * len(dates) * 0.8)
            yield OfferingPlan("term", f"{len(dates)}-Week Term", price, dates, refund_window_hours=72)
        if "drop" not in mix and self.rng.random() < 0.3:
            yield self.trial("Free Trial Class", 0)

    def camp(self) -> Iterator[OfferingPlan]:
        weekend = self.rng.random() < 0.2
        hour = self.rng.choice(self.hours(0))
        mondays = sorted(self.rng.sample(self.weekly(0), self.rng.randint(3, 5)))
        yield self.camp_weeks("Camp Week", mondays, hour, last_day=4, price=self.unit)
        if weekend:
            saturdays = self.weekly(5)[1::3]
            yield self.camp_weeks("Weekend Camp", saturdays, hour, last_day=1, price=self.unit * 0.45)
        elif self.rng.random() < 0.5:
            dates = [self.at(day, hour) for day in self.weekly(self.rng.choice(SCHOOL_DAYS))[::2]]
            yield OfferingPlan("single_session", "Day Pass", self.price(self.unit / 4), dates, refund_window_hours=48)

    def summer_camp(self) -> Iterator[OfferingPlan]:
        hour = self.rng.choice(self.hours(0))
        mondays = self.summer_mondays()
        chosen = sorted(self.rng.sample(mondays, min(len(mondays), self.rng.randint(3, 5))))
        yield self.camp_weeks("Summer Week", chosen, hour, last_day=4, price=self.unit)
        if self.rng.random() < 0.25:
            yield self.camp_weeks("Two-Week Summer Camp", mondays[:-1:3], hour, last_day=11, price=self.unit * 1.85)

    def care(self) -> Iterator[OfferingPlan]:
        weekdays = self.plan.topic.days or tuple(sorted(self.rng.sample(SCHOOL_DAYS, self.rng.choice((2, 2, 3)))))
        hour = self.rng.choice(self.hours(weekdays[0]))
        dates = sorted(self.at(day, hour) for weekday in weekdays for day in self.weekly(weekday))
        price = self.price(self.unit * len(dates) * 0.9)
        yield OfferingPlan("term", f"{COUNTED[len(weekdays)]} a Week", price, dates, refund_window_hours=168)
        if self.rng.random() < 0.6:
            free = self.rng.random() < 0.3
            yield self.trial("Free Trial Day" if free else "Trial Day", 0 if free else self.price(self.unit))
        if self.rng.random() < 0.35:
            yield self.pack("Day", 5)

    def party(self) -> Iterator[OfferingPlan]:
        for name, factor in (("Up to 12 Guests", 1.0), ("Up to 20 Guests", 1.55)):
            weekday, hour = self.slot()
            dates = [self.at(day, hour) for day in self.weekly(weekday)]
            price = self.price(self.unit * factor)
            yield OfferingPlan("single_session", name, price, dates, refund_window_hours=72)
            if self.rng.random() < 0.4:
                return

    def pack(self, what: str, number: int) -> OfferingPlan:
        weekday, hour = self.slot()
        dates = [self.at(day, hour) for day in self.weekly(weekday)]
        price = self.price(self.unit * number * 0.88)
        return OfferingPlan("multi_session", f"{number}-{what} Pack", price, dates, session_count=number)

    def trial(self, name: str, price_cents: int) -> OfferingPlan:
        weekday, hour = self.slot()
        return OfferingPlan(
            "single_session", name, price_cents, [self.at(day, hour) for day in self.weekly(weekday)[:3]]
        )

    def camp_weeks(
        self, name: str, first_days: Iterable[date], hour: str, *, last_day: int, price: float
    ) -> OfferingPlan:
        """A camp is one session from its first morning to its last afternoon, `last_day` days later."""
        dates = [self.at(day, hour, last_day=last_day) for day in first_days]
        return OfferingPlan("camp", name, self.price(price), dates, refund_window_hours=168)

    def slot(self) -> tuple[int, str]:
        """A weekday and an hour; none comes twice before all the others came."""
        if not self.free_slots:
            self.free_slots = [(day, hour) for day in self.days() for hour in self.hours(day)]
            self.rng.shuffle(self.free_slots)
        return self.free_slots.pop()

    def days(self) -> tuple[int, ...]:
        variant = self.plan.variant
        usual = {"party": WEEKEND, "care": SCHOOL_DAYS, "after": SCHOOL_DAYS}.get(self.kit.plan, SCHOOL_DAYS + WEEKEND)
        return self.plan.topic.days or (variant.days if variant else ()) or usual

    def hours(self, weekday: int) -> tuple[str, ...]:
        """When it may start on `weekday`: what the texts say, or else what suits the age and the length."""
        said = self.plan.topic.hours or (self.plan.variant.hours if self.plan.variant else ()) or self.kit.hours
        if said:
            return said
        if self.kit.plan == "party":
            return ("11:00", "14:00", "15:30")
        if self.kit.plan != "class":
            return ("09:00", "09:30") if self.minutes <= 240 else ("08:00", "08:30")
        if weekday in WEEKEND:
            return ("09:00", "10:00", "11:30", "14:00", "15:30")
        return ("09:30", "10:00", "10:30") if self.youngest < 4 else ("15:30", "16:00", "16:30", "17:00")

    def weekly(self, weekday: int) -> list[date]:
        """The eight days from tomorrow that fall on `weekday`."""
        first = self.tomorrow + timedelta(days=(weekday - self.tomorrow.weekday()) % 7)
        return [first + timedelta(weeks=week) for week in range(WEEKS)]

    def summer_mondays(self) -> list[date]:
        """The Mondays of this summer if four or more are left, else those of the next one."""
        start, end = SUMMER[self.market]
        for year in (self.tomorrow.year, self.tomorrow.year + 1):
            first, last = max(self.tomorrow, date(year, *start)), date(year, *end)
            first += timedelta(days=-first.weekday() % 7)
            mondays = [first + timedelta(weeks=week) for week in range((last - first).days // 7 + 1)]
            if len(mondays) >= 4:
                break
        return mondays

    def at(self, day: date, hour: str, *, last_day: int = 0) -> tuple[datetime, datetime]:
        """From `hour` on `day` for the activity's length, on the wall clock; a camp ends `last_day` days later."""
        starts = datetime.combine(day, time.fromisoformat(hour), self.zone)
        # Added to an aware datetime of one zone, a timedelta moves the wall clock, which is what is meant here.
        ends = starts + timedelta(days=last_day, minutes=self.minutes)
        return starts.astimezone(UTC), ends.astimezone(UTC)

    def price(self, amount: float) -> int:
        """`amount` of whole dollars or rupees, rounded as shops do, in cents or paise."""
        if self.market == "us":
            step = 1 if amount < 60 else 5 if amount < 200 else 10
            charm_from = 100
        else:
            step = 50 if amount < 2000 else 100 if amount < 10000 else 500
            charm_from = 300
        rounded = max(step, round(amount / step) * step)
        return (rounded - (self.plan.provider.charm and rounded >= charm_from)) * 100
