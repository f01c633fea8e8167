"""Rate limits by GCRA: in one atomic Redis script for all servers, or in the memory of each process for public reads.

GCRA keeps the theoretical arrival time of a caller's next request; one may come up to `burst` intervals before it.
"""

import hashlib
import threading
import time
from typing import Any

import structlog
from django.conf import settings
from django_redis import get_redis_connection
from redis.exceptions import RedisError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

log = structlog.get_logger("juniro.throttling")

# How many callers a process remembers at most.
MAX_CALLERS = 10_000
GCRA = """
local now, interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local expected = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local wait = expected - burst * interval - now + interval
if wait > 0 then return tostring(wait) end
redis.call('SET', KEYS[1], expected + interval, 'PX', math.ceil((expected + interval - now) * 1000) + 1000)
return '0'
"""


class RateLimit(BaseThrottle):
    """Allows `settings.RATE_LIMITS` requests a minute: by user where one is signed in, by address elsewhere.

    With Redis down everything is let through: the limit protects the service, and it must not take it down.
    """

    scope: str | None = None
    wait_seconds: float = 0

    def allow_request(self, request: Request, view: Any) -> bool:
        scope = getattr(view, "throttle_scope", None) or ("read" if request.method in SAFE_METHODS else "write")
        limit = settings.RATE_LIMITS[scope]
        user = request.user
        caller = f"user:{user.pk}" if user is not None and user.pk else f"address:{client_address(request)}"
        # Hashed, so that no address or user id stands in a cache key.
        key = f"rate:{scope}:{hashlib.sha256(caller.encode()).hexdigest()[:32]}"
        try:
            connection = get_redis_connection("default")
            # Every server of a region shares Redis but not a clock, so each one's own clock only has to be close.
            wait = connection.eval(GCRA, 1, key, time.time(), 60 / limit, limit)
        except RedisError:
            log.warning("rate limit skipped: redis out of reach")
            return True
        self.wait_seconds = float(wait)
        return self.wait_seconds <= 0

    def wait(self) -> float:
        return max(1.0, self.wait_seconds)


class PublicReadLimit(BaseThrottle):
    """The same for reads that look at no sign-in, by address, each process for itself.

    They are the many, and must go on without Redis. A caller whose requests reach several processes has the limit in
    each of them.
    """

    wait_seconds: float = 0

    def allow_request(self, request: Request, view: Any) -> bool:
        self.wait_seconds = take_turn(client_address(request), settings.RATE_LIMITS["read"])
        return self.wait_seconds <= 0

    def wait(self) -> float:
        return max(1.0, self.wait_seconds)


_expected: dict[int, float] = {}
_lock = threading.Lock()


def take_turn(caller: str, limit: int) -> float:
    """Seconds that `caller` must wait for one more of `limit` requests a minute; 0 if this one may pass."""
    # Hashed, with a key that each process makes anew, so that no address is kept.
    key, interval, now = hash(caller), 60 / limit, time.monotonic()
    with _lock:
        expected = max(_expected.get(key, now), now)
        wait = expected - (limit - 1) * interval - now
        if wait > 0:
            return wait
        if key not in _expected and len(_expected) >= MAX_CALLERS:
            make_room(now)
        _expected[key] = expected + interval
    return 0.0


def make_room(now: float) -> None:
    """Forgets those whose turn has come anyway; failing that everybody, since letting through beats growing."""
    for key in [key for key, expected in _expected.items() if expected <= now]:
        del _expected[key]
    if len(_expected) >= MAX_CALLERS:
        _expected.clear()


def forget() -> None:
    """Lets everybody begin anew in this process."""
    with _lock:
        _expected.clear()


def client_address(request: Request) -> str:
    """The caller's address, believing `X-Forwarded-For` for exactly `TRUSTED_PROXIES` hops."""
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    if settings.TRUSTED_PROXIES and len(hops) >= settings.TRUSTED_PROXIES:
        return hops[-settings.TRUSTED_PROXIES]
    return request.META.get("REMOTE_ADDR", "")
