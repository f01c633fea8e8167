"""Conversations and messages as each side sees them."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.serializers import ModelSerializer, Serializer, UploadFormSerializer
from messaging.attachments import MOST_ATTACHMENTS, TYPES, clean, link
from messaging.masking import mask
from messaging.models import Attachment, Conversation, ConversationStatus, Message, MessageReport, Side

MAX_CONTENT = 5000


class Content(serializers.CharField):
    """What somebody writes: some text, at most 5,000 characters."""

    def __init__(self, **options: Any):
        super().__init__(max_length=MAX_CONTENT, **options)


class ConversationRequestSerializer(Serializer):
    provider_id = serializers.UUIDField()
    booking_id = serializers.UUIDField(required=False, allow_null=True)
    subject = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=200)
    content = Content()


class MessageRequestSerializer(Serializer):
    """Some text, or files that are ready, or both."""

    content = Content(required=False, allow_blank=True, default="")
    attachment_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, default=list, max_length=MOST_ATTACHMENTS
    )

    def validate_attachment_ids(self, ids: list[UUID]) -> list[UUID]:
        if len(set(ids)) < len(ids):
            raise serializers.ValidationError("Name each attachment once.")
        return ids

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if not given["content"] and not given["attachment_ids"]:
            raise serializers.ValidationError({"content": "Write something, or attach a file."})
        return given


class NewAttachmentSerializer(Serializer):
    content_type = serializers.ChoiceField(list(TYPES))
    name = serializers.CharField(max_length=200, help_text="What the sender calls the file")

    def validate_name(self, name: str) -> str:
        return clean(name)


class AttachmentSerializer(ModelSerializer):
    """A file that is not sent yet, as its sender sees it; `url` opens it for some minutes, once it is ready."""

    type = serializers.CharField(source="content_type")
    url = serializers.SerializerMethodField()

    class Meta:
        model = Attachment
        fields = ["id", "conversation_id", "status", "url", "type", "name", "size_bytes", "created_at"]

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, row: Attachment) -> str | None:
        return None if row.status == Attachment.Status.PENDING else link(row.pk, now=timezone.now())


class AnnouncedAttachmentSerializer(AttachmentSerializer):
    upload = UploadFormSerializer(read_only=True)

    class Meta(AttachmentSerializer.Meta):
        fields = [*AttachmentSerializer.Meta.fields, "upload"]


class SentAttachmentSerializer(serializers.Serializer):
    """A file of a message; `url` opens it for some minutes. Ask for the message again for a fresh one."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    type = serializers.CharField()
    name = serializers.CharField()
    size_bytes = serializers.IntegerField()


class SeenRequestSerializer(Serializer):
    up_to = serializers.IntegerField(required=False, min_value=1, help_text="The number of the last message seen")


class ReportRequestSerializer(Serializer):
    reason = serializers.CharField(max_length=500)


class ReportSerializer(serializers.ModelSerializer[MessageReport]):
    class Meta:
        model = MessageReport
        fields = ["id", "status", "created_at"]


class PartnerSerializer(serializers.Serializer):
    """The other side: a provider by name, a parent by first name."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class MessageSerializer(serializers.ModelSerializer[Message]):
    """A message; `isMine`: the caller's side wrote it. Contacts stay masked until a booking is confirmed.

    One that Juniro has hidden is empty and `isHidden`.
    """

    content = serializers.SerializerMethodField()
    attachments = serializers.SerializerMethodField()
    is_mine = serializers.SerializerMethodField()
    is_hidden = serializers.SerializerMethodField()
    conversation_id = serializers.UUIDField()

    class Meta:
        model = Message
        fields = [
            "id",
            "number",
            "conversation_id",
            "sender_type",
            "is_mine",
            "is_hidden",
            "content",
            "attachments",
            "read_at",
            "created_at",
        ]

    def get_content(self, message: Message) -> str:
        return "" if message.hidden_at else self.shown(message, message.content)

    @extend_schema_field(SentAttachmentSerializer(many=True, allow_null=True))
    def get_attachments(self, message: Message) -> list[dict[str, Any]] | None:
        if message.hidden_at:
            return None
        return message.attachments and [
            each | {"url": link(each["id"], now=timezone.now()), "name": self.shown(message, each["name"])}
            for each in message.attachments
        ]

    def shown(self, message: Message, text: str) -> str:
        return text if message.conversation_id in self.context["acquainted"] else mask(text)

    def get_is_hidden(self, message: Message) -> bool:
        return message.hidden_at is not None

    def get_is_mine(self, message: Message) -> bool:
        return message.sender_type == self.context["side"]


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    """A conversation with its partner, the last message's beginning, and how much waits to be read."""

    side = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=ConversationStatus.choices)
    partner = serializers.SerializerMethodField()
    subject = serializers.SerializerMethodField()
    unread = serializers.SerializerMethodField()
    last_message = serializers.SerializerMethodField()
    blocked_by_me = serializers.SerializerMethodField()
    provider_id = serializers.UUIDField()
    booking_id = serializers.UUIDField(allow_null=True)

    class Meta:
        model = Conversation
        fields = [
            "id",
            "side",
            "status",
            "provider_id",
            "booking_id",
            "partner",
            "subject",
            "unread",
            "last_message",
            "last_message_at",
            "parent_read_at",
            "provider_read_at",
            "blocked_by_me",
            "created_at",
        ]

    def side_of(self, conversation: Conversation) -> Side:
        return self.context["sides"][conversation.pk]

    def get_side(self, conversation: Conversation) -> str:
        return str(self.side_of(conversation))

    def get_partner(self, conversation: Conversation) -> PartnerSerializer:
        if self.side_of(conversation) is Side.PARENT:
            provider = conversation.provider
            return {"id": provider.pk, "name": provider.business_name}  # type: ignore[return-value]
        parent = conversation.parent
        return {"id": parent.pk, "name": parent.first_name or "A parent"}  # type: ignore[return-value]

    def get_subject(self, conversation: Conversation) -> str | None:
        return self.shown(conversation, conversation.subject or "") or None

    def get_unread(self, conversation: Conversation) -> int:
        return getattr(conversation, f"unread_by_{self.side_of(conversation)}")

    def get_last_message(self, conversation: Conversation) -> str | None:
        last = getattr(conversation, "last_content", None)
        if last == "" and (files := len(getattr(conversation, "last_attachments", None) or ())):
            return "A file" if files == 1 else f"{files} files"
        return None if last is None else self.shown(conversation, last)[:140]

    def get_blocked_by_me(self, conversation: Conversation) -> bool:
        return conversation.blocked_by == self.side_of(conversation)

    def shown(self, conversation: Conversation, text: str) -> str:
        return text if conversation.pk in self.context["acquainted"] else mask(text)
