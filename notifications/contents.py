"""Which letter belongs to which kind of notification.

Notifications are below the rows that they tell of, so the apps above write the letters: each module of
`settings.NOTIFICATION_CONTENTS` has a dict `CONTENTS`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from notifications.letters import Attachment, Letter, Reader
from notifications.models import Notification


def always(subject: Any, now: datetime) -> bool:
    return True


def nothing(subject: Any, reader: Reader) -> Sequence[Attachment]:
    return ()


def nobody(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, Any]:
    """For what goes to people without an account, never through a `Notification`."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Content:
    """How one kind is told.

    `find` answers those subjects of `ids` that `user_id` may hear of, in a fixed number of queries; one that it leaves
    out is gone, or no longer theirs. `still` says whether it is worth a mail at that moment. `samples` are made-up
    subjects by region, for previews.
    """

    find: Callable[[Collection[UUID], UUID], Mapping[UUID, Any]]
    write: Callable[[Any, Reader], Letter]
    samples: Mapping[str, Any]
    still: Callable[[Any, datetime], bool] = always
    attach: Callable[[Any, Reader], Sequence[Attachment]] = nothing


@cache
def contents() -> Mapping[str, Content]:
    """The content of every kind."""
    found: dict[str, Content] = {}
    for module in settings.NOTIFICATION_CONTENTS:
        found |= import_string(f"{module}.CONTENTS")
    return found


def reader_of(user: Any, *, at: datetime) -> Reader:
    """`user` as the reader of what was written at `at`. Expects the parent's row at hand."""
    parent = getattr(user, "parent", None)
    return Reader(name=parent.first_name if parent else "", region=settings.REGION, at=at)


def letters(rows: Sequence[Notification], *, user: Any) -> dict[UUID, Letter]:
    """What each of these notifications of `user` says, by its id; without those whose subject is gone.

    As many queries as their kinds need, however many rows there are.
    """
    wanted: dict[str, set[UUID]] = {}
    for row in rows:
        if row.subject_id:
            wanted.setdefault(row.kind, set()).add(row.subject_id)
    found = {kind: contents()[kind].find(ids, user.pk) for kind, ids in wanted.items()}
    return {
        row.pk: contents()[row.kind].write(subject, reader_of(user, at=row.created_at))
        for row in rows
        if row.subject_id and (subject := found[row.kind].get(row.subject_id)) is not None
    }
