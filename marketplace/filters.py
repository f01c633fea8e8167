"""What a parent may ask the catalogue for, read from the query string."""

import re
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

from rest_framework.request import Request

from core import query
from core.envelope import camelize_key
from marketplace.models import Offering

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PARTS_OF_DAY = ("morning", "afternoon", "evening")
FACETS = ("category", "city", "age", "price", "type")
SORTS = ("relevance", "soonest", "price", "-price", "rating", "distance", "newest")
AGE_BANDS = ((0, 2), (3, 5), (6, 8), (9, 12), (13, 17))
MAX_AGE = 25
MAX_DAYS = 400
DEFAULT_RADIUS_KM, MAX_RADIUS_KM = 25.0, 500.0
# Deeper pages are reached by cursor, whose cost does not grow.
MAX_OFFSET = 10_000


@dataclass(frozen=True, kw_only=True)
class Filters:
    """A request to the catalogue: ages in years, prices in cents, days and parts of the day in the location's zone."""

    q: str | None = None
    category: str | None = None
    country: str | None = None
    city: str | None = None
    locality: str | None = None
    provider: str | None = None
    age_min: int | None = None
    age_max: int | None = None
    price_min: int | None = None
    price_max: int | None = None
    type: str | None = None
    from_: date | None = None
    to: date | None = None
    weekday: tuple[str, ...] = ()
    time_of_day: tuple[str, ...] = ()
    available: bool | None = None
    min_rating: float | None = None
    lat: float | None = None
    lng: float | None = None
    radius_km: float | None = None
    # Stands behind the ages, for suggestions to tell from when on; a personal thing, so no query string repeats it.
    birth_date: date | None = field(default=None, metadata={"filter": False})
    facets: tuple[str, ...] = field(default=(), metadata={"filter": False})
    sort: str | None = field(default=None, metadata={"filter": False})
    page: int = field(default=1, metadata={"filter": False})
    limit: int = field(default=20, metadata={"filter": False})
    cursor: str | None = field(default=None, metadata={"filter": False})

    def without(self, *names: str) -> "Filters":
        """The same request, first page, minus some of its filters."""
        empty: dict[str, Any] = {name: EMPTY[name] for name in names}
        return replace(self, page=1, cursor=None, **empty)

    def query_string(self) -> str:
        """The filters as a query string for the next request."""
        given = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value != each.default and each.metadata.get("filter", True):
                given[camelize_key(each.name.rstrip("_"))] = as_text(value)
        return urlencode(given)


def as_text(value: Any) -> str:
    """A filter's value as `read_filters` reads it."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.12f}".rstrip("0").rstrip(".")
        case tuple():
            return ",".join(value)
    return str(value)


EMPTY: dict[str, Any] = {each.name: each.default for each in fields(Filters)}
NAMES = (*(each.name.rstrip("_") for each in fields(Filters)), "age")
TYPES = tuple(Offering.Type.values)


def read_filters(request: Request) -> Filters:
    """The query string as `Filters`. Raises `ValidationFailed` for unknown names, bad values and reversed ranges."""
    given = query.known_only(request, *NAMES)
    age = query.whole_number(given, "age", most=MAX_AGE)
    birth_date = query.day(given, "birth_date")
    if birth_date is not None:
        if age is not None:
            raise query.invalid("birth_date", "Give either birthDate or age.")
        age = age_of(birth_date)
    if age is not None and ("age_min" in given or "age_max" in given):
        raise query.invalid("age", "Give either age or ageMin and ageMax.")
    filters = Filters(
        q=given.get("q", "").strip() or None,
        **{name: given.get(name) for name in ("country", "cursor")},
        **{name: slug(given, name) for name in ("category", "city", "locality", "provider")},
        age_min=query.whole_number(given, "age_min", most=MAX_AGE) if age is None else age,
        age_max=query.whole_number(given, "age_max", most=MAX_AGE) if age is None else age,
        price_min=query.whole_number(given, "price_min"),
        price_max=query.whole_number(given, "price_max"),
        type=query.one_of(given, "type", TYPES),
        from_=query.day(given, "from"),
        to=query.day(given, "to"),
        weekday=query.some_of(given, "weekday", WEEKDAYS),
        time_of_day=query.some_of(given, "time_of_day", PARTS_OF_DAY),
        available=query.boolean(given, "available"),
        min_rating=query.decimal(given, "min_rating", at_least=0, most=5),
        lat=query.decimal(given, "lat", at_least=-90, most=90),
        lng=query.decimal(given, "lng", at_least=-180, most=180),
        radius_km=query.decimal(given, "radius_km", at_least=0.1, most=MAX_RADIUS_KM),
        birth_date=birth_date,
        facets=query.some_of(given, "facets", FACETS),
        sort=query.one_of(given, "sort", SORTS),
        page=query.whole_number(given, "page", at_least=1, most=MAX_OFFSET) or 1,
        limit=query.whole_number(given, "limit", at_least=1, most=100) or 20,
    )
    return checked(filters)


def checked(filters: Filters) -> Filters:
    """Raises `ValidationFailed` where single values are fine but do not go together."""
    for low, high in (("age_min", "age_max"), ("price_min", "price_max"), ("from_", "to")):
        bounds: tuple[Any, Any] = getattr(filters, low), getattr(filters, high)
        if None not in bounds and bounds[0] > bounds[1]:
            raise query.invalid(high, "The range ends before it begins.")
    if filters.from_ and filters.to and (filters.to - filters.from_).days > MAX_DAYS:
        raise query.invalid("to", f"At most {MAX_DAYS} days after from.")
    if (filters.lat is None) != (filters.lng is None):
        raise query.invalid("lng" if filters.lng is None else "lat", "lat and lng go together.")
    if filters.lat is None and (filters.radius_km is not None or filters.sort == "distance"):
        raise query.invalid("lat", "Give lat and lng to search around.")
    if filters.sort == "relevance" and not filters.q:
        raise query.invalid("sort", "relevance needs q.")
    if (filters.page - 1) * filters.limit > MAX_OFFSET:
        raise query.invalid("page", f"Pages end at {MAX_OFFSET} activities. Go on with meta.nextCursor as cursor.")
    if filters.lat is not None and filters.radius_km is None:
        return replace(filters, radius_km=DEFAULT_RADIUS_KM)
    return filters


def slug(given: dict[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is not None and not re.fullmatch(r"[\w-]+", text):
        raise query.invalid(name, "Must be a slug, such as swimming.")
    return text


def age_of(birth_date: date) -> int:
    """Today's age in whole years. Raises `ValidationFailed` outside 0 to `MAX_AGE`."""
    today = datetime.now(UTC).date()
    age = today.year - birth_date.year - (next_birthday(birth_date).year == today.year)
    if not 0 <= age <= MAX_AGE:
        raise query.invalid("birth_date", f"Must be that of a child, at most {MAX_AGE} years ago.")
    return age


def next_birthday(birth_date: date) -> date:
    """The first birthday after today; a child of 29 February has it on 1 March in other years."""
    today = datetime.now(UTC).date()
    for year in (today.year, today.year + 1):
        try:
            birthday = birth_date.replace(year=year)
        except ValueError:
            birthday = date(year, 3, 1)
        if birthday > today:
            return birthday
    raise AssertionError("next year's birthday lies ahead")
