"""What staff give back: limits, a second pair of eyes, and two at once."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from bookings.models import Booking
from core.errors import InvalidState
from payments import refund_requests
from payments.models import Payment, Refund, RefundRequest
from payments.services import owe_refund
from regions import config
from regions.models import AppConfig
from tests.admin.rows import staff
from tests.factories import BookingFactory, PaymentFactory
from tests.meeting import Meeting, unlock

both = pytest.mark.django_db(databases=["default", "global"])
committed = pytest.mark.django_db(databases=["default", "global"], transaction=True)
LARGE = 500_00


def paid(cents: int = 25_00) -> Payment:
    booking = BookingFactory(status="confirmed", amount_cents=cents)
    return PaymentFactory(booking=booking, status="paid")


def ask(payment: Payment, cents: int, *, by=None, request_id=None) -> RefundRequest:
    return refund_requests.request_refund(
        request_id=request_id or uuid.uuid4(),
        payment_id=payment.pk,
        cents=cents,
        reason="The pool was cold.",
        by=by or staff(),
        now=timezone.now(),
    )


def owed(payment: Payment) -> list[int]:
    return sorted(payment.refunds.values_list("amount_cents", flat=True))


def decide(verb, request, *, by, **more) -> RefundRequest:
    return verb(request_id=request.pk, by=by, now=timezone.now(), **more)


# --- Limits ----------------------------------------------------------------------------------------------------------


@both
def test_a_small_refund_is_owed_at_once_and_says_who_asked(tasks, django_capture_on_commit_callbacks):
    payment, ana = paid(), staff()
    with django_capture_on_commit_callbacks(execute=True):
        request = ask(payment, 10_00, by=ana)
    refund = payment.refunds.get()
    assert (refund.amount_cents, refund.currency, refund.reason) == (10_00, "USD", "The pool was cold.")
    assert (refund.status, refund.is_external) == ("pending", False)
    assert tasks == [("payments.tasks.send_refund", (str(refund.pk),))]
    assert (request.status, request.needs_approval, request.requested_by, request.decided_by) == (
        "approved", False, ana, None,
    )  # fmt: skip
    payment.refresh_from_db()
    assert (payment.status, payment.booking.status) == ("paid", "confirmed")


@both
def test_no_more_goes_back_than_is_left():
    payment = paid()
    ask(payment, 10_00)
    ask(payment, 15_00)
    with pytest.raises(InvalidState, match=r"Only 0\.00 USD of this payment is left"):
        ask(payment, 1)
    assert owed(payment) == [10_00, 15_00]


@both
def test_what_failed_can_be_given_back_again_unless_nobody_answered():
    payment = paid()
    refused = Refund.objects.create(
        payment=payment, amount_cents=25_00, currency="USD", reason="x", status="failed", attempts=1, refusals=1
    )
    ask(payment, 5_00)
    Refund.objects.filter(pk=refused.pk).update(amount_cents=20_00, attempts=10, refusals=0)
    with pytest.raises(InvalidState, match="failed without an answer"):
        ask(payment, 5_00)
    assert owed(payment) == [5_00, 20_00]


@both
@pytest.mark.parametrize("status", ["created", "pending", "failed", "refunded"])
def test_only_what_was_paid_goes_back(status):
    payment = PaymentFactory(status=status)
    with pytest.raises(InvalidState, match=f"A payment that is {status} has nothing to give back"):
        ask(payment, 1_00)
    assert owed(payment) == []


@both
def test_the_same_page_sent_twice_asks_once():
    payment, page = paid(), uuid.uuid4()
    ask(payment, 5_00, request_id=page)
    with pytest.raises(InvalidState, match="asked for already"):
        ask(payment, 5_00, request_id=page)
    assert owed(payment) == [5_00]


# --- A second pair of eyes -------------------------------------------------------------------------------------------


@both
def test_a_large_refund_waits_and_another_member_of_staff_approves_it():
    payment, ana, ben = paid(LARGE), staff(), staff()
    request = ask(payment, 200_01, by=ana)
    assert (request.status, request.needs_approval, owed(payment)) == ("waiting", True, [])
    with pytest.raises(InvalidState, match="Somebody else"):
        decide(refund_requests.approve, request, by=ana)
    assert owed(payment) == []
    approved = decide(refund_requests.approve, request, by=ben)
    assert (approved.status, approved.decided_by, owed(payment)) == ("approved", ben, [200_01])
    with pytest.raises(InvalidState):
        decide(refund_requests.approve, request, by=ben)
    assert owed(payment) == [200_01]


@both
def test_at_the_limit_nobody_else_is_needed_and_the_limit_is_in_the_app_config():
    assert ask(paid(LARGE), 200_00).status == "approved"
    AppConfig.objects.create(key="REFUND_APPROVAL_ABOVE_CENTS", value={"USD": 1_00})
    config.forget("REFUND_APPROVAL_ABOVE_CENTS")
    assert ask(paid(LARGE), 1_00).status == "approved"
    assert ask(paid(LARGE), 1_01).status == "waiting"
    assert refund_requests.approval_above("INR") == 15_000_00


@both
def test_many_small_refunds_are_no_way_round_the_limit():
    payment = paid(LARGE)
    ask(payment, 150_00)
    assert ask(payment, 50_00).status == "approved"
    assert ask(payment, 1).status == "waiting"
    assert owed(payment) == [50_00, 150_00]


@both
def test_a_declined_request_moves_no_money_and_keeps_the_reason():
    payment, ana, ben = paid(LARGE), staff(), staff()
    request = ask(payment, LARGE, by=ana)
    with pytest.raises(InvalidState, match="waits for approval"):
        ask(payment, 1_00)
    decide(refund_requests.decline, request, by=ben, reason="Was given a voucher.")
    request.refresh_from_db()
    assert (request.status, request.decided_by, request.decision) == ("declined", ben, "Was given a voucher.")
    with pytest.raises(InvalidState):
        decide(refund_requests.approve, request, by=ben)
    assert owed(payment) == []
    assert ask(payment, LARGE, by=ana).status == "waiting"


@both
def test_who_asked_may_take_it_back():
    ana = staff()
    request = ask(paid(LARGE), LARGE, by=ana)
    assert decide(refund_requests.decline, request, by=ana, reason="Wrong booking.").status == "declined"


@both
def test_what_has_gone_back_in_the_meantime_cannot_be_approved():
    payment, ben = paid(LARGE), staff()
    request = ask(payment, LARGE)
    with transaction.atomic():
        owe_refund(payment, cents=1_00, reason="Session cancelled.", now=timezone.now())
    with pytest.raises(InvalidState, match=r"Only 499\.00 USD"):
        decide(refund_requests.approve, request, by=ben)
    request.refresh_from_db()
    assert (request.status, request.decided_by, owed(payment)) == ("waiting", None, [1_00])


# --- Cancelling ------------------------------------------------------------------------------------------------------


def cancel(booking, *, by=None):
    return refund_requests.request_cancellation(
        booking_id=booking.pk, reason="The coach is ill.", by=by or staff(), now=timezone.now()
    )


@both
def test_a_booking_is_cancelled_with_all_of_its_money():
    payment = paid()
    request = cancel(payment.booking)
    booking = Booking.objects.get(pk=payment.booking_id)
    assert (booking.status, booking.cancellation_reason, owed(payment)) == ("cancelled", "The coach is ill.", [25_00])
    assert booking.session.enrolled == 0
    assert (request.cancels_booking, request.amount_cents, request.status) == (True, 25_00, "approved")


@both
def test_a_booking_without_money_is_just_cancelled():
    booking = BookingFactory(status="confirmed", amount_cents=0)
    assert cancel(booking) is None
    assert Booking.objects.get(pk=booking.pk).status == "cancelled"
    assert RefundRequest.objects.count() == 0


@both
def test_a_dear_booking_stands_until_its_cancellation_is_approved():
    payment, ana, ben = paid(LARGE), staff(), staff()
    request = cancel(payment.booking, by=ana)
    booking = Booking.objects.get(pk=payment.booking_id)
    assert (request.status, booking.status, booking.session.enrolled, owed(payment)) == ("waiting", "confirmed", 1, [])
    with pytest.raises(InvalidState, match="waits for approval"):
        cancel(booking, by=ben)
    decide(refund_requests.approve, request, by=ben)
    booking.refresh_from_db()
    assert (booking.status, booking.session.enrolled, owed(payment)) == ("cancelled", 0, [LARGE])


@both
def test_a_cancellation_is_approved_only_for_the_amount_that_was_looked_at():
    payment = paid(LARGE)
    request = cancel(payment.booking)
    with transaction.atomic():
        owe_refund(payment, cents=1_00, reason="Session cancelled.", now=timezone.now())
    with pytest.raises(InvalidState, match="has changed since"):
        decide(refund_requests.approve, request, by=staff())
    assert Booking.objects.get(pk=payment.booking_id).status == "confirmed"


# --- What the database says ------------------------------------------------------------------------------------------


@committed
def test_the_database_refuses_to_owe_more_than_was_paid():
    payment = paid()
    row = {"payment": payment, "currency": "USD", "reason": "x"}
    Refund.objects.create(amount_cents=20_00, **row)
    with pytest.raises(IntegrityError, match="exceed what was paid"):
        Refund.objects.create(amount_cents=5_01, **row)
    failed = Refund.objects.create(amount_cents=5_01, status="failed", **row)
    with pytest.raises(IntegrityError, match="exceed what was paid"):
        Refund.objects.filter(pk=failed.pk).update(status="pending")
    with pytest.raises(IntegrityError, match="exceed what was paid"):
        Refund.objects.filter(status="pending").update(amount_cents=25_01)
    assert owed(payment) == [5_01, 20_00]


@committed
def test_what_a_processor_gave_back_by_itself_is_a_fact():
    payment = paid()
    row = {"payment": payment, "currency": "USD", "reason": "x", "amount_cents": 25_00}
    Refund.objects.create(**row)
    Refund.objects.create(**row, is_external=True, status="sent")
    assert owed(payment) == [25_00, 25_00]


@both
def test_a_request_is_for_some_money():
    row = {"payment": paid(), "currency": "USD", "reason": "x", "needs_approval": True, "requested_by": staff()}
    with pytest.raises(IntegrityError, match="refundrequest_amount_positive"), transaction.atomic():
        RefundRequest.objects.create(amount_cents=0, **row)


@both
@pytest.mark.parametrize("column", ["amount_cents = 1", "needs_approval = false", "requested_by_id = decided_by_id"])
def test_a_request_cannot_become_another_one(column):
    request = ask(paid(LARGE), LARGE)
    decide(refund_requests.decline, request, by=staff(), reason="No.")
    with pytest.raises(IntegrityError, match="cannot be changed"), transaction.atomic():
        connection.cursor().execute(f"UPDATE payments_refundrequest SET {column}")


# --- Two at once -----------------------------------------------------------------------------------------------------


def race_of_refunds(monkeypatch, payment):
    ana = staff()
    return Meeting(monkeypatch, (refund_requests, "owe_refund")).of(
        lambda: ask(payment, 20_00, by=ana), lambda: ask(payment, 20_00, by=ana)
    )


@committed
def test_of_two_refunds_at_once_the_second_sees_the_first(monkeypatch):
    payment = paid()
    first, second = race_of_refunds(monkeypatch, payment)
    assert isinstance(first, RefundRequest)
    assert isinstance(second, InvalidState)
    assert owed(payment) == [20_00]


@committed
def test_without_the_lock_the_database_still_refuses_the_second(monkeypatch):
    unlock(monkeypatch)
    payment = paid()
    both_asked = race_of_refunds(monkeypatch, payment)
    assert sorted(type(each) for each in both_asked if isinstance(each, Exception)) == [IntegrityError]
    assert owed(payment) == [20_00]


@committed
def test_control_without_lock_and_trigger_too_much_goes_back(monkeypatch, unlimited):
    unlock(monkeypatch)
    payment = paid()
    race_of_refunds(monkeypatch, payment)
    assert owed(payment) == [20_00, 20_00]


@committed
def test_approved_twice_at_once_it_goes_back_once(monkeypatch):
    payment, ben, eve = paid(LARGE), staff(), staff()
    request = ask(payment, 250_00)
    given = Meeting(monkeypatch, (refund_requests, "carry_out")).of(
        lambda: decide(refund_requests.approve, request, by=ben),
        lambda: decide(refund_requests.approve, request, by=eve),
    )
    assert [type(each) for each in given] == [RefundRequest, InvalidState]
    assert owed(payment) == [250_00]


@committed
def test_approved_and_declined_at_once_one_of_them_wins(monkeypatch):
    payment, ben, eve = paid(LARGE), staff(), staff()
    request = ask(payment, 250_00)
    given = Meeting(monkeypatch, (refund_requests, "carry_out")).of(
        lambda: decide(refund_requests.approve, request, by=ben),
        lambda: decide(refund_requests.decline, request, by=eve, reason="No."),
    )
    assert [type(each) for each in given] == [RefundRequest, InvalidState]
    request.refresh_from_db()
    assert (request.status, owed(payment)) == ("approved", [250_00])
