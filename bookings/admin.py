"""Bookings, seats and reviews: to look at. Their verbs keep seats, money and messages together."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display
from unfold.enums import ActionVariant

from bookings import market_admin, provider_admin, reviews
from bookings.models import Booking, CalendarFeed, Review, ReviewReport, RosterView, Seat
from core.admin import (
    LargeAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    label,
    link,
    links,
    list_url,
    money,
    verb,
)

__all__ = ["market_admin", "provider_admin"]  # they register their pages


class SeatInline(ReadOnlyInline):
    model = Seat
    fields = ["session", "released_at", "attendance", "created_at"]
    readonly_fields = ["created_at"]
    select_related = ["session"]


@admin.register(Booking)
class BookingAdmin(LargeAdmin):
    list_display = [
        "short_id", "state", "activity", "starts_at", "amount", "parent_link", "child_link", "expires_at", "created_at",
    ]  # fmt: skip
    list_filter = [
        "status",
        ("session__activity__provider", AutocompleteSelectFilter),
        ("session__activity", AutocompleteSelectFilter),
    ]
    list_select_related = ["session__activity"]
    date_hierarchy = "created_at"
    nothing = "No booking like this. Search by the parent's e-mail address, or take a filter away."
    search_ids = ["id", "session_id", "offering_id", "parent_id", "child_id", "parent__user_id"]
    search_email = "parent__user__email"
    readonly_fields = ["activity", "amount", "related"]
    exclude = ["amount_cents", "currency"]
    inlines = [SeatInline]
    state = label(
        "status",
        {
            "pending_payment": "warning",
            "confirmed": "success",
            "cancelled": "danger",
            "completed": "info",
            "no_show": "danger",
            "expired": "info",
        },
    )

    @display(description="Activity", ordering="session__activity__title")
    def activity(self, row: Booking) -> str:
        return row.session.activity.title

    @display(description="Starts (UTC)", ordering="session__starts_at")
    def starts_at(self, row: Booking) -> Any:
        return row.session.starts_at

    @display(description="Amount", ordering="amount_cents")
    def amount(self, row: Booking) -> str:
        return money(row.amount_cents, row.currency)

    @display(description="Parent", ordering="parent_id")
    def parent_link(self, row: Booking) -> Any:
        return link("users.Parent", row.parent_id)

    @display(description="Child", ordering="child_id")
    def child_link(self, row: Booking) -> Any:
        return link("users.Child", row.child_id)

    @display(description="More")
    def related(self, row: Booking) -> SafeString:
        return links(
            Payments=list_url("payments.Payment", booking__id__exact=row.pk),
            Refunds=list_url("payments.Refund", q=row.pk),
            Review=list_url("bookings.Review", booking__id__exact=row.pk),
        )


@admin.register(Seat)
class SeatAdmin(LargeAdmin):
    list_display = ["short_id", "activity", "starts_at", "booking_link", "child_link", "attendance", "released_at"]
    list_filter = ["attendance", ("released_at", admin.EmptyFieldListFilter)]
    list_select_related = ["session__activity"]
    search_help_text = "The id of a seat, booking, session or child"
    search_ids = ["id", "booking_id", "session_id", "child_id"]

    @display(description="Activity", ordering="session__activity__title")
    def activity(self, row: Seat) -> str:
        return row.session.activity.title

    @display(description="Starts (UTC)", ordering="session__starts_at")
    def starts_at(self, row: Seat) -> Any:
        return row.session.starts_at

    @display(description="Booking", ordering="booking_id")
    def booking_link(self, row: Seat) -> Any:
        return link("bookings.Booking", row.booking_id)

    @display(description="Child", ordering="child_id")
    def child_link(self, row: Seat) -> Any:
        return link("users.Child", row.child_id)


class Reported(admin.SimpleListFilter):
    title, parameter_name = "reports", "reports"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Review]) -> QuerySet[Review]:
        still_open = ReviewReport.objects.filter(status=ReviewReport.Status.OPEN)
        return queryset.filter(pk__in=still_open.values("review")) if self.value() == "open" else queryset


@admin.register(Review)
class ReviewAdmin(LargeAdmin):
    """What people say is theirs: it is hidden or stays, and is never rewritten."""

    list_display = ["short_id", "activity", "rating", "comment", "state", "open_reports", "responded_at", "created_at"]
    list_filter = ["status", Reported]
    list_select_related = ["booking__session__activity"]
    search_help_text = "The id of a review, booking, parent or activity"
    nothing = "No review like this. Reported ones are behind the filter “Reports: open”."
    search_ids = ["id", "booking_id", "parent_id", "booking__session__activity_id"]
    readonly_fields = ["related"]
    state = label("status", {"published": "success", "hidden": "danger"})

    actions = ["hide", "show", "dismiss"]
    actions_detail = ["hide", "show", "dismiss"]
    hide = verb(
        title="Hide",
        past="Hidden",
        when=lambda review: review.status == Review.Status.PUBLISHED,
        run=lambda review, *, now, reason: reviews.hide(review_id=review.pk, reason=reason),
        reason="The parent reads this. The review leaves every average at once.",
        permission="moderate",
        icon="visibility_off",
        variant=ActionVariant.DANGER,
    )
    show = verb(
        title="Show again",
        past="Shown again",
        when=lambda review: review.status == Review.Status.HIDDEN,
        run=lambda review, *, now, reason: reviews.show(review_id=review.pk),
        reason="Why it is fine after all: kept in the history.",
        permission="moderate",
        icon="visibility",
        variant=ActionVariant.SUCCESS,
    )
    dismiss = verb(
        title="Dismiss reports",
        past="Reports dismissed",
        when=lambda review: review.reports.filter(status=ReviewReport.Status.OPEN).exists(),
        run=lambda review, *, now, reason: reviews.dismiss_reports(review_id=review.pk),
        reason="Why nothing is wrong with it: kept in the history.",
        permission="moderate",
        icon="flag",
        variant=ActionVariant.DEFAULT,
    )

    def has_moderate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("bookings.moderate_review")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        still_open = ReviewReport.objects.filter(review=OuterRef("pk"), status=ReviewReport.Status.OPEN)
        # Not a join: that would count before it takes the first fifty.
        waiting = still_open.order_by().values("review").annotate(total=Count("*")).values("total")
        return super().get_queryset(request).annotate(waiting=Coalesce(Subquery(waiting), 0))

    @display(description="Activity", ordering="booking__session__activity__title")
    def activity(self, row: Review) -> str:
        return row.booking.session.activity.title

    @display(description="Open reports")
    def open_reports(self, row: Review) -> int:
        return row.waiting  # type: ignore[attr-defined]

    @display(description="More")
    def related(self, row: Review) -> SafeString:
        return links(Reports=list_url("bookings.ReviewReport", review__id__exact=row.pk))


@admin.register(ReviewReport)
class ReviewReportAdmin(ReadOnlyAdmin):
    list_display = ["short_id", "review_link", "reporter_link", "reason", "state", "created_at"]
    list_filter = ["status"]
    search_ids = ["id", "review_id", "reporter_id"]
    state = label("status", {"open": "warning", "upheld": "danger", "dismissed": "info"})

    @display(description="Review", ordering="review_id")
    def review_link(self, row: ReviewReport) -> Any:
        return link("bookings.Review", row.review_id)

    @display(description="Reporter", ordering="reporter_id")
    def reporter_link(self, row: ReviewReport) -> Any:
        return link("users.User", row.reporter_id)


@admin.register(RosterView)
class RosterViewAdmin(LargeAdmin):
    """Who was shown children's details, and when; the request id leads to the log."""

    list_display = ["created_at", "user_link", "session_link", "activity", "format", "children", "request_id"]
    list_display_links = ["created_at"]
    list_filter = ["format", ("session__activity__provider", AutocompleteSelectFilter)]
    list_select_related = ["session__activity"]
    date_hierarchy = "created_at"
    search_fields = ["request_id__exact"]
    search_ids = ["id", "user_id", "session_id"]
    search_email = "user__email"

    @display(description="User", ordering="user_id")
    def user_link(self, row: RosterView) -> Any:
        return link("users.User", row.user_id)

    @display(description="Session", ordering="session_id")
    def session_link(self, row: RosterView) -> Any:
        return link("marketplace.Session", row.session_id)

    @display(description="Activity", ordering="session__activity__title")
    def activity(self, row: RosterView) -> str:
        return row.session.activity.title


@admin.register(CalendarFeed)
class CalendarFeedAdmin(ReadOnlyAdmin):
    """Who reads what in a calendar program; their addresses are not ours to know."""

    list_display = ["short_id", "user_link", "provider_account", "location", "created_at"]
    list_select_related = ["provider_account", "location"]
    search_ids = ["id", "user_id", "provider_account_id", "location_id"]
    search_email = "user__email"
    exclude = ["token_sha256"]

    @display(description="User", ordering="user_id")
    def user_link(self, row: CalendarFeed) -> Any:
        return link("users.User", row.user_id)
