"""Errands and sweeps of providers. Each is safe to run twice and in two workers at once."""

from uuid import UUID

import structlog
from celery import shared_task
from django.utils import timezone

from providers import invitations, services
from providers.models import Invitation
from regions.services import SlugsOutOfReach

log = structlog.get_logger("juniro.providers")


@shared_task
def send_invitation(invitation_id: str) -> None:
    invitations.send(UUID(invitation_id), now=timezone.now())


@shared_task
def send_invitations() -> None:
    """Sends what is due: invitations whose own task was lost, or whose mail server was out of reach."""
    due = Invitation.objects.due(now=timezone.now()).order_by("next_attempt_at")
    for invitation_id in due.values_list("pk", flat=True)[:200]:
        send_invitation.delay(str(invitation_id))


@shared_task
def purge_invitations() -> int:
    return invitations.purge(now=timezone.now())


@shared_task
def settle_slugs() -> int:
    """Keeps or gives back the slugs that a crash left held in the global layer."""
    try:
        return services.settle_slugs(now=timezone.now())
    except SlugsOutOfReach:
        # The next run finds them, too.
        return 0
