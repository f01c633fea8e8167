"""The first thing that a request meets: its id, its log line, and the refusal of what no view should see."""

import re
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django_otp.middleware import OTPMiddleware
from uuid_utils.compat import uuid7

from core import errors
from core.exceptions import error_response
from core.metrics import observe

log = structlog.get_logger("juniro.request")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,128}")


class RequestMiddleware:
    """Gives each request an id, echoed as `X-Request-ID`, and writes one log line for it. No query, no body, no IP."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        given = request.headers.get("X-Request-ID", "")
        request_id = given if REQUEST_ID.fullmatch(given) else str(uuid7())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        refusal = refuse(request)
        response = error_response(refusal) if refusal else self.get_response(request)
        response["X-Request-ID"] = request_id
        match, seconds = request.resolver_match, time.perf_counter() - started
        # The route, not the path: a path may carry a token (calendars, invitations).
        route = match.route if match else None
        log.info(
            "request", method=request.method, route=route, status=response.status_code, ms=round(seconds * 1000, 1)
        )
        observe(request.method, route, response.status_code, seconds)
        return response


def current_request_id() -> str:
    """The id of the request that is being served; empty in a task."""
    return structlog.contextvars.get_contextvars().get("request_id", "")


def refuse(request: HttpRequest) -> errors.Error | None:
    """What no view should see: addresses with a NUL, which PostgreSQL has not in its texts, and foreign hosts."""
    if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        return errors.MalformedRequest("The address holds a NUL character.")
    if not request.path_info.startswith(("/health", "/metrics")):
        # Those are asked for by address, from within.
        try:
            request.get_host()
        except DisallowedHost:
            return errors.MalformedRequest("This host is not served here.")
    return None


class PageRules:
    """Tells browsers what a page may load and use (settings.CONTENT_SECURITY_POLICIES); a view may say it stricter."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response
        self.policies = settings.CONTENT_SECURITY_POLICIES.items()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        policy = next(policy for start, policy in self.policies if request.path_info.startswith(start))
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Permissions-Policy", settings.PERMISSIONS_POLICY)
        return response


class ForAdmin:
    """Leaves out a middleware where nobody is in the admin: the API knows tokens, and no cookie."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith("/admin/"):
            return super().__call__(request)  # type: ignore[misc]
        return self.get_response(request)  # type: ignore[attr-defined]


class AdminSession(ForAdmin, SessionMiddleware):
    pass


class AdminAuthentication(ForAdmin, AuthenticationMiddleware):
    pass


class AdminMessages(ForAdmin, MessageMiddleware):
    pass


class AdminSecondFactor(ForAdmin, OTPMiddleware):
    pass
