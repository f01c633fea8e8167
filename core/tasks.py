"""Housekeeping of the base tables."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from core import audit
from core.models import IdempotencyKey


@shared_task
def purge_idempotency_keys() -> int:
    """Deletes the keys whose time is over (data model: Idempotency expiry)."""
    return IdempotencyKey.objects.filter(expires_at__lt=timezone.now()).delete()[0]


@shared_task
def purge_audit_trail() -> int:
    """Deletes what is older than `AUDIT_RETENTION_DAYS`, in small batches."""
    return audit.purge(before=timezone.now() - timedelta(days=settings.AUDIT_RETENTION_DAYS))


@shared_task
def purge_sessions() -> int:
    """Deletes the sessions of staff whose time is over; they would open nothing any more."""
    return Session.objects.filter(expire_date__lt=timezone.now()).delete()[0]
