"""Who works for providers, and where. The accounts themselves are in bookings.provider_admin, with all they have."""

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core.admin import (
    ReadOnlyAdmin,
    link,
    masked_email,
)
from providers.models import Invitation, Location, ProviderAccount, ProviderUser

Status = ProviderAccount.Status


def waiting() -> int:
    """How many providers wait for their verification (the sidebar's badge)."""
    return ProviderAccount.objects.filter(status=Status.PENDING, submitted_at__isnull=False).count()


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
