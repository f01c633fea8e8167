"""Values of both regions: the global database, the global Redis in front of it, and what was last known behind it.

A store that does not answer costs one request of a process its time-out, at the beginning of the outage. From then on
it is left alone, and looked after beside the requests until it answers again.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import orjson
import structlog
from django.db import Error as DatabaseError
from django.db import connections, models
from django_redis import get_redis_connection
from redis.exceptions import RedisError

log = structlog.get_logger("juniro.shared")
T = TypeVar("T")

# How long a changed value may still be read as it was, by a process that nothing told of it.
CACHE_SECONDS = 5
# A store that is down is asked again after so long, by nobody who waits for it.
REST_SECONDS = 5
# Stores that are down, and when to look after them.
_resting: dict[str, float] = {}


class SharedValues:
    """The rows of `table`, which has a `key` and a `value`, as every process of both regions reads them."""

    def __init__(self, table: type[models.Model], prefix: str):
        self.table, self.prefix = table, prefix
        self.last_known: dict[str, Any] = {}
        self.resting = _resting
        # Until when what the database said is good enough while Redis, which would keep it, is down.
        self.fresh: dict[str, float] = {}

    def read(self, key: str) -> Any:
        """The value of `key`, None where there is none.

        With both stores down, the last that this process has seen; in one that has just started, the last that this
        region has.
        """
        if time.monotonic() < self.fresh.get(key, 0):
            return self.last_known[key]
        for source in (self.cached, self.stored):
            try:
                value = source(key)
            except LookupError:
                continue
            self.remember(key, value)
            return value
        if key not in self.last_known:
            with suppress(RedisError):
                text = get_redis_connection("default").get(self.name_of_last(key))
                if text is not None:
                    self.last_known[key] = orjson.loads(text)
        return self.last_known.get(key)

    def forget(self, key: str) -> None:
        """Drops the cached value, so that the next read asks the database. Call it after the commit."""
        self.fresh.pop(key, None)
        try:
            self.ask("redis", lambda: get_redis_connection("global").delete(f"{self.prefix}:{key}"))
        except LookupError:
            log.warning("value not dropped from redis, it expires by itself", of=self.prefix, key=key)

    def remember(self, key: str, value: Any) -> None:
        """Keeps `value` for an outage, in this process and for those of this region that will start in it."""
        if key not in self.last_known or self.last_known[key] != value:
            with suppress(RedisError):
                get_redis_connection("default").set(self.name_of_last(key), orjson.dumps(value))
        self.last_known[key] = value

    def name_of_last(self, key: str) -> str:
        return f"{self.prefix}:{key}:last"

    def cached(self, key: str) -> Any:
        text = self.ask("redis", lambda: get_redis_connection("global").get(f"{self.prefix}:{key}"))
        if text is None:
            raise LookupError
        return orjson.loads(text)

    def stored(self, key: str) -> Any:
        rows = self.table._default_manager.filter(key=key).values_list("value", flat=True)
        value = self.ask("database", rows.first)
        name, text = f"{self.prefix}:{key}", orjson.dumps(value)
        try:
            self.ask("redis", lambda: get_redis_connection("global").set(name, text, ex=CACHE_SECONDS))
        except LookupError:
            self.fresh[key] = time.monotonic() + CACHE_SECONDS
        return value

    def ask(self, store: str, question: Callable[[], T]) -> T:
        """The store's answer. Raises `LookupError` while it is down."""
        look_at = self.resting.get(store)
        if look_at is not None:
            if look_at <= time.monotonic():
                self.resting[store] = time.monotonic() + REST_SECONDS
                threading.Thread(target=look_after, args=(store,), daemon=True).start()
            raise LookupError
        try:
            return question()
        except (RedisError, DatabaseError) as error:
            log.warning("shared values out of reach", of=self.prefix, store=store, kind=type(error).__name__)
            self.resting[store] = time.monotonic() + REST_SECONDS
            raise LookupError from error


def look_after(store: str) -> None:
    """Lets everybody ask `store` again if it answers."""
    try:
        if store == "redis":
            get_redis_connection("global").ping()
        else:
            connections["global"].ensure_connection()
    except (RedisError, DatabaseError):
        return
    finally:
        connections["global"].close()
    _resting.pop(store, None)
    log.info("shared values within reach again", store=store)
