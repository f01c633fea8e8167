"""`Idempotency-Key`: the same request twice has one effect and one answer (API architecture §10.1, contract §6)."""

import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from core.envelope import camelize, to_json
from core.errors import Error
from core.models import IdempotencyKey

PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")
LOCK_NOT_AVAILABLE = "55P03"


class IdempotencyKeyRequired(Error):
    status, code, message = (
        400,
        "IDEMPOTENCY_KEY_REQUIRED",
        "Send an Idempotency-Key: 1 to 255 printable ASCII characters.",
    )


class IdempotencyKeyReused(Error):
    status, code, message = 422, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for a different request."


class IdempotencyInProgress(Error):
    status, code, message = 409, "IDEMPOTENCY_IN_PROGRESS", "The first request with this key is still being worked on."
    retry_after = 1


def idempotent(*, atomic: bool = True, required: bool = True) -> Callable:
    """Makes a view method answer a repeated `Idempotency-Key` with the stored answer of the first request.

    With `atomic`, the key, the effect and the answer are one transaction: twins wait on the key's row. Without it
    (views that call a processor, which no transaction may span) twins wait on an advisory lock of the connection,
    which the server frees if we die. An error is not stored, so a retry works. Where no key is `required`, a request
    without one is done as it is.
    """

    def decorate(method: Callable[..., Response]) -> Callable[..., Response]:
        @functools.wraps(method)
        def wrapper(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
            if not required and "Idempotency-Key" not in request.headers:
                return method(view, request, *args, **kwargs)
            claim = _claim(request)
            with transaction.atomic() if atomic else _advisory_lock(claim):
                if not (_store(claim) if atomic else _is_free(claim)):
                    return _replay(claim)
                response = method(view, request, *args, **kwargs)
                claim.status_code = response.status_code
                claim.response = to_json(camelize(response.data)).decode()
                if atomic:
                    claim.save(update_fields=["status_code", "response"])
                else:
                    _store(claim)
                # The very bytes that a replay will send.
                response.data = orjson.Fragment(claim.response)
                return response

        return wrapper

    return decorate


def _claim(request: Request) -> IdempotencyKey:
    key = request.headers.get("Idempotency-Key", "")
    if not PRINTABLE.fullmatch(key):
        raise IdempotencyKeyRequired
    # The parsed body, so that another order of keys or other white space is still the same request.
    body = orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)
    now = timezone.now()
    claim = IdempotencyKey(
        user_id=str(request.user.pk),
        key=key,
        method=str(request.method),
        path=request.path,
        body_sha256=hashlib.sha256(body).hexdigest(),
        created_at=now,
        expires_at=now + timedelta(hours=settings.IDEMPOTENCY_TTL_HOURS),
    )
    claim._state.adding = False
    return claim


# An expired key that the purge has not met yet is taken over in place. Waits for a twin's open transaction.
UPSERT = """
INSERT INTO core_idempotencykey (id, key, user_id, method, path, body_sha256, status_code, response, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (user_id, key) DO UPDATE SET
    id = excluded.id, method = excluded.method, path = excluded.path, body_sha256 = excluded.body_sha256,
    status_code = excluded.status_code, response = excluded.response,
    created_at = now(), expires_at = excluded.expires_at
WHERE core_idempotencykey.expires_at <= %s
RETURNING id
"""


def _store(claim: IdempotencyKey) -> bool:
    """Writes `claim` and says whether the key was free."""
    values: list[Any] = [claim.id, claim.key, claim.user_id, claim.method, claim.path, claim.body_sha256]
    values += [claim.status_code, claim.response, claim.expires_at, claim.created_at]
    with _waiting_for_a_twin(), connection.cursor() as cursor:
        cursor.execute(UPSERT, values)
        return cursor.fetchone() is not None


def _is_free(claim: IdempotencyKey) -> bool:
    live = IdempotencyKey.objects.filter(user_id=claim.user_id, key=claim.key, expires_at__gt=claim.created_at)
    return not live.exists()


def _replay(claim: IdempotencyKey) -> Response:
    stored = IdempotencyKey.objects.get(user_id=claim.user_id, key=claim.key)
    if (stored.method, stored.path, stored.body_sha256) != (claim.method, claim.path, claim.body_sha256):
        raise IdempotencyKeyReused
    return Response(
        orjson.Fragment(stored.response or "null"),
        status=stored.status_code,
        headers={"Idempotency-Replayed": "true"},
    )


@contextmanager
def _waiting_for_a_twin() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == LOCK_NOT_AVAILABLE:
            raise IdempotencyInProgress from None
        raise


@contextmanager
def _advisory_lock(claim: IdempotencyKey) -> Iterator[None]:
    digest = hashlib.sha256(f"{claim.user_id}:{claim.key}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    with _waiting_for_a_twin(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [number])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
