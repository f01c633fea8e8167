"""What people hear of messages that wait for them: from whom and how many, never what they say."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from messaging.models import Conversation, ConversationStatus, Side
from notifications.contents import Content
from notifications.letters import Letter, Reader, one_line
from notifications.models import NotificationKind


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A conversation in which something waits for the reader."""

    conversation: UUID
    partner: str
    status: str
    unread: int


def waiting(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, Waiting]:
    """The user's conversations, as a parent or as a provider's staff."""
    rows = (
        Conversation.objects.with_unread()
        .filter(pk__in=ids)
        .filter(Q(parent__user=user_id) | Q(provider__staff__user=user_id))
        .select_related("parent", "provider")
        .distinct()
    )
    return {row.pk: seen_from(row, Side.PARENT if row.parent.user_id == user_id else Side.PROVIDER) for row in rows}


def seen_from(row: Conversation, side: Side) -> Waiting:
    is_parent = side is Side.PARENT
    return Waiting(
        conversation=row.pk,
        partner=one_line(row.provider.business_name) if is_parent else "a parent",
        status=row.status,
        unread=getattr(row, f"unread_by_{side}"),
    )


def message_received(it: Waiting, reader: Reader) -> Letter:
    what = "a new message" if it.unread == 1 else f"{it.unread} new messages" if it.unread else "messages"
    return Letter(
        subject=f"You have {what} from {it.partner}",
        title="Somebody wrote to you",
        summary=f"You have {what} from {it.partner}.",
        paragraphs=["We send no further mail about this conversation until you have read it."],
        button=("Read and answer", f"/messages/{it.conversation}"),
    )


def is_unread(it: Waiting, now: datetime) -> bool:
    return it.unread > 0 and it.status != ConversationStatus.BLOCKED


def sample(partner: str, unread: int) -> Waiting:
    conversation = UUID("01958f3a-2b7c-7d10-8e55-6a0c4b1d9f20")
    return Waiting(conversation=conversation, partner=partner, status=ConversationStatus.ACTIVE, unread=unread)


CONTENTS = {
    NotificationKind.MESSAGE_RECEIVED: Content(
        find=waiting,
        write=message_received,
        still=is_unread,
        samples={"us": sample("Blue Fin Swim School", 1), "in": sample("Taal Dance Academy", 3)},
    ),
}
