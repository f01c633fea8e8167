"""Providers and their verification: those who wait come first, the longest wait on top."""

from typing import Any

from django.contrib import admin
from django.db.models import Case, F, IntegerField, Value, When
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from core.admin import (
    Admin,
    NoAdd,
    NoDelete,
    ReadOnlyAdmin,
    ReadOnlyInline,
    label,
    link,
    links,
    list_url,
    masked_email,
    verb,
)
from providers import services
from providers.models import Invitation, Location, ProviderAccount, ProviderUser

Status = ProviderAccount.Status


def waiting() -> int:
    """How many providers wait for their verification (the sidebar's badge)."""
    return ProviderAccount.objects.filter(status=Status.PENDING, submitted_at__isnull=False).count()


class StaffInline(ReadOnlyInline):
    model = ProviderUser
    verbose_name_plural = "staff"
    fields = ["user", "role", "created_at"]
    readonly_fields = ["created_at"]
    select_related = ["user"]


class LocationInline(ReadOnlyInline):
    model = Location
    fields = ["name", "address", "city", "is_default"]
    select_related = ["city"]


@admin.register(ProviderAccount)
class ProviderAccountAdmin(NoAdd, NoDelete, Admin):
    """Accounts come in through the API, with their owner and a slug that both regions know."""

    list_display = ["business_name", "state", "waiting_for", "type", "slug", "verified_at", "created_at"]
    list_filter = ["status", "type", ("submitted_at", admin.EmptyFieldListFilter)]
    search_fields = ["business_name", "slug"]
    search_ids = ["id", "staff__user_id"]
    search_email = "email"
    readonly_fields = ["slug", "status", "status_reason", "submitted_at", "waiting_for", "verified_at", "related"]
    fieldsets = [
        ("Verification", {"fields": ["status", "waiting_for", "submitted_at", "verified_at", "status_reason"]}),
        ("Profile", {"fields": ["business_name", "type", "slug", "description", "website", "email", "phone"]}),
        (None, {"fields": ["related", *Admin.stamps]}),
    ]
    inlines = [StaffInline, LocationInline]
    state = label("status", {"pending": "warning", "verified": "success", "suspended": "danger", "rejected": "info"})

    actions = ["verify", "reject", "suspend", "reinstate"]
    actions_detail = ["verify", "reject", "suspend", "reinstate"]
    verify = verb(
        title="Verify",
        past="Verified",
        when=lambda account: account.status == Status.PENDING,
        run=lambda account, *, now: services.verify(account=account, now=now),
        icon="verified",
        variant=ActionVariant.SUCCESS,
    )
    reject = verb(
        title="Reject",
        past="Rejected",
        when=lambda account: account.status == Status.PENDING,
        run=lambda account, *, now, reason: services.reject(account=account, reason=reason, now=now),
        reason="The provider reads this.",
        icon="cancel",
        variant=ActionVariant.DANGER,
    )
    suspend = verb(
        title="Suspend",
        past="Suspended",
        when=lambda account: account.status == Status.VERIFIED,
        run=lambda account, *, now, reason: services.suspend(account=account, reason=reason, now=now),
        reason="The provider reads this. Everything of theirs leaves the catalogue at once.",
        icon="block",
        variant=ActionVariant.DANGER,
    )
    reinstate = verb(
        title="Reinstate",
        past="Reinstated",
        when=lambda account: account.status == Status.SUSPENDED,
        run=lambda account, *, now: services.reinstate(account=account, now=now),
        icon="undo",
        variant=ActionVariant.SUCCESS,
    )

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        pending_first = Case(When(status=Status.PENDING, then=Value(0)), default=Value(1), output_field=IntegerField())
        waits = Case(When(status=Status.PENDING, then=F("submitted_at")))
        return [pending_first, waits.asc(nulls_last=True), "-id"]

    @display(description="Waiting for", ordering="submitted_at", empty_value="–")
    def waiting_for(self, row: ProviderAccount) -> str | None:
        if row.status != Status.PENDING:
            return None
        return timesince(row.submitted_at, depth=1) if row.submitted_at else "not submitted"

    @display(description="More")
    def related(self, row: ProviderAccount) -> SafeString:
        return links(
            Activities=list_url("marketplace.Activity", provider__id__exact=row.pk),
            Sessions=list_url("marketplace.Session", activity__provider__id__exact=row.pk),
            Bookings=list_url("bookings.Booking", session__activity__provider__id__exact=row.pk),
            Conversations=list_url("messaging.Conversation", provider__id__exact=row.pk),
        )


@admin.register(ProviderUser)
class ProviderUserAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "provider_account", "user_link", "role", "created_at"]
    list_filter = ["role", ("provider_account", AutocompleteSelectFilter)]
    list_select_related = ["provider_account"]
    search_fields = ["provider_account__business_name"]
    search_ids = ["id", "user_id", "provider_account_id"]
    search_email = "user__email"

    @display(description="User", ordering="user_id")
    def user_link(self, row: ProviderUser) -> SafeString | str:
        return link("users.User", row.user_id)


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "provider_account", "to", "role", "sent_at", "expires_at", "accepted_at"]
    list_filter = ["role", ("accepted_at", admin.EmptyFieldListFilter)]
    list_select_related = ["provider_account"]
    search_fields = ["provider_account__business_name"]
    search_ids = ["id", "provider_account_id"]
    search_email = "email"
    exclude = ["email", "nonce", "token_sha256"]
    readonly_fields = ["to"]

    @display(description="E-mail")
    def to(self, row: Invitation) -> str:
        return masked_email(row.email)


@admin.register(Location)
class LocationAdmin(ReadOnlyAdmin):
    list_display = ["name", "provider", "address", "city", "locality", "is_default"]
    list_filter = [("city", AutocompleteSelectFilter), ("provider", AutocompleteSelectFilter)]
    list_select_related = ["provider", "city", "locality"]
    search_fields = ["name", "provider__business_name"]
    search_ids = ["id", "provider_id"]
