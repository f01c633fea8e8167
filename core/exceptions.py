"""The one place where exceptions become answers: DRF's exception handler, and Django's 400/403/404/500 handlers."""

import re
import sys
from collections.abc import Iterator
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from core import errors
from core.envelope import camelize_key, error_envelope, to_json

log = structlog.get_logger("juniro.error")

# Lost connections, statement and lock time-outs, deadlocks: psycopg raises all of them as these two.
OUT_OF_REACH = (OperationalError, InterfaceError, RedisConnectionError, RedisTimeoutError)

# Put together without any database: it may be the one that is gone.
OUT_OF_REACH_PAGE = """<!doctype html><html lang="en"><title>Out of reach</title>
<h1>A part that this needs is out of reach.</h1>
<p>Nothing was changed. Go back and try again shortly.</p></html>"""


def handle(exception: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler: every exception leaves the API as an error in the envelope."""
    error = as_error(exception)
    set_rollback()
    response = Response(error_envelope(error), status=error.status, headers=headers_of(error, exception))
    response.exception = True
    return response


def error_response(error: errors.Error) -> HttpResponse:
    """The same answer where DRF is not at hand: middleware and Django's handlers."""
    return HttpResponse(
        to_json(error_envelope(error)),
        status=error.status,
        content_type="application/json",
        headers=headers_of(error),
    )


def as_error(exception: Exception) -> errors.Error:
    match exception:
        case errors.Error():
            return exception
        case drf.ValidationError():
            return errors.ValidationFailed(details=flatten(exception.detail))
        case drf.ParseError():
            return errors.MalformedRequest()
        case drf.NotAuthenticated():
            return errors.Unauthorized()
        case drf.AuthenticationFailed():
            return errors.InvalidToken()
        case drf.PermissionDenied() | PermissionDenied():
            return errors.Forbidden()
        case drf.NotFound() | Http404():
            return errors.NotFound()
        case drf.Throttled():
            return errors.RateLimited(int(getattr(exception, "wait", None) or 1))
        case RequestDataTooBig():
            return errors.PayloadTooLarge()
        case drf.APIException():
            # 405, 406 and 415: DRF's default code is the contract's code in lower case.
            error = errors.Error(str(exception.detail))
            error.status, error.code = exception.status_code, exception.default_code.upper()
            return error
    if isinstance(exception, OUT_OF_REACH):
        log.warning("dependency out of reach", kind=type(exception).__name__, sqlstate=sqlstate(exception))
        return errors.ServiceUnavailable()
    log.error("unexpected error", exc_info=exception)
    return errors.Error()


def sqlstate(exception: Exception) -> str | None:
    return getattr(exception.__cause__, "sqlstate", None)


def headers_of(error: errors.Error, exception: Exception | None = None) -> dict[str, str]:
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return headers


def flatten(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested error detail as `{"field": "recurrence.weekdays.0", "message": …}` rows."""
    if isinstance(detail, dict):
        for key, value in detail.items():
            yield from flatten(value, f"{path}.{camelize_key(str(key))}".lstrip("."))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, dict | list)
            yield from flatten(value, f"{path}.{index}".lstrip(".") if nested and len(detail) > 1 else path)
    else:
        yield {
            "field": "" if path == "nonFieldErrors" else path.removesuffix(".nonFieldErrors"),
            "message": message(detail),
        }


# Messages of DRF and Django that repeat what was sent. Ours never do: errors end up in logs and on screenshots.
UNREPEATED = {"invalid_choice": "This is not one of the choices.", "does_not_exist": "There is no such row."}


def message(detail: Any) -> str:
    text = UNREPEATED.get(getattr(detail, "code", ""), str(detail))
    return re.sub(r'^[“"].*[”"] ', "This value ", text, flags=re.DOTALL)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return error_response(errors.PayloadTooLarge())
    if isinstance(exception, SuspiciousOperation):
        return error_response(errors.MalformedRequest("The request is not valid."))
    return error_response(errors.MalformedRequest())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path_info.startswith("/admin/"):
        return defaults.permission_denied(request, exception)
    return error_response(errors.Forbidden())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path_info.startswith("/admin/"):
        return defaults.page_not_found(request, exception)
    return error_response(errors.NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """For what fails outside DRF: the admin, plain views, middleware."""
    # Django calls this while the exception is being handled, and its own logger is silent.
    exception = sys.exc_info()[1]
    error = as_error(exception) if isinstance(exception, Exception) else errors.Error()
    if request.path_info.startswith("/admin/"):
        if error.status == 503:
            return HttpResponse(OUT_OF_REACH_PAGE, status=503, headers=headers_of(error) | {"Retry-After": "5"})
        return defaults.server_error(request)
    return error_response(error)
