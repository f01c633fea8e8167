"""`/v1/provider/bookings` and `/v1/provider/reviews`: what parents booked and said, for a provider's staff."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from bookings import reviews
from bookings.models import Booking, Review, Seat
from bookings.provider_serializers import (
    ProviderBookingDetailSerializer,
    ProviderBookingSerializer,
    ProviderReviewSerializer,
    ReviewResponseRequestSerializer,
    shown_initials,
)
from bookings.roster import consent_of
from bookings.roster_views import wants_csv
from core import query
from core.errors import InvalidState, NotFound, ValidationFailed
from core.spreadsheets import csv_answer
from marketplace.models import Session
from marketplace.views import parameter
from providers.permissions import STAFF_ONLY, own_account

# Of one CSV file: it is made in one piece, so that it is whole or not there at all.
MOST_ROWS = 5_000
COLUMNS = [
    "Booking",
    "Status",
    "Activity",
    "Offering",
    "Location",
    "Starts",
    "Ends",
    "Time zone",
    "Child",
    "Currency",
    "Price",
    "Paid",
    "Refunded",
    "Booked",
    "Cancelled",
]


class ProviderBookingViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Booking]):
    """Bookings of the caller's provider account, latest first. Of children there are initials only, at any time."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"GET": "view", "HEAD": "view", "OPTIONS": "view"}
    queryset = Booking.objects.none()

    def get_serializer_class(self) -> type[BaseSerializer[Booking]]:
        return ProviderBookingDetailSerializer if self.action == "retrieve" else ProviderBookingSerializer

    def get_queryset(self) -> QuerySet[Booking]:
        mine = Booking.objects.filter(session__activity__provider=own_account(self.request))
        found = mine.select_related("session__activity", "session__location__city", "offering", "child")
        found = found.annotate(consent=consent_of("parent")).prefetch_related("payments__refunds").order_by("-id")
        return found.prefetch_related("seats__session__location__city") if self.action == "retrieve" else found

    @extend_schema(
        parameters=[
            parameter("activity", "Of this activity", OpenApiTypes.UUID),
            parameter("session", "With a seat in this session, or made for it", OpenApiTypes.UUID),
            parameter("status", "Of these statuses, separated by commas; " + ", ".join(Booking.Status.values)),
            parameter("from", "First day of their first session, in the location's calendar", OpenApiTypes.DATE),
            parameter("to", "Last day of their first session, in the location's calendar", OpenApiTypes.DATE),
            parameter("format", "json, or csv for all pages in one file", enum=["json", "csv"]),
            OpenApiParameter("Accept", str, OpenApiParameter.HEADER, description="text/csv does as format=csv"),
        ],
        responses={
            (200, "application/json"): ProviderBookingSerializer(many=True),
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]
        given = query.known_only(request, "activity", "session", "status", "from", "to", "format")
        found = chosen(self.get_queryset(), given)
        asked = query.one_of(given, "format", ["json", "csv"])
        if asked == "csv" or (asked is None and wants_csv(request)):
            if {"page", "limit"} & given.keys():
                raise query.invalid("page", "A file has all pages.")
            return as_csv(found)
        return self.get_paginated_response(self.get_serializer(self.paginate_queryset(found), many=True).data)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        query.known_only(request, paged=False)
        return super().retrieve(request, *args, **kwargs)


def chosen(bookings: QuerySet[Booking], given: dict[str, str]) -> QuerySet[Booking]:
    """`bookings` that match the filters of the query string."""
    activity, session = query.uuid(given, "activity"), query.uuid(given, "session")
    statuses = query.some_of(given, "status", Booking.Status.values)
    first, last = query.day(given, "from"), query.day(given, "to")
    if first and last and last < first:
        raise query.invalid("to", "The range ends before it begins.")
    if activity:
        bookings = bookings.filter(session__activity=activity)
    if session:
        seats = Seat.objects.held().filter(booking=OuterRef("pk"), session=session)
        bookings = bookings.filter(Q(session=session) | Exists(seats))
    if statuses:
        bookings = bookings.filter(status__in=statuses)
    if first or last:
        bookings = bookings.filter(session__in=Session.objects.on_days(first, last))
    return bookings


def as_csv(bookings: QuerySet[Booking]) -> HttpResponse:
    """All of `bookings` in one file. Raises `ValidationFailed` for too many."""
    if bookings.order_by()[: MOST_ROWS + 1].count() > MOST_ROWS:
        raise ValidationFailed(f"More than {MOST_ROWS} bookings: ask for fewer days.", field="from")
    return csv_answer("bookings.csv", header=COLUMNS, rows=map(as_row, bookings[:MOST_ROWS]))


def as_row(booking: Booking) -> list[Any]:
    """A booking as the columns of the file; times on its location's clock, money in whole units."""
    session, zone = booking.session, ZoneInfo(booking.session.location.city.timezone)
    payments = [each for each in booking.payments.all() if each.status in ("paid", "refunded")]
    refunds = [refund for each in payments for refund in each.refunds.all() if refund.status != "failed"]

    def local(moment: datetime | None) -> str:
        return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" if moment else ""

    def money(cents: int) -> str:
        return f"{cents // 100}.{cents % 100:02}"

    return [
        booking.pk,
        booking.status,
        session.activity.title,
        booking.offering,
        session.location.name,
        local(session.starts_at),
        local(session.ends_at),
        zone.key,
        shown_initials(booking),
        booking.currency,
        money(booking.amount_cents),
        money(sum(each.amount_cents for each in payments)),
        money(sum(each.amount_cents for each in refunds)),
        local(booking.created_at),
        local(booking.cancelled_at),
    ]


class ProviderReviewList(ListAPIView[Review]):
    """What parents said about the activities of the caller's provider account, latest first."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"GET": "view", "HEAD": "view", "OPTIONS": "view"}
    serializer_class = ProviderReviewSerializer
    queryset = Review.objects.none()

    def get_queryset(self) -> QuerySet[Review]:
        given = query.known_only(self.request, "activity", "responded")
        activity, responded = query.uuid(given, "activity"), query.boolean(given, "responded")
        found = own_reviews(self.request)
        if activity:
            found = found.filter(booking__session__activity=activity)
        if responded is not None:
            found = found.filter(response__isnull=not responded)
        return found

    @extend_schema(
        parameters=[
            parameter("activity", "Of this activity", OpenApiTypes.UUID),
            parameter("responded", "Whether it has its response", bool),
        ]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class ReviewResponseView(APIView):
    """Answers a review, once; everybody may read it."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"POST": "create", "OPTIONS": "view"}
    errors = {"POST": (InvalidState,)}

    @extend_schema(request=ReviewResponseRequestSerializer, responses={200: ProviderReviewSerializer})
    def post(self, request: Request, review_id: UUID) -> Response:
        body = ReviewResponseRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if not own_reviews(request).filter(pk=review_id).exists():
            raise NotFound
        reviews.respond(review_id=review_id, response=body.validated_data["response"], now=timezone.now())
        return Response(ProviderReviewSerializer(own_reviews(request).get(pk=review_id)).data)


def own_reviews(request: Request) -> QuerySet[Review]:
    """Published reviews of the caller's provider account."""
    mine = Review.objects.published().filter(booking__session__activity__provider=own_account(request))
    return mine.select_related("booking__session__activity").order_by("-id")
