"""What the database spends on one request, and how that grows with the catalogue."""

import base64
import json
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from urllib.parse import quote

import psycopg
from django.db import connection

from benchmarks import databases, mix
from marketplace import search, vocabulary

TIMES = 25
# Less than this many milliseconds is noise.
LEAST = 0.02


def cases() -> dict[str, str]:
    """Requests by what they show."""
    day = datetime.now(UTC).date() + timedelta(days=9)
    return {
        "no filter": "",
        "city": "?city=chicago",
        "category and age": "?category=piano&age=7",
        "branch of categories": "?category=sports",
        "city, category and age": "?city=boston&category=soccer&age=9",
        "weekday and time": "?weekday=sat&timeOfDay=afternoon",
        "city, weekday and time": "?city=chicago&weekday=sat&timeOfDay=afternoon",
        "three days, seat free": f"?from={day}&to={day + timedelta(days=2)}&available=true",
        "price sort": "?sort=price&priceMax=4000",
        "radius": "?lat=41.88&lng=-87.63&radiusKm=15",
        "radius, category and age": "?lat=41.88&lng=-87.63&radiusKm=15&category=piano&age=7",
        "locality": "?locality=old-chicago",
        "page 400 of the soonest": "?page=400",
        "cursor deep inside, soonest": f"?cursor={deep('soonest', 'next_session_at')}",
        "cursor deep inside, price": f"?sort=price&cursor={deep('price', 'price_cents')}",
        "one word in 5 % of the rows": "?q=lantern",
        "that word in a city": "?q=lantern&city=chicago",
        "two words": f"?q={quote('soccer falcon')}",
        "all facets": "?facets=category,city,age,price,type",
    }


def deep(name: str, column: str) -> str:
    """A cursor to the ninth tenth of a sorted list."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column}::text, id::text FROM marketplace_searchrow WHERE is_primary ORDER BY {column}, id"
            " OFFSET (SELECT count(*) * 9 / 10 FROM marketplace_searchrow WHERE is_primary) LIMIT 1"
        )
        value, row_id = cursor.fetchone()
    return base64.urlsafe_b64encode(json.dumps([name, value, row_id]).encode()).decode().rstrip("=")


def measure(size: int) -> dict[str, tuple[float, float]]:
    """Milliseconds inside the database for each case, page and total: the least of many executions, planning apart.

    Other programs can only add to it.
    """
    mix.use(size)
    spent = {}
    with psycopg.connect(databases.url(size), autocommit=True) as database:
        for name, query in cases().items():
            whole = least(database, query)
            # A total that stops before one is no total.
            with patch.object(search, "MAX_TOTAL", -1):
                page = least(database, query)
            spent[name] = page, max(whole - page, 0.0)
    return spent


def least(database: psycopg.Connection, query: str) -> float:
    vocabulary.forget()
    with mix.statements() as seen:
        mix.ask(f"/v1/activities{query}")
    statement, parameters = seen[-1]
    return min(executed(database, statement, parameters) for _ in range(TIMES))


def executed(database: psycopg.Connection, statement: str, parameters: dict) -> float:
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
    with psycopg.ClientCursor(database) as cursor:
        cursor.execute(explain.encode(), parameters)
        [(plan,)] = cursor.fetchall()
    return plan[0]["Execution Time"]


def report(sizes: list[int]) -> tuple[list[str], list[list[str]]]:
    """A line a case; page and total for each size, and the last size over the one before it."""
    spent = {size: measure(size) for size in sizes}
    head = ["database ms", *(f"{part} {size:,}" for part in ("page", "total") for size in sizes)]
    if len(sizes) > 1:
        head += ["page grows", "total grows"]
    lines = []
    for name in spent[sizes[0]]:
        by_part = [[spent[size][name][part] for size in sizes] for part in (0, 1)]
        ratios = [f"{times[-1] / times[-2]:.2f}" if min(times[-2:]) >= LEAST else "" for times in by_part]
        lines.append([name, *(f"{each:.2f}" for times in by_part for each in times), *ratios[: 2 * (len(sizes) > 1)]])
    return head, lines
