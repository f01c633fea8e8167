"""A failed refund, tried again by ops; and what parents are told of refunds and failed payments."""

from datetime import timedelta

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from bookings.models import Booking
from core.errors import InvalidState
from notifications.models import Notification
from payments.models import Payment, Refund
from payments.services import end_review, retry_refund, send
from payments.tasks import send_refund
from tests.admin.rows import staff
from tests.factories import BookingFactory, PaymentFactory, in_days
from tests.payments.signed import checkout, declined, post_stripe, refund_event
from tests.payments.test_send_refund import at_stripe, owed, paid_at

pytestmark = pytest.mark.django_db

__all__ = ["owed"]


def owe(payment, cents=2500, **fields):
    fields = {"next_attempt_at": in_days(0)} | fields
    return Refund.objects.create(payment=payment, amount_cents=cents, currency="USD", reason="Cancelled.", **fields)


@pytest.fixture
def paid():
    return PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid")


def refunds(payment):
    return list(payment.refunds.order_by("pk").values_list("status", "amount_cents"))


def test_a_refund_that_was_refused_is_sent_again_under_another_key(owed, now):
    payment, refund, given_back = owed
    # More than was paid, which the processor refuses; then somebody mends it.
    Refund.objects.filter(pk=refund.pk).update(amount_cents=2501)
    send_refund(str(refund.pk))
    refund.refresh_from_db()
    assert (refund.status, refund.refusals) == ("failed", 1)
    Refund.objects.filter(pk=refund.pk).update(amount_cents=2500)
    assert retry_refund(refund.pk, now=now).pk == refund.pk
    refund.refresh_from_db()
    assert (refund.status, refund.attempts, refund.error) == ("pending", 0, "")
    assert send(refund.pk, now=now) is True
    refund.refresh_from_db()
    assert (refund.status, refund.attempts, refund.refusals) == ("sent", 1, 1)
    assert given_back(payment) == [(refund.processor_refund_id, 2500)]


def test_a_refund_that_nobody_answered_is_sent_again_under_the_same_key(owed, sandbox, impatient, now):
    payment, refund, given_back = owed
    Refund.objects.filter(pk=refund.pk).update(attempts=9)
    sandbox.post("/faults", {"timeout": 1})
    send_refund(str(refund.pk))
    sandbox.post("/faults", {"timeout": 0})
    refund.refresh_from_db()
    assert (refund.status, refund.refusals) == ("failed", 0)
    retry_refund(refund.pk, now=now)
    assert send(refund.pk, now=now) is True
    # The processor had done it the first time.
    assert len(given_back(payment)) == 1


def test_a_refund_that_nobody_answered_for_so_long_that_its_key_is_forgotten_is_looked_for_first(
    owed, sandbox, impatient, now
):
    payment, refund, given_back = owed
    Refund.objects.filter(pk=refund.pk).update(amount_cents=1000)
    sandbox.post("/faults", {"timeout": 1})
    send_refund(str(refund.pk))
    sandbox.post("/faults", {"timeout": 0})
    # As if the key was forgotten: under another one, the processor would give the money once more.
    Refund.objects.filter(pk=refund.pk).update(refusals=1, created_at=now - timedelta(hours=21), next_attempt_at=now)
    assert send(refund.pk, now=now) is True
    refund.refresh_from_db()
    assert given_back(payment) == [(refund.processor_refund_id, 1000)]


def test_an_old_refund_that_was_never_made_is_made(owed, now):
    payment, refund, given_back = owed
    Refund.objects.filter(pk=refund.pk).update(created_at=now - timedelta(days=3))
    assert send(refund.pk, now=now) is True
    refund.refresh_from_db()
    assert given_back(payment) == [(refund.processor_refund_id, 2500)]


def test_what_the_bank_returned_goes_out_as_another_refund(paid, now, django_capture_on_commit_callbacks, tasks):
    refund = owe(paid, status="failed", processor_refund_id="re_1", error="expired_or_canceled_card")
    with django_capture_on_commit_callbacks(execute=True):
        again = retry_refund(refund.pk, now=now)
    assert again.pk != refund.pk
    assert refunds(paid) == [("failed", 2500), ("pending", 2500)]
    assert tasks == [("payments.tasks.send_refund", (str(again.pk),))]
    # Once: what is on its way cannot be asked for again.
    with pytest.raises(InvalidState):
        retry_refund(refund.pk, now=now)
    assert len(refunds(paid)) == 2


@pytest.mark.parametrize("status", ["pending", "sent", "succeeded"])
def test_only_a_failed_refund_is_tried_again(paid, now, status):
    refund = owe(paid, status=status)
    with pytest.raises(InvalidState):
        retry_refund(refund.pk, now=now)
    assert refunds(paid) == [(status, 2500)]


def test_money_that_has_gone_back_otherwise_is_not_sent_again(paid, now):
    refund = owe(paid, status="failed", error="It was refunded at the processor already.")
    owe(paid, status="sent", cents=1)
    with pytest.raises(InvalidState):
        retry_refund(refund.pk, now=now)
    Refund.objects.exclude(pk=refund.pk).delete()
    Payment.objects.filter(pk=paid.pk).update(status="refunded")
    with pytest.raises(InvalidState):
        retry_refund(refund.pk, now=now)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_who_try_it_again_owe_it_once(paid, at_once, now):
    refund = owe(paid, status="failed", processor_refund_id="re_1")
    results = at_once(lambda _: retry_refund(refund.pk, now=now), [1, 2, 3])
    assert sorted(type(each).__name__ for each in results) == ["InvalidState", "InvalidState", "Refund"]
    assert sorted(refunds(paid)) == [("failed", 2500), ("pending", 2500)]


@pytest.mark.django_db(transaction=True)
def test_control_without_the_payments_lock_it_is_owed_twice(paid, overtaken, now, monkeypatch, unlimited):
    refund = owe(paid, status="failed", processor_refund_id="re_1")
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())
    overtaken(
        (QuerySet, "aggregate"), lambda: retry_refund(refund.pk, now=now), lambda: retry_refund(refund.pk, now=now)
    )
    assert sorted(refunds(paid)) == [("failed", 2500), ("pending", 2500), ("pending", 2500)]


def test_a_second_refund_of_the_same_amount_is_another_one_at_the_processor(api, sandbox, now):
    """The key is the row's, not the amount's: two halves are two refunds."""
    payment, refund = paid_at("stripe", api, sandbox)
    Refund.objects.filter(pk=refund.pk).update(amount_cents=1250)
    other = owe(payment, 1250)
    for each in (refund, other, refund, other):
        send_refund(str(each.pk))
    assert sorted(cents for _, cents in at_stripe(payment)) == [1250, 1250]


# --- Review ----------------------------------------------------------------------------------------------------------


def test_the_flag_is_taken_off_once(now):
    payment = PaymentFactory(needs_review=True, status_reason="Disputed: fraudulent.")
    ana = staff()
    end_review(payment.pk, by=ana, note="The bank took it back.", now=now)
    payment.refresh_from_db()
    assert (payment.needs_review, payment.status_reason) == (False, "Disputed: fraudulent.")
    assert (payment.reviewed_by, payment.reviewed_at, payment.review_note) == (ana, now, "The bank took it back.")
    with pytest.raises(InvalidState):
        end_review(payment.pk, by=staff(), note="Again.", now=now)
    payment.refresh_from_db()
    assert (payment.reviewed_by, payment.review_note) == (ana, "The bank took it back.")


# --- What parents are told -------------------------------------------------------------------------------------------


def told(kind):
    return list(Notification.objects.filter(kind=kind).values_list("user", "subject_id", "status"))


def test_a_parent_is_told_once_that_a_refund_is_on_its_way(api, sandbox, now):
    payment, refund = paid_at("stripe", api, sandbox)
    assert told("refund_sent") == []
    send_refund(str(refund.pk))
    expected = [(payment.booking.parent.user_id, refund.pk, "pending")]
    assert told("refund_sent") == expected
    refund.refresh_from_db()
    for status in ("pending", "succeeded"):
        assert post_stripe(api, refund_event(payment, refund=refund, status=status)).status == 200
    assert told("refund_sent") == expected


def test_a_parent_is_told_of_a_refund_that_was_made_by_hand_too(api, paid):
    assert post_stripe(api, refund_event(paid, cents=1000)).status == 200
    assert told("refund_sent") == [(paid.booking.parent.user_id, paid.refunds.get().pk, "pending")]


def test_nobody_is_told_of_a_refund_that_was_refused(paid, now):
    refund = owe(paid, processor_refund_id="re_1", status="sent")
    assert told("refund_sent") == []
    Refund.objects.filter(pk=refund.pk).update(status="failed")
    assert told("refund_sent") == []


def test_a_refund_that_failed_outright_is_no_refund_sent(api, paid):
    assert post_stripe(api, refund_event(paid, "failed", cents=1000, status="failed")).status == 200
    assert told("refund_sent") == []


def test_a_parent_is_told_once_for_each_checkout_that_a_payment_failed(api):
    payment = PaymentFactory()
    for _ in range(2):
        assert post_stripe(api, declined(payment)).status == 200
        Payment.objects.filter(pk=payment.pk, status="failed").update(status="pending")
    assert told("payment_failed") == [(payment.booking.parent.user_id, payment.pk, "pending")]


@pytest.mark.parametrize("status", ["expired", "cancelled", "confirmed"])
def test_a_failed_payment_that_nobody_waits_for_is_not_told(api, status):
    payment = PaymentFactory(booking=BookingFactory(status=status))
    assert post_stripe(api, declined(payment)).status == 200
    assert told("payment_failed") == []


def test_a_failure_that_is_overtaken_by_the_success_is_not_told(api):
    payment = PaymentFactory()
    for event in (checkout(payment), declined(payment)):
        assert post_stripe(api, event).status == 200
    assert told("payment_failed") == []
    assert Booking.objects.get().confirmed_at <= timezone.now()
