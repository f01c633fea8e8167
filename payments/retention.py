"""Forgetting what is no longer needed: of a processor's events the effect stays, the words go."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from payments.models import WebhookEvent


def purge_payloads(*, now: datetime, batch: int = 5000) -> int:
    """Empties the payloads of events past their time, and says how many; the rows stay, against the same event twice.

    Not of failed ones, which are taken up again from there. One that waited for its payment so long waits no more.
    """
    kept = WebhookEvent.objects.exclude(status=WebhookEvent.Status.FAILED)
    old = kept.filter(created_at__lt=now - timedelta(days=settings.WEBHOOK_PAYLOAD_RETENTION_DAYS))
    with transaction.atomic():
        locked = old.exclude(payload={}).select_for_update(of=("self",), no_key=True, skip_locked=True)
        rows = WebhookEvent.objects.filter(pk__in=list(locked.values_list("pk", flat=True)[:batch]))
        rows.filter(payment=None).update(processor_payment_id=None)
        return rows.update(payload={})
