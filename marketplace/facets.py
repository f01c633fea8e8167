"""Facets: how many activities each value of a filter would show, under all the other filters."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings

from core.models import Currency
from marketplace import vocabulary
from marketplace.conditions import Conditions
from marketplace.filters import AGE_BANDS

# Counts of more than this are remembered so long: they cost most, and one more or less matters least.
BROAD, SECONDS = 1000, 60
# A facet leaves out its own filter.
OWN_CONDITION = {"category": "category", "city": "place", "age": "age", "price": "price", "type": "type"}
# What rows are grouped by for it; values and bands are added up from those groups.
KEYS = {
    "category": ("row.category_slug",),
    "city": ("row.city_slug",),
    "age": ("row.age_min", "row.age_max"),
    "price": ("row.price_cents",),
    "type": ("row.offering_types",),
}
# The upper ends of the price facet's bands, in cents or paise.
PRICE_BANDS = {Currency.USD: (0, 2500, 5000, 10000, 20000), Currency.INR: (0, 50000, 100000, 250000, 500000)}


@dataclass
class Facets:
    """The facets of one request: common table expressions and columns for its statement, then their JSON."""

    known: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    passes: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)

    def take(self, found: Sequence[str | None]) -> dict[str, Any]:
        """The counts by facet, `found` being what the database has in `columns`."""
        for name, value in zip(self.columns, found, strict=True):
            self.known[name] = value or "[]"
            if sum(each["count"] for each in orjson.loads(self.known[name])) > BROAD:
                vocabulary.keep(self.keys[name], SECONDS, self.known[name])
        return {name: orjson.Fragment(self.known[name]) for name in self.keys}


def facets_of(conditions: Conditions) -> Facets:
    """What `conditions.filters.facets` takes: one pass over the rows for all facets that look at the same ones."""
    facets, by_rows = Facets(), dict[str, list[str]]()
    for name in conditions.filters.facets:
        rows = conditions.matches(but=OWN_CONDITION[name], cursor=False, in_each_city=name == "city")
        facets.keys[name] = key_of(name, rows, conditions.parameters)
        known = vocabulary.recall(facets.keys[name])
        if known is None:
            by_rows.setdefault(rows, []).append(name)
        else:
            facets.known[name] = known
    for number, (rows, names) in enumerate(by_rows.items()):
        keys = ", ".join(key for name in names for key in KEYS[name])
        sets = ", ".join(f"({', '.join(KEYS[name])})" for name in names)
        kinds = ", ".join(f"grouping({KEYS[name][0]}) = 0 AS is_{name}" for name in names)
        facets.passes.append(
            f"counted_{number} AS MATERIALIZED ("
            f"SELECT {keys}, {kinds}, count(*) AS total {rows} GROUP BY GROUPING SETS ({sets}))"
        )
        for name in names:
            facets.columns[name] = column(name, f"FROM counted_{number} AS row WHERE row.is_{name}")
    return facets


def key_of(name: str, rows: str, parameters: dict[str, Any]) -> str:
    """Stands for the facet and all that it depends on, without a word of what was typed."""
    used = {each: value for each, value in sorted(parameters.items()) if f"%({each})s" in rows}
    return f"{name}:{hashlib.sha256(repr((rows, used, settings.CURRENCY)).encode()).hexdigest()}"


def column(name: str, groups: str) -> str:
    """One facet's values with their counts, as JSON text."""
    if name in ("category", "city"):
        names = {"category": "marketplace_category", "city": "geography_city"}[name]
        return f"""(SELECT json_agg(json_build_object('value', value, 'name', name, 'count', total)
                    ORDER BY total DESC, value)::text
            FROM (SELECT row.{name}_slug AS value, row.total,
                    (SELECT min(named.name) FROM {names} AS named WHERE named.slug = row.{name}_slug) AS name
                  {groups} ORDER BY row.total DESC, value LIMIT 100) AS counted)"""
    if name == "type":
        return f"""(SELECT json_agg(json_build_object('value', value, 'count', total) ORDER BY total DESC, value)::text
            FROM (SELECT value, sum(each.total) AS total
                  FROM (SELECT row.offering_types, row.total {groups}) AS each
                  CROSS JOIN unnest(each.offering_types) AS value
                  GROUP BY value) AS counted)"""
    bands = {"age": age_bands, "price": price_bands}[name]()
    counted = ", ".join(
        f"json_build_object({labels}, 'count', coalesce(sum(row.total) FILTER (WHERE {condition}), 0))"
        for labels, condition in bands
    )
    return f"(SELECT json_build_array({counted})::text {groups})"


def age_bands() -> list[tuple[str, str]]:
    return [
        (f"'min', {low}, 'max', {high}", f"row.age_max >= {low} AND row.age_min <= {high}") for low, high in AGE_BANDS
    ]


def price_bands() -> list[tuple[str, str]]:
    ends = PRICE_BANDS[Currency(settings.CURRENCY)]
    closed = [
        (f"'min', {low}, 'max', {high}", f"row.price_cents BETWEEN {low} AND {high}")
        for low, high in zip((0, *(end + 1 for end in ends)), ends, strict=False)
    ]
    last = ends[-1] + 1
    return [*closed, (f"'min', {last}, 'max', NULL", f"row.price_cents BETWEEN {last} AND 2147483646")]
