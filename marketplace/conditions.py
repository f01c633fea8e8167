"""The WHERE of a search, put together from fixed fragments; whatever a parent typed travels as a parameter."""

import math
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Any

from marketplace import vocabulary
from marketplace.filters import MAX_DAYS, PARTS_OF_DAY, WEEKDAYS, Filters

# How many of the rows with the soonest sessions are looked through for those in a circle, before it is cut out.
MAX_WALK = 5000
# The same for those of a city that are in a locality: it has many of its city's, or few enough to sort.
MAX_CITY_WALK = 500
# Of how many slots of the week each is asked for itself: five days of three. More are never far away.
MAX_BRANCHES = 15
FIRST_DAY = date(2000, 1, 1)
EARTH_KM_PER_DEGREE = 111.0
DISTANCE = "marketplace_distance_km(%(lat)s::float8, %(lng)s::float8, row.latitude, row.longitude)"


class Conditions:
    """The WHERE of one request, condition by condition, so that a facet or a suggestion can leave one out."""

    def __init__(self, filters: Filters):
        self.filters = filters
        self.parameters: dict[str, Any] = {}
        self.by_name: dict[str, str] = {}
        self.source, self.words, self.is_plain = "marketplace_searchrow AS row", "", True
        self.city = filters.city or only_city_of(filters.locality)
        for name in ("text", "category", "country", "place", "provider", "age", "price", "type", "calendar", "rating"):
            condition = getattr(self, name)()
            if condition:
                self.by_name[name] = condition

    def matches(
        self, *, but: str | None = None, cursor: bool = True, in_each_city: bool = False, more: str = "TRUE"
    ) -> str:
        """`FROM … WHERE …` with one row, named `row`, for each activity (`in_each_city`: and city) that matches."""
        return f"FROM {self.source}{self.words} WHERE {self.where(but, cursor, in_each_city, more)}"

    def where(self, but: str | None = None, cursor: bool = True, in_each_city: bool = False, more: str = "TRUE") -> str:
        kept = [more, *(text for name, text in self.by_name.items() if name != but and (cursor or name != "cursor"))]
        is_placed = "place" in self.by_name and but != "place"
        if not is_placed:
            kept.append("row.city_slug <> ''" if in_each_city else "row.is_primary")
        elif not self.city:
            # An area may hold several cities of one activity; that of its earliest session stands for it.
            differ = [self.by_name[name] for name in ("place", "country", "calendar") if name in self.by_name]
            matches_too = " AND ".join(differ).replace("row.", "other.")
            kept.append(f"""(row.is_primary OR NOT EXISTS (
                SELECT FROM marketplace_searchrow AS other WHERE other.activity_id = row.activity_id
                AND (other.next_session_at, other.id) < (row.next_session_at, row.id) AND {matches_too}))""")
        return " AND ".join(kept)

    def soonest(self) -> str:
        """The same for the soonest of them, at least as many as the page needs."""
        narrowed, filters = self.by_name.keys() & {"text", "category", "place", "provider"}, self.filters
        if not narrowed & {"text", "provider"}:
            if filters.lat is not None and not self.city:
                # A single category has an index of its own for it.
                category = self.by_name["category"] if isinstance(self.parameters.get("category"), str) else "TRUE"
                return self.soonest_among(f"row.latitude IS NOT NULL AND {category}", MAX_WALK)
            if filters.locality and self.city and "category" not in narrowed:
                self.parameters["city"] = self.city
                return self.soonest_among("row.city_slug = %(city)s::text", MAX_CITY_WALK)
        in_city_alone = filters.city and not filters.locality and filters.lat is None
        if "calendar" in self.by_name and (not narrowed or (narrowed == {"place"} and in_city_alone)):
            wanted = slots_of_week(filters)
            if 1 < len(wanted) <= MAX_BRANCHES:
                return self.soonest_by_slot(wanted)
        return self.matches()

    def soonest_among(self, those: str, most: int) -> str:
        """Looks through the `most` soonest rows of `those`, and cuts out the area only where they do not fill the page.

        A busy area has filled it after some hundreds; to cut it out and sort it costs by all that it holds.
        """
        needed, after = self.filters.page * self.filters.limit, self.by_name.get("cursor", "TRUE")
        order = "ORDER BY row.next_session_at, row.id"
        in_vain = f"(SELECT count(*) FROM walked) < {needed:d}"
        return f"""FROM (
            WITH walked AS MATERIALIZED (
                SELECT row.id, row.next_session_at FROM (
                    SELECT * FROM marketplace_searchrow AS row WHERE {those} AND {after}
                    {order} LIMIT {most:d}) AS row
                WHERE {self.where(cursor=False)} {order} LIMIT {needed:d}
            )
            SELECT * FROM walked WHERE (SELECT count(*) FROM walked) = {needed:d}
            UNION ALL (SELECT row.id, row.next_session_at {self.matches(more=in_vain)} {order} LIMIT {needed:d})
        ) AS row"""

    def soonest_by_slot(self, wanted: list[int]) -> str:
        """One branch a slot of the week, each with its own index and each row in the first that it fits.

        By next session, what happens at other times stands in between by the ten thousands.
        """
        branches = []
        for number, slot in enumerate(wanted):
            not_before = f" AND NOT {happens_in(wanted[:number])}" if number else ""
            branches.append(
                f"(SELECT row.id, row.next_session_at {self.matches(more=happens_in([slot]) + not_before)}"
                f" ORDER BY row.next_session_at, row.id LIMIT {self.filters.page * self.filters.limit:d})"
            )
        return f"FROM ({' UNION ALL '.join(branches)}) AS row"

    def text(self) -> str | None:
        if not self.filters.q:
            return None
        head, _, last = self.filters.q.rpartition(" ")
        self.parameters["q"] = self.filters.q
        words = found = "websearch_to_tsquery('english', marketplace_fold(%(q)s::text))"
        parts = unicodedata.normalize("NFKC", self.filters.q).split()
        self.is_plain = all(part.isalnum() and part.lower() != "or" for part in parts)
        if len(last) > 1 and last.isalnum():
            # The last word may be half typed.
            self.parameters |= {"head": head, "prefix": last}
            unfinished = "to_tsquery('simple', quote_literal(marketplace_fold(%(prefix)s::text)) || ':*')"
            # Without words before it the left side is empty, which && passes over.
            begun = f"(websearch_to_tsquery('english', marketplace_fold(%(head)s::text)) && {unfinished})"
            words = found = f"({words} || {begun})"
            if self.is_plain:
                # Where the word is its own stem, its completions include it; the index need not look it up twice.
                stem = "websearch_to_tsquery('english', marketplace_fold(%(prefix)s::text))"
                found = f"CASE WHEN {stem}::text || ':*' = {unfinished}::text THEN {begun} ELSE {words} END"
        self.words = f""" CROSS JOIN (
            SELECT asked.query, asked.found, marketplace_in_title(asked.found) AS in_title
            FROM (SELECT {words} AS query, {found} AS found OFFSET 0) AS asked OFFSET 0) AS words"""
        return "row.document @@ words.found"

    def category(self) -> str | None:
        if not self.filters.category:
            return None
        slugs = vocabulary.categories_below(self.filters.category)
        self.parameters["category"] = slugs[0] if len(slugs) == 1 else slugs
        return "row.category_slug = " + ("%(category)s::text" if len(slugs) == 1 else "ANY (%(category)s::text[])")

    def country(self) -> str | None:
        if not self.filters.country:
            return None
        self.parameters["country"] = self.filters.country.upper()
        return "row.country_code = %(country)s::text"

    def place(self) -> str | None:
        """City, locality and radius, met by the rows of single cities."""
        filters, conditions = self.filters, []
        if filters.city:
            self.parameters["city"] = filters.city
            conditions.append("row.city_slug = %(city)s::text")
        if filters.locality:
            self.parameters["locality"] = [filters.locality]
            conditions.append("row.locality_slugs @> %(locality)s::text[] AND row.city_slug <> ''")
        if filters.lat is not None and filters.lng is not None and filters.radius_km is not None:
            # Only rows of single cities have coordinates.
            self.parameters |= {"lat": filters.lat, "lng": filters.lng, "radius": filters.radius_km}
            conditions.append(box(filters.lat, filters.lng, filters.radius_km, self.parameters))
            conditions.append(f"{DISTANCE} <= %(radius)s::float8")
        return " AND ".join(conditions) or None

    def provider(self) -> str | None:
        if not self.filters.provider:
            return None
        self.parameters["provider"] = self.filters.provider
        return "row.provider_slug = %(provider)s::text"

    def age(self) -> str | None:
        conditions = []
        if self.filters.age_min is not None:
            self.parameters["age_min"] = self.filters.age_min
            conditions.append("row.age_max >= %(age_min)s::integer")
        if self.filters.age_max is not None:
            self.parameters["age_max"] = self.filters.age_max
            conditions.append("row.age_min <= %(age_max)s::integer")
        return " AND ".join(conditions) or None

    def price(self) -> str | None:
        """By the price that the card shows: that of the cheapest offering."""
        conditions = []
        if self.filters.price_min is not None:
            self.parameters["price_min"] = self.filters.price_min
            conditions.append("row.price_cents >= %(price_min)s::integer AND row.price_cents < 2147483647")
        if self.filters.price_max is not None:
            self.parameters["price_max"] = min(self.filters.price_max, 2147483646)
            conditions.append("row.price_cents <= %(price_max)s::integer")
        return " AND ".join(conditions) or None

    def type(self) -> str | None:
        if not self.filters.type:
            return None
        self.parameters["type"] = [self.filters.type]
        return "row.offering_types @> %(type)s::text[]"

    def calendar(self) -> str | None:
        """Days, weekdays, parts of the day and free seats, all met by one and the same session."""
        filters = self.filters
        free = "free_" if filters.available else ""
        if not (filters.from_ or filters.to or filters.weekday or filters.time_of_day):
            return "row.free_week_mask <> 0" if filters.available else None
        week = slots_of_week(filters)
        in_slot = f" AND {happens_in(week)}" if len(week) == 1 else ""
        if filters.from_ or filters.to:
            # Written out: how much a range of days narrows down decides the plan, which must not outlive the range.
            wanted = ",".join(f"{slot:d}" for slot in slots(filters))
            return f"row.{free}slots && '{{{wanted}}}'::integer[]{in_slot}"
        self.parameters["week_mask"] = mask_of(week)
        return f"row.{free}week_mask & %(week_mask)s::integer <> 0{in_slot}"

    def rating(self) -> str | None:
        if self.filters.min_rating is None:
            return None
        self.parameters["min_rating"] = self.filters.min_rating
        return "row.rating_average >= %(min_rating)s::float8"

    def after(self, value: str, row_id: str, column: str, direction: str, cast: str) -> None:
        """Only what comes after that value and row in the order of `column`."""
        self.parameters |= {"after": value, "after_id": row_id}
        comparison = ">" if direction == "ASC" else "<"
        self.by_name["cursor"] = f"({column}, row.id) {comparison} (%(after)s::text::{cast}, %(after_id)s::uuid)"


def only_city_of(locality: str | None) -> str | None:
    """The city that a locality is in, where no other has one of that name: its rows come in the order of a page."""
    cities = vocabulary.cities_with(locality) if locality else []
    return cities[0] if len(cities) == 1 else None


def box(lat: float, lng: float, radius_km: float, parameters: dict[str, Any]) -> str:
    """A rectangle around the circle, for the index to cut out; open where it would reach the date line or a pole."""
    height = radius_km / EARTH_KM_PER_DEGREE
    parameters |= {"south": lat - height, "north": lat + height}
    text = "row.latitude BETWEEN %(south)s::float8 AND %(north)s::float8"
    # The widest point of the rectangle is at the end nearer to a pole; close to one a degree is no width at all.
    nearest_pole = abs(lat) + height
    if nearest_pole >= 89:
        return text
    width = radius_km / (EARTH_KM_PER_DEGREE * math.cos(math.radians(nearest_pole)))
    if lng - width < -180 or lng + width > 180:
        return text
    parameters |= {"west": lng - width, "east": lng + width}
    return text + " AND row.longitude BETWEEN %(west)s::float8 AND %(east)s::float8"


def slots(filters: Filters) -> list[int]:
    """The day slots that `filters` accept (see marketplace_slot), at most `MAX_DAYS` on from the first day.

    What is yet to begin is on yesterday's date at the earliest, far in the west.
    """
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    first = max(filters.from_ or yesterday, yesterday)
    ahead = min((filters.to or date.max) - first, date.max - first, timedelta(days=MAX_DAYS)).days
    days = (first + timedelta(days=number) for number in range(ahead + 1))
    parts = [PARTS_OF_DAY.index(part) for part in filters.time_of_day or PARTS_OF_DAY]
    weekdays = {WEEKDAYS.index(day) for day in filters.weekday or WEEKDAYS}
    return [(day - FIRST_DAY).days * 3 + part for day in days if day.weekday() in weekdays for part in parts]


def slots_of_week(filters: Filters) -> list[int]:
    """The same for any week, Monday morning being 0 (see marketplace_week_mask)."""
    days = {WEEKDAYS.index(day) for day in filters.weekday or WEEKDAYS}
    if filters.from_ and filters.to:
        span = range((filters.to - filters.from_).days + 1)
        days &= {(filters.from_ + timedelta(days=number)).weekday() for number in span}
    parts = [PARTS_OF_DAY.index(part) for part in filters.time_of_day or PARTS_OF_DAY]
    return [day * 3 + part for day in sorted(days) for part in parts]


def mask_of(slots_of_week: list[int]) -> int:
    return sum(1 << slot for slot in slots_of_week)


def happens_in(slots_of_week: list[int]) -> str:
    """A condition that may follow from others and, being a literal, opens the index of a slot."""
    return f"row.week_mask & {mask_of(slots_of_week)} <> 0"
