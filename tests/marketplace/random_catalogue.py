"""Random small catalogues, written as rows, for search to be held against tests/marketplace/reference.py."""

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from bookings.models import Booking, Review
from geography.models import City, Country, Locality
from marketplace.models import Activity, Category, Offering, Session
from providers.models import Location, ProviderAccount

# Few values of each kind, so that they meet.
CITIES = (
    ("austin", "America/Chicago", 30.2672, -97.7431),
    ("boston", "America/New_York", 42.3601, -71.0589),
    ("honolulu", "Pacific/Honolulu", None, None),
    ("auckland", "Pacific/Auckland", -36.8509, 174.7645),  # of the other country
)
LOCALITIES = (("centre", "austin"), ("north", "austin"), ("centre", "boston"))
CATEGORIES = (("sports", None), ("water", "sports"), ("swimming", "water"), ("ball", "sports"), ("arts", None))
AGES = ((None, None), (0, 2), (3, 5), (5, 12), (None, 6), (13, None), (13, 24))
PRICES = (0, 1000, 2500, 2501, 20001)
POINTS = (None, (30.30, -97.70), (30.90, -97.10), (42.35, -71.05))
AROUND = ((30.26, -97.75), (30.60, -97.40), (42.0, -71.5), (-36.8, 174.7))
RADIUS = (1, 20, 100, 500)
CLOCKS = (time(0), time(1, 30), time(11, 59), time(12), time(16, 59), time(17), time(23, 59))
DAYS = (-2, 1, 2, 3, 8, "clock change", 500)
ZONES = ("America/Chicago", "Pacific/Auckland", "UTC")


def mostly(random: Random, usual: Any, *others: Any) -> Any:
    return random.choice([usual] * (20 - len(others)) + list(others))


def some(random: Random, least: int, most: int, make: Callable[[Random], Any]) -> list[Any]:
    return [make(random) for _ in range(random.randint(least, most))]


def draw_catalogue(random: Random) -> dict[str, Any]:
    switches = {"countries": 2, "cities": len(CITIES), "localities": len(LOCALITIES), "categories": len(CATEGORIES)}
    return {
        **{name: [mostly(random, True, False) for _ in range(size)] for name, size in switches.items()},
        "providers": [draw_provider(random), draw_provider(random)],
        "activities": some(random, 3, 7, draw_activity),
    }


HERE = {
    "status": "verified",
    "is_abroad": False,
    "locations": [{"city": 0, "locality": None, "point": None}],
    "default": 0,
}
EMPTY: dict[str, Any] = {
    "countries": (True, True),
    "cities": (True,) * len(CITIES),
    "localities": (True,) * len(LOCALITIES),
    "categories": (True,) * len(CATEGORIES),
    "providers": [HERE, HERE],
    "activities": [],
}


def draw_provider(random: Random) -> dict[str, Any]:
    return {
        "status": mostly(random, "verified", "suspended"),
        # A provider works in one country.
        "is_abroad": mostly(random, False, True),
        "locations": some(random, mostly(random, 2, 0), 3, draw_location),
        "default": random.choice([None, 0, 1, 2]),
    }


def draw_location(random: Random) -> dict[str, Any]:
    return {
        "city": random.randint(0, 2),
        "locality": random.choice([None, "centre", "north"]),
        "point": random.choice(POINTS),
    }


def draw_activity(random: Random) -> dict[str, Any]:
    return {
        "provider": random.randint(0, 1),
        "category": random.randrange(len(CATEGORIES)),
        "ages": random.choice(AGES),
        "status": mostly(random, "published", "draft", "archived"),
        "published": random.choice([None, 1, 2]),
        "offerings": some(random, mostly(random, 1, 0), 3, draw_offering),
        "sessions": some(random, mostly(random, 1, 0, 0), 6, draw_session),
    }


def draw_offering(random: Random) -> dict[str, Any]:
    return {
        "price_cents": random.choice(PRICES),
        "type": random.choice(["single_session", "camp", "term"]),
        "status": mostly(random, "active", "inactive"),
    }


def draw_session(random: Random) -> dict[str, Any]:
    return {
        "offering": random.randint(0, 2),
        "location": random.randint(0, 2),
        "moment": draw_moment(random),
        "enrolled": random.randint(0, 2),
        "status": mostly(random, "scheduled", "cancelled", "completed"),
        "ratings": some(random, 0, 2, lambda random: random.randint(1, 5)),
    }


def draw_moment(random: Random) -> tuple[int | str, time, str]:
    return random.choice(DAYS), random.choice(CLOCKS), random.choice(ZONES)


def database_time() -> datetime:
    """The clock of search, which stands still within a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


def day_of(name: int | str, today: date) -> date:
    if isinstance(name, int):
        return today + timedelta(days=name)
    offsets = [datetime.combine(today + timedelta(days=n), time(12), ZoneInfo(ZONES[0])) for n in range(2, 370)]
    return next(b.date() for a, b in pairwise(offsets) if a.utcoffset() != b.utcoffset())


def moment_of(moment: tuple[int | str, time, str], now: datetime) -> datetime:
    day, clock, zone = moment
    return datetime.combine(day_of(day, now.astimezone(ZoneInfo(zone)).date()), clock, ZoneInfo(zone)).astimezone(UTC)


class Writer:
    """Writes a drawn catalogue. Ids count upwards, so that an example means the same each time."""

    def __init__(self, child: Any):
        self.child, self.last = child, 0
        self.now = database_time()

    def rows(self, model: Any, values: list[dict[str, Any]]) -> list[Any]:
        made = []
        for each in values:
            self.last += 1
            made.append(model(pk=uuid.UUID(int=self.last), **each))
        return model.objects.bulk_create(made)

    def write(self, drawn: dict[str, Any]) -> None:
        countries = self.rows(
            Country,
            [
                {"code": code, "name": code, "currency": "USD", "region": "us", "is_active": is_active}
                for code, is_active in zip(("US", "NZ"), drawn["countries"], strict=True)
            ],
        )
        self.cities = self.rows(
            City,
            [
                {
                    "slug": slug,
                    "name": slug.title(),
                    "timezone": zone,
                    "latitude": latitude,
                    "longitude": longitude,
                    "country": countries[slug == "auckland"],
                    "is_active": is_active,
                }
                for (slug, zone, latitude, longitude), is_active in zip(CITIES, drawn["cities"], strict=True)
            ],
        )
        by_slug = {city.slug: city for city in self.cities}
        localities = self.rows(
            Locality,
            [
                {"slug": slug, "name": slug, "city": by_slug[city], "is_active": is_active}
                for (slug, city), is_active in zip(LOCALITIES, drawn["localities"], strict=True)
            ],
        )
        self.localities = {(row.slug, row.city): row for row in localities}
        self.categories: list[Category] = []
        for (slug, parent), is_active in zip(CATEGORIES, drawn["categories"], strict=True):
            above = next((row for row in self.categories if row.slug == parent), None)
            values = {"slug": slug, "name": slug.title(), "parent": above, "is_active": is_active}
            self.categories += self.rows(Category, [values])
        self.providers = self.rows(
            ProviderAccount,
            [
                {"slug": f"club-{number}", "business_name": f"Club {number}", "status": each["status"]}
                | {"verified_at": self.now}
                for number, each in enumerate(drawn["providers"])
            ],
        )
        self.locations = [
            self.rows(Location, [self.location(provider, each, number) for number in range(len(each["locations"]))])
            for provider, each in zip(self.providers, drawn["providers"], strict=True)
        ]
        activities = self.rows(
            Activity, [self.activity(each, number) for number, each in enumerate(drawn["activities"])]
        )
        for activity, each in zip(activities, drawn["activities"], strict=True):
            offerings = self.rows(
                Offering, [{"activity": activity, "currency": "USD", **offering} for offering in each["offerings"]]
            )
            self.sessions(activity, offerings, self.locations[each["provider"]], each["sessions"])

    def location(self, provider: ProviderAccount, drawn: dict[str, Any], number: int) -> dict[str, Any]:
        own = drawn["locations"][number]
        city = self.cities[3 if drawn["is_abroad"] else own["city"]]
        latitude, longitude = own["point"] or (None, None)
        return {
            "provider": provider,
            "name": "Hall",
            "city": city,
            "locality": self.localities.get((own["locality"], city)),
            "latitude": latitude,
            "longitude": longitude,
            "is_default": number == drawn["default"],
        }

    def activity(self, drawn: dict[str, Any], number: int) -> dict[str, Any]:
        published = drawn["published"]
        return {
            "provider": self.providers[drawn["provider"]],
            "category": self.categories[drawn["category"]],
            "title": f"Class {number}",
            "slug": f"class-{number}",
            "summary": "Éàsy “start”",
            "age_min": drawn["ages"][0],
            "age_max": drawn["ages"][1],
            "duration": 45 if number else None,
            "image_url": "" if number else "https://example.com/a.jpg",
            "status": drawn["status"],
            "published_at": published and self.now - timedelta(days=published),
        }

    def sessions(self, activity: Activity, offerings: list, locations: list, drawn: list[dict[str, Any]]) -> None:
        drawn = drawn if offerings and locations else []
        starts = [moment_of(each["moment"], self.now) for each in drawn]
        made = self.rows(
            Session,
            [
                {
                    "activity": activity,
                    "offering": offerings[each["offering"] % len(offerings)],
                    "location": locations[each["location"] % len(locations)],
                    "starts_at": start,
                    "ends_at": start + timedelta(minutes=45),
                    "capacity": 2,
                    "enrolled": each["enrolled"],
                    "status": each["status"],
                }
                for each, start in zip(drawn, starts, strict=True)
            ],
        )
        for session, each in zip(made, drawn, strict=True):
            for rating in each["ratings"]:
                self.review(session, rating)

    def review(self, session: Session, rating: int) -> None:
        child = self.child
        values = {"session": session, "offering_id": session.offering_id, "parent": child.parent, "child": child}
        booking = self.rows(Booking, [{**values, "status": "completed", "amount_cents": 0, "currency": "USD"}])[0]
        self.rows(Review, [{"booking": booking, "parent": child.parent, "rating": rating}])
