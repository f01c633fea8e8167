"""What staff give back: within what is left, and above a limit only after a second member of staff has looked.

The limit is the app config `REFUND_APPROVAL_ABOVE_CENTS`, by currency. It counts together all that staff gave back on a
payment without being looked at, so that many small refunds are no way round it.
"""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Sum
from uuid_utils.compat import uuid7

from bookings import services as bookings
from core.errors import InvalidState
from payments.cancellations import cancel_in_full, check_cancellable, left_cents
from payments.models import Payment, Refund, RefundRequest
from payments.services import MAX_REFUND_ATTEMPTS, owe_refund, unrefunded_cents
from regions import config
from users.models import User

APPROVAL_ABOVE = {"USD": 200_00, "INR": 15_000_00}


def approval_above(currency: str) -> int:
    """Above how many cents a refund needs a second pair of eyes; our own figure where the config has none."""
    return config.get("REFUND_APPROVAL_ABOVE_CENTS", APPROVAL_ABOVE)[currency]


def request_refund(
    *, request_id: UUID, payment_id: UUID, cents: int, reason: str, by: User, now: datetime
) -> RefundRequest:
    """Owes `cents` of a payment at once or, above the limit, has it wait for approval.

    `request_id` becomes the row's: the same one twice asks once. Raises `InvalidState` for that, where so much is not
    left, and where a refund of this payment has to be settled first.
    """
    with transaction.atomic():
        payment = Payment.objects.select_for_update(no_key=True).get(pk=payment_id)
        if RefundRequest.objects.filter(pk=request_id).exists():
            raise InvalidState("This refund was asked for already.")
        check_refundable(payment, cents=cents)
        return ask(payment, request_id=request_id, cents=cents, reason=reason, by=by, now=now)


def request_cancellation(*, booking_id: UUID, reason: str, by: User, now: datetime) -> RefundRequest | None:
    """Cancels a booking with all that was paid going back or, above the limit, has that wait for approval.

    None where there is nothing to give back. Raises `InvalidState`.
    """
    with transaction.atomic():
        booking, _ = bookings.lock_booking(booking_id)
        check_cancellable(booking, now=now, in_full=True)
        cents = left_cents([booking_id])[booking_id]
        if not cents:
            cancel_in_full(booking_id=booking_id, reason=reason, now=now)
            return None
        paid = booking.payments.select_for_update(no_key=True).filter(status=Payment.Status.PAID)
        payment = max(paid.order_by("pk"), key=unrefunded_cents)
        refuse_second_request(payment)
        return ask(payment, cents=cents, cancels_booking=True, reason=reason, by=by, now=now)


def ask(
    payment: Payment,
    *,
    request_id: UUID | None = None,
    cents: int,
    reason: str,
    by: User,
    cancels_booking: bool = False,
    now: datetime,
) -> RefundRequest:
    """Writes down who wants what on a locked payment, and carries it out unless it has to wait."""
    unseen = payment.refund_requests.filter(needs_approval=False).aggregate(total=Sum("amount_cents"))["total"] or 0
    needs_approval = unseen + cents > approval_above(payment.currency)
    request = RefundRequest.objects.create(
        pk=request_id or uuid7(),
        payment=payment,
        amount_cents=cents,
        currency=payment.currency,
        cancels_booking=cancels_booking,
        reason=reason,
        needs_approval=needs_approval,
        requested_by=by,
        status=RefundRequest.Status.WAITING if needs_approval else RefundRequest.Status.APPROVED,
        decided_at=None if needs_approval else now,
        created_at=now,
    )
    if not needs_approval:
        carry_out(request, payment=payment, now=now)
    return request


def approve(*, request_id: UUID, by: User, now: datetime) -> RefundRequest:
    """Carries out what waited. Raises `InvalidState`, also for who asked for it and where the money has gone since."""
    with transaction.atomic():
        request, payment = lock(request_id)
        if request.requested_by_id == by.pk:
            raise InvalidState("Somebody else has to approve what you asked for.")
        request.move(RefundRequest.Status.APPROVED, decided_by=by, decided_at=now)
        left = left_cents([payment.booking_id])[payment.booking_id]
        if request.cancels_booking and left != request.amount_cents:
            raise InvalidState("What is left of this payment has changed since. Decline it, and ask anew.")
        if not request.cancels_booking:
            check_refundable(payment, cents=request.amount_cents)
        carry_out(request, payment=payment, now=now)
    return request


def decline(*, request_id: UUID, by: User, reason: str, now: datetime) -> RefundRequest:
    """Ends what waited, without any effect; who asked may take it back so, too. Raises `InvalidState`."""
    with transaction.atomic():
        request, _ = lock(request_id)
        return request.move(RefundRequest.Status.DECLINED, decided_by=by, decided_at=now, decision=reason)


def carry_out(request: RefundRequest, *, payment: Payment, now: datetime) -> None:
    if request.cancels_booking:
        cancel_in_full(booking_id=payment.booking_id, reason=request.reason, now=now)
    else:
        owe_refund(payment, cents=request.amount_cents, reason=request.reason, now=now)


def lock(request_id: UUID) -> tuple[RefundRequest, Payment]:
    """A request and its payment, locked in the house's order, with sessions and booking before them."""
    booking_id = RefundRequest.objects.values_list("payment__booking", flat=True).get(pk=request_id)
    bookings.lock_booking(booking_id)
    payment = Payment.objects.select_for_update(no_key=True).get(refund_requests=request_id)
    return RefundRequest.objects.select_for_update(no_key=True).get(pk=request_id), payment


def check_refundable(payment: Payment, *, cents: int) -> None:
    """Raises `InvalidState` unless `cents` of the locked payment can be given back now."""
    if payment.status != Payment.Status.PAID:
        raise InvalidState(f"A payment that is {payment.status} has nothing to give back.")
    refuse_second_request(payment)
    left = unrefunded_cents(payment)
    if cents > left:
        raise InvalidState(f"Only {left / 100:,.2f} {payment.currency} of this payment is left to give back.")
    # Nobody answered us about these: the money may be gone, and only trying the same row again finds out.
    given_up = payment.refunds.filter(status=Refund.Status.FAILED, processor_refund_id=None)
    if given_up.filter(attempts__gte=MAX_REFUND_ATTEMPTS, amount_cents__lte=left).exists():
        raise InvalidState("A refund of this payment failed without an answer. Try that one again first.")


def refuse_second_request(payment: Payment) -> None:
    if payment.refund_requests.filter(status=RefundRequest.Status.WAITING).exists():
        raise InvalidState("A refund of this payment waits for approval. Have that one decided first.")
