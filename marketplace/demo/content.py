"""The texts of the demo catalogue for one market: topics by category, variants by plan, kinds of provider."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTENT = Path(__file__).with_name("content")
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Topic:
    """One activity that a provider may run. `days`, `hours` and `minutes` are empty where the category's hold."""

    title: str
    summary: str
    ages: tuple[int, int]
    days: tuple[int, ...] = ()
    hours: tuple[str, ...] = ()
    minutes: tuple[int, ...] = ()
    group: bool = False


@dataclass(frozen=True)
class Variant:
    """A twist on a topic, such as a small group or an evening slot."""

    label: str
    note: str
    days: tuple[int, ...] = ()
    hours: tuple[str, ...] = ()
    minutes: int = 0
    capacity: int = 0
    price: float = 1.0
    ages: str = ""
    from_age: int = 0

    def suits(self, topic: Topic) -> bool:
        low, high = topic.ages
        return not (
            (self.days and topic.days)
            or (self.hours and topic.hours)
            or (self.minutes and topic.minutes)
            or (self.capacity and topic.group)
            or (self.ages and high - low < 4)
            or low < self.from_age
        )


@dataclass(frozen=True)
class Kit:
    """How one category's activities look. `price` is in whole dollars or rupees, for a class, a day or a week."""

    plan: str
    price: tuple[int, int]
    minutes: tuple[int, ...]
    capacity: tuple[int, int]
    hours: tuple[str, ...]
    topics: tuple[Topic, ...]
    does: tuple[str, ...]
    bring: tuple[str, ...]
    coach: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """A kind of provider and the categories that it serves. Without `individual` it is always a business."""

    name: str
    categories: tuple[str, ...]
    business: tuple[str, ...]
    individual: tuple[str, ...]
    venues: tuple[str, ...]
    about: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    market: str
    flagship: str
    words: tuple[str, ...]
    first_names: tuple[str, ...]
    streets: tuple[str, ...]
    practical: tuple[str, ...]
    kits: dict[str, Kit] = field(repr=False)
    variants: dict[str, tuple[Variant, ...]] = field(repr=False)
    families: tuple[Family, ...] = field(repr=False)


def load(market: str) -> Content:
    """The content for `market`, us or in."""
    files = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(CONTENT.glob("*.toml"))}
    names = files.pop("providers")
    variants = files.pop("variants")
    return Content(
        market=market,
        flagship=names["flagship"][market],
        words=tuple(names["words"]),
        first_names=tuple(names["first_names"][market]),
        streets=tuple(names["streets"][market]),
        practical=tuple(names["practical"][market]),
        kits={slug: kit(table, market) for tables in files.values() for slug, table in tables.items()},
        variants={
            plan: tuple(Variant(**frozen(each)) for each in of_market(tables, market))
            for plan, tables in variants.items()
        },
        families=tuple(Family(name=name, **frozen(table)) for name, table in names["families"].items()),
    )


def kit(table: dict[str, Any], market: str) -> Kit:
    return Kit(
        plan=table["plan"],
        price=tuple(table["price"][market]),
        minutes=tuple(table["minutes"]),
        capacity=tuple(table["capacity"]),
        hours=tuple(table.get("hours", ())),
        topics=tuple(Topic(**frozen(each)) for each in of_market(table["topics"], market)),
        does=tuple(table["does"]),
        bring=tuple(table["bring"]),
        coach=tuple(table["coach"]),
    )


def of_market(tables: list[dict[str, Any]], market: str) -> list[dict[str, Any]]:
    """The tables for `market` or for both markets, without the mark."""
    kept = [table for table in tables if table.get("market", market) == market]
    return [{key: value for key, value in table.items() if key != "market"} for table in kept]


def frozen(table: dict[str, Any]) -> dict[str, Any]:
    """`table` with tuples for lists, and weekday numbers (Monday is 0) for weekday names."""
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    if "days" in values:
        values["days"] = tuple(WEEK.index(day) for day in values["days"])
    return values
