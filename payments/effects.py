"""What a verified event does to payment, refunds and booking: the table of docs/payments.md, in any order.

All of it runs inside the transaction of `payments.events`, which holds the locks of sessions, booking and payment.
"""

from datetime import datetime

import structlog
from django.db.models import F

from bookings import notices
from bookings import services as bookings
from bookings.models import Booking
from notifications.models import Notification
from payments.models import Payment, Refund
from payments.processors import Outcome, Signal
from payments.services import (
    EVENT_MISSING,
    REFUND_FAILED,
    REFUND_SILENCE,
    flag,
    owe_refund,
    tell_of_refund,
    unrefunded_cents,
)

log = structlog.get_logger("juniro.payments")

# Signals that only a payment that was really made can give.
OF_MONEY = (Signal.PAID, Signal.REFUND, Signal.REFUNDED_IN_FULL, Signal.DISPUTED)


def apply(outcome: Outcome, *, payment: Payment, booking: Booking, sessions: list, now: datetime) -> str:
    """Moves payment, refund and booking as far as the event allows, and says in a few words what was done."""
    learn_ids(outcome, payment=payment)
    match outcome.signal:
        case Signal.PAID:
            return paid(outcome, payment=payment, booking=booking, sessions=sessions, now=now)
        case Signal.AUTHORIZED:
            others = booking.payments.filter(status__in=[Payment.Status.CREATED, Payment.Status.PENDING])
            if payment.status in (Payment.Status.CREATED, Payment.Status.FAILED) and not others.exclude(pk=payment.pk):
                payment.move(Payment.Status.PENDING, pending_at=now, status_reason=None)
            return "authorised, waiting for the money"
        case Signal.FAILED:
            return failed(outcome, payment=payment, booking=booking, now=now)
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
            return "disputed, to be looked into"
    return "nothing to do"


def learn_ids(outcome: Outcome, *, payment: Payment) -> None:
    """Notes the processor's ids, where the event overtook whatever else would have told them."""
    known = (payment.processor_checkout_id, payment.processor_payment_id)
    payment.processor_checkout_id = payment.processor_checkout_id or outcome.checkout_id
    if outcome.signal in OF_MONEY:
        payment.processor_payment_id = payment.processor_payment_id or outcome.processor_payment_id
    if known != (payment.processor_checkout_id, payment.processor_payment_id):
        payment.save(update_fields=["processor_checkout_id", "processor_payment_id", "updated_at"])


def paid(outcome: Outcome, *, payment: Payment, booking: Booking, sessions: list, now: datetime) -> str:
    if (outcome.amount_cents, outcome.currency) != (payment.amount_cents, payment.currency):
        flag(
            payment,
            f"Paid {outcome.amount_cents} {outcome.currency} instead of {payment.amount_cents} {payment.currency}.",
        )
        log.error("payment amount differs", payment=str(payment.pk))
        return "amount differs, to be looked into"
    is_another = outcome.processor_payment_id not in (None, payment.processor_payment_id)
    is_settled = payment.status in (Payment.Status.PAID, Payment.Status.REFUNDED)
    if is_settled and not is_another:
        return known_already(payment=payment, now=now)
    # A refund that was told first makes the row that of the payment which it gave back, and of no other.
    if is_another and (is_settled or payment.refunds.exists()):
        # Looked at under the lock: the event's twin of another type may have written the second row just now.
        if booking.payments.filter(processor_payment_id=outcome.processor_payment_id).exists():
            return "already paid"
        return paid_again(outcome, payment=payment, now=now)
    # The money is a fact, whatever becomes of the seat. A flag (a mismatch, a dispute) is for ops to take back, unless
    # this event was all that was missing.
    cleared: dict = {} if payment.needs_review else {"status_reason": None}
    if payment.status_reason == EVENT_MISSING:
        cleared = {"status_reason": None, "needs_review": False}
    payment.move(Payment.Status.PAID, paid_at=now, processor_payment_id=outcome.processor_payment_id, **cleared)
    if booking.status == Booking.Status.PENDING_PAYMENT:
        booking.move(Booking.Status.CONFIRMED, confirmed_at=now, expires_at=None)
        notices.tell_confirmed(booking, now=now)
        return "paid, booking confirmed"
    if booking.status == Booking.Status.EXPIRED and bookings.retake_seats(booking, sessions, now=now):
        booking.move(Booking.Status.CONFIRMED, confirmed_at=now, expires_at=None)
        notices.tell_confirmed(booking, now=now)
        return "paid late, the seat was still free, booking confirmed"
    reason = {
        Booking.Status.EXPIRED: "Paid after the hold was over, and the seat was gone.",
        Booking.Status.CANCELLED: "Paid after the booking was cancelled.",
    }.get(Booking.Status(booking.status), "Paid a second time.")
    owe_refund(payment, cents=unrefunded_cents(payment), reason=reason, now=now)
    return f"refund owed: {reason}"


def known_already(*, payment: Payment, now: datetime) -> str:
    """The same success again, or one that comes after its own refund."""
    if payment.status == Payment.Status.PAID:
        return "already paid"
    if payment.paid_at is None:
        payment.paid_at = now
        payment.save(update_fields=["paid_at", "updated_at"])
    if payment.refunds.filter(status=Refund.Status.FAILED).exists() and unrefunded_cents(payment) > 0:
        # The bank took the refund back before we heard of the payment: the money is here, and flagged.
        payment.move(Payment.Status.PAID, refunded_at=None)
        return "paid, and its refund had failed"
    return "already refunded"


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


def failed(outcome: Outcome, *, payment: Payment, booking: Booking, now: datetime) -> str:
    if payment.status not in (Payment.Status.CREATED, Payment.Status.PENDING):
        return "failed, which no longer matters"
    payment.move(Payment.Status.FAILED, failed_at=now, status_reason=outcome.reason)
    if booking.status == Booking.Status.PENDING_PAYMENT:
        # Once for a checkout, however many cards are tried on its page.
        notices.tell_parent(booking, Notification.Kind.PAYMENT_FAILED, subject_id=payment.pk, now=now)
    return "failed, the hold runs on"


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
            next_attempt_at=now + REFUND_SILENCE,
            is_external=True,
        )
        if outcome.refund_status != "failed":
            give_way(payment)
    if refund.processor_refund_id is None:
        refund.processor_refund_id = outcome.processor_refund_id
        refund.save(update_fields=["processor_refund_id", "updated_at"])
        if refund.status == Refund.Status.FAILED:
            # We had given it up without an answer, and it went through after all.
            refund.move(Refund.Status.PENDING, error="")
    if outcome.refund_status == "failed":
        return refund_failed(outcome, refund=refund, payment=payment)
    if refund.status == Refund.Status.FAILED:
        # Failure is the last word of a refund: what arrives after it was sent before it.
        return "refund had failed"
    if refund.status == Refund.Status.SUCCEEDED:
        return "nothing new"
    if refund.status == Refund.Status.PENDING:
        refund.move(Refund.Status.SENT, next_attempt_at=now + REFUND_SILENCE, error="")
        # One that we had given up may have been owed anew in the meantime.
        give_way(payment)
    tell_of_refund(refund, now=now)
    if outcome.refund_status == "pending":
        return "refund under way"
    refund.move(Refund.Status.SUCCEEDED, succeeded_at=now, error="")
    done = sum(refunds.filter(status=Refund.Status.SUCCEEDED).values_list("amount_cents", flat=True))
    if done < payment.amount_cents:
        return "refunded in part"
    return refunded_in_full(payment=payment, booking=booking, now=now)


def give_way(payment: Payment) -> None:
    """What we owe and the processor has not taken yet gives way to what the processor has given back."""
    too_much = -unrefunded_cents(payment)
    ours = payment.refunds.select_for_update(no_key=True).filter(status=Refund.Status.PENDING)
    for refund in ours.order_by("-pk"):
        if too_much <= 0:
            return
        if refund.amount_cents > too_much and refund.attempts == 0:
            Refund.objects.filter(pk=refund.pk).update(amount_cents=F("amount_cents") - too_much)
            return
        # The processor gives no more than came, so it has not taken this one, even if we asked for it already.
        refund.move(Refund.Status.FAILED, error="It was refunded at the processor already.")
        if refund.amount_cents > too_much:
            flag(payment, REFUND_FAILED)
            log.error("refund failed", refund=str(refund.pk), attempts=refund.attempts)
        too_much -= refund.amount_cents


def refund_failed(outcome: Outcome, *, refund: Refund, payment: Payment) -> str:
    if refund.status != Refund.Status.FAILED:
        refund.move(Refund.Status.FAILED, error=outcome.reason or "The processor could not send it.")
    if payment.status == Payment.Status.REFUNDED and payment.paid_at:
        payment.move(Payment.Status.PAID, refunded_at=None)
    flag(payment, REFUND_FAILED)
    log.error("refund failed", refund=str(refund.pk))
    return "refund failed, to be looked into"


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
    notices.tell_cancelled(booking, now=now)
    return "refunded in full, booking cancelled"
