"""The base's own tables."""

from typing import ClassVar

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.utils.safestring import SafeString
from unfold.decorators import display

from core.admin.pages import LargeAdmin
from core.admin.values import code, label
from core.models import IdempotencyKey


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(LargeAdmin):
    """Without the stored answers: they are the user's, not ours to read."""

    list_display = ["short_id", "method", "path", "status_code", "user", "created_at", "expires_at"]
    search_ids = ["id", "user_id"]
    exclude = ["response", "body_sha256"]

    @display(description="User", ordering="user_id")
    def user(self, row: IdempotencyKey) -> SafeString:
        return code(row.user_id)


@admin.register(LogEntry)
class LogEntryAdmin(LargeAdmin):
    """What staff did here."""

    list_display = ["action_time", "staff", "what", "content_type", "row", "change"]
    list_display_links = ["action_time"]
    list_filter = ["action_flag"]
    list_select_related = ["user", "content_type"]
    date_hierarchy = "action_time"
    search_fields = ["object_id__exact"]
    search_ids = ["object_id", "user_id"]
    exclude = ["change_message"]
    readonly_fields = ["change"]
    stamps: ClassVar[list[str]] = []
    what = label("action_flag", {})

    @display(description="Row", ordering="object_repr")
    def row(self, entry: LogEntry) -> str:
        return entry.object_repr

    @display(description="Change")
    def change(self, entry: LogEntry) -> str:
        return entry.get_change_message()

    @display(description="Staff", ordering="user__email")
    def staff(self, entry: LogEntry) -> str:
        return entry.user.email
