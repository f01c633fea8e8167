"""What search ought to answer, worked out slowly in Python from the rows that providers and ops write.

It shares no code with `marketplace.search` and reads no search row: `listings` says what is public, `shown` whether an
activity matches, and where. tests/marketplace/test_search_reference.py holds the two against each other.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from bookings.models import Review
from geography.models import City
from marketplace.filters import Filters
from marketplace.models import Activity, Category, Offering, Session
from providers.models import Location

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# A request for days looks this far from its first day, which is yesterday at the earliest.
DAYS_AHEAD = 400


@dataclass(frozen=True)
class Upcoming:
    """A session that may still be booked, on the clock of the place where it happens."""

    pk: UUID
    starts_at: datetime
    local: datetime
    seats_left: int
    location: Location

    @property
    def day(self) -> date:
        return self.local.date()

    @property
    def part_of_day(self) -> str:
        return "morning" if self.local.hour < 12 else "afternoon" if self.local.hour < 17 else "evening"


@dataclass(frozen=True)
class Place:
    """What an activity offers in one city, or, with `city` None, in all of its cities together."""

    city: City | None
    sessions: tuple[Upcoming, ...]  # soonest first
    location: Location  # of the next session; without one, the provider's home

    @property
    def next_session_at(self) -> datetime | None:
        return self.sessions[0].starts_at if self.sessions else None

    @property
    def localities(self) -> set[str]:
        locations = [session.location for session in self.sessions] or [self.location]
        return {each.locality.slug for each in locations if each.locality and each.locality.is_active}

    @property
    def point(self) -> tuple[float | None, float | None]:
        own, city = self.location, self.location.city
        return (
            city.latitude if own.latitude is None else own.latitude,
            city.longitude if own.longitude is None else own.longitude,
        )


@dataclass(frozen=True)
class Listing:
    """A public activity."""

    activity: Activity
    category_slugs: tuple[str, ...]  # its own first, then upwards
    price_cents: int | None
    currency: str | None
    types: frozenset[str]
    ratings: tuple[int, ...]
    cities: tuple[Place, ...]
    everywhere: Place

    @property
    def rating(self) -> float | None:
        return round(sum(self.ratings) / len(self.ratings) + 1e-9, 2) if self.ratings else None


def listings(now: datetime) -> list[Listing]:
    """Every public activity at `now`."""
    categories = {category.pk: category for category in Category.objects.all()}
    ratings: dict[Any, list[int]] = {}
    for review in Review.objects.select_related("booking__session"):
        ratings.setdefault(review.booking.session.activity_id, []).append(review.rating)
    found = []
    for activity in Activity.objects.select_related("provider", "category"):
        if activity.status != "published" or activity.provider.status != "verified":
            continue
        lineage = [activity.category]
        while lineage[-1].parent_id:
            lineage.append(categories[lineage[-1].parent_id])
        if not all(category.is_active for category in lineage):
            continue
        offerings = [each for each in Offering.objects.filter(activity=activity) if each.status == "active"]
        places = cities_of(activity, {each.pk for each in offerings}, now)
        if not places:
            continue
        cheapest = min(offerings, key=lambda each: each.price_cents, default=None)
        found.append(
            Listing(
                activity=activity,
                category_slugs=tuple(category.slug for category in lineage),
                price_cents=cheapest.price_cents if cheapest else None,
                currency=cheapest.currency if cheapest else None,
                types=frozenset(each.type for each in offerings),
                ratings=tuple(ratings.get(activity.pk, ())),
                cities=tuple(places),
                everywhere=together(places),
            )
        )
    return found


def cities_of(activity: Activity, offerings: set[Any], now: datetime) -> list[Place]:
    by_city: dict[Any, list[Upcoming]] = {}
    rows = Session.objects.filter(activity=activity).select_related("location__city__country", "location__locality")
    for session in sorted(rows, key=lambda row: (row.starts_at, row.pk)):
        if session.status == "scheduled" and session.starts_at > now and session.offering_id in offerings:
            local = session.starts_at.astimezone(ZoneInfo(session.location.city.timezone))
            upcoming = Upcoming(
                session.pk, session.starts_at, local, session.capacity - session.enrolled, session.location
            )
            by_city.setdefault(session.location.city_id, []).append(upcoming)
    places = [Place(each[0].location.city, tuple(each), each[0].location) for each in by_city.values()]
    if found := [place for place in places if is_open(place)]:
        return found
    homes = Location.objects.filter(provider=activity.provider_id).select_related("city__country", "locality")
    home = min(homes, key=lambda each: (not each.is_default, each.pk), default=None)
    at_home = Place(home.city, (), home) if home else None
    return [at_home] if at_home and is_open(at_home) else []


def is_open(place: Place) -> bool:
    return place.city.is_active and place.city.country.is_active


def together(places: list[Place]) -> Place:
    if len(places) == 1:
        return places[0]
    # Of two that start at once the lower id is the next.
    sessions = sorted((each for place in places for each in place.sessions), key=lambda each: (each.starts_at, each.pk))
    return Place(None, tuple(sessions), sessions[0].location)


# --- Does it match? --------------------------------------------------------------------------------------------------


def of_category(listing: Listing, place: Place, filters: Filters) -> bool:
    return filters.category is None or filters.category in listing.category_slugs


def of_country(listing: Listing, place: Place, filters: Filters) -> bool:
    return filters.country is None or place.location.city.country.code == filters.country.upper()


def of_provider(listing: Listing, place: Place, filters: Filters) -> bool:
    return filters.provider is None or listing.activity.provider.slug == filters.provider


def at_place(listing: Listing, place: Place, filters: Filters) -> bool:
    if filters.city is not None and place.city.slug != filters.city:
        return False
    if filters.locality is not None and filters.locality not in place.localities:
        return False
    if filters.lat is None:
        return True
    away = distance_km(filters, place)
    return away is not None and away <= filters.radius_km


def of_age(listing: Listing, place: Place, filters: Filters) -> bool:
    youngest, oldest = listing.activity.age_min, listing.activity.age_max
    return (filters.age_min is None or oldest is None or oldest >= filters.age_min) and (
        filters.age_max is None or youngest is None or youngest <= filters.age_max
    )


def at_price(listing: Listing, place: Place, filters: Filters) -> bool:
    if filters.price_min is None and filters.price_max is None:
        return True
    if listing.price_cents is None:
        return False
    return (filters.price_min is None or listing.price_cents >= filters.price_min) and (
        filters.price_max is None or listing.price_cents <= filters.price_max
    )


def of_type(listing: Listing, place: Place, filters: Filters) -> bool:
    return filters.type is None or filters.type in listing.types


def in_calendar(listing: Listing, place: Place, filters: Filters) -> bool:
    if not (filters.from_ or filters.to or filters.weekday or filters.time_of_day or filters.available):
        return True
    return any(
        (filters.from_ is None or session.day >= filters.from_)
        and (filters.to is None or session.day <= filters.to)
        and (not (filters.from_ or filters.to) or near(session.day, filters.from_))
        and (not filters.weekday or WEEKDAYS[session.day.weekday()] in filters.weekday)
        and (not filters.time_of_day or session.part_of_day in filters.time_of_day)
        and (not filters.available or session.seats_left > 0)
        for session in place.sessions
    )


def near(day: date, first: date | None) -> bool:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return (day - max(first or yesterday, yesterday)).days <= DAYS_AHEAD


def rated(listing: Listing, place: Place, filters: Filters) -> bool:
    return filters.min_rating is None or (listing.rating or 0) >= filters.min_rating


Condition = Callable[[Listing, Place, Filters], bool]
CONDITIONS: dict[str, Condition] = {
    "category": of_category,
    "country": of_country,
    "provider": of_provider,
    "place": at_place,
    "age": of_age,
    "price": at_price,
    "type": of_type,
    "calendar": in_calendar,
    "rating": rated,
}


def matches(listing: Listing, place: Place, filters: Filters, *, but: str | None = None) -> bool:
    return all(condition(listing, place, filters) for name, condition in CONDITIONS.items() if name != but)


def shown(listing: Listing, filters: Filters, *, but: str | None = None) -> list[Place]:
    """Where the activity is shown for `filters`: nowhere, in one place, or in any of several that are equally soon."""
    by_city = but != "place" and (filters.city or filters.locality or filters.lat is not None)
    places = [
        place
        for place in (listing.cities if by_city else [listing.everywhere])
        if matches(listing, place, filters, but=but)
    ]
    soonest = min((soon(place) for place in places), default=None)
    return [place for place in places if soon(place) == soonest]


def soon(place: Place) -> datetime:
    return place.next_session_at or datetime.max.replace(tzinfo=UTC)


def distance_km(filters: Filters, place: Place) -> float | None:
    """The haversine on a sphere of 6371 km."""
    if None in place.point:
        return None
    latitude, longitude = map(math.radians, place.point)
    own_latitude, own_longitude = math.radians(filters.lat), math.radians(filters.lng)
    half_chord = (
        math.sin((latitude - own_latitude) / 2) ** 2
        + math.cos(own_latitude) * math.cos(latitude) * math.sin((longitude - own_longitude) / 2) ** 2
    )
    return 2 * 6371 * math.asin(min(1.0, math.sqrt(half_chord)))


# --- What is shown with it -------------------------------------------------------------------------------------------


def card(listing: Listing, place: Place, filters: Filters | None = None) -> dict[str, Any]:
    """The item of a list, as JSON."""
    activity, city = listing.activity, place.location.city
    first = place.sessions[0] if place.sessions else None
    more = {}
    if filters and filters.lat is not None:
        more["distanceKm"] = distance_km(filters, place)
    return {
        "id": str(activity.pk),
        "slug": activity.slug,
        "title": activity.title,
        "summary": activity.summary,
        "category": {"id": str(activity.category_id), "name": activity.category.name, "slug": activity.category.slug},
        "provider": {
            "id": str(activity.provider_id),
            "businessName": activity.provider.business_name,
            "slug": activity.provider.slug,
        },
        "ageMin": activity.age_min,
        "ageMax": activity.age_max,
        "duration": activity.duration,
        "priceFromCents": listing.price_cents,
        "currency": listing.currency,
        "city": {"name": city.name, "slug": city.slug},
        "rating": {"average": listing.rating, "count": len(listing.ratings)},
        "nextSessionAt": first and first.starts_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "spotsLeft": first.seats_left if first else 0,
        "imageUrl": activity.image_url or None,
        **more,
    }


def sort_key(name: str, listing: Listing, place: Place, filters: Filters) -> Any:
    """What the list is ordered by, smallest first; activities without a price come last both ways."""
    price = math.inf if listing.price_cents is None else listing.price_cents
    return {
        "soonest": lambda: soon(place),
        "price": lambda: price,
        "-price": lambda: (price == math.inf, -price),
        "rating": lambda: -(listing.rating or 0),
        "newest": lambda: -(listing.activity.published_at or listing.activity.created_at).timestamp(),
        "distance": lambda: round(distance_km(filters, place), 6),
    }[name]()


def counted(values: list[Any]) -> list[tuple[Any, int]]:
    """Values with their counts, commonest first."""
    return sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))


def category_facet(catalogue: list[Listing], filters: Filters) -> list[tuple[str, int]]:
    return counted([each.category_slugs[0] for each in catalogue if shown(each, filters, but="category")])


def type_facet(catalogue: list[Listing], filters: Filters) -> list[tuple[str, int]]:
    return counted([value for each in catalogue if shown(each, filters, but="type") for value in each.types])


def city_facet(catalogue: list[Listing], filters: Filters) -> list[tuple[str, int]]:
    """How much a parent would find by choosing each city instead."""
    return counted(
        [place.city.slug for each in catalogue for place in each.cities if matches(each, place, filters, but="place")]
    )


def age_band(catalogue: list[Listing], filters: Filters, low: int, high: int) -> int:
    band = Filters(age_min=low, age_max=high)
    found = [each for each in catalogue if shown(each, filters, but="age")]
    return sum(of_age(each, each.everywhere, band) for each in found)


def price_band(catalogue: list[Listing], filters: Filters, low: int, high: int | None) -> int:
    band = Filters(price_min=low, price_max=high)
    found = [each for each in catalogue if shown(each, filters, but="price")]
    return sum(at_price(each, each.everywhere, band) for each in found)


# --- Completions -----------------------------------------------------------------------------------------------------


def completions(catalogue: list[Listing], typed: str) -> dict[str, list[str]]:
    """The names of what is open to parents, where any word begins as `typed`; up to five of each kind."""
    categories = {category.pk: category for category in Category.objects.all()}

    def is_open(category: Category) -> bool:
        return category.is_active and (category.parent_id is None or is_open(categories[category.parent_id]))

    names = {
        "activities": {each.activity.title for each in catalogue},
        "categories": {each.name for each in categories.values() if is_open(each)},
        "providers": {each.activity.provider.business_name for each in catalogue},
        "cities": {
            each.name for each in City.objects.select_related("country") if each.is_active and each.country.is_active
        },
    }
    return {
        kind: sorted(name for name in each if any(word.startswith(typed) for word in name.lower().split()))[:5]
        for kind, each in names.items()
    }
