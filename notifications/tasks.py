"""Errands and sweeps of notifications. Each is safe to run twice and in two workers at once."""

from contextlib import suppress
from uuid import UUID

from celery import shared_task
from django.utils import timezone

from notifications import delivery, services

BATCH = 200


@shared_task
def deliver(*notification_ids: str) -> None:
    """Sends what was just written."""
    # With the mail server out of reach, the sweep has them all.
    with suppress(delivery.OutOfReach):
        for notification_id in notification_ids:
            delivery.deliver(UUID(notification_id), now=timezone.now())


@shared_task
def deliver_due() -> None:
    """Sends what is due: notifications whose own task was lost, or whose mail server was out of reach."""
    with suppress(delivery.OutOfReach):
        for _ in range(BATCH):
            if not delivery.deliver_next(now=timezone.now()):
                break


@shared_task
def purge() -> int:
    """Deletes notifications past their time (`NOTIFICATION_RETENTION_DAYS`)."""
    return services.purge(now=timezone.now())
