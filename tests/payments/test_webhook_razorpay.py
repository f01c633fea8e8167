"""POST /v1/payments/webhook/razorpay."""

import itertools
import json

import pytest

from bookings.models import Booking, Seat
from marketplace.models import Session
from payments.models import Payment, Refund, WebhookEvent
from tests.factories import BookingFactory, PaymentFactory, in_days
from tests.payments.signed import (
    RAZORPAY,
    authorized,
    captured,
    order_paid,
    post_razorpay,
    private_parts_of,
    razorpay_event,
    razorpay_signature,
    rzp_disputed,
    rzp_failed,
    rzp_id,
    rzp_payment,
    rzp_refund,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("india")]

RECEIVED = {"success": True, "data": {"received": True}}


@pytest.fixture
def payment(india):
    return PaymentFactory(processor_checkout_id="order_Juniro0000001")


@pytest.fixture
def paid(india):
    booking = BookingFactory(status="confirmed")
    return PaymentFactory(booking=booking, status="paid", processor_payment_id="pay_Juniro0000001")


def state(payment):
    """Payment, booking, seats held, seats counted: everything that an event could move."""
    payment = Payment.objects.select_related("booking__session").get(pk=payment.pk)
    held = Seat.objects.held().filter(booking=payment.booking).count()
    return payment.status, payment.booking.status, held, payment.booking.session.enrolled


def refunds(payment):
    return list(payment.refunds.order_by("pk").values_list("status", "amount_cents"))


def take(api, *events, **options):
    for event in events:
        answer = post_razorpay(api, event, **options)
        assert (answer.status, answer.body) == (200, RECEIVED), answer.body


def last_event():
    return WebhookEvent.objects.order_by("-pk").first()


def end_hold(payment, status="expired"):
    Booking.objects.filter(pk=payment.booking_id).update(status=status)
    Seat.objects.filter(booking=payment.booking_id).update(released_at=in_days(0))
    Session.objects.filter(pk=payment.booking.session_id).update(enrolled=0)


# --- The signature ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signature",
    [
        lambda raw: None,
        lambda raw: "",
        lambda raw: "00",
        lambda raw: "ünïcode",
        lambda raw: "x" * 100_000,
        lambda raw: razorpay_signature(raw, secret="another"),
        lambda raw: razorpay_signature(raw, secret=""),
        lambda raw: razorpay_signature(raw + b" "),
        lambda raw: razorpay_signature(raw)[:-1],
        lambda raw: razorpay_signature(raw).upper(),
        lambda raw: f"sha256={razorpay_signature(raw)}",
    ],
)
def test_a_bad_signature_is_refused_and_nothing_is_written(api, payment, signature):
    raw = json.dumps(captured(payment)).encode()
    value = signature(raw)
    headers = {} if value is None else {"X_Razorpay_Signature": value}
    answer = api.post(RAZORPAY, raw=raw, X_Razorpay_Event_Id="evt1", **headers)
    assert answer.code == (400, "INVALID_SIGNATURE")
    assert not WebhookEvent.objects.exists()
    assert state(payment) == ("pending", "pending_payment", 1, 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b'{"event": "payment.captured"}',
        b'{"event": "payment.captured", "payload": []}',
        b'{"event": "payment.captured", "payload": [1]}',
        b'{"event": "payment.captured", "payload": {"payment": 7}}',
        b'{"event": "refund.processed", "payload": {"refund": {"entity": {"amount": 1}}}}',
        b"\xff\xfe",
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(api, raw):
    answer = api.post(RAZORPAY, raw=raw, X_Razorpay_Signature=razorpay_signature(raw))
    assert answer.code == (400, "INVALID_SIGNATURE")
    assert not WebhookEvent.objects.exists()


def test_each_of_several_secrets_is_good_while_one_replaces_the_other(api, settings):
    settings.RAZORPAY_WEBHOOK_SECRETS = ["new", "old"]
    for secret in ("new", "old"):
        payment = PaymentFactory()
        take(api, captured(payment), secret=secret)
        assert state(payment)[:2] == ("paid", "confirmed")
    assert post_razorpay(api, captured(PaymentFactory())).code == (400, "INVALID_SIGNATURE")


def test_without_any_secret_nothing_is_believed(api, payment, settings):
    settings.RAZORPAY_WEBHOOK_SECRETS = []
    assert post_razorpay(api, captured(payment), secret="").code == (400, "INVALID_SIGNATURE")


def test_a_region_without_razorpay_does_not_know_the_address(api, settings, payment):
    settings.PAYMENT_PROCESSORS = ["stripe"]
    assert post_razorpay(api, captured(payment)).code == (404, "NOT_FOUND")
    assert not WebhookEvent.objects.exists()


def test_the_handlers_answer_on_the_page_confirms_nothing(api, payment):
    client = api.as_user(payment.booking.parent.user)
    answer = {"razorpayPaymentId": rzp_id(payment), "razorpayOrderId": payment.processor_checkout_id}
    client.post("/v1/payments/verify", answer | {"razorpaySignature": "00"})
    client.get(f"/returned?outcome=success&razorpay_payment_id={rzp_id(payment)}")
    assert state(payment) == ("pending", "pending_payment", 1, 1)


# --- The signal table, row by row ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["created", "pending", "failed"])
@pytest.mark.parametrize("event", [captured, order_paid])
def test_paid_confirms_the_booking(api, status, event):
    payment = PaymentFactory(status=status)
    take(api, event(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)
    row = Payment.objects.get(pk=payment.pk)
    assert (row.processor_payment_id, row.paid_at is not None) == (rzp_id(payment), True)
    stored = WebhookEvent.objects.get()
    assert (stored.processor, stored.payment_id, stored.note) == ("razorpay", payment.pk, "paid, booking confirmed")
    assert not Refund.objects.exists()


@pytest.mark.parametrize("status", ["created", "pending", "failed"])
def test_authorised_waits_for_the_money(api, status):
    payment = PaymentFactory(status=status)
    take(api, authorized(payment))
    assert state(payment) == ("pending", "pending_payment", 1, 1)


def test_an_authorisation_for_an_earlier_payment_leaves_the_open_one_alone(api, payment):
    earlier = PaymentFactory(booking=payment.booking, status="failed")
    take(api, authorized(earlier))
    assert state(earlier)[0] == "failed"
    assert state(payment)[0] == "pending"


def test_a_failed_try_is_not_the_end(api, payment):
    take(api, rzp_failed(payment, id="pay_Try00000000001"))
    assert state(payment) == ("failed", "pending_payment", 1, 1)
    assert Payment.objects.get(pk=payment.pk).status_reason == "Payment failed: BAD_REQUEST_ERROR."
    take(api, authorized(payment), captured(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)


def test_the_banks_own_reason_is_kept_where_there_is_one(api, payment):
    take(api, rzp_failed(payment, error_reason="insufficient_funds"))
    assert Payment.objects.get(pk=payment.pk).status_reason == "Payment failed: insufficient_funds."


def test_every_order_of_a_payments_events_ends_confirmed(api):
    for order in itertools.permutations(("failed", "authorized", "captured", "paid")):
        payment = PaymentFactory()
        events = {
            "failed": rzp_failed(payment, id="pay_Try00000000001"),
            "authorized": authorized(payment),
            "captured": captured(payment),
            "paid": order_paid(payment),
        }
        for name in order:
            take(api, events[name], events[name])
        assert state(payment) == ("paid", "confirmed", 1, 1), order
        assert refunds(payment) == []


def test_the_same_event_twice_by_id_is_one_event(api, payment):
    take(api, captured(payment), event_id="evt_1")
    take(api, order_paid(payment), event_id="evt_1")
    assert WebhookEvent.objects.count() == 1


def test_the_same_body_under_another_id_is_one_event(api, payment):
    # The id is outside the signature: whoever caught a body could send it under ids of their own.
    event = captured(payment)
    take(api, event, event_id="evt_1")
    take(api, event, event_id="evt_2")
    assert WebhookEvent.objects.count() == 1


def test_without_an_id_the_bodys_hash_stands_in(api, payment):
    raw = json.dumps(captured(payment)).encode()
    for _ in range(2):
        assert api.post(RAZORPAY, raw=raw, X_Razorpay_Signature=razorpay_signature(raw)).status == 200
    stored = WebhookEvent.objects.get()
    assert stored.event_id == stored.body_sha256


def test_a_huge_id_is_cut(api, payment):
    take(api, captured(payment), event_id="x" * 5000)
    assert len(WebhookEvent.objects.get().event_id) == 255
    assert state(payment)[0] == "paid"


@pytest.mark.parametrize("change", [{"amount": 2400}, {"amount": 100}, {"currency": "USD"}])
@pytest.mark.parametrize("event", [captured, order_paid])
def test_another_amount_or_currency_never_confirms(api, payment, event, change):
    take(api, event(payment, **change))
    assert state(payment) == ("pending", "pending_payment", 1, 1)
    assert Payment.objects.get(pk=payment.pk).needs_review is True


@pytest.mark.parametrize("notes", [{}, [], {"payment_id": "x"}, None])
def test_a_payment_without_our_note_is_known_by_its_order(api, payment, notes):
    take(api, captured(payment, notes=notes))
    assert state(payment)[:2] == ("paid", "confirmed")


def test_somebody_elses_payment_is_stored_and_ignored(api, payment):
    take(api, captured(payment, notes=[], order_id="order_Foreign0000001", id="pay_Foreign00000001"))
    assert (last_event().status, last_event().note, last_event().payment) == ("ignored", "not ours", None)
    assert state(payment) == ("pending", "pending_payment", 1, 1)


def test_an_unknown_type_is_stored_and_ignored(api, payment):
    take(api, razorpay_event("payment.downtime.started", payment=rzp_payment(payment)))
    assert (last_event().status, last_event().note) == ("ignored", "nothing to do")
    assert state(payment) == ("pending", "pending_payment", 1, 1)


def test_what_comes_after_paid_is_ignored(api, payment):
    take(api, captured(payment), authorized(payment), rzp_failed(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)


def test_late_with_the_seat_still_free_takes_it_again(api, payment):
    end_hold(payment)
    take(api, authorized(payment), captured(payment), order_paid(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert refunds(payment) == []


def test_late_without_a_free_seat_is_paid_and_given_back(api, payment):
    end_hold(payment)
    Session.objects.filter(pk=payment.booking.session_id).update(capacity=1)
    BookingFactory(session=Session.objects.get(pk=payment.booking.session_id))
    take(api, captured(payment), order_paid(payment))
    assert state(payment) == ("paid", "expired", 0, 1)
    assert refunds(payment) == [("pending", 2500)]


def test_an_order_paid_twice_keeps_the_first_and_gives_the_second_back(api, payment):
    take(api, captured(payment), order_paid(payment))
    take(api, *(event(payment, id="pay_Second00000001") for event in (authorized, captured, order_paid)))
    assert state(payment) == ("paid", "confirmed", 1, 1)
    second = Payment.objects.get(processor_payment_id="pay_Second00000001")
    assert (refunds(payment), refunds(second)) == ([], [("pending", 2500)])
    assert Payment.objects.count() == 2


# --- Refunds and disputes --------------------------------------------------------------------------------------------


def owe(payment, **fields):
    return Refund.objects.create(payment=payment, amount_cents=2500, currency="INR", reason="Cancelled.", **fields)


def test_every_order_of_a_refunds_events_ends_the_same(api):
    for order in itertools.permutations(("created", "processed")):
        payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid")
        refund = owe(payment)
        take(api, *(rzp_refund(payment, name, refund=refund) for name in order))
        assert (state(payment)[0], refunds(payment)) == ("refunded", [("succeeded", 2500)]), order


def test_every_order_of_a_failing_refunds_events_ends_the_same(api):
    for order in itertools.permutations(("created", "failed")):
        payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid")
        refund = owe(payment)
        take(api, *(rzp_refund(payment, name, refund=refund) for name in order))
        assert (state(payment)[0], refunds(payment)) == ("paid", [("failed", 2500)]), order
        assert Payment.objects.get(pk=payment.pk).needs_review is True


def test_a_full_refund_on_the_dashboard_cancels_a_booking_to_come(api, paid):
    take(api, rzp_refund(paid))
    assert state(paid) == ("refunded", "cancelled", 0, 0)
    assert refunds(paid) == [("succeeded", 2500)]


def test_a_partial_refund_on_the_dashboard_changes_nothing_else(api, paid):
    take(api, rzp_refund(paid, "created", cents=1000), rzp_refund(paid, cents=1000))
    assert state(paid) == ("paid", "confirmed", 1, 1)
    assert [cents for _, cents in refunds(paid)] == [1000, 1000]


def test_a_full_refund_before_paid_is_final(api, payment):
    take(api, rzp_refund(payment), captured(payment), order_paid(payment))
    assert state(payment) == ("refunded", "pending_payment", 1, 1)
    assert refunds(payment) == [("succeeded", 2500)]


def test_a_refund_told_first_stays_with_the_payment_that_it_gives_back(api, payment):
    # An order that was paid twice: news of the first payment's refund, then of the second, then of the first.
    take(api, rzp_refund(payment, cents=1000), captured(payment, id="pay_Second0000001"), captured(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert refunds(payment) == [("succeeded", 1000)]
    assert Payment.objects.get(pk=payment.pk).processor_payment_id == rzp_id(payment)
    second = Payment.objects.get(processor_payment_id="pay_Second0000001")
    assert (second.status, refunds(second)) == ("paid", [("pending", 2500)])


def test_a_dispute_flags_the_payment_and_the_flag_outlives_its_success(api, payment):
    take(api, rzp_disputed(payment), captured(payment))
    assert state(payment)[:2] == ("paid", "confirmed")
    row = Payment.objects.get(pk=payment.pk)
    assert (row.needs_review, row.status_reason) == (True, "Disputed: goods_not_received.")


def test_what_is_stored_holds_no_card_and_no_contact_data(api, payment, paid):
    take(api, captured(payment, method="card"), rzp_failed(payment), rzp_refund(paid), rzp_disputed(paid))
    assert WebhookEvent.objects.count() == 4
    for event in WebhookEvent.objects.all():
        stored = json.dumps(event.payload, ensure_ascii=False) + event.note
        assert private_parts_of(stored) == []
        assert event.payload["event"] == event.type
