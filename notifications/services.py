"""Writing down what people are to be told, in the transaction of the fact itself."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from notifications.models import Notification, NotificationKind


def notify(
    user_ids: Iterable[UUID], *, kind: NotificationKind, subject_id: UUID, now: datetime, occasion: str = ""
) -> None:
    """One notification for each user; a worker delivers it after commit.

    At most one for each user, kind, subject and `occasion`: give an `occasion` where the same may happen to the same
    row again (a session that is moved twice).
    """
    Notification.objects.bulk_create(
        (
            Notification(
                user_id=user_id,
                kind=kind,
                subject_id=subject_id,
                dedupe_key=":".join(filter(None, (kind, str(subject_id), str(user_id), occasion))),
                next_attempt_at=now,
            )
            for user_id in user_ids
        ),
        ignore_conflicts=True,
    )
