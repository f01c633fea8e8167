"""The inbox: every verified event of a processor is stored and carried out exactly once, in any order.

The event's row, unique by id and by body, is written in the transaction of its effect (`payments.effects`). Whatever
goes wrong rolls both back and answers 5xx; then the row is stored as failed, in a transaction of its own, and the
processor's next delivery, a sweep or ops take it up again.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q, QuerySet

from bookings import services as bookings
from bookings.models import Booking
from core.errors import Error
from core.logging import describe
from payments import effects
from payments.models import Payment, WebhookEvent
from payments.processors import Outcome, Signal
from payments.processors import processor as processor_named

log = structlog.get_logger("juniro.payments")

# Razorpay waits five seconds for an answer. The effect gets most of them, the note of a failure the rest.
SECONDS, SECONDS_TO_NOTE = 4.0, 0.5
# How often a sweep takes a failed event up again, and how long it leaves it alone in between.
MAX_ATTEMPTS, PAUSE = 10, timedelta(minutes=5)


class Unprocessable(Exception):
    """An event that we cannot carry out by our own rules: our fault, so a 5xx, and the processor sends it again."""


def record(*, processor: str, outcome: Outcome, raw: bytes, now: datetime) -> WebhookEvent | None:
    """Stores an event and carries out its effect; None for one that has had its effect already.

    An event that failed before is taken up again. Raises whatever goes wrong, and then nothing has happened but the
    note of it.
    """
    digest = hashlib.sha256(raw).hexdigest()
    event = WebhookEvent(
        processor=processor,
        event_id=outcome.event_id,
        body_sha256=digest,
        type=outcome.type[:100],
        payload=outcome.payload,
        processor_payment_id=outcome.processor_payment_id,
        created_at=now,
    )
    try:
        with transaction.atomic(), within(SECONDS):
            stored = store(event)
            if stored is None:
                return None
            carry_out(stored, now=now)
    except Exception as error:
        note_failure(event, error, outcome)
        raise
    log_event(stored)
    return stored


def replay(event_id: UUID, *, now: datetime) -> WebhookEvent:
    """Takes a failed event up again, from its stored payload. One that has had its effect is left as it is.

    Raises `WebhookEvent.DoesNotExist`, and whatever goes wrong.
    """
    event = WebhookEvent.objects.get(pk=event_id)
    try:
        with transaction.atomic(), within(SECONDS):
            event = WebhookEvent.objects.select_for_update(of=("self",), no_key=True).get(pk=event_id)
            if event.status != WebhookEvent.Status.FAILED:
                return event
            carry_out(event, now=now)
    except Exception as error:
        note_failure(event, error)
        raise
    log_event(event)
    return event


def to_replay(*, now: datetime) -> QuerySet[WebhookEvent]:
    """Failed events that a sweep should take up again at `now`."""
    return WebhookEvent.objects.filter(
        status=WebhookEvent.Status.FAILED, attempts__lt=MAX_ATTEMPTS, updated_at__lte=now - PAUSE
    )


def store(event: WebhookEvent) -> WebhookEvent | None:
    """`event` as a row, new or failed before and now locked. None if it has had its effect. Waits for a twin."""
    WebhookEvent.objects.bulk_create([event], ignore_conflicts=True)
    if WebhookEvent.objects.filter(pk=event.pk).exists():
        return event
    same = Q(event_id=event.event_id) | Q(body_sha256=event.body_sha256)
    known = WebhookEvent.objects.select_for_update(of=("self",), no_key=True).filter(processor=event.processor)
    return known.filter(same, status=WebhookEvent.Status.FAILED).first()


def carry_out(event: WebhookEvent, *, now: datetime) -> None:
    """Does what the stored event says, and notes in its row what was done."""
    outcome = processor_named(event.processor).outcome(event.payload, event.event_id)
    is_of_money = outcome.is_ours and outcome.signal in effects.OF_MONEY and bool(outcome.processor_payment_id)
    if is_of_money:
        lock_money(event)
    event.payment = find_payment(event.processor, outcome) if outcome.is_ours else None
    event.status, event.error, event.attempts = WebhookEvent.Status.IGNORED, "", event.attempts + 1
    if event.payment and outcome.signal is not Signal.OTHER:
        booking, sessions = bookings.lock_booking(event.payment.booking_id)
        payment = Payment.objects.select_for_update(no_key=True).get(pk=event.payment.pk)
        # Looked at again: what it is about may have become clear while we waited.
        event.payment = None if is_of_another(payment, outcome) else payment
    if event.payment is None:
        event.note = "waits for its payment" if is_of_money and outcome.signal is not Signal.PAID else "not ours"
        if outcome.is_ours and outcome.signal is Signal.PAID:
            log.error("payment without a record", processor=event.processor, payment=outcome.processor_payment_id)
    elif outcome.signal is Signal.OTHER:
        event.note = "nothing to do"
    else:
        event.status = WebhookEvent.Status.PROCESSED
        event.note = apply(event, outcome, payment=payment, booking=booking, sessions=sessions, now=now)[:500]
    event.save(update_fields=["status", "note", "error", "attempts", "payment", "updated_at"])


def apply(event: WebhookEvent, outcome: Outcome, *, payment: Payment, **about: Any) -> str:
    """Carries out what waited for this payment, then the event itself."""
    waiting: list[WebhookEvent] = []
    if outcome.signal in effects.OF_MONEY and outcome.processor_payment_id:
        waiting = list(waiting_for(event).select_for_update(of=("self",), no_key=True))
    effects.learn_ids(outcome, payment=payment)
    if payment.processor_payment_id == outcome.processor_payment_id:
        # A full refund that was told before its payment must be there before the payment confirms anything.
        for each in waiting:
            catch_up(each, payment=payment, **about)
        waiting = []
    try:
        note = effects.apply(outcome, payment=payment, **about)
    except Error as error:
        raise Unprocessable(f"{outcome.type}: {error.message}") from error
    for each in waiting:
        # They were about a second payment of the same checkout, which has a row of its own only now.
        second = find_payment(event.processor, outcome)
        if second is not None and second.processor_payment_id == outcome.processor_payment_id:
            catch_up(each, payment=second, **about)
    return note


def waiting_for(event: WebhookEvent) -> QuerySet[WebhookEvent]:
    """Earlier events about the same payment of the processor, which was not known to be ours then."""
    return WebhookEvent.objects.filter(
        processor=event.processor,
        processor_payment_id=event.processor_payment_id,
        status=WebhookEvent.Status.IGNORED,
        payment=None,
    ).order_by("created_at", "pk")


def catch_up(event: WebhookEvent, *, payment: Payment, booking: Booking, **about: Any) -> None:
    """Carries out an event that waited for its payment. Should that fail, it alone is left as failed."""
    outcome = processor_named(event.processor).outcome(event.payload, event.event_id)
    if not outcome.is_ours or outcome.signal not in effects.OF_MONEY:
        return
    event.payment, event.attempts = payment, event.attempts + 1
    try:
        with transaction.atomic():
            event.note = effects.apply(outcome, payment=payment, booking=booking, **about)[:500]
            event.status = WebhookEvent.Status.PROCESSED
    except OperationalError:
        raise
    except (Error, DatabaseError) as error:
        event.status, event.error = WebhookEvent.Status.FAILED, in_words(error)
        log.error("webhook event failed", processor=event.processor, type=event.type, error=event.error)
        payment.refresh_from_db()
        booking.refresh_from_db()
    event.save(update_fields=["status", "note", "error", "attempts", "payment", "updated_at"])


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
            return None if is_of_another(payment, outcome) else payment
    return None


def is_of_another(payment: Payment, outcome: Outcome) -> bool:
    """Whether the event is about a second payment of the checkout. Until that is told, it waits for the row of it."""
    known, told = payment.processor_payment_id, outcome.processor_payment_id
    is_news_of_money = outcome.signal in effects.OF_MONEY and outcome.signal is not Signal.PAID
    return is_news_of_money and bool(known and told and known != told)


def lock_money(event: WebhookEvent) -> None:
    """Until commit, lets one event at a time tell of this payment of the processor.

    Else a refund that looks for its payment, and the payment that looks for refunds told before it, miss each other.
    """
    with connection.cursor() as cursor:
        name = f"{event.processor} {event.processor_payment_id}"
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def note_failure(event: WebhookEvent, error: Exception, outcome: Outcome | None = None) -> None:
    """Stores the event as failed, or counts one more failure. Never waits long, never raises: it is a note only."""
    said = in_words(error)
    log.error("webhook event failed", processor=event.processor, type=event.type, error=said)
    failure: dict[str, Any] = {"status": WebhookEvent.Status.FAILED, "error": said, "note": ""}
    row = WebhookEvent(
        processor=event.processor,
        event_id=event.event_id,
        body_sha256=event.body_sha256,
        type=event.type,
        payload=event.payload,
        processor_payment_id=event.processor_payment_id,
        attempts=1,
        **failure,
    )
    try:
        with transaction.atomic(), within(SECONDS_TO_NOTE):
            row.payment = find_payment(event.processor, outcome) if outcome and outcome.is_ours else None
            WebhookEvent.objects.bulk_create([row], ignore_conflicts=True)
            if not WebhookEvent.objects.filter(pk=row.pk).exists():
                # Only if it is still failed: a twin may have carried it out in the meantime.
                known = WebhookEvent.objects.filter(processor=event.processor, status=WebhookEvent.Status.FAILED)
                known.filter(Q(event_id=event.event_id) | Q(body_sha256=event.body_sha256)).update(
                    attempts=F("attempts") + 1, error=said, updated_at=row.updated_at
                )
    except (DatabaseError, InterfaceError) as second:
        log.warning("failure of a webhook event not stored", kind=type(second).__name__)


def in_words(error: Exception) -> str:
    """What went wrong, without a word that could be somebody's: texts of our own, else kinds and codes."""
    if isinstance(error, DatabaseError):
        return describe(error)[:500]
    name = type(error).__name__
    return f"{name}: {error}"[:500] if isinstance(error, Error | Unprocessable) else name


def log_event(event: WebhookEvent) -> None:
    log.info("webhook event", processor=event.processor, type=event.type, status=event.status, note=event.note)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Gives all statements inside that many seconds together. Raises `OperationalError` when they are over.

    The connection's own limits are for each statement, and waits for several locks could add up to more.
    """
    ends, limit = time.monotonic() + seconds, 0.0

    def bounded(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal limit
        left = ends - time.monotonic()
        if left <= 0:
            raise OperationalError("out of time")
        # Set again only after a long wait, so that it costs one round trip as a rule.
        if not 0 < limit <= left + 0.25:
            limit = left
            context["cursor"].execute(f"SET LOCAL statement_timeout = {int(left * 1000) + 1}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(bounded):
        yield
    if connection.savepoint_ids:
        # Inside somebody else's transaction, which goes on with the limit that it had.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
