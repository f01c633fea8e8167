"""Sweeps and errands of privacy. Each is safe to run twice and in two workers at once."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from privacy import erasure, export, retention
from privacy.models import ErasureRequest, ExportRequest


@shared_task
def erase(request_id: str) -> None:
    erasure.go_on(UUID(request_id), now=timezone.now())


@shared_task
def erase_due() -> None:
    """Goes on with every erasure that has a step to take; one that fails does not hold up the others."""
    now = timezone.now()
    for pk in ErasureRequest.objects.due(now=now).order_by("next_step_at").values_list("pk", flat=True)[:200]:
        erasure.go_on(pk, now=now)


@shared_task
def make_export(export_id: str) -> None:
    export.make_archive(UUID(export_id), now=timezone.now())


@shared_task
def make_exports() -> None:
    """Makes archives whose own task was lost, and deletes those whose time is over."""
    now = timezone.now()
    queued = ExportRequest.objects.filter(status=ExportRequest.Status.QUEUED, next_attempt_at__lte=now)
    for pk in queued.order_by("next_attempt_at").values_list("pk", flat=True)[:50]:
        make_export.delay(str(pk))
    export.expire_archives(now=now)


@shared_task
def purge() -> dict[str, int]:
    """Deletes what is kept for a time that is over (`privacy.retention`)."""
    return retention.purge(now=timezone.now())
