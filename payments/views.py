"""Checkout, webhooks, and what parents do to bookings where money moves."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings import overlaps
from bookings import services as bookings
from bookings.models import Booking
from bookings.serializers import BookingSerializer
from bookings.views import IDEMPOTENCY_KEY, PARENT_ONLY, REPLAYED, find_session
from core import query
from core.errors import Error, InvalidState, NotFound, ServiceUnavailable, ValidationFailed
from core.idempotency import idempotent
from payments import cancellations, events, services
from payments.processors import InvalidSignature, ProcessorError, processor
from payments.serializers import (
    CancelRequestSerializer,
    CheckoutRequestSerializer,
    CheckoutSerializer,
    QuoteSerializer,
    ReceivedSerializer,
    TimelineSerializer,
)
from payments.timeline import timeline
from users.permissions import caller


class CheckoutView(APIView):
    """Opens a booking's checkout, or gives the one that is open."""

    errors = {"POST": (NotFound, InvalidState, bookings.BookingExpired, *REPLAYED, ProcessorError)}

    permission_classes = PARENT_ONLY

    @extend_schema(request=CheckoutRequestSerializer, responses={201: CheckoutSerializer}, parameters=[IDEMPOTENCY_KEY])
    # No transaction may span the call to the processor.
    @idempotent(atomic=False)
    def post(self, request: Request) -> Response:
        body = CheckoutRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data.get("processor")
        if wanted:
            try:
                processor(wanted)
            except NotFound:
                raise ValidationFailed("This region does not take payments that way.", field="processor") from None
        booking = find_booking(request, body.validated_data["booking_id"], field="bookingId")
        payment = services.start_checkout(booking=booking, processor_name=wanted, now=timezone.now())
        return Response(CheckoutSerializer(payment).data, status=status.HTTP_201_CREATED)


class WebhookView(APIView):
    """Events of one processor. The signature over the raw body is the only sign-in there is."""

    authentication_classes: list = []
    permission_classes: list = []
    throttle_classes: list = []
    errors = {"POST": (InvalidSignature, NotFound, ServiceUnavailable)}
    name = ""

    @extend_schema(request=dict, responses=ReceivedSerializer, auth=[])
    def post(self, request: Request) -> Response:
        outcome = processor(self.name).read_event(request._request.body, request.headers)
        events.record(processor=self.name, outcome=outcome, raw=request._request.body, now=timezone.now())
        return Response({"received": True})


def find_booking(request: Request, booking_id: UUID, *, field: str | None = None) -> Booking:
    """The caller's own booking. Raises `NotFound`."""
    mine = Booking.objects.filter(parent=caller(request).parent).select_related(
        "session__activity", "offering", "child"
    )
    booking = mine.filter(pk=booking_id).first()
    if booking is None:
        raise NotFound("There is no such booking.", field=field) if field else NotFound
    return booking


class TimelineView(APIView):
    """What happened to a booking's money, in plain words."""

    permission_classes = PARENT_ONLY

    @extend_schema(responses=TimelineSerializer)
    def get(self, request: Request, booking_id: UUID) -> Response:
        query.known_only(request, paged=False)
        return Response(TimelineSerializer(timeline(find_booking(request, booking_id))).data)


class CancelView(APIView):
    """Cancels a booking; the refund window decides what goes back."""

    errors = {"POST": (InvalidState,)}

    permission_classes = PARENT_ONLY

    @extend_schema(request=CancelRequestSerializer, responses=BookingSerializer)
    def post(self, request: Request, booking_id: UUID) -> Response:
        body = CancelRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        find_booking(request, booking_id)
        cancellations.cancel_booking(
            booking_id=booking_id, reason=body.validated_data.get("reason", ""), now=timezone.now()
        )
        return Response(BookingSerializer(Booking.objects.for_display().get(pk=booking_id)).data)


class QuoteView(APIView):
    """Tells what cancelling or moving a booking would mean, before the parent commits to it."""

    permission_classes = PARENT_ONLY

    @extend_schema(
        responses=QuoteSerializer,
        parameters=[
            OpenApiParameter("action", str, required=True, enum=["cancel", "reschedule"]),
            OpenApiParameter("sessionId", UUID, description="Where to, for reschedule"),
        ],
    )
    def get(self, request: Request, booking_id: UUID) -> Response:
        given = query.known_only(request, "action", "session_id", paged=False)
        action = query.one_of(given, "action", ["cancel", "reschedule"])
        if action is None:
            raise query.invalid("action", "Must be cancel or reschedule.")
        booking, now = find_booking(request, booking_id), timezone.now()
        quote: dict[str, Any] = {
            "action": action,
            "allowed": True,
            "code": None,
            "message": None,
            "refund_cents": 0,
            "difference_cents": 0,
            "currency": booking.currency,
            "refund_until": booking.refundable_until,
            "details": [],
            "warnings": [],
        }
        try:
            if action == "cancel":
                cancellations.check_cancellable(booking, now=now)
                quote["refund_cents"] = cancellations.refundable_cents(booking, now=now)
            else:
                self.quote_reschedule(booking, given.get("session_id"), quote, now=now)
        except Error as error:
            if error.status != status.HTTP_409_CONFLICT:
                raise
            quote |= {"allowed": False, "code": error.code, "message": error.message, "details": error.details}
        return Response(QuoteSerializer(quote).data)

    def quote_reschedule(self, booking: Booking, text: str | None, quote: dict[str, Any], *, now: datetime) -> None:
        try:
            session = find_session(UUID(text or ""))
        except ValueError:
            raise query.invalid("session_id", "Must be the id of the session to move to.") from None
        quote["difference_cents"] = session.offering.price_cents - booking.amount_cents
        quote["warnings"] = overlaps.warnings(booking, bookings.check_move(booking, session, now=now))
