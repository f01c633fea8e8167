"""Supabase's public keys: fetched rarely, never waited for twice, and kept while Supabase is out of reach."""

import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import jwt
import requests
import structlog
from jwt import PyJWK

from core.errors import InvalidToken, ServiceUnavailable

log = structlog.get_logger("juniro.jwks")

FRESH_SECONDS = 600
RETRY_SECONDS = 30
TIMEOUT_SECONDS = 3


class KeySet:
    """The keys at one JWKS URL.

    A copy is fresh for 10 minutes. After that, and for an unknown key id, it is fetched again, at most every 30 s and
    by one thread while the others go on with the last good copy. PyJWT's own client would hold every request during
    the fetch and has nothing to offer when it fails.
    """

    def __init__(self, url: str):
        self.url = url
        self._keys: dict[str, PyJWK] | None = None
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = threading.Lock()

    def key(self, key_id: str) -> PyJWK:
        """The key `key_id`. Raises `InvalidToken` if there is none, `ServiceUnavailable` if nobody can tell."""
        keys = self._keys
        if keys is None or key_id not in keys or time.monotonic() - self._fetched_at > FRESH_SECONDS:
            keys = self._refresh(key_id)
        if keys is None:
            raise ServiceUnavailable("Sign-in is out of reach at the moment. Try again shortly.")
        if key_id not in keys:
            raise InvalidToken
        return keys[key_id]

    def _refresh(self, key_id: str) -> dict[str, PyJWK] | None:
        # Whoever has a usable copy does not wait for the fetch; whoever lacks the key must.
        usable = self._keys is not None and key_id in self._keys
        if not self._lock.acquire(blocking=not usable):
            return self._keys
        try:
            # Without a copy at all every second counts, but even then not every request may try.
            wait = RETRY_SECONDS if self._keys is not None else 1
            if time.monotonic() - self._tried_at >= wait:
                self._fetch()
                # Only now, so that whoever waited for this fetch does not try again and wait as long.
                self._tried_at = time.monotonic()
            return self._keys
        finally:
            self._lock.release()

    def _fetch(self) -> None:
        try:
            answer = requests.get(self.url, timeout=TIMEOUT_SECONDS, allow_redirects=False)
            answer.raise_for_status()
            self._keys = dict(readable(answer.json()["keys"]))
            self._fetched_at = time.monotonic()
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
            log.warning("JWKS out of reach, keeping the last copy", kind=type(error).__name__)


def readable(keys: list[dict[str, Any]]) -> Iterator[tuple[str, PyJWK]]:
    """The keys with an id that we can use; one of a new kind must not take the others with it."""
    for key in keys:
        try:
            yield key["kid"], PyJWK(key)
        except (jwt.PyJWTError, KeyError):
            log.warning("JWKS holds a key that cannot be used")


@cache
def key_set(url: str) -> KeySet:
    """This process's `KeySet` for `url`."""
    return KeySet(url)
