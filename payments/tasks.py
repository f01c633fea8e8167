"""Sweeps and errands of money. Each is safe to run twice and in two workers at once."""

from uuid import UUID

import structlog
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from core.errors import Error
from payments import events, reconciliation, retention, services, session_cancellations
from payments.models import Refund
from payments.processors import ProcessorError, ProcessorUnavailable

log = structlog.get_logger("juniro.payments")


@shared_task
def expire_holds() -> None:
    """Ends overdue holds and closes the checkouts that they leave behind."""
    for payment_id in services.expire_holds(now=timezone.now()):
        close_checkout.delay(str(payment_id))


@shared_task
def close_checkout(payment_id: str) -> None:
    try:
        services.close_checkout(UUID(payment_id), now=timezone.now())
    except (ProcessorError, ProcessorUnavailable) as error:
        log.warning("checkout not closed, the next sweep tries again", payment=payment_id, code=error.code)


@shared_task
def finish_cancelled_sessions() -> None:
    """Settles bookings that still hold a seat in a cancelled session."""
    session_cancellations.finish_cancelled(now=timezone.now())


@shared_task
def send_refund(refund_id: str) -> None:
    services.send(UUID(refund_id), now=timezone.now())


@shared_task
def send_refunds() -> None:
    """Sends what is due: refunds whose own task was lost, or whose processor was out of reach."""
    for refund_id in (
        Refund.objects.due(now=timezone.now()).order_by("next_attempt_at").values_list("pk", flat=True)[:200]
    ):
        send_refund.delay(str(refund_id))


@shared_task
def replay_event(event_id: str) -> None:
    events.replay(UUID(event_id), now=timezone.now())


@shared_task
def replay_events() -> None:
    """Takes up failed events again, in case the processor does not send them any more."""
    now = timezone.now()
    for event_id in events.to_replay(now=now).order_by("created_at").values_list("pk", flat=True)[:100]:
        replay_event.delay(str(event_id))


@shared_task
def purge_payloads() -> None:
    """Empties the payloads of events past their time (`WEBHOOK_PAYLOAD_RETENTION_DAYS`)."""
    while retention.purge_payloads(now=timezone.now()):
        pass


@shared_task
def reconcile_events() -> None:
    """Fetches events that were never delivered, and looks for money that no event told of."""
    for name in settings.PAYMENT_PROCESSORS:
        try:
            reconciliation.compare_books(name, now=timezone.now())
        except ProcessorUnavailable:
            log.warning("processor out of reach, the next run goes on", processor=name)
        except Error as error:
            log.error("books not compared", processor=name, code=error.code)


@shared_task
def reconcile_payments() -> None:
    """Asks the processors about payments that have been unpaid for long."""
    reconciliation.look_up_payments(now=timezone.now())


@shared_task
def reconcile_refunds() -> None:
    """Asks what became of refunds that nobody has confirmed."""
    reconciliation.look_up_refunds(now=timezone.now())
