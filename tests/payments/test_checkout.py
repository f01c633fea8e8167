"""POST /v1/payments/checkout, with Stripe; the rules that both processors share."""

from datetime import UTC, timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection

from bookings.models import Booking
from core.models import IdempotencyKey
from payments.models import Payment
from payments.processors import processor
from tests.conftest import free_port
from tests.factories import BookingFactory, PaymentFactory, UserFactory, in_days
from tests.payments.conftest import act, stripe_sessions
from tests.payments.signed import checkout as completed
from tests.payments.signed import declined, post_stripe

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

CHECKOUT = "/v1/payments/checkout"


@pytest.fixture
def booking():
    return BookingFactory()


def check_out(api, booking, key="one", **more):
    client = api.as_user(booking.parent.user)
    return client.post(CHECKOUT, {"bookingId": str(booking.pk), **more}, Idempotency_Key=key)


def iso(moment):
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def unchanged(booking):
    row = Booking.objects.get(pk=booking.pk)
    return (row.status, row.expires_at) == (booking.status, booking.expires_at)


def test_the_answer_has_exactly_the_contracts_shape(api, booking, sandbox):
    answer = check_out(api, booking)
    payment = Payment.objects.get()
    assert answer.status == 201
    assert answer.body == {
        "success": True,
        "data": {
            "paymentId": str(payment.pk),
            "status": "pending",
            "processor": "stripe",
            "amountCents": 2500,
            "currency": "USD",
            "expiresAt": iso(booking.expires_at),
            "checkoutUrl": f"{sandbox.url}/pay/{payment.processor_checkout_id}",
        },
    }
    assert (payment.status, payment.booking, payment.amount_cents, payment.currency) == (
        "pending",
        booking,
        2500,
        "USD",
    )
    assert (payment.pending_at is not None, payment.paid_at) == (True, None)
    assert unchanged(booking)


def test_stripe_is_told_the_price_and_our_ids_and_nothing_personal(api, booking):
    check_out(api, booking)
    payment = Payment.objects.get()
    (session,) = stripe_sessions(payment)
    assert (session.id, session.amount_total, session.currency) == (payment.processor_checkout_id, 2500, "usd")
    assert session.metadata.to_dict() == {"payment_id": str(payment.pk)}
    assert session.expires_at == int(payment.checkout_expires_at.timestamp())
    assert payment.checkout_expires_at == booking.expires_at.replace(microsecond=0)
    assert session.adaptive_pricing.enabled is False
    assert (session.payment_method_types, session.mode) == (["card"], "payment")
    assert (session.customer_email, session.customer) == (None, None)
    assert booking.parent.user.email not in str(session)


def test_a_hold_that_ends_soon_still_gets_stripes_shortest_checkout(api, now):
    booking = BookingFactory(expires_at=now + timedelta(minutes=2))
    answer = check_out(api, booking)
    assert (answer.status, answer.data["expiresAt"]) == (201, iso(booking.expires_at))
    ends = Payment.objects.get().checkout_expires_at
    assert timedelta(minutes=30) < ends - now < timedelta(minutes=32)


def test_the_processor_may_be_named(api, booking):
    answer = check_out(api, booking, processor="stripe")
    assert (answer.status, answer.data["processor"]) == (201, "stripe")


# --- Asking again ----------------------------------------------------------------------------------------------------


def test_the_same_request_again_gets_the_very_same_bytes(api, booking):
    first, second = check_out(api, booking), check_out(api, booking)
    assert (first.status, first.headers.get("Idempotency-Replayed")) == (201, None)
    assert (second.status, second.headers["Idempotency-Replayed"]) == (201, "true")
    assert first.content == second.content
    assert len(stripe_sessions(Payment.objects.get())) == 1


def test_another_key_for_the_same_booking_gets_the_same_checkout(api, booking):
    first, second = check_out(api, booking, "one"), check_out(api, booking, "two")
    assert (second.status, second.headers.get("Idempotency-Replayed")) == (201, None)
    assert first.data == second.data
    assert len(stripe_sessions(Payment.objects.get())) == 1


def test_a_key_that_was_used_for_another_booking_is_refused(api, booking):
    other = BookingFactory(child__parent=booking.parent)
    check_out(api, booking)
    assert check_out(api, other).code == (422, "IDEMPOTENCY_KEY_REUSED")
    assert not Payment.objects.filter(booking=other).exists()


def test_after_a_declined_card_the_same_checkout_is_open_again(api, booking, sandbox):
    first = check_out(api, booking)
    payment = Payment.objects.get()
    act(sandbox, payment.processor_checkout_id, "decline")
    post_stripe(api, declined(payment))
    payment.refresh_from_db()
    assert payment.status == "failed"
    second = check_out(api, booking, "two")
    assert second.data == first.data
    assert act(sandbox, payment.processor_checkout_id)["status"] == "paid"
    post_stripe(api, completed(payment))
    payment.refresh_from_db()
    assert (payment.status, payment.booking.status) == ("paid", "confirmed")


@pytest.mark.parametrize("key", [None, "", "kéy", "x" * 256])
def test_a_missing_or_odd_idempotency_key_is_refused(api, booking, key):
    headers = {} if key is None else {"Idempotency_Key": key}
    answer = api.as_user(booking.parent.user).post(CHECKOUT, {"bookingId": str(booking.pk)}, **headers)
    assert answer.code == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert not Payment.objects.exists()


# --- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["razorpay", "paypal", "", None, 7])
def test_a_processor_that_this_region_has_not_is_refused(api, booking, name):
    answer = check_out(api, booking, processor=name)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [row["field"] for row in answer.error["details"]] == ["processor"]
    assert not Payment.objects.exists()


def test_another_processor_than_the_open_checkouts_is_refused(api, india, settings):
    settings.PAYMENT_PROCESSORS = ["stripe", "razorpay"]
    booking = BookingFactory()
    assert check_out(api, booking, "one", processor="stripe").status == 201
    assert check_out(api, booking, "two", processor="razorpay").code == (409, "INVALID_STATE")
    assert Payment.objects.count() == 1


@pytest.mark.parametrize("fields", [{"status": "expired"}, {"expires_at": in_days(0)}])
def test_a_hold_that_is_over_cannot_be_paid(api, fields):
    booking = BookingFactory(**{"status": "pending_payment"} | fields)
    answer = check_out(api, booking)
    assert answer.code == (409, "BOOKING_EXPIRED")
    assert not Payment.objects.exists()
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("status", ["confirmed", "cancelled", "completed", "no_show"])
def test_a_booking_with_nothing_to_pay_is_refused(api, status):
    booking = BookingFactory(status=status)
    assert check_out(api, booking).code == (409, "INVALID_STATE")
    assert not Payment.objects.exists()


def test_a_booking_whose_payment_is_under_review_is_refused(api, booking):
    payment = PaymentFactory(booking=booking, needs_review=True)
    assert check_out(api, booking).code == (409, "INVALID_STATE")
    assert list(Payment.objects.values_list("pk", flat=True)) == [payment.pk]


def test_a_strangers_or_unknown_booking_does_not_exist(api, booking):
    client = api.as_user(UserFactory())
    for unknown in (booking.pk, uuid4()):
        answer = client.post(CHECKOUT, {"bookingId": str(unknown)}, Idempotency_Key="one")
        assert answer.code == (404, "NOT_FOUND")
    assert not Payment.objects.exists()


def test_price_and_currency_cannot_be_sent(api, booking):
    for field in ("amountCents", "currency", "successUrl", "paid"):
        assert check_out(api, booking, **{field: 1}).code == (400, "VALIDATION_ERROR")
    assert not Payment.objects.exists()


def test_a_user_of_the_other_region_is_sent_there(api):
    booking = BookingFactory(child__parent__user__home_region="in")
    assert check_out(api, booking).code == (403, "REGION_MISMATCH")
    assert not Payment.objects.exists()


# --- When the processor fails ----------------------------------------------------------------------------------------


def nothing_half_done(booking):
    """The row that a retry goes on from is there; nothing else is: no key, no checkout, no change of the booking."""
    payment = Payment.objects.get(booking=booking)
    assert (payment.status, payment.processor_checkout_id, payment.checkout_url) == ("created", None, "")
    assert not IdempotencyKey.objects.exists()
    return unchanged(booking)


@pytest.mark.parametrize("fault", [{"http500": 1}, {"stripe": "down"}])
def test_an_outage_is_a_503_and_the_same_key_works_afterwards(api, booking, sandbox, fault):
    sandbox.post("/faults", fault)
    answer = check_out(api, booking)
    assert answer.code == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"
    assert nothing_half_done(booking)
    sandbox.post("/faults", {"http500": 0, "stripe": "up"})
    again = check_out(api, booking)
    assert (again.status, again.headers.get("Idempotency-Replayed")) == (201, None)
    assert len(stripe_sessions(Payment.objects.get())) == 1


def test_a_refused_connection_is_a_503(api, booking, settings, sandbox):
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_port()}"
    processor.cache_clear()
    assert check_out(api, booking).code == (503, "SERVICE_UNAVAILABLE")
    assert nothing_half_done(booking)
    settings.STRIPE_API_BASE = f"{sandbox.url}/stripe"
    processor.cache_clear()
    assert check_out(api, booking).status == 201


def test_an_answer_that_never_came_is_found_by_the_same_key(api, booking, sandbox, impatient):
    sandbox.post("/faults", {"timeout": 1})
    assert check_out(api, booking).code == (503, "SERVICE_UNAVAILABLE")
    assert nothing_half_done(booking)
    sandbox.post("/faults", {"timeout": 0})
    # Stripe did its work each time it was asked, and knows it as one.
    (session,) = stripe_sessions(Payment.objects.get())
    answer = check_out(api, booking)
    assert answer.data["checkoutUrl"].endswith(session.id)
    assert len(stripe_sessions(Payment.objects.get())) == 1


def test_a_500_that_stripe_keeps_repeating_is_left_behind_with_a_new_row(api, booking, sandbox, now):
    sandbox.post("/faults", {"stored500": 1})
    assert check_out(api, booking).status == 503
    sandbox.post("/faults", {"stored500": 0})
    assert check_out(api, booking).status == 503
    # Once its frozen end is too near for Stripe's minimum, the row is given up and another one takes over.
    Payment.objects.update(checkout_expires_at=now + timedelta(minutes=30))
    assert check_out(api, booking).status == 201
    assert list(Payment.objects.order_by("pk").values_list("status", flat=True)) == ["failed", "pending"]


def test_a_refusal_is_a_502_and_leaves_a_failed_row(api, sandbox):
    booking = BookingFactory(session__offering__price_cents=49)  # below Stripe's minimum
    answer = check_out(api, booking)
    assert answer.code == (502, "PROCESSOR_ERROR")
    payment = Payment.objects.get()
    assert (payment.status, payment.processor_checkout_id) == ("failed", None)
    assert unchanged(booking)
    assert not IdempotencyKey.objects.exists()
    assert check_out(api, booking).code == (502, "PROCESSOR_ERROR")
    assert list(Payment.objects.values_list("status", flat=True)) == ["failed", "failed"]


def test_a_wrong_secret_key_tells_the_parent_nothing(api, booking, settings):
    settings.STRIPE_SECRET_KEY = "sk_test_wrong_sandbox"
    processor.cache_clear()
    answer = check_out(api, booking)
    assert answer.code == (502, "PROCESSOR_ERROR")
    assert "sk_" not in answer.content.decode()


# --- Many at once ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_checkouts_at_once_by_different_keys_share_one_payment_and_one_session(api, booking, at_once):
    answers = at_once(lambda n: check_out(api, booking, f"key {n}"), list(range(4)))
    assert [answer.status for answer in answers] == [201] * 4
    assert len({str(answer.data) for answer in answers}) == 1
    assert len(stripe_sessions(Payment.objects.get())) == 1


@pytest.mark.django_db(transaction=True)
def test_twins_of_one_key_get_one_checkout_and_equal_answers(api, booking, at_once):
    answers = at_once(lambda _: check_out(api, booking), list(range(4)))
    assert [answer.status for answer in answers] == [201] * 4
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers.get("Idempotency-Replayed", "") for answer in answers) == ["", *["true"] * 3]
    assert len(stripe_sessions(Payment.objects.get())) == 1


@pytest.mark.django_db(transaction=True)
def test_a_twin_does_not_wait_longer_than_the_lock_timeout(api, booking, at_once, sandbox):
    sandbox.post("/faults", {"timeout": 1, "hang_seconds": 1.5})

    def impatiently(_):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        return check_out(api, booking)

    answers = at_once(impatiently, [1, 2])
    assert sorted(answer.status for answer in answers) == [201, 409]
    (refused,) = (answer for answer in answers if answer.status == 409)
    assert (refused.error["code"], refused.headers["Retry-After"]) == ("IDEMPOTENCY_IN_PROGRESS", "1")
    assert len(stripe_sessions(Payment.objects.get())) == 1


def test_the_database_allows_one_open_payment_for_a_booking(booking):
    PaymentFactory(booking=booking, status="created")
    with pytest.raises(IntegrityError, match="payment_one_open_per_booking"):
        PaymentFactory(booking=booking, status="pending")
