"""POST /v1/payments/checkout, with Razorpay."""

from datetime import UTC

import pytest

from core.models import IdempotencyKey
from payments.models import Payment
from payments.processors import Checkout, processor
from payments.services import remember_checkout, start_checkout
from tests.conftest import free_port
from tests.factories import BookingFactory
from tests.payments.conftest import act, razorpay_orders
from tests.payments.signed import captured, post_razorpay, rzp_failed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox", "india")]

CHECKOUT = "/v1/payments/checkout"


@pytest.fixture
def booking(sandbox, india):
    return BookingFactory()


def check_out(api, booking, key="one", **more):
    client = api.as_user(booking.parent.user)
    return client.post(CHECKOUT, {"bookingId": str(booking.pk), **more}, Idempotency_Key=key)


def test_the_answer_has_exactly_the_contracts_shape(api, booking):
    answer = check_out(api, booking)
    payment = Payment.objects.get()
    assert answer.status == 201
    assert answer.data == {
        "paymentId": str(payment.pk),
        "status": "pending",
        "processor": "razorpay",
        "amountCents": 2500,
        "currency": "INR",
        "expiresAt": booking.expires_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "orderId": payment.processor_checkout_id,
        "keyId": "rzp_test_sandbox",
    }
    (order,) = razorpay_orders(payment)
    assert (order["id"], order["amount"], order["currency"]) == (answer.data["orderId"], 2500, "INR")
    assert order["notes"] == {"payment_id": str(payment.pk)}
    assert booking.parent.user.email not in str(order)


def test_asking_again_gets_the_same_order(api, booking):
    first, replayed, second = check_out(api, booking), check_out(api, booking), check_out(api, booking, "two")
    assert first.content == replayed.content
    assert first.data == second.data
    assert len(razorpay_orders(Payment.objects.get())) == 1


def test_stripe_is_refused_where_it_is_not_enabled(api, booking):
    assert check_out(api, booking, processor="stripe").code == (400, "VALIDATION_ERROR")
    assert not Payment.objects.exists()


def test_stripe_may_be_named_where_it_is_enabled(api, booking, settings, sandbox):
    settings.PAYMENT_PROCESSORS = ["razorpay", "stripe"]
    answer = check_out(api, booking, processor="stripe")
    assert (answer.status, answer.data["processor"], answer.data["currency"]) == (201, "stripe", "INR")
    assert answer.data["checkoutUrl"].startswith(f"{sandbox.url}/pay/cs_test_")
    assert "orderId" not in answer.data


def test_after_a_failed_try_the_same_order_is_open_again(api, booking, sandbox):
    first = check_out(api, booking)
    payment = Payment.objects.get()
    act(sandbox, payment.processor_checkout_id, "decline")
    post_razorpay(api, rzp_failed(payment))
    assert check_out(api, booking, "two").data == first.data
    paid = act(sandbox, payment.processor_checkout_id)
    post_razorpay(api, captured(payment, id=paid["paymentId"]))
    payment.refresh_from_db()
    assert (payment.status, payment.booking.status) == ("paid", "confirmed")


@pytest.mark.parametrize("fault", [{"http500": 1}, {"razorpay": "down"}])
def test_an_outage_is_a_503_and_the_same_key_works_afterwards(api, booking, sandbox, fault):
    sandbox.post("/faults", fault)
    answer = check_out(api, booking)
    assert answer.code == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"
    payment = Payment.objects.get()
    assert (payment.status, payment.processor_checkout_id) == ("created", None)
    assert not IdempotencyKey.objects.exists()
    sandbox.post("/faults", {"http500": 0, "razorpay": "up"})
    assert check_out(api, booking).status == 201
    assert len(razorpay_orders(payment)) == 1


def test_a_refused_connection_is_a_503(api, booking, settings):
    settings.RAZORPAY_API_BASE = f"http://127.0.0.1:{free_port()}"
    processor.cache_clear()
    assert check_out(api, booking).code == (503, "SERVICE_UNAVAILABLE")
    assert Payment.objects.get().status == "created"


def test_an_order_whose_answer_never_came_is_found_by_its_receipt(api, booking, sandbox, impatient):
    sandbox.post("/faults", {"timeout": 1})
    assert check_out(api, booking).code == (503, "SERVICE_UNAVAILABLE")
    payment = Payment.objects.get()
    assert (payment.status, payment.processor_checkout_id) == ("created", None)
    sandbox.post("/faults", {"timeout": 0})
    (order,) = razorpay_orders(payment)
    assert check_out(api, booking).data["orderId"] == order["id"]
    assert len(razorpay_orders(payment)) == 1


def test_a_refusal_is_a_502_and_leaves_a_failed_row(api, sandbox, india):
    booking = BookingFactory(session__offering__price_cents=99)  # below Razorpay's minimum
    assert check_out(api, booking).code == (502, "PROCESSOR_ERROR")
    assert Payment.objects.get().status == "failed"


@pytest.mark.django_db(transaction=True)
def test_checkouts_at_once_show_one_order_to_everybody(api, booking, at_once):
    answers = at_once(lambda n: check_out(api, booking, f"key {n}"), list(range(4)))
    assert [answer.status for answer in answers] == [201] * 4
    # Razorpay has no key against twins, so there may be more orders; nobody was ever shown them.
    assert {answer.data["orderId"] for answer in answers} == {Payment.objects.get().processor_checkout_id}


def test_of_two_orders_for_one_payment_the_first_that_was_noted_stays(booking, now):
    payment = start_checkout(booking=booking, processor_name=None, now=now)
    first = payment.processor_checkout_id
    remember_checkout(payment, Checkout("order_of_a_twin"), now=now)
    payment.refresh_from_db()
    assert (payment.processor_checkout_id, payment.status) == (first, "pending")
