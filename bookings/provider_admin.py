"""One page with all that is needed to decide about a provider, and what a decision brings about.

Providers know nothing of activities and bookings; here is where all of them are known.
"""

from dataclasses import dataclass
from datetime import datetime
from math import asin, cos, radians, sin, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    Min,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)  # fmt: skip
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.timesince import timesince
from unfold.decorators import display
from unfold.enums import ActionVariant

from bookings.models import Booking
from core.admin import Admin, NoAdd, NoDelete, counted, label, links, list_url, masked_email, may_view, money, verb
from marketplace import onboarding
from marketplace.models import Activity, ActivityImage, Offering, Session
from providers import services
from providers.models import Location, ProviderAccount, ProviderUser, StaffRole

Status = ProviderAccount.Status

COLOURS = {"pending": "warning", "verified": "success", "suspended": "danger", "rejected": "info"}
# What the page shows of each; the lists have the rest.
MOST = 12
# Farther from its city than this, a place's coordinates or its city are probably wrong.
FAR_KM = 60


# --- What a decision brings about -----------------------------------------------------------------------------------


def ahead(accounts: list[ProviderAccount], *, now: datetime) -> QuerySet[Booking]:
    """Bookings of `accounts` that are still to come."""
    return Booking.objects.filter(
        session__activity__provider__in=accounts,
        session__starts_at__gt=now,
        status__in=[Booking.Status.PENDING_PAYMENT, Booking.Status.CONFIRMED],
    )


def told(accounts: list[ProviderAccount]) -> str:
    """Who gets the mail."""
    people = ProviderUser.objects.filter(
        provider_account__in=accounts, role__in=[StaffRole.OWNER, StaffRole.ADMIN]
    ).count()
    return f"{counted(people, 'person', 'people')} (owners and admins) will be told by e-mail."


def of_verifying(accounts: list[ProviderAccount], *, now: datetime) -> list[str]:
    lines = []
    for account in accounts:
        if missing := [each.title for each in checklist(account, now=now) if each.needed and not each.done]:
            lines.append(f"{account}: still to do is {', '.join(missing)}.")
        if account.submitted_at is None:
            lines.append(f"{account} has not asked for verification yet.")
    published = published_of(accounts)
    return [
        *lines,
        f"{counted(published, 'published activity appears', 'published activities appear')} in the catalogue at once.",
        told(accounts),
    ]


def of_rejecting(accounts: list[ProviderAccount], *, now: datetime) -> list[str]:
    return ["Nothing of theirs is public. They can correct it and submit again.", told(accounts)]


def of_suspending(accounts: list[ProviderAccount], *, now: datetime) -> list[str]:
    published = Activity.objects.public().filter(provider__in=accounts).count()
    bookings = ahead(accounts, now=now).aggregate(
        standing=Count("pk", filter=Q(status=Booking.Status.CONFIRMED)),
        held=Count("pk", filter=Q(status=Booking.Status.PENDING_PAYMENT)),
        first=Min("session__starts_at"),
    )
    lines = [
        f"{counted(published, 'activity leaves', 'activities leave')} the catalogue at once; nobody can book them.",
        f"{counted(bookings['standing'], 'confirmed booking', 'confirmed bookings')} to come, and "
        f"{counted(bookings['held'], 'seat that is being paid for', 'seats that are being paid for')}.",
    ]
    if bookings["first"]:
        lines += [
            f"They stay as they are, the first on {bookings['first']:%Y-%m-%d %H:%M} UTC: children may come, parents"
            " may cancel by the usual terms, and no money goes back by itself.",
            "Should they not take place, cancel the sessions: that refunds every parent in full.",
        ]
    return [*lines, "Their team can still sign in, see rosters, cancel and write to parents.", told(accounts)]


def of_reinstating(accounts: list[ProviderAccount], *, now: datetime) -> list[str]:
    published = published_of(accounts)
    return [
        f"{counted(published, 'published activity returns', 'published activities return')} to the catalogue at once.",
        told(accounts),
    ]


def published_of(accounts: list[ProviderAccount]) -> int:
    return Activity.objects.filter(
        provider__in=accounts, status=Activity.Status.PUBLISHED, category__is_active=True
    ).count()


# --- What the page shows ---------------------------------------------------------------------------------------------


def checklist(account: ProviderAccount, *, now: datetime) -> list[onboarding.Step]:
    return onboarding.steps(account=account, now=now)


@dataclass(frozen=True)
class Place:
    """A location as an address. `away` says how far it is from its city's centre, `is_odd` that this is too far."""

    location: Location
    away: str
    is_odd: bool


def place(location: Location) -> Place:
    if location.latitude is None or location.longitude is None:
        return Place(location, "no coordinates", is_odd=False)
    city = location.city
    where = f"{location.latitude:.4f}, {location.longitude:.4f}"
    if city.latitude is None or city.longitude is None:
        return Place(location, where, is_odd=False)
    km = distance_km((location.latitude, location.longitude), (city.latitude, city.longitude))
    return Place(location, f"{where}, {km:,.0f} km from the centre of {city}", is_odd=km > FAR_KM)


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Along the great circle."""
    (lat1, lng1), (lat2, lng2) = (tuple(map(radians, each)) for each in (one, other))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lng2 - lng1) / 2) ** 2
    return 2 * 6371 * asin(min(1, sqrt(half)))


def previews(account: ProviderAccount, *, now: datetime) -> list[dict[str, Any]]:
    """Activities as a parent will see them, those that are published first."""
    coming = Session.objects.filter(
        activity=OuterRef("pk"), status=Session.Status.SCHEDULED, starts_at__gt=now
    ).order_by("starts_at")
    activities = (
        Activity.objects.filter(provider=account)
        .exclude(status=Activity.Status.ARCHIVED)
        .select_related("category")
        .prefetch_related(
            Prefetch(
                "offerings", Offering.objects.filter(status=Offering.Status.ACTIVE).order_by("price_cents"), "to_buy"
            ),
            Prefetch(
                "images",
                ActivityImage.objects.filter(status=ActivityImage.Status.READY).order_by("position", "pk"),
                "pictures",
            ),
        )
        .annotate(
            next_at=Subquery(coming.values("starts_at")[:1]),
            next_zone=Subquery(coming.values("location__city__timezone")[:1]),
        )
        .order_by("-status", "title")
    )
    return [preview(activity) for activity in activities[:MOST]]


def preview(activity: Any) -> dict[str, Any]:
    ages = (activity.age_min, activity.age_max)
    return {
        "activity": activity,
        "picture": activity.pictures[0] if activity.pictures else None,
        "ages": "All ages" if ages == (None, None) else f"Ages {ages[0] or 0} to {ages[1] or '…'}",
        "offerings": [(str(each), money(each.price_cents, each.currency)) for each in activity.to_buy],
        "next": activity.next_at and f"{activity.next_at.astimezone(ZoneInfo(activity.next_zone)):%a %d %b %Y, %H:%M}",
        "zone": activity.next_zone,
    }


def team(account: ProviderAccount) -> list[dict[str, Any]]:
    """The people, masked, and which other accounts they are in: a new name may be an old acquaintance."""
    members = list(ProviderUser.objects.filter(provider_account=account).select_related("user").order_by("role", "pk"))
    elsewhere: dict[Any, list[ProviderAccount]] = {}
    others = ProviderUser.objects.filter(user__in=[each.user_id for each in members]).exclude(provider_account=account)
    for other in others.select_related("provider_account").order_by("-pk")[: MOST * 4]:
        elsewhere.setdefault(other.user_id, []).append(other.provider_account)
    return [
        {"member": each, "email": masked_email(each.user.email), "elsewhere": elsewhere.get(each.user_id, [])}
        for each in members[:MOST]
    ]


def decisions(account: ProviderAccount) -> QuerySet[LogEntry]:
    """What staff did about this account, the latest first."""
    kind = ContentType.objects.get_for_model(ProviderAccount)
    found = LogEntry.objects.filter(content_type=kind, object_id=str(account.pk)).select_related("user")
    return found.order_by("-action_time", "-pk")[: MOST * 2]


@admin.register(ProviderAccount)
class ProviderAccountAdmin(NoAdd, NoDelete, Admin):
    """Accounts come in through the API, with their owner and a slug that both regions know.

    Those who wait come first, the longest wait on top. The page of each shows its case: what is missing, where, what,
    who, and what was decided before.
    """

    change_form_before_template = "bookings/provider_case.html"
    list_display = ["business_name", "state", "waiting_for", "type", "city", "verified_at", "created_at"]
    list_filter = ["status", "type", ("submitted_at", admin.EmptyFieldListFilter)]
    search_fields = ["business_name", "slug"]
    search_ids = ["id", "staff__user_id"]
    search_email = "email"
    readonly_fields = ["slug"]
    fieldsets = [
        ("Profile", {"fields": ["business_name", "type", "slug", "description", "website", "email", "phone"]}),
        (None, {"fields": Admin.stamps}),
    ]
    state = label("status", COLOURS)

    actions = ["verify", "reject", "suspend", "reinstate"]
    actions_detail = ["verify", "reject", "suspend", "reinstate"]
    verify = verb(
        title="Approve",
        past="Approved",
        when=lambda account: account.status == Status.PENDING,
        run=lambda account, *, now: services.verify(account=account, now=now),
        tells=of_verifying,
        icon="verified",
        variant=ActionVariant.SUCCESS,
    )
    reject = verb(
        title="Reject",
        past="Rejected",
        when=lambda account: account.status == Status.PENDING,
        run=lambda account, *, now, reason: services.reject(account=account, reason=reason, now=now),
        reason="The provider reads this. Say what to correct.",
        tells=of_rejecting,
        icon="cancel",
        variant=ActionVariant.DANGER,
    )
    suspend = verb(
        title="Suspend",
        past="Suspended",
        when=lambda account: account.status == Status.VERIFIED,
        run=lambda account, *, now, reason: services.suspend(account=account, reason=reason, now=now),
        reason="The provider reads this.",
        tells=of_suspending,
        icon="block",
        variant=ActionVariant.DANGER,
    )
    reinstate = verb(
        title="Reinstate",
        past="Reinstated",
        when=lambda account: account.status == Status.SUSPENDED,
        run=lambda account, *, now: services.reinstate(account=account, now=now),
        tells=of_reinstating,
        icon="undo",
        variant=ActionVariant.SUCCESS,
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderAccount]:
        places = Location.objects.filter(provider=OuterRef("pk")).order_by("-is_default", "pk")
        return super().get_queryset(request).annotate(where=Subquery(places.values("city__name")[:1]))

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        pending_first = Case(When(status=Status.PENDING, then=Value(0)), default=Value(1), output_field=IntegerField())
        waits = Case(When(status=Status.PENDING, then=F("submitted_at")))
        return [pending_first, waits.asc(nulls_last=True), "-id"]

    @display(description="Waiting for", ordering="submitted_at", empty_value="–")
    def waiting_for(self, row: ProviderAccount) -> str | None:
        if row.status != Status.PENDING:
            return None
        return timesince(row.submitted_at, depth=1) if row.submitted_at else "not submitted"

    @display(description="City")
    def city(self, row: Any) -> str | None:
        return row.where

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        account = self.get_object(request, object_id)
        case = self.case(request, account) if account and self.has_view_permission(request, account) else {}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | case)

    def case(self, request: HttpRequest, account: ProviderAccount) -> dict[str, Any]:
        now = timezone.now()
        places = Location.objects.filter(provider=account).select_related("city__country", "locality")
        return {
            "account": account,
            "verdict": COLOURS[account.status],
            "waiting_for": self.waiting_for(account),
            "steps": checklist(account, now=now),
            "places": [place(each) for each in places.order_by("-is_default", "name")[:MOST]],
            "previews": previews(account, now=now),
            "activities_url": list_url("marketplace.Activity", provider__id__exact=account.pk),
            "team": team(account) if may_view(request, "providers.ProviderUser") else None,
            "decisions": list(decisions(account)),
            "bookings_ahead": ahead([account], now=now).count(),
            "more": links(**related(request, account)),
        }


def related(request: HttpRequest, account: ProviderAccount) -> dict[str, str]:
    """The lists of what belongs to the account, as far as this member of staff may open them."""
    labels = {
        "Sessions": ("marketplace.Session", "activity__provider__id__exact"),
        "Bookings": ("bookings.Booking", "session__activity__provider__id__exact"),
        "Conversations": ("messaging.Conversation", "provider__id__exact"),
    }
    return {
        title: list_url(label, **{field: account.pk})
        for title, (label, field) in labels.items()
        if may_view(request, label)
    }
