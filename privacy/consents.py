"""What people agree to, and take back; each time with a receipt."""

from datetime import datetime

from django.db import transaction

from notifications.models import Notification
from notifications.services import notify
from users.models import Consent, User


def decide(*, user: User, kind: str, version: str, granted: bool, now: datetime) -> Consent:
    """Writes down one decision of `user`; the receipt goes out after commit."""
    with transaction.atomic():
        consent = Consent.objects.create(user=user, kind=kind, version=version, granted=granted, created_at=now)
        notify([user.pk], kind=Notification.Kind.CONSENT_RECEIPT, subject_id=consent.pk, now=now)
    return consent
