"""Upkeep of the files of messages."""

from celery import shared_task
from django.utils import timezone

from messaging import attachments


@shared_task
def tidy_attachments() -> int:
    return attachments.tidy(now=timezone.now())
