"""The audit trail: what the triggers wrote down, of the tables in `juniro/audited.py`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.apps import apps
from django.db import OperationalError
from django.db.models import Model

from core.models import AuditEntry, AuditRow

log = structlog.get_logger("juniro.audit")

BATCH = 5000


def entries_of(model: type[Model]) -> type[AuditRow]:
    """Where the changes of `model` are written down: in the database that it lies in."""
    return apps.get_model("regions.SharedAuditEntry") if model._meta.app_label == "regions" else AuditEntry


def purge(*, before: datetime) -> int:
    """Deletes older entries, of this region and of both; of this one alone while the global database is down."""
    purged = 0
    tables: list[Any] = [AuditEntry, apps.get_model("regions.SharedAuditEntry")]
    for entries in tables:
        old = entries.objects.filter(at__lt=before).order_by("pk").values("pk")[:BATCH]
        try:
            while count := entries.objects.filter(pk__in=old).delete()[0]:
                purged += count
        except OperationalError:
            log.warning("audit trail not purged", of=entries._meta.label)
    return purged


def forget(ids: Iterable[object], *, actor: UUID) -> None:
    """Takes a person out of the trail: what happened to the rows `ids`, and that it was they who did the rest."""
    names = [str(each) for each in ids]
    AuditEntry.objects.filter(object_id__in=names).delete()
    AuditEntry.objects.filter(actor_id=actor).update(actor_id=None)
