"""What was told to whom, and whether it arrived."""

from typing import Any

from django.contrib import admin
from unfold.decorators import display

from core.admin import ReadOnlyAdmin, code, label, link
from notifications.models import Bounce, Notification, NotificationPreference


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = [
        "short_id", "kind", "state", "user_link", "subject", "attempts", "next_attempt_at", "sent_at", "created_at",
    ]  # fmt: skip
    list_filter = ["status", "kind"]
    search_fields = ["=kind", "=dedupe_key"]
    search_ids = ["id", "user_id", "subject_id"]
    search_email = "user__email"
    state = label("status", {"pending": "warning", "sent": "success", "failed": "danger"})

    @display(description="Subject", ordering="subject_id")
    def subject(self, row: Notification) -> Any:
        return code(row.subject_id) if row.subject_id else None

    @display(description="User", ordering="user_id")
    def user_link(self, row: Notification) -> Any:
        return link("users.User", row.user_id)


@admin.register(NotificationPreference)
class NotificationPreferenceAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "user_link", "kind", "email", "updated_at"]
    list_filter = ["email"]
    search_fields = ["=kind"]
    search_ids = ["id", "user_id"]
    search_email = "user__email"

    @display(description="User", ordering="user_id")
    def user_link(self, row: NotificationPreference) -> Any:
        return link("users.User", row.user_id)


@admin.register(Bounce)
class BounceAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "user_link", "why", "happened_at"]
    list_filter = ["reason"]
    search_fields = ["=email_sha256"]
    search_ids = ["id", "user_id"]
    search_email = "user__email"
    exclude = ["email_sha256"]
    why = label("reason", {"hard_bounce": "warning", "complaint": "danger"})

    @display(description="User", ordering="user_id")
    def user_link(self, row: Bounce) -> Any:
        return link("users.User", row.user_id)
