"""Requests of people about their own data. Ops can start them for somebody who wrote in, by the verbs of the API."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from core.admin import ReadOnlyAdmin, ReadOnlyInline, label, link, verb
from privacy import erasure, export
from privacy.models import ErasureRequest, ExportRequest
from privacy.retention import RULES
from users.admin import UserAdmin
from users.models import User


def export_for(user: User, *, reason: str, now: datetime) -> None:
    export.request_export(user=user, now=now)


def erase_for(user: User, *, reason: str, now: datetime) -> str:
    made = erasure.request_erasure(user=user, now=now)
    return f"Will be erased on {made.next_step_at:%Y-%m-%d}"


def tell_export(rows: list[User], *, now: datetime) -> Iterator[str]:
    yield "A worker puts together all that we hold about this person. Nobody here can open it."
    yield f"They sign in and download it, for {export.KEPT_FOR.days} days once it is ready."


def tell_erasure(rows: list[User], *, now: datetime) -> Iterator[str]:
    yield "Everything personal goes, for good. Bookings and payments stay, without a name."
    yield "Bookings ahead are cancelled, and refunded as their window allows."
    if settings.ERASURE_GRACE_DAYS:
        due = now + timedelta(days=settings.ERASURE_GRACE_DAYS)
        yield f"It happens on {due:%Y-%m-%d}. Until then the account works, and they, or you, can take it back."
    else:
        yield "It happens at once, and cannot be taken back."


class OfPerson(ReadOnlyAdmin):
    """A request, found by its id or its person."""

    search_ids = ["id", "user_id"]
    search_email = "user__email"
    search_help_text = "The person's whole e-mail address, or an id"

    @display(description="User", ordering="user_id")
    def user_link(self, row: Any) -> Any:
        return link("users.User", row.user_id)


@admin.register(ErasureRequest)
class ErasureRequestAdmin(OfPerson):
    list_display = ["short_id", "user_link", "state", "next_step_at", "attempts", "error", "completed_at", "created_at"]
    list_filter = ["status"]
    nothing = "No erasure like this. Start one from the person's page, under Users."
    exclude = ["auth_id", "receipt_to"]
    actions_detail = ["keep", "hurry"]
    keep = verb(
        title="Keep the account",
        past="Taken back",
        when=lambda request: request.status == ErasureRequest.Status.REQUESTED,
        run=lambda request, *, now, reason: erasure.cancel_request(user=request.user),
        reason="How they asked for it. Kept in the history.",
        permission="request",
        icon="undo",
    )
    hurry = verb(
        title="Try again now",
        past="Will be tried again",
        when=lambda request: request.error != "",
        run=lambda request, *, now: erasure.hurry(request.pk, now=now),
        permission="request",
        icon="refresh",
    )
    state = label("status", {"requested": "warning", "erased": "warning", "done": "success", "cancelled": "info"})
    actions_list: ClassVar[list[str]] = ["retention"]

    @action(description="What is kept for how long", url_path="retention", permissions=["view"])
    def retention(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": "What is kept for how long",
            "opts": self.opts,
            "titles": ["What", "How long", "Why", "Setting", "Sweep"],
            "rules": RULES,
        }
        return TemplateResponse(request, "privacy/retention.html", context)

    def has_request_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("privacy.request_erasure")


@admin.register(ExportRequest)
class ExportRequestAdmin(OfPerson):
    """How far an archive is. What is in it is its owner's alone."""

    list_display = ["short_id", "user_link", "state", "per_cent", "attempts", "expires_at", "created_at"]
    list_filter = ["status"]
    nothing = "No archive like this. Start one from the person's page, under Users."
    exclude = ["file"]
    actions_detail = ["retry"]
    retry = verb(
        title="Try again",
        past="Queued again",
        when=lambda request: request.status == ExportRequest.Status.FAILED,
        run=lambda request, *, now: export.retry(request.pk, now=now),
        permission="request",
        icon="refresh",
    )
    state = label("status", {"queued": "warning", "ready": "success", "failed": "danger", "expired": "info"})

    def has_request_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("privacy.request_export")

    @display(description="Progress", ordering="progress")
    def per_cent(self, row: ExportRequest) -> str:
        return f"{row.progress} %"


class ExportInline(ReadOnlyInline):
    model = ExportRequest
    fields = ["status", "progress", "attempts", "next_attempt_at", "expires_at", "created_at"]
    readonly_fields = ["created_at"]


class ErasureInline(ReadOnlyInline):
    model = ErasureRequest
    fields = ["status", "next_step_at", "attempts", "error", "completed_at", "created_at"]
    readonly_fields = ["created_at"]


admin.site.unregister(User)


@admin.register(User)
class UserWithRequestsAdmin(UserAdmin):
    """Users know nothing of privacy; here is where both are known."""

    actions_detail = [*UserAdmin.actions_detail, "make_export", "erase"]
    make_export = verb(
        title="Export for them",
        past="Archive asked for",
        when=lambda user: not user.is_staff,
        run=export_for,
        tells=tell_export,
        reason="How they asked, and how you know that it is them. Kept in the history.",
        permission="export",
        icon="folder_zip",
    )
    erase = verb(
        title="Erase for them",
        past="Will be erased",
        when=lambda user: not user.is_staff,
        run=erase_for,
        tells=tell_erasure,
        reason="How they asked, and how you know that it is them. Kept in the history until then.",
        permission="erase",
        icon="delete_forever",
        variant=ActionVariant.DANGER,
    )

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [ExportInline, ErasureInline] if obj and not obj.is_staff else []

    def has_export_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("privacy.request_export")

    def has_erase_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("privacy.request_erasure")
