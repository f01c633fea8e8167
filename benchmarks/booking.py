"""Booking: many sessions, and one that everybody wants, beside pgbench with the same SQL and the ORM as is usual.

The verb `bookings.services.book` is called by processes with threads, each with a connection that it keeps; then the
same over HTTP, `POST /v1/me/bookings`, with everything around it. Each booking is for another child.
"""

import re
import statistics
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt
import orjson
import psycopg
from django.db import connections
from psycopg import sql

from benchmarks import bookers, databases, load, servers

NAME = "juniro_bench_booking"
CHILDREN, SESSIONS = 40_000, 1_000
# By scenario: clients at once, and among how many sessions they choose.
SCENARIOS = {"many sessions": (8, SESSIONS), "one hot session": (50, 1)}
SECRET = "benchmarks-only-benchmarks-only-benchmarks"

FILL = f"""
CREATE FUNCTION bench_id(kind integer, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT ('0be9c400-0000-7000-8' || lpad(to_hex(kind), 3, '0') || '-' || lpad(to_hex(number), 12, '0'))::uuid $$;
INSERT INTO users_user (id, password, is_superuser, auth_id, email, home_region, role)
SELECT bench_id(1, n), '!', FALSE, bench_id(9, n)::text, 'b' || n || '@example.com', 'us', 'parent'
FROM generate_series(1, {CHILDREN}) AS n;
INSERT INTO users_parent (id, user_id, first_name) SELECT bench_id(2, n), bench_id(1, n), 'Robin'
FROM generate_series(1, {CHILDREN}) AS n;
INSERT INTO users_child (id, parent_id, first_name, birth_date)
SELECT bench_id(3, n), bench_id(2, n), 'Kim', current_date - interval '8 years 2 months'
FROM generate_series(1, {CHILDREN}) AS n;
CREATE TEMPORARY TABLE open AS
SELECT row_number() OVER () - 1 AS number, offering.id, offering.activity_id, place.id AS location_id
FROM marketplace_offering AS offering JOIN marketplace_activity AS activity ON activity.id = offering.activity_id
JOIN marketplace_category AS category ON category.id = activity.category_id AND category.is_active
JOIN providers_provideraccount AS provider ON provider.id = activity.provider_id AND provider.status = 'verified'
JOIN LATERAL (SELECT id FROM providers_location WHERE provider_id = provider.id LIMIT 1) AS place ON TRUE
WHERE offering.type = 'single_session' AND offering.status = 'active' AND activity.status = 'published'
    AND offering.price_cents > 0 AND 8 BETWEEN coalesce(activity.age_min, 0) AND coalesce(activity.age_max, 99);
INSERT INTO marketplace_session (id, activity_id, offering_id, location_id, starts_at, ends_at, capacity)
SELECT bench_id(4, n), open.activity_id, open.id, open.location_id, now() + interval '10 days',
    now() + interval '10 days 1 hour', 1000000
FROM generate_series(1, {SESSIONS}) AS n JOIN open ON open.number = n % (SELECT count(*) FROM open);
"""
CLEAR = """
TRUNCATE bookings_booking, bookings_seat, core_idempotencykey, notifications_notification CASCADE;
DELETE FROM marketplace_searchstale;
UPDATE marketplace_session SET enrolled = 0, capacity = 1000000 WHERE id BETWEEN bench_id(4, 0) AND bench_id(4, 100000);
"""


class Ground:
    """A copy of the smallest catalogue's database, with families who book and sessions that they book."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.url = urlsplit(databases.SERVER)._replace(path=f"/{NAME}").geturl()

    def make(self) -> None:
        connections.close_all()
        with psycopg.connect(databases.SERVER, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(NAME)))
            template = sql.Identifier(databases.name(self.size))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(NAME), template))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute("ANALYZE")

    def offering(self) -> uuid.UUID:
        """That of session 1."""
        with psycopg.connect(self.url) as connection:
            row = connection.execute("SELECT offering_id FROM marketplace_session WHERE id = bench_id(4, 1)").fetchone()
        assert row
        return row[0]

    def clear(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(CLEAR.encode())
            connection.execute("VACUUM marketplace_session, marketplace_searchstale")
            connection.execute("CHECKPOINT")

    def booked(self) -> int:
        """Seats taken. Whatever happened, they are counted right and there is one for each booking."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(
                """SELECT (SELECT count(*) FROM bookings_seat), (SELECT count(*) FROM bookings_booking),
                    sum(enrolled), count(*) FILTER (WHERE enrolled > capacity)
                FROM marketplace_session WHERE id BETWEEN bench_id(4, 0) AND bench_id(4, 100000)"""
            ).fetchone()
        assert row
        seats, bookings, enrolled, oversold = row
        if not seats == bookings == enrolled or oversold:
            raise SystemExit(f"{seats} seats, {bookings} bookings, {enrolled} counted, {oversold} sessions oversold")
        return seats


# --- PostgreSQL alone ------------------------------------------------------------------------------------------------


def in_pgbench(statements: list[tuple[str, Any]], offering: uuid.UUID) -> str:
    """A script that sends what `book` sent for child 1 and session 1, each time for the client's next child."""
    known = {
        bookers.numbered(2, 1): "bench_id(2, :child)",
        bookers.numbered(3, 1): "bench_id(3, :child)",
        bookers.numbered(4, 1): "bench_id(4, :session)",
        offering: f"'{offering}'::uuid",
    }

    def place(value: Any) -> str:
        if isinstance(value, list | tuple):
            return "ARRAY[" + ", ".join(place(each) for each in value) + "]::uuid[]"
        if isinstance(value, uuid.UUID):
            # A new row's id, which other rows may name.
            return known.setdefault(value, f"bench_id({len(known) + 10}, :child)")
        if value is None or isinstance(value, bool):
            return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
        if isinstance(value, int):
            return str(value)
        return f"'{value}'" + ("::timestamptz" if isinstance(value, datetime) else "")

    def filled(statement: str, values: Any) -> str:
        given = iter(() if isinstance(values, dict) else values or ())
        return re.sub(
            r"%(?:\((\w+)\))?s",
            lambda found: place(values[found[1]] if found[1] else next(given)),
            statement.replace("%%", "\0"),
        ).replace("\0", "%")

    lines = [" ".join(filled(*each).split()) + ";" for each in statements]
    choose = ["\\set i :i + 1", "\\set child :client_id * :each + :i"]
    choose.append("\\set session 1 + (:client_id * 37 + :i) % :sessions")
    return "\n".join([*choose, "BEGIN;", *lines, "COMMIT;"]) + "\n"


def alone(ground: Ground, script: str, clients: int, sessions: int, seconds: float) -> float:
    """Bookings a second that PostgreSQL makes for so many clients of pgbench."""
    program = servers.pgbench()
    if program is None:
        raise SystemExit("pgbench is not installed")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        options = [
            "-n",
            "-M",
            "prepared",
            "-c",
            str(clients),
            "-j",
            "2",
            "-T",
            str(max(1, round(seconds))),
            "-f",
            file.name,
        ]
        options += ["-D", "i=0", "-D", f"each={CHILDREN // clients}", "-D", f"sessions={sessions}"]
        told = subprocess.run(
            [program, *options, ground.url], capture_output=True, text=True, check=False, timeout=seconds + 60
        )
    found = re.search(r"tps = ([\d.]+)", told.stdout)
    if not found or "aborted" in told.stderr:
        raise SystemExit(f"pgbench failed: {told.stderr.strip()[-500:]} {told.stdout[-300:]}")
    return float(found[1])


# --- Over HTTP -------------------------------------------------------------------------------------------------------


def requests(host: str, sessions: int) -> list[bytes]:
    """A POST for every child, each by its own parent."""
    made, ends = [], datetime.now(UTC) + timedelta(hours=1)
    claims = {
        "iss": "http://localhost/auth/v1",
        "aud": "authenticated",
        "role": "authenticated",
        "email": "b@example.com",
    }
    for number in range(1, CHILDREN + 1):
        who = claims | {"sub": str(bookers.numbered(9, number)), "exp": ends, "iat": datetime.now(UTC)}
        body = orjson.dumps(
            {"sessionId": bookers.numbered(4, 1 + number % sessions), "childId": bookers.numbered(3, number)}
        )
        head = (
            f"POST /v1/me/bookings HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {jwt.encode(who, SECRET, 'HS256')}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


@contextmanager
def server(ground: Ground) -> Iterator[servers.Server]:
    settings = {"SUPABASE_JWT_SECRET": SECRET, "SUPABASE_JWT_ISSUER": "http://localhost/auth/v1"}
    with servers.juniro(ground.size, DATABASE_URL=ground.url, RATE_LIMIT_WRITE="1000000000", **settings) as running:
        yield running


# --- The report ------------------------------------------------------------------------------------------------------


def report(size: int, *, rounds: int, seconds: float) -> list[list[str]]:
    ground = Ground(size)
    ground.make()
    lines = []
    with bookers.crowd(ground.url) as crowd:
        script = in_pgbench(crowd.statements(), ground.offering())
        for scenario, (clients, sessions) in SCENARIOS.items():
            subjects: dict[str, Callable[[], float]] = {
                "juniro": lambda: crowd.rate("book", clients, sessions, seconds),  # noqa: B023
                "pgbench, same SQL": lambda: alone(ground, script, clients, sessions, seconds),  # noqa: B023
                "ORM, as usual": lambda: crowd.rate("plain", clients, sessions, seconds),  # noqa: B023
                "juniro again": lambda: crowd.rate("book", clients, sessions, seconds),  # noqa: B023
            }
            rates: dict[str, list[float]] = {name: [] for name in subjects}
            for number in range(rounds + 1):
                for name, run in subjects.items():
                    ground.clear()
                    rate = run()
                    ground.booked()
                    if number:
                        rates[name].append(rate)
            lines += lines_of(scenario, rates)
        lines.append(["rush for 20 seats", f"50 clients, {rush(ground, crowd)} booked", "", ""])
    with server(ground) as running:
        for scenario, (clients, sessions) in SCENARIOS.items():
            raw = requests(urlsplit(running.url).netloc, sessions)
            done = []
            for _ in range(rounds + 1):
                ground.clear()
                done.append(load.round_of(running.url, running.pid, raw, connections=clients, seconds=seconds))
                ground.booked()
            rate = statistics.median(each.rate for each in done[1:])
            spent = statistics.median(each.cpu_ms for each in done[1:])
            slow = statistics.median(each.percentile(0.95) for each in done[1:])
            lines.append([scenario, "over HTTP", f"{rate:.0f}", f"p95 {slow:.0f} ms, CPU {spent:.1f} ms"])
    return lines


def lines_of(scenario: str, rates: dict[str, list[float]]) -> list[list[str]]:
    ours = rates["juniro"]
    lines = []
    for name, theirs in rates.items():
        ratio = statistics.median(our / their for our, their in zip(ours, theirs, strict=True))
        lines.append([scenario, name, f"{statistics.median(theirs):.0f}", f"{ratio:.2f}"])
    return lines


def rush(ground: Ground, crowd: bookers.Crowd) -> int:
    """How many of fifty who come at once get one of twenty seats."""
    ground.clear()
    with psycopg.connect(ground.url, autocommit=True) as connection:
        connection.execute("UPDATE marketplace_session SET capacity = 20 WHERE id = bench_id(4, 1)")
    crowd.rate("book", 50, 1, 1)
    return ground.booked()


HEAD = ["scenario", "who books", "bookings/s", "juniro ÷ it"]
