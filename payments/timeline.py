"""The story of a booking's money, for the parent who paid and for the ops who must understand it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from bookings.models import Booking
from payments.models import Payment, Refund, WebhookEvent


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened, in plain words; cents or paise where money was meant. `detail` is for ops alone."""

    at: datetime
    about: str
    text: str
    amount_cents: int | None = None
    currency: str | None = None
    detail: str = ""
    is_consequence: bool = False

    @property
    def place(self) -> tuple[datetime, bool, int]:
        """What is told of the same moment stands in the order in which one led to the other."""
        return self.at, self.is_consequence, ["event", "refund", "payment", "booking"].index(self.about)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What was paid for a booking, what came back and what is on its way back, with all that led to it, in order."""

    booking_id: UUID
    currency: str
    paid_cents: int
    refunded_cents: int
    refund_pending_cents: int
    entries: list[Entry]


def timeline(booking: Booking) -> Timeline:
    """Three queries, however much has happened."""
    payments = list(Payment.objects.filter(booking=booking).order_by("pk"))
    refunds = list(Refund.objects.filter(payment__in=payments).order_by("pk"))
    events = WebhookEvent.objects.filter(payment__in=payments).defer("payload").order_by("created_at", "pk")
    entries = [*of_booking(booking)]
    entries += chain(*map(of_payment, payments), *map(of_event, events), *map(of_refund, refunds))
    under_way = (Refund.Status.PENDING, Refund.Status.SENT)
    return Timeline(
        booking_id=booking.pk,
        currency=booking.currency,
        paid_cents=sum(each.amount_cents for each in payments if each.paid_at),
        refunded_cents=sum(each.amount_cents for each in refunds if each.status == Refund.Status.SUCCEEDED),
        refund_pending_cents=sum(each.amount_cents for each in refunds if each.status in under_way),
        entries=sorted(entries, key=lambda each: each.place),
    )


def of_booking(booking: Booking) -> Iterator[Entry]:
    price: dict[str, Any] = {"amount_cents": booking.amount_cents, "currency": booking.currency}
    text = "Booked. The seat is held until it is paid." if booking.amount_cents else "Booked."
    # A free one is confirmed in the moment in which its row is made.
    at = min(booking.created_at, booking.confirmed_at or booking.created_at)
    yield Entry(at=at, about="booking", text=text, **price)
    if booking.confirmed_at:
        yield Entry(at=booking.confirmed_at, about="booking", text="Booking confirmed.")
    if booking.cancelled_at:
        yield Entry(
            at=booking.cancelled_at,
            about="booking",
            text="Booking cancelled.",
            detail=booking.cancellation_reason,
        )
    if booking.status == Booking.Status.EXPIRED:
        yield Entry(at=booking.updated_at, about="booking", text="The hold ended, and the seat was given back.")


def of_payment(payment: Payment) -> Iterator[Entry]:
    about: dict[str, Any] = {"about": "payment", "amount_cents": payment.amount_cents, "currency": payment.currency}
    name = payment.get_processor_display()
    yield Entry(at=payment.created_at, text=f"Checkout with {name}.", detail=str(payment.pk), **about)
    if payment.status == Payment.Status.FAILED and payment.failed_at:
        # The processors' codes are words with underscores.
        text = (payment.status_reason or "The payment failed.").replace("_", " ")
        yield Entry(at=payment.failed_at, text=text, **about)
    if payment.paid_at:
        yield Entry(at=payment.paid_at, text="Paid.", detail=payment.processor_payment_id or "", **about)
    if payment.status == Payment.Status.REFUNDED and payment.refunded_at:
        yield Entry(at=payment.refunded_at, text="All of it has been given back.", **about)


def of_event(event: WebhookEvent) -> Iterator[Entry]:
    name = event.get_processor_display()
    text = f"{name} told us: {event.note}."
    if event.status == WebhookEvent.Status.FAILED:
        text = f"{name} told us something that we could not work on yet. We try again."
    tries = f", tried {event.attempts} times" if event.attempts > 1 else ""
    detail = f"{event.type}, {event.status}{tries}{': ' if event.error else ''}{event.error}"
    if event.status != WebhookEvent.Status.IGNORED:
        yield Entry(at=event.created_at, about="event", text=text, detail=detail)


def of_refund(refund: Refund) -> Iterator[Entry]:
    about: dict[str, Any] = {"about": "refund", "amount_cents": refund.amount_cents, "currency": refund.currency}
    owed = f"Refund: {refund.reason}"
    yield Entry(at=refund.created_at, text=owed, detail=str(refund.pk), is_consequence=True, **about)
    if refund.status == Refund.Status.SENT:
        yield Entry(at=refund.updated_at, text="Refund sent.", detail=refund.processor_refund_id or "", **about)
    if refund.succeeded_at:
        yield Entry(at=refund.succeeded_at, text="Refund done.", detail=refund.processor_refund_id or "", **about)
    if refund.status == Refund.Status.FAILED:
        yield Entry(at=refund.updated_at, text="This refund could not be made.", detail=refund.error, **about)
