"""Upkeep of the search rows and of the images' files."""

from uuid import UUID

import structlog
from celery import shared_task
from django.db import transaction
from django.utils import timezone

from marketplace import images, upkeep

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
    upkeep.note_check(different, now=timezone.now())
    if different:
        log.error("search rows had drifted", activities=len(different), first=str(different[0]))


@shared_task
def delete_image_files(*image_ids: str) -> None:
    """Deletes the files of images that are gone; what is lost of it, `tidy_images` finds."""
    images.delete_files(UUID(image_id) for image_id in image_ids)


@shared_task
def tidy_images() -> int:
    return images.tidy(now=timezone.now())
