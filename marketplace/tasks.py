"""Upkeep of the search rows by beat."""

import structlog
from celery import shared_task
from django.db import transaction

from marketplace import upkeep

log = structlog.get_logger("juniro.search")


@shared_task
def catch_up() -> None:
    """Follows changes of sessions and seats, some seconds behind."""
    while upkeep.catch_up() >= 500:
        pass


@shared_task
def refresh_words() -> None:
    upkeep.refresh_words()


@shared_task
def check_drift() -> None:
    """Compares the search rows with the truth; a difference is a bug somewhere, so it is reported and mended."""
    upkeep.catch_up()
    with transaction.atomic():
        different = upkeep.drift()
        upkeep.refresh(different)
    if different:
        log.error("search rows had drifted", activities=len(different), first=str(different[0]))
