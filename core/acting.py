"""Who acts: the database's triggers write down each change (the audit trail), and this tells them whose it is.

The triggers read the transaction's setting `juniro.context`. It is set by the first statement of a transaction that
changes an audited table, and by no other: reads and bookings are as quick as without.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

import orjson
import structlog
from celery import Task
from django.apps import apps
from django.conf import settings
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from psycopg.pq import TransactionStatus

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SET = "SELECT set_config('juniro.context', %s, true)"


def audited() -> dict[str, dict[str, str]]:
    return import_module(settings.AUDITED).AUDITED


@lru_cache(maxsize=4096)
def may_be_noted(sql: str) -> bool:
    """Whether a trigger may write down what this statement changes. The program has few statements, again and again."""
    return bool(changes_audited_table().search(sql))


@cache
def changes_audited_table() -> re.Pattern[str]:
    options: dict[str, list[str]] = {"INSERT INTO": [], "UPDATE": [], "DELETE FROM": []}
    for label, how in audited().items():
        table = apps.get_model(label)._meta.db_table
        counted = "".join(rf'(?!"? SET "?{name}\b)' for name in how.get("counters", "").split())
        options["UPDATE"].append(rf"{table}\b{counted}")
        options["DELETE FROM"].append(rf"{table}\b")
        if "created" in how:
            options["INSERT INTO"].append(rf"{table}\b")
    return re.compile("|".join(rf'\b{verb} "?(?:{"|".join(tables)})' for verb, tables in options.items()))


class Stamp:
    """Tells the triggers of each transaction on one connection who acts, before the first change that they note."""

    def __init__(self, who: Callable[[], dict[str, str | None]]):
        self.who, self.stamped = who, False

    def __call__(self, execute: Callable, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        connection, sql_text = context["connection"], sql if isinstance(sql, str) else ""
        new = connection.connection.info.transaction_status == TransactionStatus.IDLE
        if new or sql_text.startswith("ROLLBACK TO"):
            self.stamped = False
        if self.stamped or not may_be_noted(sql_text):
            return execute(sql, params, many, context)
        if connection.in_atomic_block:
            self.stamped = True
            context["cursor"].cursor.execute(SET, [orjson.dumps(self.who()).decode()])
            return execute(sql, params, many, context)
        with transaction.atomic(using=connection.alias):
            context["cursor"].cursor.execute(SET, [orjson.dumps(self.who()).decode()])
            return execute(sql, params, many, context)


@contextmanager
def acting(who: Callable[[], dict[str, str | None]]) -> Iterator[None]:
    """What is changed within is noted as done by `who()`: `actor` (a user's id), `request` and `source`."""
    with ExitStack() as stack:
        for connection in (connections["default"], connections["global"]):
            stack.enter_context(connection.execute_wrapper(Stamp(lambda: {"region": settings.REGION, **who()})))
        yield


class Acting:
    """The middleware for requests that may change something.

    Ids only, and of the address the route: an address may carry a token.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in SAFE_METHODS:
            return self.get_response(request)

        def who() -> dict[str, str | None]:
            user = getattr(request, "user", None)
            route = request.resolver_match.route if request.resolver_match else ""
            return {
                "actor": str(user.pk) if user is not None and user.pk else None,
                "request": structlog.contextvars.get_contextvars().get("request_id", ""),
                "source": f"{request.method} /{route}",
            }

        with acting(who):
            return self.get_response(request)


class AuditedTask(Task):
    """A Celery task whose changes are noted under its name."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with acting(lambda: {"request": self.request.id or "", "source": self.name}):
            return super().__call__(*args, **kwargs)
