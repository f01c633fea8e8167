"""The whole trip with a sandbox that really delivers its webhooks to a server that really listens."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import orjson
import pytest

from marketplace.models import Session
from payments.models import Payment, WebhookEvent
from payments.processors import processor
from payments.tasks import send_refund
from tests import tokens
from tests.conftest import ROOT, Sandbox, free_port
from tests.factories import ChildFactory, SessionFactory
from tests.payments.conftest import act
from tests.payments.signed import private_parts_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def delivering(live_server, settings):
    """A sandbox of the test's own, whose webhooks go to the live server."""
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "JUNIRO_ENV": "local",
        "SANDBOX_PORT": str(port),
        "SANDBOX_WEBHOOK_BASE": f"{live_server.url}/v1/payments/webhook",
    }
    process = subprocess.Popen([sys.executable, "-m", "local.sandbox"], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    sandbox = Sandbox(f"http://127.0.0.1:{port}", live_server.url)
    settings.SANDBOX_URL = sandbox.url
    settings.STRIPE_API_BASE, settings.RAZORPAY_API_BASE = f"{sandbox.url}/stripe", f"{sandbox.url}/razorpay"
    processor.cache_clear()
    until(lambda: answers(sandbox.url))
    yield sandbox
    process.terminate()
    process.wait(10)


def answers(url):
    try:
        return urllib.request.urlopen(f"{url}/health", timeout=1).status == 200
    except OSError:
        return False


def until(condition, seconds=15):
    """Waits for what a webhook brings about; returns the first true value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.03)
    raise AssertionError("it did not come about in time")


class Parent:
    """Somebody who only knows the API's address and their token."""

    def __init__(self, url, user):
        self.url, self.token = url, tokens.sign(sub=user.auth_id, email=user.email)

    def call(self, method, path, body=None, **headers):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        data = None if body is None else orjson.dumps(body)
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return orjson.loads(answer.read())["data"]

    def status_becomes(self, booking_id, status):
        return until(lambda: self.call("GET", f"/v1/me/bookings/{booking_id}")["status"] == status)


def whole_trip(live_server, sandbox, tasks, *, action, checkout_of, **wanted):
    """Book, check out, pay on the processor's page, be confirmed by webhook, cancel, be refunded by webhook."""
    session, child = SessionFactory(capacity=1), ChildFactory()
    parent = Parent(live_server.url, child.parent.user)
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    booking = parent.call("POST", "/v1/me/bookings", body, **{"Idempotency-Key": "book"})
    assert booking["status"] == "pending_payment"
    body = {"bookingId": booking["id"], **wanted}
    checkout = parent.call("POST", "/v1/payments/checkout", body, **{"Idempotency-Key": "pay"})
    assert checkout["status"] == "pending"

    act(sandbox, checkout_of(checkout), "decline")
    until(lambda: Payment.objects.filter(status="failed").exists())
    assert parent.call("GET", f"/v1/me/bookings/{booking['id']}")["status"] == "pending_payment"
    assert act(sandbox, checkout_of(checkout), action)["status"] == "paid"
    parent.status_becomes(booking["id"], "confirmed")

    cancelled = parent.call("POST", f"/v1/me/bookings/{booking['id']}/cancel", {})
    assert (cancelled["status"], cancelled["payment"]["refundedCents"]) == ("cancelled", 2500)
    ((name, (refund_id,)),) = [sent for sent in tasks if sent[0] == "payments.tasks.send_refund"]
    assert name == "payments.tasks.send_refund"
    send_refund(refund_id)
    until(lambda: Payment.objects.get().status == "refunded")

    payment = Payment.objects.get()
    assert [(refund.status, refund.amount_cents) for refund in payment.refunds.all()] == [("succeeded", 2500)]
    assert Session.objects.get(pk=session.pk).enrolled == 0
    assert payment.needs_review is False
    until(lambda: all(each["status"] == "delivered" for each in deliveries(sandbox)))
    stored = "".join(orjson.dumps(event.payload).decode() for event in WebhookEvent.objects.all())
    assert private_parts_of(stored) == []
    return payment


def deliveries(sandbox):
    with urllib.request.urlopen(f"{sandbox.url}/deliveries", timeout=5) as answer:
        return orjson.loads(answer.read())["deliveries"]


@pytest.mark.parametrize("action", ["pay", "twice"])
def test_with_stripe(live_server, delivering, tasks, action):
    payment = whole_trip(
        live_server, delivering, tasks, action=action, checkout_of=lambda it: it["checkoutUrl"].rpartition("/")[2]
    )
    assert payment.processor == "stripe"


def test_with_stripe_in_india_beside_razorpay(live_server, delivering, india, settings, tasks):
    settings.PAYMENT_PROCESSORS = ["razorpay", "stripe"]
    payment = whole_trip(
        live_server,
        delivering,
        tasks,
        action="pay",
        checkout_of=lambda it: it["checkoutUrl"].rpartition("/")[2],
        processor="stripe",
    )
    assert (payment.processor, payment.currency) == ("stripe", "INR")
    told = parent_of(live_server, payment).call("GET", f"/v1/me/bookings/{payment.booking_id}/timeline")
    assert (told["currency"], told["paidCents"], told["refundedCents"]) == ("INR", 2500, 2500)


def parent_of(live_server, payment):
    return Parent(live_server.url, payment.booking.parent.user)


def test_with_razorpay(live_server, delivering, india, tasks):
    payment = whole_trip(live_server, delivering, tasks, action="twice", checkout_of=lambda it: it["orderId"])
    assert (payment.processor, payment.currency) == ("razorpay", "INR")
