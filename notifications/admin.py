"""What was told to whom, and whether it arrived; and how every mail looks."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from core.admin import Admin, LargeAdmin, NoAdd, code, label, link, verb
from core.models import Region
from notifications import services
from notifications.contents import contents
from notifications.letters import Reader, render
from notifications.models import OPTIONAL, Bounce, Notification, NotificationKind, NotificationPreference

# A moment before all that the samples tell of.
SAMPLED_AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def failed() -> int:
    """How many wait for somebody to look at them."""
    return Notification.objects.filter(status=Notification.Status.FAILED).count()


def preview(kind: NotificationKind, region: Region) -> dict[str, Any]:
    content = contents()[kind]
    reader = Reader(name="Ana" if region == Region.US else "Asha", region=region, at=SAMPLED_AT)
    letter = content.write(content.samples[region], reader)
    text, html = render(letter, reader=reader, is_optional=kind in OPTIONAL)
    return {"region": region.label, "subject": letter.subject, "text": text, "html": html}


@admin.register(Notification)
class NotificationAdmin(LargeAdmin):
    list_display = [
        "short_id", "kind", "state", "error", "user_link", "subject", "attempts", "next_attempt_at", "sent_at",
        "created_at",
    ]  # fmt: skip
    list_filter = ["status", "kind"]
    search_fields = ["dedupe_key__exact"]
    search_ids = ["id", "user_id"]
    search_email = "user__email"
    state = label("status", {"pending": "warning", "sent": "success", "failed": "danger"})
    actions = ["retry"]
    actions_detail = ["retry"]
    actions_list = ["previews"]
    retry = verb(
        title="Send again",
        past="Queued to be sent again",
        when=lambda row: row.status == Notification.Status.FAILED,
        run=lambda row, *, now: services.retry(row.pk, now=now),
        permission="retry",
        icon="send",
        variant=ActionVariant.PRIMARY,
    )

    def has_retry_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("notifications.change_notification")

    @action(description="Mail previews", permissions=["view"], icon="drafts")
    def previews(self, request: HttpRequest) -> TemplateResponse:
        """Every kind of mail in both regions, with made-up people; on a phone or a desk, by day or by night."""
        asked = request.GET.get("kind", "")
        kind = NotificationKind(asked) if asked in NotificationKind.values else NotificationKind.BOOKING_CONFIRMED
        context = {
            **self.admin_site.each_context(request),
            "title": f"Mail previews: {kind.label}",
            "opts": self.opts,
            "kinds": NotificationKind,
            "kind": kind,
            "is_optional": kind in OPTIONAL,
            "schemes": ["light", "dark"],
            "scheme": "dark" if request.GET.get("scheme") == "dark" else "light",
            "widths": {"phone": 375, "desk": 680},
            "width": "phone" if request.GET.get("width") == "phone" else "desk",
            "previews": [preview(kind, region) for region in Region],
        }
        return TemplateResponse(request, "notifications/previews.html", context)

    @display(description="Subject", ordering="subject_id")
    def subject(self, row: Notification) -> Any:
        return code(row.subject_id) if row.subject_id else None

    @display(description="User", ordering="user_id")
    def user_link(self, row: Notification) -> Any:
        return link("users.User", row.user_id)


@admin.register(NotificationPreference)
class NotificationPreferenceAdmin(LargeAdmin):
    list_display = ["short_id", "user_link", "kind", "email", "updated_at"]
    list_filter = ["email"]
    search_ids = ["id", "user_id"]
    search_email = "user__email"

    @display(description="User", ordering="user_id")
    def user_link(self, row: NotificationPreference) -> Any:
        return link("users.User", row.user_id)


@admin.register(Bounce)
class BounceAdmin(NoAdd, Admin):
    """Deleting one has us write to the address again."""

    list_display = ["short_id", "user_link", "why", "happened_at"]
    list_filter = ["reason"]
    search_fields = ["=email_sha256"]
    search_ids = ["id", "user_id"]
    search_email = "user__email"
    exclude = ["email_sha256"]
    why = label("reason", {"hard_bounce": "warning", "complaint": "danger"})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="User", ordering="user_id")
    def user_link(self, row: Bounce) -> Any:
        return link("users.User", row.user_id)
