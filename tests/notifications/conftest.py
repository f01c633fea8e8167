from datetime import timedelta

import pytest
from celery import current_app

from notifications.models import Notification
from notifications.services import notify


@pytest.fixture
def deliveries(monkeypatch) -> list[tuple[str, ...]]:
    """The ids of each task that was sent to deliver notifications, in order; none runs by itself."""
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args=(), **_: sent.append(tuple(args)))
    return sent


@pytest.fixture
def tell(now):
    """`tell(user, kind, subject)` writes a notification, a minute before now, and returns it."""

    def write(user, kind, subject, *, occasion="", at=None):
        notify([user.pk], kind=kind, subject_id=subject.pk, now=at or now - timedelta(minutes=1), occasion=occasion)
        return Notification.objects.get(user=user, kind=kind, subject_id=subject.pk, dedupe_key__endswith=occasion)

    return write
