"""What all public reads share, and whether this process and its dependencies are alive."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django.http import HttpResponse
from django_redis import get_redis_connection
from drf_spectacular.utils import extend_schema
from kombu.exceptions import KombuError
from redis.exceptions import RedisError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.caching import with_etag
from core.throttling import PublicReadLimit

log = structlog.get_logger("juniro.health")

PATIENCE_SECONDS = 0.4
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="health")
_asked: dict[str, Future[None]] = {}


class PublicView(APIView):
    """A read that needs no sign-in and looks at none, and that browsers and CDNs may keep for `max_age` seconds.

    With a `max_age` of 0 nobody may keep it.
    """

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (PublicReadLimit,)
    max_age = 60

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        super().finalize_response(request, response, *args, **kwargs)
        if request.method in SAFE_METHODS and response.status_code == 200:
            if self.max_age:
                return with_etag(request, response, max_age=self.max_age)
            response["Cache-Control"] = "private, no-store"
        return response


class HealthView(APIView):
    """This process is up. No I/O, so it stays true whatever else is down."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    @extend_schema(responses={200: dict})
    def get(self, request: Request) -> Response:
        return Response({"status": "ok", "region": settings.REGION, "version": settings.VERSION})


class ReadyView(APIView):
    """Whether this region can serve: its database and its Redis. The others only degrade it, and are reported."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    @extend_schema(responses={200: dict, 503: dict})
    def get(self, request: Request) -> Response:
        checks: dict[str, Callable[[], Any]] = {
            "database": lambda: ping_database("default"),
            "redis": lambda: get_redis_connection("default").ping(),
            "broker": ping_broker,
            "globalDatabase": beside("database", lambda: ping_database("global")),
            "globalRedis": beside("redis", lambda: get_redis_connection("global").ping()),
        }
        states = {name: "up" if answers(name, check) else "down" for name, check in checks.items()}
        ready = all(states[name] == "up" for name in ("database", "redis", "broker"))
        body = {"status": "ready" if ready else "unavailable", "region": settings.REGION, "dependencies": states}
        return Response(body, status=200 if ready else 503)


def ping_database(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")


def beside(name: str, check: Callable[[], Any]) -> Callable[[], None]:
    """Starts a check of the global layer in a thread; what it returns raises `TimeoutError` if that hangs.

    A balancer gives up after a second or so, and must not take a region for dead because of it.
    """
    waited_for = time.monotonic() + PATIENCE_SECONDS

    def run() -> None:
        try:
            check()
        finally:
            connections["global"].close()

    if (last := _asked.get(name)) is None or last.done():
        _asked[name] = _threads.submit(run)
    asked = _asked[name]
    return lambda: asked.result(timeout=max(0, waited_for - time.monotonic()))


def ping_broker() -> None:
    with current_app.connection_for_write(connect_timeout=1) as connection:
        connection.ensure_connection(max_retries=1, timeout=1)


def answers(name: str, check: Callable[[], Any]) -> bool:
    try:
        check()
    except (DatabaseError, RedisError, KombuError, OSError) as error:
        log.warning("dependency down", dependency=name, kind=type(error).__name__)
        return False
    return True
