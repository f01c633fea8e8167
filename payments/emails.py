"""What parents hear of their money: a payment that failed, a refund that is on its way."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bookings.models import BookingStatus
from bookings.session_emails import NUMBER, OCCASIONS, WITH_PLACE, Occasion, occasion
from notifications.contents import Content
from notifications.letters import Letter, Reader
from notifications.models import NotificationKind
from payments.models import Payment, PaymentStatus, Refund, RefundStatus

FOR_SESSION = [f"booking__session__{path}" for path in WITH_PLACE]


@dataclass(frozen=True, kw_only=True)
class Attempt(Occasion):
    """A payment that did not succeed."""

    status: str
    booking: UUID
    booking_status: str
    amount_cents: int
    currency: str
    expires_at: datetime | None


def attempts(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, Attempt]:
    rows = Payment.objects.filter(pk__in=ids, booking__parent__user=user_id).select_related(*FOR_SESSION)
    return {row.pk: attempt(row) for row in rows}


def attempt(row: Payment) -> Attempt:
    return Attempt(
        **occasion(row.booking.session),
        status=row.status,
        booking=row.booking_id,
        booking_status=row.booking.status,
        amount_cents=row.amount_cents,
        currency=row.currency,
        expires_at=row.booking.expires_at,
    )


def payment_failed(it: Attempt, reader: Reader) -> Letter:
    held = f" We hold the seat until {reader.moment(it.expires_at, it.zone)}." if it.expires_at else ""
    return Letter(
        subject=f"Your payment for {it.activity} did not go through",
        title="Your payment did not go through",
        summary=f"{it.activity} is not paid yet, and nothing was taken from you.{held}",
        facts=[*it.facts(reader), ("Price", reader.money(it.amount_cents, it.currency))],
        button=("Try again", f"/bookings/{it.booking}"),
        small=["Another card or another way to pay often helps."],
    )


def is_open(it: Attempt, now: datetime) -> bool:
    """The parent can still try again, and has not done so."""
    is_held = it.booking_status == BookingStatus.PENDING_PAYMENT and it.expires_at is not None and it.expires_at > now
    return is_held and it.status == PaymentStatus.FAILED


@dataclass(frozen=True, kw_only=True)
class MoneyBack(Occasion):
    """A refund that the processor has taken on."""

    status: str
    reason: str
    booking: UUID
    amount_cents: int
    currency: str


def refunds(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, MoneyBack]:
    rows = Refund.objects.filter(pk__in=ids, payment__booking__parent__user=user_id)
    return {row.pk: money_back(row) for row in rows.select_related(*(f"payment__{path}" for path in FOR_SESSION))}


def money_back(row: Refund) -> MoneyBack:
    return MoneyBack(
        **occasion(row.payment.booking.session),
        status=row.status,
        reason=row.reason,
        booking=row.payment.booking_id,
        amount_cents=row.amount_cents,
        currency=row.currency,
    )


def refund_sent(it: MoneyBack, reader: Reader) -> Letter:
    amount = reader.money(it.amount_cents, it.currency)
    return Letter(
        subject=f"{amount} is on its way back to you",
        title="Your money is on its way back",
        summary=f"We have sent {amount} for {it.activity} back to you.",
        paragraphs=["It comes to the card or account that you paid with. Banks take up to ten days to show it."],
        facts=[("Amount", amount), ("Reason", it.reason), *it.facts(reader)],
        button=("See your booking", f"/bookings/{it.booking}"),
    )


def is_going(it: MoneyBack, now: datetime) -> bool:
    return it.status in (RefundStatus.SENT, RefundStatus.SUCCEEDED)


# --- Samples ---------------------------------------------------------------------------------------------------------

PRICES: dict[str, dict[str, Any]] = {
    "us": {"amount_cents": 4500, "currency": "USD"},
    "in": {"amount_cents": 12_500_00, "currency": "INR"},
}
ENDS = {"us": datetime(2026, 3, 4, 16, 35, tzinfo=UTC), "in": datetime(2026, 3, 4, 12, 35, tzinfo=UTC)}


def sample_attempt(region: str) -> Attempt:
    return Attempt(
        **OCCASIONS[region],
        **PRICES[region],
        status=PaymentStatus.FAILED,
        booking=NUMBER,
        booking_status=BookingStatus.PENDING_PAYMENT,
        expires_at=ENDS[region],
    )


def sample_refund(region: str) -> MoneyBack:
    return MoneyBack(
        **OCCASIONS[region],
        **PRICES[region],
        status=RefundStatus.SENT,
        reason="The booking was cancelled.",
        booking=NUMBER,
    )


CONTENTS = {
    NotificationKind.PAYMENT_FAILED: Content(
        find=attempts,
        write=payment_failed,
        still=is_open,
        samples={"us": sample_attempt("us"), "in": sample_attempt("in")},
    ),
    NotificationKind.REFUND_SENT: Content(
        find=refunds,
        write=refund_sent,
        still=is_going,
        samples={"us": sample_refund("us"), "in": sample_refund("in")},
    ),
}
