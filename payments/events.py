"""What a verified webhook event does: the table of docs/payments.md, exactly once and in any order.

The event's row, unique by id and by body, is written in the transaction of its effect. Whatever goes wrong rolls both
back and answers 5xx, so that the processor's own retries are our queue.
"""

import hashlib
from datetime import datetime

import structlog
from django.db import transaction

from bookings import services as bookings
from bookings.models import Booking
from core.errors import Error
from payments.models import Payment, Refund, WebhookEvent
from payments.processors import Outcome, Signal
from payments.services import owe_refund, unrefunded_cents

log = structlog.get_logger("juniro.payments")


class Unprocessable(Exception):
    """An event that we cannot carry out by our own rules: our fault, so a 5xx, and the processor sends it again."""


def record(*, processor: str, outcome: Outcome, raw: bytes, now: datetime) -> WebhookEvent | None:
    """Stores the event and carries out its effect; None for a duplicate."""
    with transaction.atomic():
        event = WebhookEvent(
            processor=processor,
            event_id=outcome.event_id,
            body_sha256=hashlib.sha256(raw).hexdigest(),
            type=outcome.type[:100],
            payload=outcome.payload,
        )
        # Waits here for a twin's transaction, then skips.
        WebhookEvent.objects.bulk_create([event], ignore_conflicts=True)
        if not WebhookEvent.objects.filter(pk=event.pk).exists():
            return None
        payment = find_payment(processor, outcome) if outcome.is_ours else None
        if payment is None or outcome.signal is Signal.OTHER:
            event.status = WebhookEvent.Status.IGNORED
            event.note = "not ours" if payment is None else "nothing to do"
        else:
            booking, sessions = bookings.lock_booking(payment.booking_id)
            payment = Payment.objects.select_for_update(no_key=True).get(pk=payment.pk)
            try:
                event.note = apply(outcome, payment=payment, booking=booking, sessions=sessions, now=now)[:500]
            except Error as error:
                raise Unprocessable(f"{outcome.type}: {error.message}") from error
        event.payment = payment
        event.save(update_fields=["status", "note", "payment"])
    log.info("webhook event", processor=processor, type=outcome.type, status=event.status, note=event.note)
    return event


def find_payment(processor: str, outcome: Outcome) -> Payment | None:
    """Our payment that the event is about: by the money's own ids first, as one checkout may be paid twice."""
    payments = Payment.objects.filter(processor=processor)
    for by in (
        {"refunds__pk": outcome.refund_id},
        {"processor_payment_id": outcome.processor_payment_id},
        {"pk": outcome.payment_id},
        {"processor_checkout_id": outcome.checkout_id},
    ):
        if all(by.values()) and (payment := payments.filter(**by).first()):
            return payment
    return None


def apply(outcome: Outcome, *, payment: Payment, booking: Booking, sessions: list, now: datetime) -> str:
    """Moves payment, refund and booking as far as the event allows, and says in a few words what was done."""
    if payment.processor_checkout_id is None and outcome.checkout_id:
        # The event overtook the answer to our own request.
        payment.processor_checkout_id = outcome.checkout_id
        payment.save(update_fields=["processor_checkout_id", "updated_at"])
    match outcome.signal:
        case Signal.PAID:
            return paid(outcome, payment=payment, booking=booking, sessions=sessions, now=now)
        case Signal.AUTHORIZED:
            others = booking.payments.filter(status__in=[Payment.Status.CREATED, Payment.Status.PENDING])
            if payment.status in (Payment.Status.CREATED, Payment.Status.FAILED) and not others.exclude(pk=payment.pk):
                payment.move(Payment.Status.PENDING, pending_at=now, status_reason=None)
            return "authorised, waiting for the money"
        case Signal.FAILED:
            if payment.status in (Payment.Status.CREATED, Payment.Status.PENDING):
                payment.move(Payment.Status.FAILED, failed_at=now, status_reason=outcome.reason)
                return "failed, the hold runs on"
            return "failed, which no longer matters"
        case Signal.CHECKOUT_EXPIRED:
            return checkout_expired(outcome, payment=payment, booking=booking, now=now)
        case Signal.REFUND:
            return refunded(outcome, payment=payment, booking=booking, now=now)
        case Signal.REFUNDED_IN_FULL:
            refunds = payment.refunds.filter(status=Refund.Status.FAILED, processor_refund_id__isnull=False)
            if refunds.exists() and unrefunded_cents(payment) > 0:
                return "out of date: a refund of it has failed since"
            return refunded_in_full(payment=payment, booking=booking, now=now)
        case Signal.DISPUTED:
            flag(payment, outcome.reason)
            log.error("payment disputed", payment=str(payment.pk))
            return "disputed, flagged for ops"
    return "nothing to do"


def flag(payment: Payment, reason: str) -> None:
    payment.needs_review, payment.status_reason = True, reason
    payment.save(update_fields=["needs_review", "status_reason", "updated_at"])


def paid(outcome: Outcome, *, payment: Payment, booking: Booking, sessions: list, now: datetime) -> str:
    if (outcome.amount_cents, outcome.currency) != (payment.amount_cents, payment.currency):
        flag(
            payment,
            f"Paid {outcome.amount_cents} {outcome.currency} instead of {payment.amount_cents} {payment.currency}.",
        )
        log.error("payment amount differs", payment=str(payment.pk))
        return "amount differs, flagged for ops"
    if payment.status == Payment.Status.REFUNDED:
        return "already refunded"
    if payment.status == Payment.Status.PAID:
        # Looked at under the lock: the event's twin of another type may have written the second row just now.
        known = booking.payments.filter(processor_payment_id=outcome.processor_payment_id)
        if outcome.processor_payment_id is None or known.exists():
            return "already paid"
        return paid_again(outcome, payment=payment, now=now)
    # The money is a fact, whatever becomes of the seat. A flag (a mismatch, a dispute) is for ops to take back.
    cleared = {} if payment.needs_review else {"status_reason": None}
    payment.move(Payment.Status.PAID, paid_at=now, processor_payment_id=outcome.processor_payment_id, **cleared)
    if booking.status == Booking.Status.PENDING_PAYMENT:
        booking.move(Booking.Status.CONFIRMED, confirmed_at=now, expires_at=None)
        return "paid, booking confirmed"
    if booking.status == Booking.Status.EXPIRED and bookings.retake_seats(booking, sessions, now=now):
        booking.move(Booking.Status.CONFIRMED, confirmed_at=now, expires_at=None)
        return "paid late, the seat was still free, booking confirmed"
    reason = {
        Booking.Status.EXPIRED: "Paid after the hold was over, and the seat was gone.",
        Booking.Status.CANCELLED: "Paid after the booking was cancelled.",
    }.get(Booking.Status(booking.status), "Paid a second time.")
    owe_refund(payment, cents=unrefunded_cents(payment), reason=reason, now=now)
    return f"refund owed: {reason}"


def paid_again(outcome: Outcome, *, payment: Payment, now: datetime) -> str:
    """The same checkout was paid by a second payment of the processor: that gets a row of its own, and goes back."""
    second = Payment.objects.create(
        booking=payment.booking,
        amount_cents=payment.amount_cents,
        currency=payment.currency,
        processor=payment.processor,
        processor_checkout_id=payment.processor_checkout_id,
        processor_payment_id=outcome.processor_payment_id,
        checkout_expires_at=payment.checkout_expires_at,
        status=Payment.Status.PAID,
        paid_at=now,
    )
    log.error("checkout paid twice", payment=str(payment.pk), second=str(second.pk))
    owe_refund(second, cents=second.amount_cents, reason="Paid a second time.", now=now)
    return "refund owed: the same checkout was paid a second time."


def checkout_expired(outcome: Outcome, *, payment: Payment, booking: Booking, now: datetime) -> str:
    if payment.processor_checkout_id != outcome.checkout_id or payment.status not in Payment.OPEN:
        return "not the current checkout"
    if payment.status != Payment.Status.FAILED:
        payment.move(Payment.Status.FAILED, failed_at=now, status_reason=outcome.reason)
    current = booking.payments.order_by("-id").first()
    if booking.status != Booking.Status.PENDING_PAYMENT or current is None or current.pk != payment.pk:
        return "checkout over"
    booking.move(Booking.Status.EXPIRED)
    bookings.release_seats(booking, now=now)
    return "checkout over, seats released"


def refunded(outcome: Outcome, *, payment: Payment, booking: Booking, now: datetime) -> str:
    """One refund's news. A refund that we did not ask for (made in the processor's dashboard) gets a row as well."""
    refunds = payment.refunds.select_for_update(no_key=True)
    refund = refunds.filter(processor_refund_id=outcome.processor_refund_id).first()
    refund = refund or (refunds.filter(pk=outcome.refund_id).first() if outcome.refund_id else None)
    if refund is None:
        refund = Refund.objects.create(
            payment=payment,
            amount_cents=outcome.amount_cents or 0,
            currency=outcome.currency or "",
            reason="Refunded at the processor.",
            status=Refund.Status.SENT,
            processor_refund_id=outcome.processor_refund_id,
        )
    if refund.processor_refund_id is None:
        refund.processor_refund_id = outcome.processor_refund_id
        refund.save(update_fields=["processor_refund_id", "updated_at"])
        if refund.status == Refund.Status.FAILED:
            # We had given it up without an answer, and it went through after all.
            refund.move(Refund.Status.PENDING, error="")
    if outcome.refund_status == "failed":
        return refund_failed(outcome, refund=refund, payment=payment)
    if outcome.refund_status == "pending" or refund.status == Refund.Status.SUCCEEDED:
        if refund.status == Refund.Status.PENDING:
            refund.move(Refund.Status.SENT)
        return "refund under way" if refund.status == Refund.Status.SENT else "nothing new"
    if refund.status == Refund.Status.FAILED:
        # Failure is the last word of a refund: a success that arrives after it was sent before it.
        return "refund had failed"
    refund.move(Refund.Status.SUCCEEDED, succeeded_at=now, error="")
    done = sum(refunds.filter(status=Refund.Status.SUCCEEDED).values_list("amount_cents", flat=True))
    if done < payment.amount_cents:
        return "refunded in part"
    return refunded_in_full(payment=payment, booking=booking, now=now)


def refund_failed(outcome: Outcome, *, refund: Refund, payment: Payment) -> str:
    if refund.status != Refund.Status.FAILED:
        refund.move(Refund.Status.FAILED, error=outcome.reason or "The processor could not send it.")
    if payment.status == Payment.Status.REFUNDED and payment.paid_at:
        payment.move(Payment.Status.PAID, refunded_at=None)
    flag(payment, "A refund failed.")
    log.error("refund failed", refund=str(refund.pk))
    return "refund failed, flagged for ops"


def refunded_in_full(*, payment: Payment, booking: Booking, now: datetime) -> str:
    if payment.status == Payment.Status.REFUNDED:
        return "already refunded"
    payment.move(Payment.Status.REFUNDED, refunded_at=now)
    if booking.status != Booking.Status.CONFIRMED or bookings.begins_at(booking) <= now:
        return "refunded in full"
    if booking.payments.filter(status=Payment.Status.PAID).exists():
        return "refunded in full, another payment stands"
    booking.move(Booking.Status.CANCELLED, cancelled_at=now, cancellation_reason="The payment was refunded.")
    bookings.release_seats(booking, now=now)
    return "refunded in full, booking cancelled"
