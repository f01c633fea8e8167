"""The verbs of money: open a checkout, owe, send and retry refunds, end overdue holds. Cancelling: `cancellations`.

No transaction is held over a network call: the row is written and committed first, and its id is the processor's
idempotency key. Locks are taken in the house's order: sessions, booking, payments.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import QuerySet, Sum

from bookings import notices
from bookings import services as bookings
from bookings.models import Booking
from core.dispatch import after_commit
from core.errors import Error, InvalidState
from notifications.models import Notification
from payments.models import Payment, Refund
from payments.processors import Checkout, ProcessorError, processor
from users.models import User

log = structlog.get_logger("juniro.payments")

# Stripe's shortest checkout, and a minute for clocks and the way there.
CHECKOUT_MINUTES = 31
STRIPE_MINIMUM = timedelta(minutes=30, seconds=5)
MAX_REFUND_ATTEMPTS = 10
# Stripe forgets idempotency keys after a day.
KEYS_LAST = timedelta(hours=20)
# How long the processor's word on a refund may take before we ask.
REFUND_SILENCE = timedelta(days=1)

# Why a payment is flagged. The first goes by itself when the event comes after all.
EVENT_MISSING = "Paid at the processor, but no event came."
REFUND_FAILED = "A refund failed."


# --- Checkout --------------------------------------------------------------------------------------------------------


def start_checkout(*, booking: Booking, processor_name: str | None, now: datetime) -> Payment:
    """The booking's one open checkout: the open one, the failed one reopened, or a new one.

    Raises `BookingExpired`, `InvalidState`, `ProcessorError`, `ProcessorUnavailable`. After an error the payment row
    stays `created` and the next call goes on from there, so a retry cannot open a second checkout.
    """
    payment, is_new = claim_payment(booking_id=booking.pk, processor_name=processor_name, now=now)
    if not payment.processor_checkout_id:
        try:
            checkout = processor(payment.processor).open_checkout(
                payment_id=payment.pk,
                amount_cents=payment.amount_cents,
                currency=payment.currency,
                title=booking.session.activity.title,
                expires_at=payment.checkout_expires_at,
                is_retry=not is_new,
            )
        except ProcessorError as error:
            # It said no, so there is no checkout and there never will be one for this row.
            give_up(payment, reason=error.message, now=now)
            raise
        remember_checkout(payment, checkout, now=now)
    payment.refresh_from_db()
    return payment


def claim_payment(*, booking_id: UUID, processor_name: str | None, now: datetime) -> tuple[Payment, bool]:
    """The payment row to check out with, and whether it is new. Holds the booking's lock, so there is one at most."""
    with transaction.atomic():
        booking = Booking.objects.select_for_update(no_key=True).get(pk=booking_id)
        if booking.status == Booking.Status.EXPIRED or (
            booking.status == Booking.Status.PENDING_PAYMENT and booking.expires_at and booking.expires_at <= now
        ):
            raise bookings.BookingExpired
        if booking.status != Booking.Status.PENDING_PAYMENT:
            raise InvalidState(f"A booking that is {booking.status} has nothing to pay.")
        payments = Payment.objects.select_for_update(no_key=True).filter(booking=booking, status__in=Payment.OPEN)
        current = payments.order_by("-id").first()
        if current and current.needs_review:
            raise InvalidState("A payment for this booking is being looked at. Write to support.")
        if current and (current.processor_checkout_id or current.status != Payment.Status.FAILED):
            if processor_name not in (None, current.processor):
                raise InvalidState(f"A checkout with {current.processor} is open for this booking.")
            if current.processor_checkout_id or current.checkout_expires_at - now > STRIPE_MINIMUM:
                if current.status == Payment.Status.FAILED:
                    current.move(Payment.Status.PENDING, pending_at=now, status_reason=None)
                return current, False
            # Never opened, and too late to open with the frozen time.
            current.move(
                Payment.Status.FAILED, failed_at=now, status_reason="The checkout could not be opened in time."
            )
        expires_at = max(booking.expires_at or now, now + timedelta(minutes=CHECKOUT_MINUTES))
        payment = Payment(
            booking=booking,
            amount_cents=booking.amount_cents,
            currency=booking.currency,
            processor=processor_name or settings.PAYMENT_PROCESSORS[0],
            checkout_expires_at=expires_at.replace(microsecond=0),
        )
        payment.idempotency_key = f"checkout-{payment.pk}"
        payment.save(force_insert=True)
        return payment, True


def give_up(payment: Payment, *, reason: str, now: datetime) -> None:
    Payment.objects.filter(pk=payment.pk, status=Payment.Status.CREATED).update(
        status=Payment.Status.FAILED, failed_at=now, status_reason=reason, updated_at=now
    )


def remember_checkout(payment: Payment, checkout: Checkout, *, now: datetime) -> None:
    """Notes where the payment can be made. A webhook may have been quicker: then only the address is noted.

    Of two at once that each opened a checkout (Razorpay has no key against that) the first one's stays; the other one's
    was never shown to anybody.
    """
    with transaction.atomic():
        row = Payment.objects.select_for_update(no_key=True).get(pk=payment.pk)
        if row.processor_checkout_id not in (None, checkout.id):
            return
        row.processor_checkout_id, row.checkout_url = checkout.id, checkout.url
        if row.status == Payment.Status.CREATED:
            row.status, row.pending_at = Payment.Status.PENDING, now
        row.save(update_fields=["processor_checkout_id", "checkout_url", "status", "pending_at", "updated_at"])


def close_checkout(payment_id: UUID, *, now: datetime) -> None:
    """Makes an open checkout unpayable once its booking no longer waits for money, and its payment failed.

    A payment that was quicker still counts, when its event comes. Raises `ProcessorError`, `ProcessorUnavailable`.
    """
    payment = abandoned_checkouts().filter(pk=payment_id).first()
    if payment is None or not payment.processor_checkout_id:
        return
    is_unpaid = processor(payment.processor).close_checkout(payment.processor_checkout_id)
    # Without its address it is not asked for again.
    Payment.objects.filter(pk=payment.pk).update(checkout_url="", updated_at=now)
    if is_unpaid:
        fail_abandoned(Payment.objects.filter(pk=payment.pk), now=now)


def abandoned() -> QuerySet[Payment]:
    """Unpaid payments whose booking no longer waits for money."""
    dead = [Booking.Status.EXPIRED, Booking.Status.CANCELLED]
    return Payment.objects.filter(status__in=Payment.OPEN, booking__status__in=dead, needs_review=False)


def abandoned_checkouts() -> QuerySet[Payment]:
    """Those of them with a page where one could still pay: Stripe's, until they are closed."""
    return abandoned().filter(processor_checkout_id__isnull=False).exclude(checkout_url="")


def fail_abandoned(payments: QuerySet[Payment], *, now: datetime) -> None:
    """Nobody waits for this money any more. Should it come all the same, failed → paid still counts it."""
    # Ids first: a join in the UPDATE would hide from it that a webhook has made the row paid in the meantime.
    ids = list(payments.values_list("pk", flat=True))
    Payment.objects.filter(pk__in=ids, status__in=[Payment.Status.CREATED, Payment.Status.PENDING]).update(
        status=Payment.Status.FAILED,
        failed_at=now,
        status_reason="The booking was over before it was paid.",
        updated_at=now,
    )


# --- Refunds ---------------------------------------------------------------------------------------------------------


def unrefunded_cents(payment: Payment) -> int:
    refunds = payment.refunds.exclude(status=Refund.Status.FAILED)
    return payment.amount_cents - (refunds.aggregate(total=Sum("amount_cents"))["total"] or 0)


def owe_refund(payment: Payment, *, cents: int, reason: str, now: datetime) -> Refund | None:
    """Writes down a refund; a worker sends it after commit. The caller has the payment locked."""
    if cents <= 0:
        return None
    refund = Refund.objects.create(
        payment=payment,
        amount_cents=cents,
        currency=payment.currency,
        reason=reason,
        next_attempt_at=now,
        created_at=now,
    )
    after_commit("payments.tasks.send_refund", refund.pk)
    return refund


def send(refund_id: UUID, *, now: datetime) -> bool:
    """Sends one due refund to its processor; with an outage it is tried again later. Safe to run twice at once.

    The claim pushes `next_attempt_at` ahead and commits, so a crash during the call means one more try with the same
    idempotency key, never a second refund.
    """
    with transaction.atomic():
        refund = (
            Refund.objects.due(now=now)
            .select_for_update(of=("self",), no_key=True, skip_locked=True)
            .filter(pk=refund_id)
            .first()
        )
        if refund is None:
            return False
        refund.attempts += 1
        refund.next_attempt_at = now + backoff(refund.attempts)
        refund.save(update_fields=["attempts", "next_attempt_at", "updated_at"])
    payment = refund.payment
    pending = Refund.objects.filter(pk=refund.pk, status=Refund.Status.PENDING)
    if payment.status == Payment.Status.REFUNDED and refund.attempts == 1:
        # Somebody was quicker on the processor's dashboard, and there is nothing left to give back.
        pending.update(status=Refund.Status.FAILED, error="It was refunded at the processor already.", updated_at=now)
        return False
    try:
        processor_refund_id = ask_for_refund(refund, payment, now=now)
    except Error as error:
        is_refused = isinstance(error, ProcessorError)
        final = is_refused or refund.attempts >= MAX_REFUND_ATTEMPTS
        changed = pending.update(
            status=Refund.Status.FAILED if final else Refund.Status.PENDING,
            error=error.message,
            refusals=refund.refusals + is_refused,
            updated_at=now,
        )
        if final and changed:
            Payment.objects.filter(pk=payment.pk).update(needs_review=True, status_reason=REFUND_FAILED, updated_at=now)
            log.error("refund failed", refund=str(refund.pk), attempts=refund.attempts)
        return False
    with transaction.atomic():
        # What the answer says about success waits for the webhook, as with payments; the id is ours to keep now.
        if pending.update(
            status=Refund.Status.SENT,
            processor_refund_id=processor_refund_id,
            next_attempt_at=now + REFUND_SILENCE,
            error="",
            updated_at=now,
        ):
            tell_of_refund(refund, now=now)
    log.info("refund sent", refund=str(refund.pk))
    return True


def ask_for_refund(refund: Refund, payment: Payment, *, now: datetime) -> str:
    """Has the processor give back the money, once for this row; its id for that."""
    source, processor_payment_id = processor(payment.processor), payment.processor_payment_id or ""
    if refund.created_at < now - KEYS_LAST:
        # An earlier try may have worked, and its key is forgotten by now.
        found = source.find_refund(refund_id=refund.pk, processor_payment_id=processor_payment_id)
        if found:
            return found
    return source.refund(
        refund_id=refund.pk,
        processor_payment_id=processor_payment_id,
        amount_cents=refund.amount_cents,
        key=f"refund-{refund.pk}-{refund.refusals}" if refund.refusals else f"refund-{refund.pk}",
    )


def tell_of_refund(refund: Refund, *, now: datetime) -> None:
    """Tells the parent, once, that the money is on its way."""
    booking = refund.payment.booking
    notices.tell_parent(booking, Notification.Kind.REFUND_SENT, subject_id=refund.pk, now=now)


def retry_refund(refund_id: UUID, *, now: datetime) -> Refund:
    """Has a failed refund sent again; where the bank returned the money, by another refund of the same amount.

    Raises `InvalidState` unless it failed and its money is still here, and `Refund.DoesNotExist`.
    """
    with transaction.atomic():
        payment = Payment.objects.select_for_update(no_key=True).get(refunds=refund_id)
        refund = Refund.objects.select_for_update(no_key=True).get(pk=refund_id)
        if refund.status != Refund.Status.FAILED:
            raise InvalidState(f"A refund that is {refund.status} cannot be tried again.")
        if payment.status != Payment.Status.PAID or refund.amount_cents > unrefunded_cents(payment):
            raise InvalidState("This money has gone back already, or is on its way.")
        if refund.processor_refund_id:
            # The processor took this one, so its key would only bring the old answer.
            return owe_refund(payment, cents=refund.amount_cents, reason=refund.reason, now=now) or refund
        refund.move(Refund.Status.PENDING, attempts=0, next_attempt_at=now, error="")
        after_commit("payments.tasks.send_refund", refund.pk)
    return refund


def backoff(attempts: int) -> timedelta:
    """One minute, two, four … up to a day."""
    return min(timedelta(minutes=2 ** min(attempts - 1, 11)), timedelta(days=1))


# --- Review ----------------------------------------------------------------------------------------------------------


def flag(payment: Payment, reason: str) -> None:
    """Has ops look at `payment`, which the caller has locked."""
    payment.needs_review, payment.status_reason = True, reason
    payment.save(update_fields=["needs_review", "status_reason", "updated_at"])


def end_review(payment_id: UUID, *, by: User, note: str, now: datetime) -> None:
    """Takes the flag off, once ops have settled what was wrong. Raises `InvalidState` if there is none.

    The flag's own words stay in `status_reason`, and `note` beside them says how it ended.
    """
    flagged = Payment.objects.filter(pk=payment_id, needs_review=True)
    if not flagged.update(needs_review=False, reviewed_at=now, reviewed_by=by, review_note=note, updated_at=now):
        raise InvalidState("This payment is not under review.")


# --- Holds -----------------------------------------------------------------------------------------------------------


def expire_holds(*, now: datetime, batch: int = 200) -> list[UUID]:
    """Ends overdue holds, each in a transaction of its own; returns the payments whose checkout should be closed."""
    expired = 0
    for pk in Booking.objects.overdue(now=now).order_by("expires_at").values_list("pk", flat=True)[:batch]:
        try:
            expired += bookings.expire(pk, now=now)
        except (DatabaseError, Error) as error:
            # One booking that is stuck must not keep the others' seats.
            log.error("hold not expired", booking=str(pk), kind=type(error).__name__)
    if expired:
        log.info("holds expired", count=expired)
    fail_abandoned(abandoned().filter(checkout_url=""), now=now)
    # Those of earlier sweeps are among them, should their close have been lost.
    return list(abandoned_checkouts().order_by("pk").values_list("pk", flat=True)[:batch])
