"""Values of both regions: the global database, the global Redis in front of it, and what was last known behind it."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import orjson
import structlog
from django.db import Error as DatabaseError
from django.db import models
from django_redis import get_redis_connection
from redis.exceptions import RedisError

log = structlog.get_logger("juniro.shared")
T = TypeVar("T")

# How long a changed value may still be read as it was, by a process that nothing told of it.
CACHE_SECONDS = 5
# A store that is down is left alone for so long: not every caller must wait for its time-out.
REST_SECONDS = 5


class SharedValues:
    """The rows of `table`, which has a `key` and a `value`, as every process of both regions reads them."""

    def __init__(self, table: type[models.Model], prefix: str):
        self.table, self.prefix = table, prefix
        self.last_known: dict[str, Any] = {}
        self.resting: dict[str, float] = {}

    def read(self, key: str) -> Any:
        """The value of `key`, None where there is none. With both stores down, the last that this process has seen."""
        for source in (self.cached, self.stored, self.outdated):
            try:
                value = self.last_known[key] = source(key)
            except LookupError:
                continue
            return value
        return self.last_known.get(key)

    def forget(self, key: str) -> None:
        """Drops the cached value, so that the next read asks the database. Call it after the commit."""
        try:
            get_redis_connection("global").delete(f"{self.prefix}:{key}")
        except RedisError:
            log.warning("value not dropped from redis, it expires by itself", of=self.prefix, key=key)

    def cached(self, key: str) -> Any:
        return self.from_redis(f"{self.prefix}:{key}")

    def outdated(self, key: str) -> Any:
        """The value that any process last read from the database: for one that starts while it is down."""
        return self.from_redis(f"{self.prefix}:{key}:last")

    def from_redis(self, name: str) -> Any:
        text = self.ask("redis", lambda: get_redis_connection("global").get(name))
        if text is None:
            raise LookupError
        return orjson.loads(text)

    def stored(self, key: str) -> Any:
        rows = self.table._default_manager.filter(key=key).values_list("value", flat=True)
        value = self.ask("database", rows.first)
        name, text = f"{self.prefix}:{key}", orjson.dumps(value)
        with suppress(LookupError):
            self.ask("redis", lambda: get_redis_connection("global").set(name, text, ex=CACHE_SECONDS))
            self.ask("redis", lambda: get_redis_connection("global").set(f"{name}:last", text))
        return value

    def ask(self, store: str, question: Callable[[], T]) -> T:
        """The store's answer. Raises `LookupError` while it is down."""
        if time.monotonic() < self.resting.get(store, 0):
            raise LookupError
        try:
            return question()
        except (RedisError, DatabaseError) as error:
            log.warning("shared values out of reach", of=self.prefix, store=store, kind=type(error).__name__)
            self.resting[store] = time.monotonic() + REST_SECONDS
            raise LookupError from error
