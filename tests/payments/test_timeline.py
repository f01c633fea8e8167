"""GET /v1/me/bookings/{id}/timeline, and the same on the booking's page for ops."""

import json
from datetime import UTC, timedelta

import jsonschema_rs
import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from payments.models import Refund
from payments.services import send
from payments.timeline import timeline
from tests.factories import BookingFactory, PaymentFactory, UserFactory, in_days
from tests.payments.conftest import act, out_of_order
from tests.payments.signed import (
    checkout,
    declined,
    disputed,
    post_stripe,
    private_parts_of,
    refund_event,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def payment(now):
    booking = BookingFactory(created_at=now - timedelta(minutes=3))
    return PaymentFactory(booking=booking, created_at=now - timedelta(minutes=2))


def path(booking):
    return f"/v1/me/bookings/{booking.pk}/timeline"


def story(api, booking):
    answer = api.as_user(booking.parent.user).get(path(booking))
    assert answer.status == 200
    return answer.data


def texts(data):
    return [(each["about"], each["text"]) for each in data["entries"]]


def test_a_whole_story_is_told_in_order_and_in_plain_words(api, sandbox):
    booking = BookingFactory()
    client = api.as_user(booking.parent.user)
    client.post("/v1/payments/checkout", {"bookingId": str(booking.pk)}, Idempotency_Key="pay")
    payment = booking.payments.get()
    intent = act(sandbox, payment.processor_checkout_id)["paymentId"]
    assert post_stripe(api, checkout(payment, payment_intent=intent)).status == 200
    assert client.post(f"/v1/me/bookings/{booking.pk}/cancel").status == 200
    payment.refresh_from_db()
    refund = payment.refunds.get()
    assert send(refund.pk, now=timezone.now()) is True
    assert story(api, booking)["refundPendingCents"] == 2500
    refund.refresh_from_db()
    assert post_stripe(api, refund_event(payment, refund=refund)).status == 200
    data = story(api, booking)
    assert texts(data) == [
        ("booking", "Booked. The seat is held until it is paid."),
        ("payment", "Checkout with Stripe."),
        ("event", "Stripe told us: paid, booking confirmed."),
        ("payment", "Paid."),
        ("booking", "Booking confirmed."),
        ("booking", "Booking cancelled."),
        ("refund", "Refund: The booking was cancelled."),
        ("event", "Stripe told us: refunded in full."),
        ("refund", "Refund done."),
        ("payment", "All of it has been given back."),
    ]
    assert {name: data[name] for name in data if name != "entries"} == {
        "bookingId": str(booking.pk),
        "currency": "USD",
        "paidCents": 2500,
        "refundedCents": 2500,
        "refundPendingCents": 0,
    }


def test_the_answer_has_exactly_this_shape(api, payment):
    data = story(api, payment.booking)
    assert data["entries"][1] == {
        "at": payment.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "about": "payment",
        "text": "Checkout with Stripe.",
        "amountCents": 2500,
        "currency": "USD",
    }
    assert (data["paidCents"], data["refundedCents"], data["refundPendingCents"]) == (0, 0, 0)


def test_it_fits_its_schema(api, payment):
    assert post_stripe(api, checkout(payment)).status == 200
    document = orjson.loads(api.client.get("/v1/openapi.json").content)
    operation = document["paths"]["/v1/me/bookings/{booking_id}/timeline"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    answer = api.as_user(payment.booking.parent.user).get(path(payment.booking))
    jsonschema_rs.validate({**schema, "components": document["components"]}, answer.body)
    assert {"401", "403", "404"} <= set(operation["responses"])


def test_a_failed_try_and_a_hold_that_ended_are_told(api, payment):
    assert post_stripe(api, declined(payment)).status == 200
    assert post_stripe(api, checkout(payment, "expired")).status == 200
    told = texts(story(api, payment.booking))
    assert ("payment", "Payment failed: card declined.") in told
    assert ("event", "Stripe told us: failed, the hold runs on.") in told
    assert told[-1] == ("booking", "The hold ended, and the seat was given back.")


def test_a_refund_that_is_owed_and_one_that_failed_are_told(api):
    payment = PaymentFactory(booking=BookingFactory(status="cancelled", cancelled_at=in_days(-1)), status="paid")
    for status, cents in (("pending", 1000), ("failed", 1500)):
        Refund.objects.create(payment=payment, amount_cents=cents, currency="USD", reason="Ill.", status=status)
    data = story(api, payment.booking)
    assert data["refundPendingCents"] == 1000
    refunds = [each for each in data["entries"] if each["about"] == "refund"]
    assert [(each["text"], each["amountCents"]) for each in refunds] == [
        ("Refund: Ill.", 1000),
        ("Refund: Ill.", 1500),
        ("This refund could not be made.", 1500),
    ]


def test_an_event_that_failed_is_told_as_what_it_is(api, payment):
    with out_of_order("bookings_booking", "UPDATE"):
        assert post_stripe(api, checkout(payment)).status in (500, 503)
    (event,) = (each for each in timeline(payment.booking).entries if each.about == "event")
    assert event.text == "Stripe told us something that we could not work on yet. We try again."
    assert event.detail == "checkout.session.completed, failed: django.db.utils.OperationalError 53100"


def test_the_parent_sees_no_ids_of_the_processor_and_nothing_private(api, payment):
    for event in (checkout(payment), disputed(payment), refund_event(payment, cents=100)):
        assert post_stripe(api, event).status == 200
    payment.refresh_from_db()
    told = json.dumps(story(api, payment.booking), ensure_ascii=False)
    for secret in (payment.processor_payment_id, payment.processor_checkout_id, payment.checkout_url, "re_", "evt_"):
        assert secret not in told
    assert private_parts_of(told) == []


def test_a_free_booking_has_a_short_story(api):
    booking = BookingFactory(session__offering__price_cents=0, status="confirmed")
    assert texts(story(api, booking)) == [("booking", "Booked."), ("booking", "Booking confirmed.")]


def test_it_takes_as_many_queries_for_much_as_for_little(api, payment):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            story(api, payment.booking)
        return len(captured)

    few = queries()
    assert post_stripe(api, checkout(payment)).status == 200
    for _ in range(3):
        assert post_stripe(api, refund_event(payment, cents=10)).status == 200
        PaymentFactory(booking=payment.booking, status="failed")
    assert queries() == few
    with CaptureQueriesContext(connection) as captured:
        timeline(payment.booking)
    assert len(captured) == 3


def test_a_strangers_or_unknown_booking_does_not_exist(api, payment):
    client = api.as_user(UserFactory())
    unknown = "/v1/me/bookings/00000000-0000-7000-8000-000000000001/timeline"
    for address in (path(payment.booking), unknown, "/v1/me/bookings/x/timeline"):
        assert client.get(address).code == (404, "NOT_FOUND")


def test_nobody_reads_it_without_signing_in_and_nobody_writes_it(api, payment):
    assert api.get(path(payment.booking)).code == (401, "UNAUTHORIZED")
    client = api.as_user(payment.booking.parent.user)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.request(method, path(payment.booking)).code == (405, "METHOD_NOT_ALLOWED")
    assert client.get(f"{path(payment.booking)}?page=2").code == (400, "VALIDATION_ERROR")
