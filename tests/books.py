"""The books of seats and money (local/balance.py), asked through the test's own connection."""

from django.db import connection

from local.balance import ALWAYS, WHEN_QUIET, wrong


def ask(statement: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def wrong_now() -> dict[str, int]:
    """What does not hold although it must at every commit."""
    return wrong(ask, ALWAYS)


def wrong_when_quiet() -> dict[str, int]:
    """What does not hold once every event has come and every sweep has run."""
    return wrong(ask, ALWAYS | WHEN_QUIET)
