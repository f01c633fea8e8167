"""What people agree to, and take back; each time with a receipt."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from notifications.models import Notification
from notifications.services import notify
from users.models import Consent, User
from users.services import lock_consents


def decide(
    *, user: User, kind: str, version: str, granted: bool, child_id: UUID | None = None, now: datetime
) -> Consent:
    """Writes down one decision of `user`; the receipt goes out after commit.

    What is being stored on the word of `user` is stored first, so that nothing is stored after a withdrawal.
    """
    with transaction.atomic():
        lock_consents(user)
        consent = Consent.objects.create(
            user=user, kind=kind, version=version, granted=granted, child_id=child_id, created_at=now
        )
        notify([user.pk], kind=Notification.Kind.CONSENT_RECEIPT, subject_id=consent.pk, now=now)
    return consent
