"""What parents ask for: the requests of each scenario, and the SQL that the application sends for every one of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.db import connection
from django.test import Client

from benchmarks import databases, words

VARIANTS = 4
SCENARIOS = ("list", "text search", "detail", "sessions")


@dataclass(frozen=True)
class Recorded:
    """A request, the one statement behind it with `$1` placeholders, and the answer's body."""

    target: str
    statement: str
    parameters: list[Any]
    body: bytes

    def shape(self) -> dict[str, Any]:
        """What the bare server must know to build the same answer."""
        address = urlsplit(self.target)
        if address.path != "/v1/activities":
            return {"kind": "sessions" if address.path.endswith("/sessions") else "detail"}
        given = dict(parse_qsl(address.query))
        order = given.get("sort", "soonest" if "q" not in given else None)
        return {"kind": "list", "page": int(given.get("page", 1)), "order": order}


def use(size: int) -> None:
    """Points this process's Django at the database of `size`."""
    connection.close()
    connection.settings_dict["NAME"] = databases.name(size)


def list_targets() -> list[str]:
    """Four of each kind of filter, kinds in turn."""
    monday = datetime.now(UTC).date() + timedelta(days=7)
    leaves = [words.slug(name) for names in words.CATEGORIES.values() for name in names]
    targets = []
    for number in range(VARIANTS):
        place, day = words.PLACES[number], monday + timedelta(days=number)
        city, (latitude, longitude) = words.slug(place[0]), place[2:]
        targets += [
            f"?page={number + 1}",
            f"?city={city}",
            f"?category={leaves[number * 5]}&age={4 + number}",
            f"?category={words.slug(list(words.CATEGORIES)[number])}",
            f"?weekday={('sat', 'sun', 'mon', 'wed')[number]}&timeOfDay=afternoon",
            f"?from={day}&to={day + timedelta(days=2)}&available=true",
            f"?sort=price&priceMax={4000 + 1000 * number}",
            f"?lat={latitude}&lng={longitude}&radiusKm={15 + number}",
        ]
    return [f"/v1/activities{query}" for query in targets]


def targets(scenario: str) -> list[str]:
    if scenario == "list":
        return list_targets()
    if scenario == "text search":
        asked = ("lantern", "piano", "soccer falcon", "sunny painting", "robot&city=chicago", "swim&age=7", "lanterns")
        return [f"/v1/activities?q={query.replace(' ', '+')}" for query in asked]
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, slug FROM marketplace_activity ORDER BY md5(id::text) LIMIT 64")
        chosen = cursor.fetchall()
    if scenario == "detail":
        return [f"/v1/activities/{slug}" for _, slug in chosen]
    return [f"/v1/activities/{pk}/sessions" for pk, _ in chosen]


def record(scenario: str) -> list[Recorded]:
    return [recorded(target) for target in targets(scenario)]


def recorded(target: str) -> Recorded:
    """Asks twice, for the first time may also load what the process then keeps for some seconds."""
    ask(target)
    with statements() as seen:
        body = ask(target)
    if len(seen) != 1:
        raise SystemExit(f"{target} takes {len(seen)} statements, not one")
    [(statement, parameters)] = seen
    return Recorded(target, *numbered(statement, parameters), body)


def ask(target: str) -> bytes:
    """The application's answer, in this process."""
    answer = Client(headers={"host": "localhost"}).get(target)
    if answer.status_code != 200:
        raise SystemExit(f"{target} answered {answer.status_code}: {answer.content[:300]!r}")
    return answer.content


@contextmanager
def statements() -> Iterator[list[tuple[str, dict]]]:
    """The statements that the block sends, as they come."""
    seen: list[tuple[str, dict]] = []

    def note(execute, statement, parameters, many, context):
        seen.append((statement, parameters))
        return execute(statement, parameters, many, context)

    with connection.execute_wrapper(note):
        yield seen


def numbered(statement: str, parameters: dict[str, Any]) -> tuple[str, list[Any]]:
    """The same with `$1` for `%(name)s`, as PostgreSQL itself takes it."""
    names: list[str] = []

    def place(match: re.Match) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", place, statement).replace("%%", "%")
    return text, [parameters[name] for name in names]
