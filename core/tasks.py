"""Housekeeping of the base tables."""

from celery import shared_task
from django.utils import timezone

from core.models import IdempotencyKey


@shared_task
def purge_idempotency_keys() -> int:
    """Deletes the keys whose time is over (data model: Idempotency expiry)."""
    return IdempotencyKey.objects.filter(expires_at__lt=timezone.now()).delete()[0]
