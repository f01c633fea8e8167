"""Reading the catalogue: one statement, one round trip."""

from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections


def fetch(statement: str, parameters: dict[str, Any]) -> list[tuple]:
    """The rows of one statement that only reads.

    Django asks a connection for a sign of life before its first use in a request, which costs a hot read a second
    round trip. Here the statement itself is the sign: where the connection turns out dead, a new one sends it again.
    """
    connection: Any = connections[settings.CATALOGUE_DATABASE]
    connection.health_check_done = True
    try:
        return execute(connection, statement, parameters)
    except (InterfaceError, OperationalError):
        # A statement that was cancelled for its length, say, would fare no better a second time.
        if connection.in_atomic_block or connection.is_usable():
            raise
        connection.close()
        return execute(connection, statement, parameters)


def execute(connection: Any, statement: str, parameters: dict[str, Any]) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()
