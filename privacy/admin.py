"""Requests of people about their own data: to look at. The verbs belong to the people."""

from typing import Any

from django.contrib import admin
from unfold.decorators import display

from core.admin import ReadOnlyAdmin, label, link
from privacy.models import ErasureRequest, ExportRequest


@admin.register(ErasureRequest)
class ErasureRequestAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "user_link", "state", "next_step_at", "attempts", "error", "completed_at", "created_at"]
    list_filter = ["status"]
    search_ids = ["id", "user_id"]
    exclude = ["auth_id", "receipt_to"]
    state = label("status", {"requested": "warning", "erased": "warning", "done": "success", "cancelled": "info"})

    @display(description="User", ordering="user_id")
    def user_link(self, row: ErasureRequest) -> Any:
        return link("users.User", row.user_id)


@admin.register(ExportRequest)
class ExportRequestAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "user_link", "state", "progress", "attempts", "expires_at", "created_at"]
    list_filter = ["status"]
    search_ids = ["id", "user_id"]
    exclude = ["file"]
    state = label("status", {"queued": "warning", "ready": "success", "failed": "danger", "expired": "info"})

    @display(description="User", ordering="user_id")
    def user_link(self, row: ExportRequest) -> Any:
        return link("users.User", row.user_id)
