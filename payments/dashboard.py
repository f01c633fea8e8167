"""`GET /v1/provider/dashboard`: how a provider's business goes, in a fixed number of queries.

Months are those of the calendar on the wall at the provider's default location. Revenue is what came minus what went
back, each in the month in which it did: a month that is over does not change any more.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import product
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Avg, Count, Q, Sum
from django.db.models.functions import Coalesce, TruncMonth
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings.models import Booking, Review
from bookings.provider_serializers import SessionBriefSerializer
from core import query
from core.models import Currency
from core.serializers import Serializer
from marketplace.models import Session
from payments.models import Payment, Refund
from providers.models import Location, ProviderAccount
from providers.permissions import STAFF_ONLY, own_account

DAYS = 30  # back and ahead
MONTHS = 12  # this one included
NEXT = 5


def dashboard(account: ProviderAccount, *, now: datetime) -> dict[str, Any]:
    """Sessions, seats, money, cancellations and ratings of `account`."""
    zone = zone_of(account)
    sessions = Session.objects.filter(activity__provider=account)
    counts = seats(sessions, now=now)
    upcoming = sessions.filter(status=Session.Status.SCHEDULED, starts_at__gt=now)
    return {
        "timezone": zone.key,
        "days": DAYS,
        "upcoming": {
            "count": counts["ahead"],
            "capacity": counts["capacity_ahead"],
            "enrolled": counts["enrolled_ahead"],
            "next": upcoming.select_related("activity", "location__city").order_by("starts_at", "pk")[:NEXT],
        },
        "fill_rate": {
            "upcoming": share(counts["enrolled_ahead"], counts["capacity_ahead"]),
            "past": share(counts["enrolled_back"], counts["capacity_back"]),
        },
        "revenue": list(revenue(account, zone=zone, now=now)),
        "cancellations": {"bookings": cancelled_bookings(account, now=now), "sessions": counts["cancelled"]},
        "rating": rating(account),
    }


def zone_of(account: ProviderAccount) -> ZoneInfo:
    """The clock of the default location, else of the first one; UTC where there is none yet."""
    places = Location.objects.filter(provider=account).order_by("-is_default", "pk")
    return ZoneInfo(places.values_list("city__timezone", flat=True).first() or "UTC")


def seats(sessions: Any, *, now: datetime) -> dict[str, int]:
    """Sessions and their seats `DAYS` ahead and back, and those that were cancelled since then."""
    since, until = now - timedelta(days=DAYS), now + timedelta(days=DAYS)
    ahead = Q(status=Session.Status.SCHEDULED, starts_at__gt=now, starts_at__lte=until)
    back = Q(starts_at__gt=since, starts_at__lte=now) & ~Q(status=Session.Status.CANCELLED)
    cancelled = Q(status=Session.Status.CANCELLED, cancelled_at__gt=since, cancelled_at__lte=now)
    return sessions.filter(ahead | back | cancelled).aggregate(
        ahead=Count("pk", filter=ahead),
        capacity_ahead=Sum("capacity", filter=ahead, default=0),
        enrolled_ahead=Sum("enrolled", filter=ahead, default=0),
        capacity_back=Sum("capacity", filter=back, default=0),
        enrolled_back=Sum("enrolled", filter=back, default=0),
        cancelled=Count("pk", filter=cancelled),
    )


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def revenue(account: ProviderAccount, *, zone: ZoneInfo, now: datetime) -> Iterator[dict[str, Any]]:
    """A row for each of the last `MONTHS` and each currency, oldest first, empty ones included."""
    months = last_months(now.astimezone(zone).date())
    since = datetime.combine(months[0], time(), zone)
    paid = Payment.objects.filter(
        booking__session__activity__provider=account, status__in=[Payment.Status.PAID, Payment.Status.REFUNDED]
    )
    # A full refund may be told before the success that it undoes, and then that has no time of its own.
    told = paid.annotate(came_at=Coalesce("paid_at", "refunded_at"))
    came = by_month(told, moment="came_at", since=since, zone=zone)
    refunds = Refund.objects.filter(payment__in=paid).exclude(status=Refund.Status.FAILED)
    went = by_month(refunds, moment="created_at", since=since, zone=zone)
    currencies = sorted({settings.CURRENCY, *(currency for _, currency in (*came, *went))})
    for month, currency in product((f"{each:%Y-%m}" for each in months), currencies):
        paid_cents, refunded_cents = came.get((month, currency), 0), went.get((month, currency), 0)
        yield {
            "month": month,
            "currency": currency,
            "paid_cents": paid_cents,
            "refunded_cents": refunded_cents,
            "net_cents": paid_cents - refunded_cents,
        }


def last_months(today: date) -> list[date]:
    """The first days of the last `MONTHS`, oldest first."""
    this = today.year * 12 + today.month - 1
    return [date(number // 12, number % 12 + 1, 1) for number in range(this - MONTHS + 1, this + 1)]


def by_month(rows: Any, *, moment: str, since: datetime, zone: ZoneInfo) -> dict[tuple[str, str], int]:
    """The cents of `rows` by month and currency."""
    found = rows.filter(**{f"{moment}__gte": since}).annotate(month=TruncMonth(moment, tzinfo=zone))
    found = found.order_by().values("month", "currency").annotate(cents=Sum("amount_cents"))
    return {(f"{each['month']:%Y-%m}", each["currency"]): each["cents"] for each in found}


def cancelled_bookings(account: ProviderAccount, *, now: datetime) -> int:
    """Confirmed bookings that were cancelled in the last `DAYS`, by whomever."""
    mine = Booking.objects.filter(session__activity__provider=account, status=Booking.Status.CANCELLED)
    since = now - timedelta(days=DAYS)
    return mine.filter(confirmed_at__isnull=False, cancelled_at__gt=since, cancelled_at__lte=now).count()


def rating(account: ProviderAccount) -> dict[str, Any]:
    """Of published reviews, and how many of them wait for a response."""
    found = Review.objects.published().filter(booking__session__activity__provider=account)
    numbers = found.aggregate(
        average=Avg("rating"), count=Count("pk"), unanswered=Count("pk", filter=Q(response__isnull=True))
    )
    return numbers | {"average": None if numbers["average"] is None else round(float(numbers["average"]), 2)}


# --- The view --------------------------------------------------------------------------------------------------------


class UpcomingSerializer(Serializer):
    count = serializers.IntegerField(help_text="Sessions in the coming `days`")
    capacity = serializers.IntegerField(help_text="Their seats")
    enrolled = serializers.IntegerField(help_text="Their seats that are held")
    next = SessionBriefSerializer(many=True, help_text="The next few, whenever they are")


class FillRateSerializer(Serializer):
    """Held seats as a share of all, 0 to 1; null where there were none."""

    upcoming = serializers.FloatField(allow_null=True)
    past = serializers.FloatField(allow_null=True)


class RevenueSerializer(Serializer):
    month = serializers.CharField(help_text="Such as 2026-03")
    currency = serializers.ChoiceField(Currency.choices)
    paid_cents = serializers.IntegerField(help_text="What came in that month")
    refunded_cents = serializers.IntegerField(help_text="What went back in that month, or is on its way")
    net_cents = serializers.IntegerField()


class CancellationsSerializer(Serializer):
    bookings = serializers.IntegerField(help_text="Confirmed ones, in the last `days`")
    sessions = serializers.IntegerField(help_text="In the last `days`")


class ProviderRatingSerializer(Serializer):
    average = serializers.FloatField(allow_null=True)
    count = serializers.IntegerField()
    unanswered = serializers.IntegerField(help_text="Reviews without a response")


class DashboardSerializer(Serializer):
    """How the business goes. Months are those of `timezone`."""

    timezone = serializers.CharField()
    days = serializers.IntegerField(help_text="How far it looks back and ahead")
    upcoming = UpcomingSerializer()
    fill_rate = FillRateSerializer()
    revenue = RevenueSerializer(many=True, help_text="The last twelve months, oldest first")
    cancellations = CancellationsSerializer()
    rating = ProviderRatingSerializer()


class DashboardView(APIView):
    """How the business of the caller's provider account goes."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"GET": "view", "HEAD": "view", "OPTIONS": "view"}

    @extend_schema(responses=DashboardSerializer)
    def get(self, request: Request) -> Response:
        query.known_only(request, paged=False)
        return Response(DashboardSerializer(dashboard(own_account(request), now=timezone.now())).data)
