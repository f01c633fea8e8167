"""Rate limits: GCRA in one atomic Redis script, so that parallel requests cannot slip past."""

import hashlib
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

# The theoretical arrival time of the next request is kept; a request may come up to `burst` intervals before it.
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


def client_address(request: Request) -> str:
    """The caller's address, believing `X-Forwarded-For` for exactly `TRUSTED_PROXIES` hops."""
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    if settings.TRUSTED_PROXIES and len(hops) >= settings.TRUSTED_PROXIES:
        return hops[-settings.TRUSTED_PROXIES]
    return request.META.get("REMOTE_ADDR", "")
