"""Bodies of `/v1/me/bookings`."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from bookings.models import Booking, Review
from bookings.overlaps import WarningCode
from core.models import Currency
from core.serializers import ModelSerializer, Serializer
from marketplace.serializers import SessionSerializer


class BookingRequestSerializer(Serializer):
    session_id = serializers.UUIDField()
    child_id = serializers.UUIDField()
    offering_id = serializers.UUIDField(required=False)


class RescheduleRequestSerializer(Serializer):
    session_id = serializers.UUIDField()


class BookedActivitySerializer(Serializer):
    id = serializers.UUIDField()
    title = serializers.CharField()
    slug = serializers.CharField()
    provider = serializers.CharField(source="provider.business_name")


class BookedPaymentSerializer(Serializer):
    id = serializers.UUIDField()
    status = serializers.CharField()
    processor = serializers.CharField()
    amount_cents = serializers.IntegerField()
    currency = serializers.ChoiceField(Currency.choices)
    refunded_cents = serializers.SerializerMethodField()

    @extend_schema_field(int)
    def get_refunded_cents(self, payment: Any) -> int:
        """What has gone back, or is on its way."""
        return sum(refund.amount_cents for refund in payment.refunds.all() if refund.status != "failed")


class ReviewSerializer(ModelSerializer):
    """A review as the public sees it: without its author."""

    class Meta:
        model = Review
        fields = ["id", "rating", "comment", "response", "responded_at", "created_at"]


class BookingSerializer(ModelSerializer):
    """A booking with its sessions, its activity and its payment. Expects `Booking.objects.for_display()`."""

    session_id = serializers.UUIDField()
    offering_id = serializers.UUIDField()
    child_id = serializers.UUIDField()
    sessions = serializers.SerializerMethodField()
    activity = BookedActivitySerializer(source="session.activity")
    payment = serializers.SerializerMethodField()

    class Meta:
        model = Booking
        fields = [
            "id",
            "status",
            "session_id",
            "offering_id",
            "child_id",
            "amount_cents",
            "currency",
            "expires_at",
            "sessions",
            "activity",
            "payment",
            "cancellation_reason",
            "created_at",
        ]

    @extend_schema_field(SessionSerializer(many=True))
    def get_sessions(self, booking: Booking) -> Any:
        """The sessions that it holds seats in; where it holds none any more, those that it last held."""
        seats = list(booking.seats.all())
        held = [seat for seat in seats if seat.released_at is None]
        last = max((seat.released_at for seat in seats if seat.released_at), default=None)
        shown = held or [seat for seat in seats if seat.released_at == last]
        return SessionSerializer(sorted((seat.session for seat in shown), key=lambda s: s.starts_at), many=True).data

    @extend_schema_field(BookedPaymentSerializer(allow_null=True))
    def get_payment(self, booking: Booking) -> Any:
        """The payment that counts: a paid one before an open one, the latest before earlier ones."""
        rank = {"paid": 3, "refunded": 2, "pending": 1, "created": 1}
        payments = sorted(booking.payments.all(), key=lambda each: (rank.get(each.status, 0), each.id))
        return BookedPaymentSerializer(payments[-1]).data if payments else None


class OverlapSerializer(Serializer):
    """A warning: another seat of the family at the same time."""

    code = serializers.ChoiceField(WarningCode.choices)
    message = serializers.CharField()
    session_id = serializers.UUIDField(help_text="The session that is booked, or would be")
    other_session_id = serializers.UUIDField(help_text="The one at the same time")
    booking_id = serializers.UUIDField(help_text="Whose seat is in that one")
    child_id = serializers.UUIDField(help_text="Who sits there")


class BookingWithWarningsSerializer(BookingSerializer):
    """A booking that was just made or moved. Expects `warnings` in the context."""

    warnings = serializers.SerializerMethodField()

    class Meta(BookingSerializer.Meta):
        fields = [*BookingSerializer.Meta.fields, "warnings"]

    @extend_schema_field(OverlapSerializer(many=True))
    def get_warnings(self, booking: Booking) -> Any:
        return OverlapSerializer(self.context["warnings"], many=True).data
