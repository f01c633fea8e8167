"""The inbox of processors' events, and until when their books have been compared with ours."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from core.admin import LargeAdmin, ReadOnlyAdmin, ReadOnlyInline, code, label, link, pretty, verb
from core.dispatch import after_commit
from payments.models import Reconciliation, WebhookEvent


class WebhookEventInline(ReadOnlyInline):
    model = WebhookEvent
    fields = ["event_id", "type", "status", "note", "attempts", "error", "created_at"]
    readonly_fields = ["created_at"]


def replay_soon(event: WebhookEvent, *, now: datetime) -> None:
    """By a worker: what fails there is noted, whereas here it would be rolled back with the page."""
    after_commit("payments.tasks.replay_event", event.pk)


@admin.register(WebhookEvent)
class WebhookEventAdmin(LargeAdmin):
    list_display = [
        "short_id", "processor", "type", "state", "note", "attempts", "error", "event_id", "payment_link", "created_at",
    ]  # fmt: skip
    list_filter = ["status"]
    date_hierarchy = "created_at"
    search_fields = ["event_id__exact", "processor_payment_id__exact"]
    search_help_text = "Our id, a payment's id, or the processor's id of event or payment"
    search_ids = ["id", "payment_id"]
    nothing = "No event like this. Processors' news arrive here within seconds; what failed is tried again by itself."
    exclude = ["payload", "body_sha256"]
    actions = ["replay"]
    actions_detail = ["replay"]
    replay = verb(
        title="Work on it again",
        past="Will be worked on again",
        when=lambda event: event.status == WebhookEvent.Status.FAILED,
        run=replay_soon,
        permission="replay_event",
        icon="replay",
    )
    readonly_fields = ["body", "body_hash"]
    state = label("status", {"processed": "success", "ignored": "info", "failed": "danger"})

    def has_replay_event_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.replay_event")

    @display(description="SHA-256 of the body")
    def body_hash(self, row: WebhookEvent) -> SafeString:
        return code(row.body_sha256)

    @display(description="Payload")
    def body(self, row: WebhookEvent) -> SafeString:
        return pretty(row.payload)

    @display(description="Payment", ordering="payment_id")
    def payment_link(self, row: WebhookEvent) -> Any:
        return link("payments.Payment", row.payment_id)


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ["processor", "until", "updated_at"]
