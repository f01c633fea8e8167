"""Searching the catalogue: one statement over the search rows for page, total and facets (docs/search.md).

A statement is put together from fixed fragments; whatever a parent typed travels as a parameter.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from core import query
from marketplace import vocabulary
from marketplace.conditions import DISTANCE, Conditions
from marketplace.facets import facets_of
from marketplace.filters import EMPTY, MAX_AGE, MAX_RADIUS_KM, Filters, next_birthday
from marketplace.reading import fetch

# Nobody reads past a thousand; counting on would cost more than the page itself.
MAX_TOTAL = 1000
# How many matches are ranked, those in titles first: a word that most activities share tells little about any of them.
MAX_RANKED = 2000
# Text first; a good rating adds up to a quarter, a session within two weeks a fifth, and none at all takes a fifth.
SCORE = """(ts_rank(row.document, words.query) * (1 + row.rating_average / 20)
    * CASE WHEN row.next_session_at < now() + interval '14 days' THEN 1.2::float8
           WHEN row.next_session_at > '9999-01-01' THEN 0.8::float8 ELSE 1::float8 END)"""

# Column, direction, and the type that a cursor's value is cast to. Ids break ties, in the same direction.
ORDERS = {
    "soonest": ("row.next_session_at", "ASC", "timestamptz"),
    "price": ("row.price_cents", "ASC", "integer"),
    "-price": ("CASE WHEN row.price_cents = 2147483647 THEN -1 ELSE row.price_cents END", "DESC", "integer"),
    "rating": ("row.rating_average", "DESC", "float8"),
    "newest": ("row.published_at", "DESC", "timestamptz"),
    "distance": (DISTANCE, "ASC", "float8"),
    "relevance": (SCORE, "DESC", "float8"),
}
# What a cursor can go on from: the others are computed, and few look beyond their first pages.
KEYSET = ("soonest", "price", "-price", "rating", "newest")


@dataclass(frozen=True)
class Found:
    """A page of finished JSON cards with its `meta`."""

    cards: orjson.Fragment
    meta: dict[str, Any]


def find(filters: Filters) -> Found:
    """The page that `filters` ask for, in one round trip.

    Where no word is found as typed, the nearest known words are tried (`meta.correctedQuery`); where nothing is
    found at all, `meta.suggestions` says which single filter hides how much.
    """
    found = run(filters)
    if found.meta["total"] == 0 and filters.q:
        corrected = vocabulary.correct(filters.q)
        if corrected:
            second = run(Filters(**{**vars(filters), "q": corrected}))
            if second.meta["total"]:
                return Found(second.cards, {**second.meta, "corrected_query": corrected})
    if found.meta["total"] == 0:
        found.meta["suggestions"] = suggestions(filters)
    return found


def run(filters: Filters) -> Found:
    conditions = Conditions(filters)
    name = filters.sort or ("relevance" if filters.q else "soonest")
    column, direction, cast = ORDERS[name]
    if filters.cursor:
        conditions.after(*read_cursor(filters.cursor, name), column, direction, cast)
    order = f"{column} {direction}, row.id {direction}"
    card = "row.card"
    if filters.lat is not None:
        card = f"left(row.card, -1) || ',\"distanceKm\":' || round(({DISTANCE})::numeric, 1) || '}}'"
    matches, counted, with_ranked = conditions.matches(), conditions.matches(cursor=False), []
    if name == "soonest":
        matches = conditions.soonest()
    if name == "relevance":
        with_ranked = [ranked_sql(column, conditions)]
        column = "row.score"
        order = f"{column} {direction}, row.id {direction}"
        matches = counted = "FROM ranked AS row"
    facets = facets_of(conditions)
    columns = [
        "(SELECT string_agg(page.card, ',' ORDER BY page.position) FROM page)",
        "(SELECT count(*) FROM page)",
        f"(SELECT count(*) FROM (SELECT {counted} LIMIT {MAX_TOTAL + 1}) AS counted)",
        "(SELECT page.sorted_by::text || ' ' || page.id FROM page ORDER BY page.position DESC LIMIT 1)",
        *facets.columns.values(),
    ]
    # Ids first, cards after: a deep page skips index entries instead of cards.
    statement = f"""
        WITH {"".join(f"{each}, " for each in [*with_ranked, *facets.passes])}chosen AS (
            SELECT row.id, {column} AS sorted_by, row_number() OVER (ORDER BY {order}) AS position
            {matches} ORDER BY {order} {page_sql(name, conditions)}
        ), page AS (
            SELECT chosen.id, chosen.sorted_by, chosen.position, {card} AS card
            FROM chosen JOIN marketplace_searchrow AS row ON row.id = chosen.id
        )
        SELECT {", ".join(columns)}"""
    [(cards, size, total, last, *values)] = fetch(statement, conditions.parameters)
    meta: dict[str, Any] = {"page": filters.page, "limit": filters.limit, "total": min(total, MAX_TOTAL)}
    if total > MAX_TOTAL:
        meta["total_is_capped"] = True
    is_last = filters.cursor is None and total <= MAX_TOTAL and filters.page * filters.limit >= total
    is_full = size == filters.limit and not is_last
    if is_full and name in KEYSET:
        meta["next_cursor"] = write_cursor(name, last)
    if filters.facets:
        meta["facets"] = facets.take(values)
    return Found(orjson.Fragment(f"[{cards or ''}]"), meta)


def page_sql(sort: str, conditions: Conditions) -> str:
    """LIMIT and OFFSET, written out where one plan serves all values, which saves half of the time of a plain page.

    As parameters they keep the planner from reusing a plan. That is what some filters need: where nothing costs so
    little, say, the best plan is another one.
    """
    limit, offset = conditions.filters.limit, (conditions.filters.page - 1) * conditions.filters.limit
    needs_own_plan = {"price", "type", "rating"} & conditions.by_name.keys() - ({"price"} if sort == "price" else set())
    if needs_own_plan:
        conditions.parameters |= {"limit": limit, "offset": offset}
        return "LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint"
    return f"LIMIT {limit:d} OFFSET {offset:d}"


def ranked_sql(score: str, conditions: Conditions) -> str:
    """The matches that are worth ranking, as the CTE `ranked` with ids and scores.

    Reading a match costs more than ranking it. A word in the title outweighs any other place, so those matches come
    first, and the rest is only read where they do not fill the page and the total.
    """
    deepest = conditions.filters.page * conditions.filters.limit
    limit, wanted = max(MAX_RANKED, deepest), max(MAX_TOTAL + 1, deepest)
    # Negations and phrases may fail outside of the title. IS TRUE keeps the index out of it, which would be slower.
    in_title = "row.document @@ words.in_title" + (
        "" if conditions.is_plain else " AND (row.document @@ words.query) IS TRUE"
    )
    elsewhere = f"NOT row.document @@ words.in_title AND (SELECT count(*) FROM titled) < {wanted}"
    return f"""
        titled AS MATERIALIZED (
            SELECT row.id, {score} AS score {conditions.matches(but="text", more=in_title)} LIMIT {limit}
        ), ranked AS MATERIALIZED (
            SELECT * FROM titled
            UNION ALL (SELECT row.id, {score} {conditions.matches(more=elsewhere)} LIMIT {limit})
        )"""


# --- Suggestions ------------------------------------------------------------------------------------------------------

RELAXATIONS = (
    ("On any day", ("from_", "to", "weekday", "time_of_day")),
    ("Whether or not a seat is free", ("available",)),
    ("For any age", ("age_min", "age_max")),
    ("At any price", ("price_min", "price_max")),
    ("Of any type", ("type",)),
    ("With any rating", ("min_rating",)),
    ("In all categories", ("category",)),
    ("Anywhere", ("city", "locality", "country", "lat", "lng", "radius_km")),
    ("By any provider", ("provider",)),
    ("Without these words", ("q",)),
)


def suggestions(filters: Filters) -> list[dict[str, Any]]:
    """Which single step back would find how much; one statement for all of them."""
    relaxed: list[tuple[str, Filters]] = []
    if filters.lat is not None and filters.radius_km is not None:
        for radius in sorted({round(min(filters.radius_km * factor, MAX_RADIUS_KM), 6) for factor in (2, 5)}):
            relaxed.append((f"Within {radius:g} km", Filters(**{**vars(filters), "radius_km": radius})))
    if filters.birth_date is not None and filters.age_max is not None:
        older = filters.age_max + 1
        near = Filters(**{**vars(filters), "age_min": older, "age_max": older})
        relaxed.append((f"Eligible from {next_birthday(filters.birth_date):%-d %B %Y}", near))
    if filters.age_min is not None and filters.age_max is not None:
        ages = {"age_min": max(filters.age_min - 1, 0), "age_max": min(filters.age_max + 1, MAX_AGE)}
        near = Filters(**{**vars(filters), **ages})
        relaxed.append(("A year younger or older", near))
    for message, names in RELAXATIONS:
        if any(getattr(filters, name) != EMPTY[name] for name in names):
            relaxed.append((message, filters.without(*names)))
    if not relaxed:
        return []
    columns, parameters = [], {}
    for number, (_, each) in enumerate(relaxed):
        conditions = Conditions(each)
        text = f"(SELECT count(*) FROM (SELECT {conditions.matches()} LIMIT 100) AS counted)"
        for name, value in conditions.parameters.items():
            text = text.replace(f"%({name})s", f"%({name}_{number})s")
            parameters[f"{name}_{number}"] = value
        columns.append(text)
    [totals] = fetch(f"SELECT {', '.join(columns)}", parameters)
    return [
        {"message": message, "query": each.query_string(), "total": total}
        for (message, each), total in zip(relaxed, totals, strict=True)
        if total
    ]


# --- Cursors ---------------------------------------------------------------------------------------------------------


def write_cursor(name: str, last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([name, *last.rsplit(" ", 1)]).encode()).decode().rstrip("=")


CURSOR_VALUES: dict[str, Callable[[str], str]] = {
    "timestamptz": lambda text: datetime.fromisoformat(text).isoformat(),
    "integer": lambda text: str(max(-(2**31), min(int(text), 2**31 - 1))),
    "float8": lambda text: repr(float(text)),
}


def read_cursor(text: str, name: str) -> tuple[str, str]:
    """The sort value and id that a cursor goes on from. Raises `ValidationFailed`."""
    try:
        made_for, value, row_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if made_for == name:
            # Written anew, so that the database is only ever asked to read what it can.
            return CURSOR_VALUES[ORDERS[name][2]](value), str(UUID(row_id))
    except (ValueError, TypeError, AttributeError, OverflowError):
        pass
    raise query.invalid("cursor", "Take meta.nextCursor of the same request.")
