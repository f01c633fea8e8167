"""The catalogue. Ops keep the category tree and mend texts; prices, times and states are the providers' own."""

from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from core.admin import (
    Admin,
    LargeAdmin,
    NoAdd,
    NoDelete,
    ReadOnlyAdmin,
    ReadOnlyInline,
    SwitchMixin,
    label,
    link,
    links,
    list_url,
    money,
)
from marketplace.models import Activity, ActivityImage, Category, Offering, ParentInterest, Session


class CategoryForm(forms.ModelForm):
    def clean_parent(self) -> Category | None:
        """The new parent, which must not lie below this category: the tree would lose its root."""
        parent = above = self.cleaned_data["parent"]
        while above is not None:
            if above.pk == self.instance.pk:
                raise forms.ValidationError("A category cannot lie below itself.")
            above = above.parent
        return parent


@admin.register(Category)
class CategoryAdmin(SwitchMixin, Admin):
    form = CategoryForm
    list_display = ["name", "parent", "slug", "position", "is_active"]
    list_editable = ["position", "is_active"]
    list_filter = ["is_active", ("parent", AutocompleteSelectFilter)]
    list_select_related = ["parent"]
    search_fields = ["name", "slug"]
    autocomplete_fields = ["parent"]
    prepopulated_fields = {"slug": ["name"]}
    ordering = ["name"]


class OfferingInline(ReadOnlyInline):
    model = Offering
    fields = ["name", "type", "price", "session_count", "refund_window_hours", "status"]
    readonly_fields = ["price"]

    @display(description="Price")
    def price(self, row: Offering) -> str:
        return money(row.price_cents, row.currency)


@admin.register(Activity)
class ActivityAdmin(NoAdd, NoDelete, Admin):
    list_display = ["title", "provider", "category", "state", "ages", "published_at", "created_at"]
    list_filter = ["status", ("category", AutocompleteSelectFilter), ("provider", AutocompleteSelectFilter)]
    list_select_related = ["provider", "category"]
    search_fields = ["title", "slug", "provider__business_name"]
    search_ids = ["id", "provider_id"]
    autocomplete_fields = ["category"]
    readonly_fields = ["provider", "slug", "duration", "status", "published_at", "related"]
    fieldsets = [
        (None, {"fields": ["title", "provider", "category", "status", "published_at"]}),
        ("Texts", {"fields": ["summary", "description", "image_url"]}),
        ("For whom", {"fields": ["age_min", "age_max", "duration"]}),
        (None, {"fields": ["slug", "related", *Admin.stamps]}),
    ]
    inlines = [OfferingInline]
    state = label("status", {"draft": "info", "published": "success", "archived": "warning"})

    @display(description="Ages")
    def ages(self, row: Activity) -> str:
        low, high = ("" if age is None else str(age) for age in (row.age_min, row.age_max))
        return f"{low}–{high}"

    @display(description="More")
    def related(self, row: Activity) -> SafeString:
        return links(
            Sessions=list_url("marketplace.Session", activity__id__exact=row.pk),
            Bookings=list_url("bookings.Booking", session__activity__id__exact=row.pk),
        )


@admin.register(ActivityImage)
class ActivityImageAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "activity", "position", "alt", "state", "width", "height", "created_at"]
    list_filter = ["status", ("activity", AutocompleteSelectFilter)]
    list_select_related = ["activity"]
    search_fields = ["activity__title", "activity__provider__business_name"]
    search_ids = ["id", "activity_id"]
    state = label("status", {"pending": "warning", "ready": "success"})


@admin.register(Offering)
class OfferingAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "name", "activity", "type", "price", "session_count", "refund_window_hours", "state"]
    list_filter = ["status", "type", "currency", ("activity", AutocompleteSelectFilter)]
    list_select_related = ["activity"]
    search_fields = ["name", "activity__title", "activity__provider__business_name"]
    search_ids = ["id", "activity_id"]
    readonly_fields = ["price"]
    state = label("status", {"active": "success", "inactive": "warning"})

    @display(description="Price", ordering="price_cents")
    def price(self, row: Offering) -> str:
        return money(row.price_cents, row.currency)


@admin.register(Session)
class SessionAdmin(LargeAdmin):
    list_display = ["short_id", "activity", "local_start", "starts_at", "location", "seats", "state"]
    list_filter = [
        "status",
        ("activity__provider", AutocompleteSelectFilter),
        ("activity", AutocompleteSelectFilter),
        ("location__city", AutocompleteSelectFilter),
    ]
    list_select_related = ["activity", "location__city"]
    date_hierarchy = "starts_at"
    date_hierarchy_order = "starts_at"
    search_help_text = "The id of a session, activity, offering or location; filter by name"
    nothing = "No session like this. Filter by provider or activity, or choose another month above."
    search_ids = ["id", "activity_id", "offering_id", "location_id"]
    ordering = ["-starts_at", "-id"]
    readonly_fields = ["local_start", "related"]
    state = label("status", {"scheduled": "success", "cancelled": "danger", "completed": "info"})

    @display(description="Starts there", ordering="starts_at")
    def local_start(self, row: Session) -> str:
        return f"{row.starts_at.astimezone(ZoneInfo(row.location.city.timezone)):%a %d %b %Y, %H:%M}"

    @display(description="Seats", ordering="enrolled")
    def seats(self, row: Session) -> str:
        return f"{row.enrolled} of {row.capacity}"

    @display(description="More")
    def related(self, row: Session) -> SafeString:
        return links(
            Seats=list_url("bookings.Seat", session__id__exact=row.pk),
            Bookings=list_url("bookings.Booking", session__id__exact=row.pk),
        )


@admin.register(ParentInterest)
class ParentInterestAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "category", "parent_link", "child_link", "created_at"]
    list_filter = [("category", AutocompleteSelectFilter)]
    list_select_related = ["category"]
    search_fields = ["category__name"]
    search_ids = ["id", "parent_id", "child_id"]

    @display(description="Parent", ordering="parent_id")
    def parent_link(self, row: ParentInterest) -> Any:
        return link("users.Parent", row.parent_id)

    @display(description="Child", ordering="child_id")
    def child_link(self, row: ParentInterest) -> Any:
        return link("users.Child", row.child_id)
