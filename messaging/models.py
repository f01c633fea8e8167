"""Conversations between a parent and a provider (data model: Messaging), behind the flag MESSAGING_ENABLED."""

from django.db import models

from core.models import Lifecycle, Model, one_of, status_field


class ConversationStatus(models.TextChoices):
    ACTIVE = "active"
    ARCHIVED = "archived"
    BLOCKED = "blocked"


class Conversation(Lifecycle, Model):
    """The one thread of a parent and a provider; each side keeps its own read mark."""

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

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["parent", "provider"], name="conversation_pair_unique"),
            one_of("status", ConversationStatus.values, "conversation_status_allowed"),
        ]

    def __str__(self) -> str:
        return f"conversation {self.pk}"


class SenderType(models.TextChoices):
    PARENT = "parent"
    PROVIDER = "provider"


class Message(Model):
    """One message; `attachments` is a list of `{"url", "type", "name"}`."""

    SenderType = SenderType

    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    sender = models.ForeignKey("users.User", models.PROTECT, related_name="+")
    sender_type = status_field(SenderType)
    content = models.TextField()
    attachments = models.JSONField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [one_of("sender_type", SenderType.values, "message_sender_type_allowed")]

    def __str__(self) -> str:
        return f"message {self.pk}"
