"""Conversations, without what was written: that is between the two, unless one of them reports it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from core.admin import LargeAdmin, ReadOnlyAdmin, label, link, links, list_url, reveal, verb
from messaging import moderation
from messaging.models import Attachment, Conversation, Message, MessageReport


@admin.register(Conversation)
class ConversationAdmin(LargeAdmin):
    list_display = ["short_id", "provider", "parent_link", "booking_link", "state", "last_message_at", "created_at"]
    list_filter = ["status", ("provider", AutocompleteSelectFilter)]
    list_select_related = ["provider"]
    search_ids = ["id", "parent_id", "provider_id", "booking_id"]
    search_email = "parent__user__email"
    exclude = ["subject"]
    readonly_fields = ["related"]
    state = label("status", {"active": "success", "archived": "info", "blocked": "danger"})

    @display(description="Parent", ordering="parent_id")
    def parent_link(self, row: Conversation) -> Any:
        return link("users.Parent", row.parent_id)

    @display(description="Booking", ordering="booking_id")
    def booking_link(self, row: Conversation) -> Any:
        return link("bookings.Booking", row.booking_id)

    @display(description="More")
    def related(self, row: Conversation) -> SafeString:
        return links(Messages=list_url("messaging.Message", conversation__id__exact=row.pk))


@admin.register(Message)
class MessageAdmin(LargeAdmin):
    list_display = ["short_id", "conversation_link", "sender_type", "sender_link", "length", "read_at", "created_at"]
    list_filter = ["sender_type"]
    search_ids = ["id", "conversation_id", "sender_id"]
    exclude = ["content", "attachments"]
    readonly_fields = ["length"]

    @display(description="Characters")
    def length(self, row: Message) -> int:
        return len(row.content)

    @display(description="Conversation", ordering="conversation_id")
    def conversation_link(self, row: Message) -> Any:
        return link("messaging.Conversation", row.conversation_id)

    @display(description="Sender", ordering="sender_id")
    def sender_link(self, row: Message) -> Any:
        return link("users.User", row.sender_id)


@admin.register(Attachment)
class AttachmentAdmin(ReadOnlyAdmin):
    """That there is a file, and of which kind; what it is called and shows is between the two."""

    list_display = [
        "short_id", "conversation_link", "message_link", "uploader_link", "content_type", "state", "size_bytes",
        "created_at",
    ]  # fmt: skip
    list_filter = ["status", "content_type"]
    search_ids = ["id", "conversation_id", "message_id", "uploader_id"]
    exclude = ["name"]
    state = label("status", {"pending": "warning", "ready": "info", "sent": "success"})

    @display(description="Conversation", ordering="conversation_id")
    def conversation_link(self, row: Attachment) -> Any:
        return link("messaging.Conversation", row.conversation_id)

    @display(description="Message", ordering="message_id")
    def message_link(self, row: Attachment) -> Any:
        return link("messaging.Message", row.message_id)

    @display(description="Uploader", ordering="uploader_id")
    def uploader_link(self, row: Attachment) -> Any:
        return link("users.User", row.uploader_id)


def is_open(report: MessageReport) -> bool:
    return report.status == MessageReport.Status.OPEN


@admin.register(MessageReport)
class MessageReportAdmin(ReadOnlyAdmin):
    """The only door to what people write: one reported message, a little around it, and every look is written down."""

    list_display = ["short_id", "message_link", "reporter_link", "reason", "state", "resolution", "created_at"]
    list_filter = ["status"]
    search_ids = ["id", "message_id", "reporter_id"]
    search_help_text = "The id of a report, a message, or of who reported it"
    nothing = "No report like this. Open ones stand here until somebody hides the message or dismisses them."
    actions = ["hide", "uphold", "dismiss"]
    actions_detail = ["read", "hide", "uphold", "dismiss"]
    read = reveal(moderation.in_context, title="Read the message", when=is_open)
    hide = verb(
        title="Hide the message",
        past="Hidden",
        when=is_open,
        run=lambda report, *, now, reason: moderation.hide(report_id=report.pk, reason=reason, now=now),
        reason="Kept with the report. Neither side sees the message any more.",
        permission="moderate",
        icon="visibility_off",
        variant=ActionVariant.DANGER,
    )
    uphold = verb(
        title="Settle otherwise",
        past="Settled",
        when=is_open,
        run=lambda report, *, now, reason: moderation.uphold(report_id=report.pk, reason=reason),
        reason="What was done: kept with the report. The message stays.",
        permission="moderate",
        icon="task_alt",
    )
    dismiss = verb(
        title="Dismiss",
        past="Dismissed",
        when=is_open,
        run=lambda report, *, now, reason: moderation.dismiss(report_id=report.pk, reason=reason),
        reason="Why nothing is wrong with it: kept with the report.",
        permission="moderate",
        icon="flag",
    )

    def has_reveal_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("messaging.read_reported_message")

    def has_moderate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("messaging.moderate_message")

    state = label("status", {"open": "warning", "upheld": "danger", "dismissed": "info"})

    @display(description="Message", ordering="message_id")
    def message_link(self, row: MessageReport) -> Any:
        return link("messaging.Message", row.message_id)

    @display(description="Reporter", ordering="reporter_id")
    def reporter_link(self, row: MessageReport) -> Any:
        return link("users.User", row.reporter_id)
