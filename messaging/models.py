"""Conversations between a parent and a provider (data model: Messaging), behind the flag MESSAGING_ENABLED."""

from django.db import models
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from core.classification import Privacy
from core.models import Lifecycle, Model, one_of, status_field


class ConversationStatus(models.TextChoices):
    ACTIVE = "active"
    ARCHIVED = "archived"
    BLOCKED = "blocked"


class Side(models.TextChoices):
    PARENT = "parent"
    PROVIDER = "provider"

    @property
    def other(self) -> "Side":
        return Side.PROVIDER if self is Side.PARENT else Side.PARENT


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def with_unread(self) -> "ConversationQuerySet":
        """With `unread_by_parent` and `unread_by_provider`, how many messages of the other side wait to be read."""
        return self.annotate(
            unread_by_parent=Coalesce(Subquery(unread(Side.PROVIDER)), 0),
            unread_by_provider=Coalesce(Subquery(unread(Side.PARENT)), 0),
        )


def unread(sender: Side) -> QuerySet:
    of_this = Message.objects.filter(conversation=OuterRef("pk"), sender_type=sender, read_at=None)
    return of_this.order_by().values("conversation").annotate(total=Count("*")).values("total")


class Conversation(Lifecycle, Model):
    """The one thread of a parent and a provider; each side keeps its own read mark.

    A new message brings an archived thread back. Only the side that blocked it (`blocked_by`) can open it again.
    """

    Side = Side

    Status = ConversationStatus

    TRANSITIONS = {
        Status.ACTIVE: {Status.ARCHIVED, Status.BLOCKED},
        Status.ARCHIVED: {Status.ACTIVE, Status.BLOCKED},
        Status.BLOCKED: {Status.ACTIVE},
    }

    # The foreign keys' own indexes on parent and provider are the inbox indexes of the data model.
    parent = models.ForeignKey("users.Parent", models.PROTECT, related_name="conversations")
    provider = models.ForeignKey("providers.ProviderAccount", models.PROTECT, related_name="conversations")
    booking = models.ForeignKey("bookings.Booking", models.SET_NULL, null=True, blank=True, related_name="+")
    subject = models.CharField(max_length=200, null=True, blank=True)
    status = status_field(Status, Status.ACTIVE)
    last_message_at = models.DateTimeField(null=True, blank=True)
    parent_read_at = models.DateTimeField(null=True, blank=True)
    provider_read_at = models.DateTimeField(null=True, blank=True)
    blocked_by = status_field(Side, null=True, blank=True)

    privacy = Privacy(
        high="subject",
        operational="parent provider booking status last_message_at parent_read_at provider_read_at blocked_by",
    )

    objects = ConversationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["parent", "provider"], name="conversation_pair_unique"),
            one_of("status", ConversationStatus.values, "conversation_status_allowed"),
            one_of("blocked_by", Side.values, "conversation_blocked_by_allowed"),
            models.CheckConstraint(
                condition=Q(status="blocked", blocked_by__isnull=False)
                | (~Q(status="blocked") & Q(blocked_by__isnull=True)),
                name="conversation_blocked_by_somebody",
            ),
        ]
        indexes = [models.Index(fields=["status", "-id"], condition=~Q(status="active"), name="conversation_put_away")]

    def __str__(self) -> str:
        return f"conversation {self.pk}"


class Message(Model):
    """One message; `attachments` is a list of `{"id", "url", "type", "name", "size_bytes"}`, `url` within our storage.
    One with `hidden_at` is shown to nobody.

    `number` counts from 1 within its conversation, without gaps, in the order of commit: what a client asks for
    with `after` cannot slip in before what it has seen.
    """

    SenderType = Side

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    number = models.PositiveIntegerField()
    sender = models.ForeignKey("users.User", models.PROTECT, related_name="+")
    sender_type = status_field(Side)
    content = models.TextField()
    attachments = models.JSONField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)
    hidden_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(
        high="content attachments", operational="conversation number sender sender_type read_at hidden_at"
    )

    class Meta:
        constraints = [
            one_of("sender_type", Side.values, "message_sender_type_allowed"),
            models.UniqueConstraint(fields=["conversation", "number"], name="message_number_unique"),
        ]
        indexes = [
            models.Index(
                fields=["conversation", "sender_type"], condition=Q(read_at__isnull=True), name="message_unread"
            )
        ]

    def __str__(self) -> str:
        return f"message {self.pk}"


class AttachmentStatus(models.TextChoices):
    PENDING = "pending"
    READY = "ready"
    SENT = "sent"


class Attachment(Lifecycle, Model):
    """A file for a message: announced, uploaded, checked and made ready, then sent with exactly one message.

    `content_type` is what was announced, and once it is ready what the file is. The file is named for its id.
    """

    Status = AttachmentStatus

    TRANSITIONS = {Status.PENDING: {Status.READY}, Status.READY: {Status.SENT}}

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="attachments")
    uploader = models.ForeignKey("users.User", models.PROTECT, related_name="+")
    message = models.ForeignKey(Message, models.CASCADE, null=True, related_name="+")
    content_type = models.CharField(max_length=50)
    name = models.CharField(max_length=100, help_text="As the sender calls it")
    status = status_field(Status, Status.PENDING)
    size_bytes = models.PositiveIntegerField(null=True)

    privacy = Privacy(
        high="name",
        operational="conversation uploader message content_type status size_bytes",
    )

    class Meta:
        constraints = [
            one_of("status", AttachmentStatus.values, "attachment_status_allowed"),
            models.CheckConstraint(
                condition=Q(status="sent", message__isnull=False) | (~Q(status="sent") & Q(message__isnull=True)),
                name="attachment_sent_with_a_message",
            ),
            models.CheckConstraint(
                condition=Q(status="pending") | Q(size_bytes__isnull=False), name="attachment_ready_has_a_size"
            ),
        ]
        indexes = [models.Index(fields=["created_at"], condition=Q(message__isnull=True), name="attachment_unsent")]

    def __str__(self) -> str:
        return f"attachment {self.pk}"


class ReportStatus(models.TextChoices):
    OPEN = "open"
    UPHELD = "upheld"
    DISMISSED = "dismissed"


class MessageReport(Lifecycle, Model):
    """A message that its reader found wrong. Only then may ops read what was written."""

    Status = ReportStatus

    TRANSITIONS = {Status.OPEN: {Status.UPHELD, Status.DISMISSED}}

    message = models.ForeignKey(Message, models.CASCADE, related_name="reports")
    reporter = models.ForeignKey("users.User", models.CASCADE, related_name="+")
    reason = models.CharField(max_length=500)
    status = status_field(Status, Status.OPEN)
    resolution = models.CharField(max_length=500, blank=True, default="", db_default="")

    privacy = Privacy(medium="reason resolution", operational="message reporter status")

    class Meta:
        constraints = [
            one_of("status", ReportStatus.values, "messagereport_status_allowed"),
            models.UniqueConstraint(fields=["message", "reporter"], name="messagereport_once"),
        ]
        permissions = [
            ("read_reported_message", "Can read a reported message with a little of what stands around it"),
            ("moderate_message", "Can hide reported messages and settle reports"),
        ]

    def __str__(self) -> str:
        return f"report of {self.message_id}"
