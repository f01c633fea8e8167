"""Feature flags of both regions: global database, global Redis in front, and the last known value behind."""

from contextlib import suppress

import structlog
from django.db import Error as DatabaseError
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from core.errors import FeatureDisabled
from regions.models import FeatureFlag

log = structlog.get_logger("juniro.flags")

CACHE_SECONDS = 10
_last_known: dict[str, bool] = {}


def is_enabled(key: str) -> bool:
    """Whether the flag `key` is on. Unknown flags are off; with both stores down the last known value stands."""
    value = _from_redis(key)
    if value is None:
        value = _from_database(key)
    if value is None:
        return _last_known.get(key, False)
    _last_known[key] = value
    return value


def require(key: str) -> None:
    """Raises `FeatureDisabled` unless the flag `key` is on."""
    if not is_enabled(key):
        raise FeatureDisabled


def switch(key: str, value: bool) -> None:
    """Turns a flag on or off in both regions, within seconds in every process."""
    FeatureFlag.objects.update_or_create(key=key, defaults={"value": value})
    forget(key)


def forget(key: str) -> None:
    """Drops the cached value, so that the next read asks the database."""
    try:
        get_redis_connection("global").delete(f"flag:{key}")
    except RedisError:
        log.warning("flag not dropped from redis, it expires by itself", flag=key)


def _from_redis(key: str) -> bool | None:
    try:
        value = get_redis_connection("global").get(f"flag:{key}")
    except RedisError:
        return None
    return None if value is None else value == b"1"


def _from_database(key: str) -> bool | None:
    try:
        value = bool(FeatureFlag.objects.filter(key=key).values_list("value", flat=True).first())
    except DatabaseError:
        log.warning("flags out of reach", flag=key)
        return None
    with suppress(RedisError):
        get_redis_connection("global").set(f"flag:{key}", int(value), ex=CACHE_SECONDS)
    return value
