"""What the database spends on one request, and how that grows with the catalogue."""

import base64
import json
import statistics
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import psycopg
from django.db import connection

from benchmarks import databases, mix

TIMES = 15


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


def measure(size: int) -> dict[str, float]:
    """Milliseconds inside the database for each case: the median of warm executions, planning apart."""
    mix.use(size)
    spent = {}
    with psycopg.connect(databases.url(size), autocommit=True) as database:
        for name, query in cases().items():
            with mix.statements() as seen:
                mix.ask(f"/v1/activities{query}")
            statement, parameters = seen[-1]
            times = [executed(database, statement, parameters) for _ in range(TIMES)]
            spent[name] = statistics.median(times[3:])
    return spent


def executed(database: psycopg.Connection, statement: str, parameters: dict) -> float:
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
    with psycopg.ClientCursor(database) as cursor:
        cursor.execute(explain.encode(), parameters)
        [(plan,)] = cursor.fetchall()
    return plan[0]["Execution Time"]


def report(sizes: list[int]) -> tuple[list[str], list[list[str]]]:
    """A line a case, a column a size, and the last size over the one before it."""
    spent = {size: measure(size) for size in sizes}
    lines = []
    for name in spent[sizes[0]]:
        times = [spent[size][name] for size in sizes]
        ratio = [f"{times[-1] / times[-2]:.2f}"] if len(times) > 1 else []
        lines.append([name, *(f"{each:.2f}" for each in times), *ratio])
    head = ["database ms", *(f"{size:,}" for size in sizes)]
    return head + ([f"{sizes[-1]:,} ÷ {sizes[-2]:,}"] if len(sizes) > 1 else []), lines
