"""What a log line tells, and what it must never tell."""

import io
import logging
import socket
import subprocess
import sys
import uuid
from smtplib import SMTPRecipientsRefused

import pytest
from celery import shared_task
from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from bookings.services import SessionFull
from core.logging import describe, without_values
from juniro.urls import urlpatterns as real_urlpatterns
from tests import tokens
from tests.conftest import ROOT
from tests.factories import ConsentFactory, UserFactory
from users.models import Parent

pytestmark = pytest.mark.django_db

SECRET = "+49 secret 123"


def crash(request: HttpRequest, token: str) -> HttpResponse:
    try:
        Parent.objects.update(phone=SECRET)
    except IntegrityError as error:
        raise RuntimeError("wrapped") from error
    return HttpResponse()


urlpatterns = [*real_urlpatterns, path("v1/crash/<str:token>", crash)]
handler500 = "core.exceptions.server_error"


@pytest.fixture
def lines():
    """Everything that is logged, as the running service would write it."""
    handler = next(each for each in logging.getLogger().handlers if type(each) is logging.StreamHandler)
    text = io.StringIO()
    before = handler.setStream(text)
    yield text
    handler.setStream(before)


def test_a_request_is_one_line_with_id_method_route_and_status(api, lines):
    api.get("/v1/countries", X_Request_ID="caller-0001")
    (line,) = lines.getvalue().splitlines()
    for part in ("request_id=caller-0001", "method=GET", "route=v1/countries", "status=200", "ms="):
        assert part in line


def test_a_request_that_leads_nowhere_is_logged_without_its_path(api, lines):
    api.get("/v1/invitations/secret-token?email=ana@example.com")
    (line,) = lines.getvalue().splitlines()
    assert "route=None" in line and "status=404" in line
    assert "secret-token" not in line and "ana@" not in line


def test_no_name_token_address_or_query_is_logged(api, lines):
    user = ConsentFactory(user=UserFactory(email="secret-mail@example.com")).user
    token = tokens.sign(sub=user.auth_id, email=user.email)
    caller = api.with_token(token)
    caller.post("/v1/auth/sync", {"homeRegion": "us"})
    caller.patch("/v1/me", {"firstName": "SecretName", "phone": "+15125550123"})
    caller.patch("/v1/me", {"phone": "secret-phone"})
    caller.post(
        "/v1/me/children", {"firstName": "SecretChild", "birthDate": "2018-05-01"}, Idempotency_Key="secret-key"
    )
    caller.get("/v1/activities?q=SecretQuery")
    api.get("/v1/me", Authorization="Bearer secret.broken.token", X_Forwarded_For="203.0.113.9")
    told = lines.getvalue()
    assert len(told.splitlines()) == 6
    for secret in ("ecret", token, token.split(".")[1], "5125550123", "2018-05-01", "203.0.113.9", "127.0.0.1"):
        assert secret not in told
    assert str(user.auth_id) not in told


def test_a_crash_is_logged_with_its_trace_and_without_the_rows_values(api, lines, settings):
    settings.ROOT_URLCONF = __name__
    UserFactory(parent__first_name="SecretName")
    answer = api.get("/v1/crash/secret-token", X_Request_ID="caller-0001")
    assert answer.code == (500, "INTERNAL_ERROR")
    told = lines.getvalue()
    assert "SecretName" not in told and "+49" not in told and "secret" not in told
    assert "in crash" in told and "RuntimeError\n" in told
    assert "IntegrityError 23514 users_parent parent_phone_e164" in told
    assert "request_id=caller-0001" in told.split("Traceback")[0]
    error = {"code": "INTERNAL_ERROR", "message": "Something went wrong on our side.", "details": []}
    assert answer.body == {"success": False, "error": error}


def test_a_task_that_fails_is_logged_without_the_rows_values(lines, settings):
    user = UserFactory(parent__first_name="SecretName")

    @shared_task(name=f"fail-{uuid.uuid4()}")
    def fail() -> None:
        Parent.objects.filter(user=user).update(phone=SECRET)

    with transaction.atomic():
        fail.apply()
        transaction.set_rollback(True)
    told = lines.getvalue()
    assert "raised unexpected" in told and "parent_phone_e164" in told
    assert "ecret" not in told


def test_sentry_gets_the_exceptions_without_the_rows_values():
    UserFactory(parent__first_name="SecretName")
    try:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE users_parent SET phone = 'secret-phone'")
    except IntegrityError as error:
        values = [{"type": type(each).__name__, "value": str(each)} for each in (error.__cause__, error)]
        report = without_values({"exception": {"values": values}}, {"exc_info": (type(error), error, None)})
    assert [each["value"] for each in report["exception"]["values"]] == [
        "psycopg.errors.CheckViolation 23514 users_parent parent_phone_e164",
        "django.db.utils.IntegrityError 23514 users_parent parent_phone_e164",
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("invalid literal for int() with base 10: 'ana@example.com'"), "ValueError"),
        (KeyError("ana@example.com"), "KeyError"),
        (SMTPRecipientsRefused({"ana@example.com": (550, b"no such user")}), "smtplib.SMTPRecipientsRefused"),
        (AttributeError("User has no attribute 'pk'"), "AttributeError: User has no attribute 'pk'"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection refused"),
        (SessionFull(), "bookings.services.SessionFull: This session is full."),
    ],
)  # fmt: skip
def test_only_words_that_can_repeat_nobodys_are_told(error, words):
    assert describe(error) == words


def test_a_report_to_sentry_without_exception_passes():
    assert without_values({"message": "hello"}, {}) == {"message": "hello"}


def test_a_report_to_sentry_tells_no_address():
    report = {"request": {"url": "https://api.example/v1/calendars/secret.ics", "query_string": "q=x", "method": "GET"}}
    assert without_values(report, {}) == {"request": {"method": "GET"}}


def test_a_log_server_gets_every_line_too():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        code = (
            "from core.logging import configure; import logging;"
            f"configure(dict(level='INFO', json=True, syslog=('127.0.0.1', {server.getsockname()[1]}),"
            " sentry_dsn='', region='us', release='1')); logging.getLogger('juniro.x').info('hello')"
        )
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
        line = server.recv(4096)
    assert b'"event": "hello"' in line and b'"level": "info"' in line
