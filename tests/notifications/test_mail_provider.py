"""Sending through a mail provider's API instead of a mail server: its answers, and what each means for the row."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from notifications.delivery import OutOfReach, deliver
from tests.factories import BookingFactory

pytestmark = pytest.mark.django_db

SENT = {"ErrorCode": 0, "Message": "OK", "MessageID": "b7bc2f4a", "To": "ana@example.com"}


class Provider(BaseHTTPRequestHandler):
    """Postmark, as far as it takes mail: answers what the test says, and keeps what it was asked."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), json.loads(body)))
        status, answer = self.server.answer
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *args):
        pass


@pytest.fixture
def provider(settings):
    server = HTTPServer(("127.0.0.1", 0), Provider)
    server.asked, server.answer = [], (200, SENT)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    url = f"http://127.0.0.1:{server.server_port}/"
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "token", "POSTMARK_API_URL": url, "WEBHOOK_SECRET": []}
    settings.DEFAULT_FROM_EMAIL = "Juniro <hello@juniro.example>"
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def row(tell):
    booking = BookingFactory(status="completed", child__parent__user__email="ana@example.com")
    return tell(booking.parent.user, "review_prompt", booking)


def state(row):
    row.refresh_from_db()
    return row.status, row.error


def test_the_provider_gets_the_whole_mail(provider, row, now):
    assert deliver(row.pk, now=now) is True
    assert state(row) == ("sent", "")
    [(path, headers, asked)] = provider.asked
    assert (path, headers["X-Postmark-Server-Token"]) == ("/email", "token")
    assert (asked["To"], asked["From"]) == ("ana@example.com", "Juniro <hello@juniro.example>")
    assert asked["Subject"].startswith("How was ") and asked["TextBody"] and asked["HtmlBody"]
    extra = {each["Name"]: each["Value"] for each in asked["Headers"]}
    assert extra["Message-ID"] == f"<{row.pk}@juniro.example>"
    assert extra["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_provider_that_takes_no_mail_at_all_is_left_alone_for_a_while(provider, row, now, status):
    provider.answer = status, {"ErrorCode": 100, "Message": "ana@example.com: not now"}
    with pytest.raises(OutOfReach):
        deliver(row.pk, now=now)
    assert state(row) == ("pending", "AnymailRequestsAPIError")
    assert row.next_attempt_at == now + timedelta(minutes=1)


def test_a_provider_that_does_not_answer_is_left_alone_too(provider, row, now, settings):
    settings.ANYMAIL |= {"POSTMARK_API_URL": "http://127.0.0.1:9/"}
    with pytest.raises(OutOfReach):
        deliver(row.pk, now=now)
    assert state(row)[0] == "pending"


def test_a_no_to_this_mail_holds_up_no_other(provider, row, now):
    provider.answer = 422, {"ErrorCode": 300, "Message": "Invalid email request"}
    assert deliver(row.pk, now=now) is True
    assert state(row) == ("pending", "AnymailRequestsAPIError")


def test_an_address_that_the_provider_refuses_fails_at_once(provider, row, now):
    # What Postmark says of an address that has bounced.
    said = (
        "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: "
        "ana@example.com. Inactive recipients are ones that have generated a hard bounce."
    )
    provider.answer = 422, {"ErrorCode": 406, "Message": said}
    assert deliver(row.pk, now=now) is True
    assert state(row) == ("failed", "The mail server refuses the address.")
