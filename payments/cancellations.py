"""Cancelling a booking: its seats go back, and so does what was paid, as far as it is owed.

A parent gets back what the refund window allows. Who cancels for the provider or for Juniro gives everything back.
Cancelling whole sessions is in `session_cancellations`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from bookings import notices
from bookings import services as bookings
from bookings.models import Booking, Seat
from core.dispatch import after_commit
from core.errors import InvalidState
from notifications.models import Notification
from payments.models import Payment, Refund
from payments.services import abandoned_checkouts, owe_refund, unrefunded_cents


@dataclass(kw_only=True)
class Extent:
    """What a cancellation comes to.

    Sessions that are cancelled, bookings with a seat there, how many of these end, children, and what goes back by
    currency.
    """

    sessions: int = 0
    booking_ids: list[UUID] = field(default_factory=list)
    ending: int = 0
    children: int = 0
    cents: dict[str, int] = field(default_factory=dict)


def left_cents(booking_ids: Iterable[UUID]) -> dict[UUID, int]:
    """What was paid for each of the bookings and is not going back yet; two queries for any number."""
    ids = list(booking_ids)
    paid = Payment.objects.filter(booking__in=ids, status=Payment.Status.PAID)
    back = Refund.objects.filter(payment__in=paid).exclude(status=Refund.Status.FAILED)
    left = dict.fromkeys(ids, 0)
    left |= dict(paid.values_list("booking").annotate(Sum("amount_cents")))
    for booking_id, cents in back.values_list("payment__booking").annotate(Sum("amount_cents")):
        left[booking_id] -= cents
    return left


def worth_cents(left: int, *, seats: int, of: int) -> int:
    """What `seats` seats are worth where `left` cents were paid for `of`: equal parts, and the last seat the rest.

    One by one or together, all of them are worth `left`, to the cent.
    """
    kept = left
    for remaining in range(of, of - seats, -1):
        kept -= kept // remaining
    return left - kept


def refundable_cents(booking: Booking, *, now: datetime, in_full: bool = False) -> int:
    """What cancelling at `now` gives back: everything paid until the refund window closes, nothing after.

    A window that a provider's change opened may be open while the booking is under way: then what has begun is kept.
    `in_full`: everything paid.
    """
    left = left_cents([booking.pk])[booking.pk]
    if in_full:
        return left
    if now > booking.refundable_until:
        return 0
    starts = Seat.objects.held().filter(booking=booking).values_list("session__starts_at", flat=True)
    return worth_cents(left, seats=sum(each > now for each in starts), of=len(starts)) if starts else left


def check_cancellable(booking: Booking, *, now: datetime, in_full: bool = False) -> None:
    """Raises `InvalidState` where `booking` is over or, unless `in_full`, has begun and its refund window is closed."""
    if not booking.can_move(Booking.Status.CANCELLED):
        raise InvalidState(f"A booking that is {booking.status} cannot be cancelled.")
    if in_full or booking.status != Booking.Status.CONFIRMED:
        return
    if bookings.begins_at(booking) <= now and booking.refundable_until <= now:
        raise InvalidState("A booking that has begun cannot be cancelled.")


def cancel_booking(*, booking_id: UUID, reason: str = "", in_full: bool = False, now: datetime) -> Booking:
    """Cancels a booking, gives its seats back and owes what the refund window allows.

    With `in_full`, for the provider or for Juniro: also a booking that has begun, and everything that was paid.
    Raises `InvalidState`.
    """
    with transaction.atomic():
        booking, _ = bookings.lock_booking(booking_id)
        check_cancellable(booking, now=now, in_full=in_full)
        cents = refundable_cents(booking, now=now, in_full=in_full)
        # Of a hold the provider has not heard yet, and of what was done in its name it need not.
        is_news = booking.status == Booking.Status.CONFIRMED and not in_full
        end(booking, cents=cents, reason=reason, now=now)
        if is_news:
            notices.tell_cancelled(booking, now=now)
        else:
            notices.tell_parent(booking, Notification.Kind.BOOKING_CANCELLED, now=now)
    return booking


def cancel_in_full(*, booking_id: UUID, reason: str, dry_run: bool = False, now: datetime) -> Extent:
    """Cancels a booking for its provider or for Juniro and tells what that comes to; `dry_run` only tells.

    Raises `InvalidState`.
    """
    with transaction.atomic():
        booking, _ = bookings.lock_booking(booking_id)
        check_cancellable(booking, now=now, in_full=True)
        cents = refundable_cents(booking, now=now, in_full=True)
        if not dry_run:
            cancel_booking(booking_id=booking_id, reason=reason, in_full=True, now=now)
    return Extent(booking_ids=[booking_id], ending=1, children=1, cents={booking.currency: cents} if cents else {})


def end(booking: Booking, *, cents: int, reason: str, now: datetime) -> None:
    """Ends a locked booking: seats back, `cents` owed, and no page left where one could still pay."""
    booking.move(Booking.Status.CANCELLED, cancelled_at=now, cancellation_reason=reason, expires_at=None)
    bookings.release_seats(booking, now=now)
    owe(booking, cents=cents, reason=reason, now=now)
    for payment_id in abandoned_checkouts().filter(booking=booking).values_list("pk", flat=True):
        after_commit("payments.tasks.close_checkout", payment_id)


def owe(booking: Booking, *, cents: int, reason: str, now: datetime) -> None:
    """Owes `cents` of what was paid for a locked booking, from one payment after the other."""
    for payment in booking.payments.select_for_update(no_key=True).filter(status=Payment.Status.PAID).order_by("pk"):
        part = min(cents, unrefunded_cents(payment))
        owe_refund(payment, cents=part, reason=reason or "The booking was cancelled.", now=now)
        cents -= part
