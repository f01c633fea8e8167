"""POST /v1/notifications/bounces/{provider}: what the mail provider tells, and what it means for further mail."""

import base64
import hashlib
import hmac

import orjson
import pytest

from notifications.models import Bounce
from notifications.preferences import hash_of, why_silent
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

POSTMARK = "/v1/notifications/bounces/postmark"


@pytest.fixture(autouse=True)
def _secret(settings):
    settings.ANYMAIL = {"WEBHOOK_SECRET": ["mail:new-secret", "mail:old-secret"]}


@pytest.fixture
def user():
    return UserFactory(email="ana@example.com")


def basic(secret: str = "mail:new-secret") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}


def event(kind: str = "HardBounce", email: str = "ana@example.com") -> dict:
    return {
        "RecordType": "SpamComplaint" if kind == "SpamComplaint" else "Bounce",
        "ID": 42,
        "Type": kind,
        "Email": email,
        "BouncedAt": "2026-03-04T10:00:00Z",
        "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
    }


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("HardBounce", "hard_bounce"), ("BadEmailAddress", "hard_bounce"), ("SpamComplaint", "complaint")],
)
def test_it_is_noted_with_the_user_and_only_the_addresss_hash(api, user, kind, reason):
    answer = api.post(POSTMARK, event(kind), **basic())
    assert (answer.status, answer.data) == (200, {"received": True})
    bounce = Bounce.objects.get()
    assert (bounce.user, bounce.reason, bounce.email_sha256) == (user, reason, hash_of("ana@example.com"))
    assert bounce.happened_at.isoformat() == "2026-03-04T10:00:00+00:00"


def test_the_same_news_twice_are_one_row_and_the_latest_counts(api, user):
    for kind in ("HardBounce", "HardBounce", "SpamComplaint"):
        api.post(POSTMARK, event(kind), **basic())
    assert Bounce.objects.get().reason == "complaint"


def test_only_mail_that_must_go_out_still_does(api, user):
    api.post(POSTMARK, event(), **basic())
    assert why_silent(user, "session_reminder") == "The address does not take it: hard bounce."
    assert why_silent(user, "booking_confirmed") == ""
    # Another address, another try.
    user.email = "ana@example.org"
    assert why_silent(user, "session_reminder") == ""


def test_whoever_shares_the_address_shares_the_bounce_in_any_spelling(api, user):
    twin = UserFactory(email="ana@example.com")
    api.post(POSTMARK, event(email="Ana@Example.com"), **basic())
    assert set(Bounce.objects.values_list("user", flat=True)) == {user.pk, twin.pk}


@pytest.mark.parametrize("kind", ["SoftBounce", "Transient", "DnsError", "AutoResponder", "Unknown", "NewKind"])
def test_what_may_pass_is_not_held_against_anybody(api, user, kind):
    body = event(kind)
    if kind in ("Unknown", "NewKind"):
        body["RecordType"] = kind
    assert api.post(POSTMARK, body, **basic()).status == 200
    assert not Bounce.objects.exists()


def test_an_address_that_nobody_has_is_no_error(api):
    assert api.post(POSTMARK, event(email="nobody@example.com"), **basic()).status == 200
    assert not Bounce.objects.exists()


@pytest.mark.parametrize("headers", [{}, basic("mail:guess"), basic("mail"), {"Authorization": "Bearer x"}])
def test_without_the_secret_nothing_is_believed(api, user, headers):
    assert api.post(POSTMARK, event(), **headers).code == (400, "INVALID_SIGNATURE")
    assert not Bounce.objects.exists()


def test_the_old_secret_is_good_while_it_is_rotated(api, user):
    assert api.post(POSTMARK, event(), **basic("mail:old-secret")).status == 200


def test_without_any_secret_the_address_does_not_exist(api, user, settings):
    settings.ANYMAIL = {"WEBHOOK_SECRET": []}
    assert api.post(POSTMARK, event(), **basic()).code == (404, "NOT_FOUND")


@pytest.mark.parametrize("provider", ["pigeon", "base", "amazon_ses", "mailgun"])
def test_a_provider_that_is_not_set_up_is_not_found(api, user, provider):
    assert api.post(f"/v1/notifications/bounces/{provider}", event(), **basic()).code == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"RecordType": "Inbound"}', b'{"RecordType": []}']
)
def test_what_cannot_be_read_is_refused_without_a_trace(api, user, raw):
    assert api.request("POST", POSTMARK, raw=raw, **basic()).code == (400, "VALIDATION_ERROR")
    assert not Bounce.objects.exists()


def test_a_provider_that_signs_is_asked_for_its_signature(api, user, settings):
    settings.ANYMAIL |= {"MAILGUN_WEBHOOK_SIGNING_KEY": "signing-key"}
    signature = {"timestamp": "1772618400", "token": "c" * 50}
    signed = "".join(signature.values()).encode()
    signature["signature"] = hmac.new(b"signing-key", signed, hashlib.sha256).hexdigest()
    told = {
        "event": "failed", "severity": "permanent", "reason": "bounce", "id": "1", "timestamp": 1772618400.1,
        "recipient": "ana@example.com", "delivery-status": {"code": 550, "bounce-type": "hard"},
        "message": {"headers": {"message-id": "x"}},
    }  # fmt: skip
    path = "/v1/notifications/bounces/mailgun"
    forged = {"signature": signature | {"signature": "0" * 64}, "event-data": told}
    assert api.post(path, raw=orjson.dumps(forged), **basic()).code == (400, "INVALID_SIGNATURE")
    body = {"signature": signature, "event-data": told}
    assert api.post(path, raw=orjson.dumps(body), **basic()).status == 200
    assert Bounce.objects.get().reason == "hard_bounce"


def test_the_address_is_in_no_log(api, user, caplog):
    api.post(POSTMARK, event(), **basic())
    api.request("POST", POSTMARK, raw=b'{"Email": "ana@example.com", "RecordType": []}', **basic())
    assert "bounce recorded" in caplog.text and "unreadable bounce" in caplog.text
    assert "ana@" not in caplog.text
