"""Cancelling a booking: its seats go back, and the money that the refund window allows is owed."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from bookings import services as bookings
from bookings.models import Booking
from core.dispatch import after_commit
from core.errors import InvalidState
from payments.models import Payment, Refund
from payments.services import abandoned_checkouts, owe_refund, unrefunded_cents


def refundable_cents(booking: Booking, *, now: datetime, in_full: bool = False) -> int:
    """What cancelling at `now` gives back: everything paid until its refund window closes, nothing after."""
    paid = booking.payments.filter(status=Payment.Status.PAID).aggregate(total=Sum("amount_cents"))["total"] or 0
    owed = Refund.objects.filter(payment__booking=booking, payment__status=Payment.Status.PAID).exclude(
        status=Refund.Status.FAILED
    )
    left = paid - (owed.aggregate(total=Sum("amount_cents"))["total"] or 0)
    return left if in_full or now <= booking.refundable_until else 0


def check_cancellable(booking: Booking, *, now: datetime) -> None:
    if not booking.can_move(Booking.Status.CANCELLED):
        raise InvalidState(f"A booking that is {booking.status} cannot be cancelled.")
    if booking.status == Booking.Status.CONFIRMED and bookings.begins_at(booking) <= now:
        raise InvalidState("A booking that has begun cannot be cancelled.")


def cancel_booking(*, booking_id: UUID, reason: str = "", in_full: bool = False, now: datetime) -> Booking:
    """Cancels a booking, gives its seats back and owes what the refund window allows (`in_full`: everything).

    Raises `InvalidState`.
    """
    with transaction.atomic():
        booking, _ = bookings.lock_booking(booking_id)
        check_cancellable(booking, now=now)
        cents = refundable_cents(booking, now=now, in_full=in_full)
        booking.move(Booking.Status.CANCELLED, cancelled_at=now, cancellation_reason=reason, expires_at=None)
        bookings.release_seats(booking, now=now)
        for payment in (
            booking.payments.select_for_update(no_key=True).filter(status=Payment.Status.PAID).order_by("pk")
        ):
            part = min(cents, unrefunded_cents(payment))
            owe_refund(payment, cents=part, reason=reason or "The booking was cancelled.", now=now)
            cents -= part
        for payment_id in abandoned_checkouts().filter(booking=booking).values_list("pk", flat=True):
            after_commit("payments.tasks.close_checkout", payment_id)
    return booking
