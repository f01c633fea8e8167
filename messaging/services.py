"""Writing to each other: one conversation for each parent and provider, messages in one order for everybody.

Whoever writes holds the lock of the conversation's row, so that numbers have no gaps and unread counts are true.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from bookings.models import Booking
from core.errors import Error, InvalidState, NotFound
from messaging import attachments
from messaging.models import Attachment, Conversation, Message, MessageReport, Side
from notifications.models import Notification
from notifications.services import notify
from providers.models import ProviderAccount, ProviderUser
from users.models import Parent, User

# With one of these, parent and provider know each other, and nothing needs hiding any more.
ACQUAINTED = (Booking.Status.CONFIRMED, Booking.Status.COMPLETED, Booking.Status.NO_SHOW)
# What is written in this time is told in one mail, and none goes out if they read it meanwhile.
GATHERED_FOR = timedelta(minutes=2)


class AlreadyReported(Error):
    status, code, message = 409, "INVALID_STATE", "You have reported this message already."


def write_to_provider(
    *, parent: Parent, provider_id: UUID, booking_id: UUID | None, subject: str | None, content: str, now: datetime
) -> Conversation:
    """Begins the parent's conversation with a verified provider, or goes on with the one that there is.

    Raises `NotFound` for a provider who is not public and for a booking that is not between the two, `InvalidState`
    where the conversation is blocked.
    """
    public = ProviderAccount.objects.filter(pk=provider_id, status=ProviderAccount.Status.VERIFIED)
    with_provider = Booking.objects.filter(parent=parent, session__activity__provider=provider_id)
    if booking_id and not with_provider.filter(pk=booking_id).exists():
        raise NotFound("There is no such booking with this provider.", field="bookingId")
    if not public.exists():
        raise NotFound("There is no such provider.", field="providerId")
    with transaction.atomic():
        # Of two first messages at once, one creates the conversation and the other finds it.
        conversation, _ = Conversation.objects.get_or_create(
            parent=parent, provider_id=provider_id, defaults={"booking_id": booking_id, "subject": subject}
        )
        send(conversation_id=conversation.pk, sender=parent.user, side=Side.PARENT, content=content, now=now)
        if booking_id:
            Conversation.objects.filter(pk=conversation.pk).update(booking_id=booking_id)
    return conversation


def send(
    *,
    conversation_id: UUID,
    sender: User,
    side: Side,
    content: str,
    attachment_ids: Sequence[UUID] = (),
    now: datetime,
) -> Message:
    """Adds a message with the sender's files; an archived conversation comes back.

    Raises `InvalidState` where it is blocked, and where a file is not ready or was sent before; `NotFound` for a file
    that is not the sender's.
    """
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id)
        attachments.refuse_blocked(conversation)
        files = attachments.take(attachment_ids, conversation=conversation, sender=sender) if attachment_ids else []
        if conversation.status == Conversation.Status.ARCHIVED:
            conversation.move(Conversation.Status.ACTIVE)
        unread = conversation.messages.filter(sender_type=side, read_at=None)
        is_first_unread = not unread.exists()
        last = conversation.messages.order_by("-number").values_list("number", flat=True).first() or 0
        message = Message.objects.create(
            conversation=conversation,
            number=last + 1,
            sender=sender,
            sender_type=side,
            content=content,
            attachments=attachments.told(files),
            created_at=now,
        )
        for each in files:
            each.move(Attachment.Status.SENT, message=message)
        conversation.last_message_at = now
        conversation.save(update_fields=["last_message_at", "updated_at"])
        if is_first_unread:
            # One mail for everything that waits; the next one only after they have read it.
            notify(
                audience(conversation, side.other),
                kind=Notification.Kind.MESSAGE_RECEIVED,
                subject_id=conversation.pk,
                now=now,
                occasion=str(message.number),
                wait=GATHERED_FOR,
            )
    return message


def audience(conversation: Conversation, side: Side) -> list[UUID]:
    """The users on one side of a conversation."""
    if side is Side.PARENT:
        return [conversation.parent.user_id]
    staff = ProviderUser.objects.filter(provider_account=conversation.provider_id, user__is_active=True)
    return list(staff.values_list("user_id", flat=True))


def mark_read(*, conversation_id: UUID, side: Side, up_to: int | None = None, now: datetime) -> None:
    """Everything of the other side is read, or as far as message number `up_to`."""
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id)
        waiting = conversation.messages.filter(sender_type=side.other, read_at=None)
        if up_to is not None:
            waiting = waiting.filter(number__lte=up_to)
        if waiting.update(read_at=now, updated_at=now):
            Conversation.objects.filter(pk=conversation.pk).update(**{f"{side}_read_at": now, "updated_at": now})


def archive(*, conversation_id: UUID) -> None:
    """Puts a conversation away until somebody writes again. Twice does no harm; raises `InvalidState` if blocked."""
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id)
        attachments.refuse_blocked(conversation)
        if conversation.status == Conversation.Status.ACTIVE:
            conversation.move(Conversation.Status.ARCHIVED)


def unarchive(*, conversation_id: UUID) -> None:
    """Takes a conversation out again. Twice does no harm; raises `InvalidState` if blocked."""
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id)
        attachments.refuse_blocked(conversation)
        if conversation.status == Conversation.Status.ARCHIVED:
            conversation.move(Conversation.Status.ACTIVE)


def block(*, conversation_id: UUID, side: Side) -> None:
    """Nobody can write any more, on either side, until `side` unblocks. Raises `InvalidState` if the other one did."""
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id)
        if conversation.blocked_by == side:
            return
        conversation.move(Conversation.Status.BLOCKED, blocked_by=side)


def unblock(*, conversation_id: UUID, side: Side) -> None:
    """Opens a conversation that `side` had blocked. Raises `InvalidState` for the other side."""
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update(no_key=True).get(pk=conversation_id)
        if conversation.blocked_by != side:
            raise InvalidState("Only the side that blocked this conversation can open it again.")
        conversation.move(Conversation.Status.ACTIVE, blocked_by=None)


def report(*, message: Message, reporter: User, reason: str) -> MessageReport:
    """Asks ops to look at a message. Raises `AlreadyReported`."""
    made, is_new = MessageReport.objects.get_or_create(message=message, reporter=reporter, defaults={"reason": reason})
    if not is_new:
        raise AlreadyReported
    return made


def acquainted(conversations: list[Conversation]) -> set[UUID]:
    """Those conversations whose parent has (or had) a confirmed booking with the provider; one query."""
    pairs = Q()
    for each in conversations:
        pairs |= Q(parent=each.parent_id, session__activity__provider=each.provider_id)
    if not pairs:
        return set()
    known = Booking.objects.filter(pairs, status__in=ACQUAINTED).values_list("parent", "session__activity__provider")
    known_pairs = set(known.distinct())
    return {each.pk for each in conversations if (each.parent_id, each.provider_id) in known_pairs}
