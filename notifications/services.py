"""Writing down what people are to be told, in the transaction of the fact itself; and what they do with it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, TextField, Value
from django.db.models.functions import Cast, Concat

from core.dispatch import after_commit
from notifications.models import Notification, NotificationKind
from users.models import User

# One task delivers so many; of what goes to more people at once, several tasks share the work.
TOGETHER = 20


def notify(
    user_ids: Iterable[UUID],
    *,
    kind: NotificationKind,
    subject_id: UUID,
    now: datetime,
    occasion: str = "",
    wait: timedelta = timedelta(0),
) -> None:
    """One notification for each user; a worker delivers it after commit, or a sweep once `wait` is over.

    At most one for each user, kind, subject and `occasion`: give an `occasion` where the same may happen to the same
    row again (a session that is moved twice).
    """
    rows = [
        Notification(
            user_id=user_id,
            kind=kind,
            subject_id=subject_id,
            dedupe_key=dedupe_key(kind, subject_id, user_id, occasion),
            created_at=now,
            next_attempt_at=now + wait,
        )
        for user_id in user_ids
    ]
    Notification.objects.bulk_create(rows, ignore_conflicts=True)
    if wait:
        return
    # Of those that were there before, none has such an id, and the task finds nothing to do.
    for start in range(0, len(rows), TOGETHER):
        after_commit("notifications.tasks.deliver", *(row.pk for row in rows[start : start + TOGETHER]))


def dedupe_key(kind: str, subject_id: object, user_id: object, occasion: str = "") -> str:
    return ":".join(filter(None, (kind, str(subject_id), str(user_id), occasion)))


def was_told(kind: NotificationKind, *, subject: str, user: str, occasion: str = "") -> Exists:
    """For sweeps: whether `notify` has written this before. `subject`, `user` and `occasion` name columns."""
    parts: list[Any] = [Value(kind)]
    for column in filter(None, (subject, user, occasion)):
        parts += [Value(":"), Cast(OuterRef(column), TextField())]
    return Exists(Notification.objects.filter(dedupe_key=Concat(*parts, output_field=TextField())))


def mark_read(*, user: User, now: datetime, notification_id: UUID | None = None, up_to: UUID | None = None) -> None:
    """Marks one notification of `user` as read, or all, or those no newer than `up_to`. Twice does no harm."""
    unread = Notification.objects.filter(user=user, read_at=None)
    if notification_id:
        unread = unread.filter(pk=notification_id)
    if up_to:
        unread = unread.filter(pk__lte=up_to)
    unread.update(read_at=now, updated_at=now)


def retry(notification_id: UUID, *, now: datetime) -> None:
    """Has a failed notification sent once more, as if it were new. Raises `InvalidState`."""
    with transaction.atomic():
        row = Notification.objects.get(pk=notification_id)
        row.move(Notification.Status.PENDING, attempts=0, next_attempt_at=now, error="")
        after_commit("notifications.tasks.deliver", row.pk)


def purge(*, now: datetime, batch: int = 5000) -> int:
    """Deletes notifications past their time, and says how many. What still waits to be sent stays."""
    old = Notification.objects.filter(created_at__lt=now - timedelta(days=settings.NOTIFICATION_RETENTION_DAYS))
    ids = old.exclude(status=Notification.Status.PENDING).order_by("created_at").values_list("pk", flat=True)[:batch]
    return Notification.objects.filter(pk__in=list(ids)).delete()[0]
