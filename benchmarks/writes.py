"""What keeping the search row current costs: each write with the triggers on and off, taken back afterwards."""

import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager

from django.db import connection, transaction

from benchmarks import mix
from marketplace import upkeep

TIMES = 11


class TakeBack(Exception):
    pass


@contextmanager
def taken_back():
    """Whatever happens inside is undone."""
    try:
        with transaction.atomic():
            yield
            raise TakeBack
    except TakeBack:
        pass


def run(statement: str, *parameters) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def cases() -> dict[str, tuple[Callable[[], None], Callable[[], None], Callable[[], None] | None]]:
    """By name: what must be so before, the write itself, and what a worker does soon after."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT provider.id, activity.id, offering.id, session.id, session.location_id
            FROM providers_provideraccount AS provider
            JOIN marketplace_activity AS activity ON activity.provider_id = provider.id
            JOIN marketplace_offering AS offering ON offering.activity_id = activity.id AND offering.status = 'active'
            JOIN marketplace_session AS session ON session.offering_id = offering.id AND session.status = 'scheduled'
            JOIN bookings_booking AS booking ON booking.offering_id = offering.id
            ORDER BY md5(provider.id::text), activity.id, offering.id, session.id LIMIT 1"""
        )
        provider, activity, offering, session, location = cursor.fetchone()
        cursor.execute("SELECT id, parent_id FROM bookings_booking WHERE offering_id = %s LIMIT 1", [offering])
        booking, parent = cursor.fetchone()

    def nothing() -> None:
        pass

    def status(table: str, row, value: str) -> Callable[[], None]:
        return lambda: run(f"UPDATE {table} SET status = %s WHERE id = %s", value, row)

    def off(then: Callable[[], None]) -> Callable[[], None]:
        def before() -> None:
            run("SET LOCAL juniro.search = 'off'")
            then()
            run("SET LOCAL juniro.search = 'on'")

        return before

    def hide() -> None:
        run("UPDATE marketplace_activity SET status = 'draft' WHERE id = %s", activity)
        run("DELETE FROM marketplace_searchrow WHERE activity_id = %s", activity)

    def hide_all() -> None:
        status("providers_provideraccount", provider, "suspended")()
        run(
            "DELETE FROM marketplace_searchrow USING marketplace_activity AS activity"
            " WHERE activity.id = activity_id AND activity.provider_id = %s",
            provider,
        )

    def unreviewed() -> None:
        run("DELETE FROM bookings_review WHERE booking_id = %s", booking)

    def sessions() -> None:
        run(
            """INSERT INTO marketplace_session (id, activity_id, offering_id, location_id, starts_at, ends_at, capacity)
            SELECT gen_random_uuid(), %s, %s, %s, now() + number * interval '6 hours',
                now() + number * interval '6 hours' + interval '1 hour', 10 FROM generate_series(1, 500) AS number""",
            activity,
            offering,
            location,
        )

    worker = upkeep.catch_up
    return {
        "publish an activity": (off(hide), status("marketplace_activity", activity, "published"), None),
        "change a price": (
            nothing,
            lambda: run("UPDATE marketplace_offering SET price_cents = price_cents + 1 WHERE id = %s", offering),
            None,
        ),
        "suspend a provider of five": (nothing, status("providers_provideraccount", provider, "suspended"), None),
        "verify a provider of five": (
            off(hide_all),
            status("providers_provideraccount", provider, "verified"),
            None,
        ),
        "insert a review": (
            off(unreviewed),
            lambda: run(
                "INSERT INTO bookings_review (booking_id, parent_id, rating) VALUES (%s, %s, 5)", booking, parent
            ),
            worker,
        ),
        "take a seat": (
            nothing,
            lambda: run(
                "UPDATE marketplace_session SET capacity = 100, enrolled = enrolled + 1 WHERE id = %s", session
            ),
            worker,
        ),
        "insert 500 sessions": (nothing, sessions, worker),
    }


def report(size: int) -> list[list[str]]:
    """Milliseconds of each write with and without the search row, and of the worker after it."""
    mix.use(size)
    upkeep.catch_up()
    lines = []
    for name, (before, write, after) in cases().items():
        kept, bare, later = [], [], []
        for _ in range(TIMES):
            with taken_back():
                before()
                kept.append(timed(write))
                if after:
                    later.append(timed(after))
            with taken_back():
                before()
                run("SET LOCAL juniro.search = 'off'")
                bare.append(timed(write))
        with_row, without = statistics.median(kept), statistics.median(bare)
        told = f"{statistics.median(later):.1f}" if later else ""
        lines.append([name, f"{without:.1f}", f"{with_row:.1f}", f"{with_row - without:.1f}", told])
    return lines


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


HEAD = ["ms", "plain", "with row", "difference", "worker after"]
