"""A family's and a business's days with Juniro, and then a search for what stayed of them where nothing may.

In each region the API, a real worker on a real broker and beat's schedule work with canaries. Then the logs down to
DEBUG, Sentry's reports, all that went to Redis, metrics, error messages, subjects of mails and the global database are
searched.
"""

import base64
import io
import logging
import os
import re
import threading
import time
from types import SimpleNamespace

import pytest
import sentry_sdk
import structlog
from celery import Celery
from celery.app import trace
from celery.beat import Scheduler
from celery.contrib.testing.worker import start_worker
from celery.worker.consumer import consumer
from django.conf import settings as django_settings
from django.core import mail
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.urls import path
from redis import Redis

from bookings.models import Booking
from core.logging import report_errors
from juniro.celery import app
from juniro.settings import uploads
from juniro.urls import urlpatterns as real_urlpatterns
from marketplace.models import Session
from payments.models import Payment
from regions import flags
from tests import tokens
from tests.canaries import PERSONAL, CapturedReports, canaries, dump_database, found_in
from tests.conftest import WORKER
from tests.factories import (
    CityFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)
from tests.payments import signed
from users.models import Parent

BROKER = f"{os.environ['CELERY_BROKER_URL'].rpartition('/')[0]}/{50 + WORKER}"


# --- What breaks, on purpose -----------------------------------------------------------------------------------------


def crash(request: HttpRequest, token: str) -> HttpResponse:
    """Fails with somebody's details in a local variable, in a statement and in the error's words."""
    name, phone = PERSONAL["parent's first name"], PERSONAL["parent's last name"]
    try:
        Parent.objects.filter(first_name=name).update(phone=phone)
    except Exception as error:
        raise RuntimeError(token) from error
    return HttpResponse()


urlpatterns = [*real_urlpatterns, path("v1/crash/<str:token>", crash)]
handler400, handler403 = "core.exceptions.bad_request", "core.exceptions.permission_denied"
handler404, handler500 = "core.exceptions.not_found", "core.exceptions.server_error"


@app.task(name="tests.fail")
def fail(parent_id: str) -> None:
    parent = Parent.objects.get(pk=parent_id)
    parent.phone = parent.first_name
    parent.save()


# --- Who listens -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["us", "in"])
def region(request):
    if request.param == "in":
        request.getfixturevalue("india")
    return request.param


@pytest.fixture
def logs(caplog):
    """All that is logged, down to DEBUG, as JSON lines."""
    root = logging.getLogger()
    # The tests' own tool tells what it makes.
    caplog.set_level(logging.INFO, "factory")
    handler = next(each for each in root.handlers if type(each) is logging.StreamHandler)
    level, processors, text = root.level, handler.formatter.processors, io.StringIO()
    before = handler.setStream(text)
    root.setLevel(logging.DEBUG)
    handler.formatter.processors = (*processors[:-1], structlog.processors.JSONRenderer())
    yield text
    root.setLevel(level)
    handler.formatter.processors = processors
    handler.setStream(before)


@pytest.fixture
def reports():
    """What Sentry's SDK would send, errors and the traces that production does not switch on."""
    captured = CapturedReports()
    report_errors("http://key@sentry.example/1", region="us", release="1", transport=captured, traces_sample_rate=1.0)
    yield captured
    sentry_sdk.get_client().close()
    sentry_sdk.init()


@pytest.fixture
def redis_traffic():
    """Every command that went to Redis while the test ran: our caches, our broker, and whatever else."""
    seen: list[str] = []
    ours = {
        BROKER.rpartition("/")[2],
        *(each["LOCATION"].rpartition("/")[2] for each in django_settings.CACHES.values()),
    }
    redis = Redis.from_url(BROKER)
    redis.flushdb()
    with redis.monitor() as monitor:

        def listen() -> None:
            while True:
                command = monitor.next_command()
                if command["command"] == "ECHO the end":
                    return
                if str(command["db"]) in ours:
                    seen.append(command["command"])

        listener = threading.Thread(target=listen)
        listener.start()
        yield seen
        redis.echo("the end")
        listener.join(5)
    redis.flushdb()


@pytest.fixture
def worker(monkeypatch, tasks, settings, tmp_path, redis_traffic, reports):
    """A worker on a broker of its own; `send_task` really sends. `drain()` waits until it has nothing to do."""
    settings.STORAGES = settings.STORAGES | {"default": uploads(f"file://{tmp_path}")}
    monkeypatch.setenv("CELERY_BROKER_URL", BROKER)
    for owner, cached in ((app, "_pool"), (app.amqp, "_producer_pool")):
        monkeypatch.setattr(owner, cached, None)
    monkeypatch.setattr(app, "send_task", Celery.send_task.__get__(app))
    monkeypatch.setattr(type(app.log), "setup", lambda *_, **__: None)
    # Sentry's own, as a worker has it that knew Sentry before its consumer was imported.
    monkeypatch.setattr(consumer, "build_tracer", trace.build_tracer)
    redis = Redis.from_url(BROKER)

    def drain() -> None:
        end, quiet = time.monotonic() + 20, 0
        # Twice, as a message is for a moment neither waiting nor taken.
        while quiet < 2:
            assert time.monotonic() < end, "the worker does not get on"
            quiet = 0 if redis.llen("celery") or redis.hlen("unacked") else quiet + 1
            time.sleep(0.02)

    with start_worker(app, perform_ping_check=False, shutdown_timeout=20):
        yield SimpleNamespace(drain=drain)


def beat() -> None:
    """Sends all that beat would send in a day."""
    scheduler = Scheduler(app, lazy=True)
    scheduler.setup_schedule()
    for entry in scheduler.schedule.values():
        scheduler.apply_entry(entry, producer=scheduler.producer)


# --- The days --------------------------------------------------------------------------------------------------------


class Days:
    """What a family and a business do, with canaries in everything they type."""

    def __init__(self, api, region: str, worker):
        self.api, self.region, self.worker = api, region, worker
        self.canaries = canaries(region)
        self.refusals: list[str] = []

    def call(self, caller, method: str, path: str, body=None, *, expect: int, **headers):
        answer = caller.request(method, path, body, **headers)
        assert answer.status == expect, (method, path, answer.content)
        if answer.status >= 400:
            self.refusals.append(answer.content.decode())
            return answer.error
        return answer.body["data"] if answer.body else answer.content

    def sign_up(self, email: str):
        token = tokens.sign(email=email)
        self.canaries[f"token of {email}"] = token.rpartition(".")[2]
        caller = self.api.with_token(token)
        self.call(caller, "POST", "/v1/auth/sync", {"homeRegion": self.region}, expect=201)
        return caller

    def live(self) -> None:
        c = self.canaries
        flags.switch("MESSAGING_ENABLED", True)
        self.business()
        ana = self.sign_up(c["parent's e-mail"])
        profile = {"firstName": c["parent's first name"], "lastName": c["parent's last name"]}
        self.call(ana, "PATCH", "/v1/me", profile | {"phone": c["parent's phone"]}, expect=200)
        child = {"firstName": c["child's first name"], "lastName": c["child's last name"]}
        child["birthDate"] = c["child's birth date"]
        self.call(ana, "POST", "/v1/me/children", child, expect=403)
        for kind in ("child_data", "marketing"):
            self.call(ana, "POST", "/v1/me/consents", {"kind": kind, "version": "1", "granted": True}, expect=201)
        child_id = self.call(ana, "POST", "/v1/me/children", child, expect=201)["id"]
        self.call(ana, "GET", f"/v1/activities?q={c['interest typed into the search']}", expect=200)
        calendar = self.call(ana, "POST", "/v1/me/calendar", expect=201)["url"]
        address = c["calendar's address"] = re.search(r"/calendars/([\w-]+)\.ics", calendar)[1]

        booking = {"sessionId": str(self.session.pk), "childId": child_id}
        key = c["idempotency key"]
        booked = self.call(ana, "POST", "/v1/me/bookings", booking, expect=201, Idempotency_Key=key)
        self.pay(ana, booked["id"])
        self.call(self.api, "GET", f"/v1/calendars/{address}.ics", expect=200)
        self.call(ana, "POST", "/v1/me/bookings", booking, expect=409, Idempotency_Key="again-1")

        roster = f"/v1/provider/sessions/{self.session.pk}/roster"
        Session.objects.update(starts_at=in_days(0.5), ends_at=in_days(0.55))
        assert self.call(self.owner, "GET", roster, expect=200)["seats"][0]["child"]["firstName"] == child["firstName"]
        words = {"providerId": str(self.account.pk), "subject": c["subject of a conversation"], "content": c["message"]}
        thread = self.call(ana, "POST", "/v1/conversations", words, expect=201)["id"]
        reply = {"content": c["message"]}
        self.call(self.owner, "POST", f"/v1/conversations/{thread}/messages", reply, expect=201)
        self.call(ana, "POST", f"/v1/conversations/{thread}/archive", expect=200)

        Booking.objects.update(status="completed")
        review = {"bookingId": booked["id"], "rating": 2, "comment": c["review"]}
        self.call(ana, "POST", "/v1/reviews", review, expect=201)
        Booking.objects.update(status="confirmed")
        reason = {"reason": c["reason of a cancellation"]}
        self.call(ana, "POST", f"/v1/me/bookings/{booked['id']}/cancel", reason, expect=200)
        self.worker.drain()
        self.break_down(ana)
        beat()
        self.worker.drain()
        self.call(ana, "POST", "/v1/me/exports", expect=202)
        self.worker.drain()

    def business(self) -> None:
        c = self.canaries
        owner = ProviderUserFactory(
            user__email=c["provider's e-mail"],
            user__parent__first_name=c["provider's first name"],
            user__parent__last_name=c["provider's last name"],
            provider_account__email=c["business's e-mail"],
            provider_account__phone=c["business's phone"],
            provider_account__business_name="Swim School",
        )
        self.account, self.owner = owner.provider_account, self.api.as_user(owner.user)
        LocationFactory(provider=self.account, address=c["address"], city=CityFactory())
        offering = OfferingFactory(activity__provider=self.account, activity__title="Swim Starters")
        self.session = SessionFactory(offering=offering)
        invited = {"email": c["invited e-mail"], "role": "staff"}
        self.call(self.owner, "POST", "/v1/provider/staff", invited, expect=201)
        self.worker.drain()
        token = c["invitation's token"] = re.search(r"/invitations/([\w-]+)", mail.outbox[-1].body)[1]
        stranger = self.sign_up("stranger@example.com")
        self.call(stranger, "POST", f"/v1/provider/invitations/{token}/accept", expect=404)
        wrong = {"email": c["business's e-mail"] + "@", "phone": c["business's phone"] + "x"}
        self.call(self.owner, "PATCH", "/v1/provider/profile", wrong, expect=400)

    def pay(self, ana, booking_id: str) -> None:
        c = self.canaries
        checkout = {"bookingId": booking_id}
        self.call(ana, "POST", "/v1/payments/checkout", checkout, expect=201, Idempotency_Key="pay-1234")
        payment = Payment.objects.get()
        person = {"name": c["payer's name"], "email": c["payer's e-mail"], "phone": c["payer's phone"]}
        if self.region == "us":
            declined = signed.declined(payment, receipt_email=c["payer's e-mail"])
            paid = signed.checkout(payment, customer_details=person, customer_email=c["payer's e-mail"])
            answers = [signed.post_stripe(self.api, each) for each in (declined, paid)]
        else:
            private = {
                "email": c["payer's e-mail"],
                "contact": c["payer's phone"],
                "vpa": c["UPI address"],
                "upi": {"vpa": c["UPI address"]},
                "bank": c["bank account"],
                "wallet": c["wallet"],
                "card": {"name": c["payer's name"], "last4": c["card's last digits"]},
                "acquirer_data": {"bank_transaction_id": c["bank account"]},
                "notes": {"payment_id": str(payment.pk), "for": c["child's first name"]},
                "error_description": c["payer's name"],
            }
            events = [signed.rzp_failed(payment, **private), signed.captured(payment, **private)]
            answers = [signed.post_razorpay(self.api, each) for each in events]
        assert [answer.status for answer in answers] == [200, 200]
        payment.refresh_from_db()
        assert payment.status == "paid"

    def break_down(self, ana) -> None:
        """Every way to fail that repeats what it was given."""
        c = self.canaries
        assert self.api.get(f"/v1/crash/{c['message']}").status == 500
        fail.delay(str(Parent.objects.get(first_name=c["parent's first name"]).pk))
        self.call(self.api, "GET", "/v1/me", expect=401, Authorization=f"Bearer {c['message']}")
        self.call(self.api, "GET", f"/v1/me/{c['message']}", expect=404)
        wrong = {"firstName": [c["parent's first name"]], "phone": c["parent's phone"] + "x", "countryId": c["message"]}
        self.call(ana, "PATCH", "/v1/me", wrong, expect=400)
        self.worker.drain()


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_nothing_of_anybody_gets_out(api, region, sandbox, settings, worker, logs, reports, redis_traffic):
    settings.ROOT_URLCONF = __name__
    days = Days(api, region, worker)
    with sentry_sdk.start_transaction(name="days"):
        days.live()
    c = days.canaries
    payment = Payment.objects.get()
    secrets = {
        "processor's payment id": payment.processor_payment_id,
        "processor's checkout id": payment.processor_checkout_id,
        "service key": django_settings.SUPABASE_SERVICE_ROLE_KEY,
        "webhook secret": "whsec_sandbox" if region == "us" else "whsec_razorpay_sandbox",
        "secret key": "sk_test_sandbox" if region == "us" else "secret_sandbox",
        "database's password": connection.settings_dict["PASSWORD"] or "no password",
    }
    searched = c | secrets

    logged = logs.getvalue()
    assert len(logged.splitlines()) > 100 and '"level": "debug"' in logged and "raised unexpected" in logged
    assert found_in(logged, searched) == []

    sentry_sdk.flush()
    reported = b"\n".join(reports.sent)
    for part in (b"RuntimeError", b"tests.fail", b'"breadcrumbs"'):
        assert part in reported, part
    assert b"UPDATE" in reported  # the spans of the traces
    # Traces name the address that a processor was called at, and with it its id of a payment.
    assert [each for each in found_in(reported, searched) if not each.startswith("processor's")] == []

    commands = "\n".join(redis_traffic)
    for part in ("LPUSH celery", "rate:", "flag:MESSAGING_ENABLED"):
        assert part in commands, part
    assert found_in(commands, searched) == []

    assert len(days.refusals) >= 7
    assert found_in("\n".join(days.refusals), searched) == []

    metrics = api.client.get("/metrics").content
    assert b"v1/me/bookings" in metrics
    assert found_in(metrics, searched) == []

    assert len(mail.outbox) >= 6
    assert found_in("\n".join(letter.subject for letter in mail.outbox), searched) == []
    # What was written stays here, even where a mail tells of it; a reason goes only to whoever gave it.
    letters = [(letter.to[0], letter.message().as_string()) for letter in mail.outbox]
    written = {what: c[what] for what in ("message", "subject of a conversation")}
    assert found_in("\n".join(text for _, text in letters), written) == []
    reason = {"reason": c["reason of a cancellation"]}
    assert found_in("\n".join(text for to, text in letters if to != c["parent's e-mail"]), reason) == []

    shared = dump_database(connections["global"])
    assert b"MESSAGING_ENABLED" in shared
    assert found_in(shared, searched) == []

    # And this region's database shows that there was something to find.
    ours = dump_database(connection)
    at_home = set(found_in(ours, PERSONAL))
    assert {"child's first name", "message", "review", "address", "invited e-mail"} <= at_home
    of_the_payer = {
        "payer's name",
        "payer's e-mail",
        "payer's phone",
        "UPI address",
        "card's last digits",
        "bank account",
        "wallet",
    }
    assert at_home & of_the_payer == set()


@pytest.mark.parametrize(
    "carried",
    [
        b"..she carries an epipen canary..",
        b"SHE CARRIES AN EPIPEN CANARY",
        b"?q=she%20carries%20an%20epipen%20canary",
        b"?q=she+carries+an+epipen+canary",
        *(base64.b64encode(b"x" * before + b"she carries an epipen canary!") for before in range(3)),
    ],
)
def test_a_canary_is_found_however_it_is_carried(carried):
    assert found_in(carried, PERSONAL) == ["message"]
    assert found_in(carried.replace(b"epipen", b"umbrella").replace(b"EPIPEN", b"UMBRELLA")[:9], PERSONAL) == []
