"""The tasks that send refunds, to the real SDKs and the sandbox."""

from datetime import timedelta

import pytest

from payments import cancellations, services
from payments.models import Payment, Refund
from payments.processors import processor
from payments.tasks import send_refund, send_refunds
from tests.conftest import free_port
from tests.factories import BookingFactory, PaymentFactory, in_days
from tests.payments.conftest import act
from tests.payments.signed import captured, checkout, post_razorpay, post_stripe

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]


def paid_at(name, api, sandbox, **booking):
    """A payment that was really made at the processor, for a booking that is cancelled by now, and its owed refund."""
    payment = PaymentFactory(
        booking=BookingFactory(**booking), processor_checkout_id=None, checkout_url="", status="created"
    )
    opened = processor(name).open_checkout(
        payment_id=payment.pk,
        amount_cents=payment.amount_cents,
        currency=payment.currency,
        title="Swim",
        expires_at=payment.checkout_expires_at,
        is_retry=False,
    )
    payment.processor_checkout_id = opened.id
    payment.save()
    made = act(sandbox, opened.id)["paymentId"]
    if name == "stripe":
        assert post_stripe(api, checkout(payment, payment_intent=made)).status == 200
    else:
        assert post_razorpay(api, captured(payment, id=made)).status == 200
    cancellations.cancel_booking(booking_id=payment.booking_id, now=in_days(0))
    payment.refresh_from_db()
    return payment, payment.refunds.get()


def at_stripe(payment):
    refunds = processor("stripe").client.v1.refunds.list({"payment_intent": payment.processor_payment_id}).data
    return [(refund.id, refund.amount) for refund in refunds]


def at_razorpay(payment):
    refunds = processor("razorpay").client.payment.fetch_multiple_refund(payment.processor_payment_id, {})["items"]
    return [(refund["id"], refund["amount"]) for refund in refunds]


@pytest.fixture(params=["stripe", "razorpay"])
def owed(request, api, sandbox):
    """Payment, owed refund, and how to ask the processor what it gave back: for both processors."""
    if request.param == "razorpay":
        request.getfixturevalue("india")
    payment, refund = paid_at(request.param, api, sandbox)
    return payment, refund, {"stripe": at_stripe, "razorpay": at_razorpay}[request.param]


def test_a_refund_is_sent_once_and_waits_for_the_processors_word(owed):
    payment, refund, given_back = owed
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, refund.attempts, refund.error) == ("sent", 1, "")
    assert given_back(payment) == [(refund.processor_refund_id, 2500)]
    payment.refresh_from_db()
    assert payment.status == "paid"
    send_refund(str(refund.pk))
    assert len(given_back(payment)) == 1


def test_a_worker_that_died_between_the_call_and_the_commit_sends_no_second_refund(owed):
    payment, refund, given_back = owed
    send_refund(str(refund.pk))
    first = Refund.objects.get(pk=refund.pk).processor_refund_id
    # As if the answer had never been written down.
    Refund.objects.filter(pk=refund.pk).update(status="pending", processor_refund_id=None, next_attempt_at=in_days(0))
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, refund.attempts, refund.processor_refund_id) == ("sent", 2, first)
    assert given_back(payment) == [(first, 2500)]


@pytest.mark.parametrize("fault", [{"http500": 1}, {"stripe": "down", "razorpay": "down"}])
def test_an_outage_is_waited_out(owed, sandbox, now, fault):
    payment, refund, given_back = owed
    sandbox.post("/faults", fault)
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, refund.attempts, refund.processor_refund_id) == ("pending", 1, None)
    assert refund.error == "The payment processor is out of reach. Nothing was charged; try again shortly."
    assert timedelta(seconds=50) < refund.next_attempt_at - now < timedelta(seconds=90)
    # Not yet due: the sweep leaves it alone.
    send_refund(str(refund.pk))
    assert Refund.objects.get(pk=refund.pk).attempts == 1
    sandbox.post("/faults", {"http500": 0, "stripe": "up", "razorpay": "up"})
    assert given_back(payment) == []
    Refund.objects.filter(pk=refund.pk).update(next_attempt_at=in_days(0))
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, refund.attempts, refund.error) == ("sent", 2, "")
    assert given_back(payment) == [(refund.processor_refund_id, 2500)]
    assert Payment.objects.get(pk=payment.pk).needs_review is False


def test_an_answer_that_never_came_is_asked_for_again_by_the_same_key(owed, sandbox, impatient):
    payment, refund, given_back = owed
    sandbox.post("/faults", {"timeout": 1})
    send_refund(str(refund.pk))
    assert Refund.objects.get(pk=refund.pk).status == "pending"
    sandbox.post("/faults", {"timeout": 0})
    Refund.objects.filter(pk=refund.pk).update(next_attempt_at=in_days(0))
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, given_back(payment)) == ("sent", [(refund.processor_refund_id, 2500)])


def test_a_refusal_is_final_and_flagged(owed):
    payment, refund, given_back = owed
    Refund.objects.filter(pk=refund.pk).update(amount_cents=2501)
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    payment.refresh_from_db()
    assert (refund.status, refund.attempts) == ("failed", 1)
    assert refund.error == "The payment processor refused. Nothing was charged."
    assert (payment.status, payment.needs_review, payment.status_reason) == ("paid", True, "A refund failed.")
    assert given_back(payment) == []
    # A failed refund is for ops: neither the task nor the sweep sends it again.
    send_refund(str(refund.pk))
    assert Refund.objects.get(pk=refund.pk).attempts == 1


def test_after_ten_tries_ops_must_look(settings):
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_port()}"
    processor.cache_clear()
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid")
    refund = Refund.objects.create(
        payment=payment, amount_cents=2500, currency="USD", reason="x", attempts=8, next_attempt_at=in_days(0)
    )
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, refund.attempts) == ("pending", 9)
    Refund.objects.filter(pk=refund.pk).update(next_attempt_at=in_days(0))
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    payment.refresh_from_db()
    assert (refund.status, refund.attempts, payment.needs_review) == ("failed", 10, True)


def test_the_waits_double_up_to_a_day_however_often_it_was_tried():
    minutes = [services.backoff(attempts).total_seconds() / 60 for attempts in (1, 2, 3, 10, 11, 12, 100, 32_767)]
    assert minutes == [1, 2, 4, 512, 1024, 1440, 1440, 1440]


def test_what_was_refunded_on_the_dashboard_is_not_sent(api, sandbox):
    payment, refund = paid_at("stripe", api, sandbox)
    Payment.objects.filter(pk=payment.pk).update(status="refunded")
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, refund.error) == ("failed", "It was refunded at the processor already.")
    assert at_stripe(payment) == []
    assert Payment.objects.get(pk=payment.pk).needs_review is False


def test_a_processor_that_this_region_lost_leaves_the_refund_waiting(settings):
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid", processor="razorpay")
    refund = Refund.objects.create(
        payment=payment, amount_cents=2500, currency="USD", reason="x", next_attempt_at=in_days(0)
    )
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, refund.attempts) == ("pending", 1)


def test_the_sweep_sends_what_is_due_and_nothing_else(tasks):
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid")

    def refund(**fields):
        return Refund.objects.create(payment=payment, amount_cents=1, currency="USD", reason="x", **fields)

    second, first = refund(next_attempt_at=in_days(-1)), refund(next_attempt_at=in_days(-2))
    refund(next_attempt_at=in_days(1))
    for status in ("sent", "succeeded", "failed"):
        refund(status=status, next_attempt_at=in_days(-1))
    send_refunds()
    assert [(name, args) for name, args in tasks] == [
        ("payments.tasks.send_refund", (str(first.pk),)),
        ("payments.tasks.send_refund", (str(second.pk),)),
    ]


def test_an_unknown_refund_is_nothing_to_do():
    send_refund("00000000-0000-7000-8000-000000000001")


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_one_refund(api, sandbox, at_once):
    payment, refund = paid_at("stripe", api, sandbox)
    results = at_once(lambda _: send_refund(str(refund.pk)), [1, 2, 3])
    assert results == [None] * 3
    refund.refresh_from_db()
    assert (refund.status, refund.attempts) == ("sent", 1)
    assert at_stripe(payment) == [(refund.processor_refund_id, 2500)]
