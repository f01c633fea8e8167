"""`/v1/me/bookings`: making them and looking at them. What moves money with them lives in payments."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from bookings import overlaps, services
from bookings.models import Booking, Review
from bookings.serializers import (
    BookingRequestSerializer,
    BookingSerializer,
    BookingWithWarningsSerializer,
    RescheduleRequestSerializer,
    ReviewSerializer,
)
from core.errors import InvalidState, NotFound, ValidationFailed
from core.idempotency import IdempotencyInProgress, IdempotencyKeyRequired, IdempotencyKeyReused, idempotent
from core.query import known_only
from core.views import PublicView
from marketplace.models import SearchRow, Session
from regions.permissions import HomeRegion
from users.models import Child
from users.permissions import IsParent, caller
from users.services import ConsentRequired
from users.views import ChildViewSet as BaseChildViewSet

PARENT_ONLY = [IsAuthenticated, HomeRegion, IsParent]
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, required=True, description="1 to 255 printable ASCII characters"
)

# What a view with `idempotent` answers besides, and why there may be no seat.
REPLAYED = (IdempotencyKeyRequired, IdempotencyKeyReused, IdempotencyInProgress)
NO_SEAT = (
    services.SessionFull,
    services.SessionNotBookable,
    services.AlreadyBooked,
    services.AgeNotEligible,
    services.CrossRegionBooking,
)


def find_session(session_id: UUID, *, field: str = "sessionId") -> Session:
    """The session with what booking it asks. Raises `NotFound`."""
    found = Session.objects.select_related("offering", "activity", "location__city").filter(pk=session_id).first()
    if found is None:
        raise NotFound("There is no such session.", field=field)
    return found


def with_warnings(booking: Booking) -> Any:
    """The answer to a booking that `services.book` made, or that was moved and read by `for_display()`."""
    held = [seat.session for seat in booking.seats.all() if seat.released_at is None]
    return BookingWithWarningsSerializer(booking, context={"warnings": overlaps.warnings(booking, held)}).data


class BookingViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Booking]):
    """The caller's bookings, latest first."""

    permission_classes = PARENT_ONLY
    serializer_class = BookingSerializer
    errors = {"create": (NotFound, *REPLAYED, *NO_SEAT)}
    queryset = Booking.objects.none()

    def get_queryset(self) -> QuerySet[Booking]:
        return Booking.objects.filter(parent=caller(self.request).parent).for_display().order_by("-id")

    @extend_schema(
        request=BookingRequestSerializer,
        responses={201: BookingWithWarningsSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    @idempotent()
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        body = BookingRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        parent = caller(request).parent
        child = Child.objects.present().filter(parent=parent, pk=body.validated_data["child_id"]).first()
        if child is None:
            raise NotFound("There is no such child.", field="childId")
        session = find_session(body.validated_data["session_id"])
        if body.validated_data.get("offering_id", session.offering_id) != session.offering_id:
            raise ValidationFailed("The session does not belong to this offering.", field="offeringId")
        booking = services.book(parent=parent, child=child, session=session, now=timezone.now())
        return Response(with_warnings(booking), status.HTTP_201_CREATED)


class RescheduleView(APIView):
    """Moves a booking to another session of its activity, for the same price."""

    errors = {"POST": (InvalidState, services.PriceMismatch, services.BookingExpired, *NO_SEAT)}

    permission_classes = PARENT_ONLY

    @extend_schema(request=RescheduleRequestSerializer, responses=BookingWithWarningsSerializer)
    def post(self, request: Request, booking_id: UUID) -> Response:
        body = RescheduleRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        mine = Booking.objects.filter(parent=caller(request).parent)
        if not mine.filter(pk=booking_id).exists():
            raise NotFound
        session = find_session(body.validated_data["session_id"])
        services.reschedule(booking_id=booking_id, session=session, now=timezone.now())
        return Response(with_warnings(mine.for_display().get(pk=booking_id)))


class ChildViewSet(BaseChildViewSet):
    """The caller's children, with the removal that asks their bookings first."""

    errors = {"create": (ConsentRequired,), "destroy": (InvalidState,)}

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        services.remove_child(child=self.get_object(), now=timezone.now())
        return Response(None)


class ReviewList(PublicView, ListAPIView[Review]):
    """What parents said about a public activity, latest first."""

    serializer_class = ReviewSerializer
    queryset = Review.objects.none()

    def get_queryset(self) -> QuerySet[Review]:
        known_only(self.request)
        activity_id = self.kwargs["activity_id"]
        if not SearchRow.objects.filter(activity=activity_id).exists():
            raise NotFound
        return Review.objects.published().filter(booking__session__activity=activity_id).order_by("-id")
