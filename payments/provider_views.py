"""`/v1/provider`: what a provider's staff do to bookings and sessions where money moves."""

from typing import ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings.models import Booking
from core.errors import InvalidState, NotFound
from marketplace.models import Session
from payments.cancellations import Extent, cancel_in_full
from payments.serializers import (
    ExtentSerializer,
    FullCancelRequestSerializer,
    SessionCancelRequestSerializer,
)
from payments.session_cancellations import cancel_sessions
from providers.permissions import STAFF_ONLY, own_account


class ProviderCancelView(APIView):
    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"POST": "cancel", "OPTIONS": "view"}
    errors = {"POST": (InvalidState,)}


class BookingCancelView(ProviderCancelView):
    """Cancels a booking in the provider's name: everything that was paid goes back, whatever the refund window."""

    @extend_schema(request=FullCancelRequestSerializer, responses=ExtentSerializer)
    def post(self, request: Request, booking_id: UUID) -> Response:
        body = FullCancelRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        account = own_account(request)
        if not Booking.objects.filter(pk=booking_id, session__activity__provider=account).exists():
            raise NotFound
        return answer(cancel_in_full(booking_id=booking_id, now=timezone.now(), **given(body)), body)


class SessionCancelView(ProviderCancelView):
    """Cancels a session, or a series from it on: who has a seat there gets back what it is worth."""

    @extend_schema(request=SessionCancelRequestSerializer, responses=ExtentSerializer)
    def post(self, request: Request, session_id: UUID) -> Response:
        body = SessionCancelRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if not Session.objects.filter(pk=session_id, activity__provider=own_account(request)).exists():
            raise NotFound
        series = body.validated_data["series"]
        extent = cancel_sessions(session_ids=[session_id], series=series, now=timezone.now(), **given(body))
        return answer(extent, body)


def given(body: FullCancelRequestSerializer) -> dict:
    return {"reason": body.validated_data.get("reason", ""), "dry_run": body.validated_data["dry_run"]}


def answer(extent: Extent, body: FullCancelRequestSerializer) -> Response:
    shown = {
        "dry_run": body.validated_data["dry_run"],
        "sessions": extent.sessions,
        "bookings": len(extent.booking_ids),
        "bookings_cancelled": extent.ending,
        "children": extent.children,
        "refunds": [{"amount_cents": cents, "currency": currency} for currency, cents in sorted(extent.cents.items())],
    }
    return Response(ExtentSerializer(shown).data)
