"""What a provider's staff see of bookings, rosters and reviews."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from bookings import roster
from bookings.models import Attendance, Booking, Review
from bookings.serializers import BookingSerializer
from core.serializers import ModelSerializer, Serializer
from marketplace.models import Session
from marketplace.serializers import SessionSerializer

MOST_ENTRIES = 500


class SessionBriefSerializer(ModelSerializer):
    """A session with the names that people know it by."""

    activity_id = serializers.UUIDField()
    activity_title = serializers.CharField(source="activity.title")
    location_name = serializers.CharField(source="location.name")
    timezone = serializers.CharField(source="location.city.timezone")

    class Meta:
        model = Session
        fields = [
            "id",
            "activity_id",
            "activity_title",
            "location_name",
            "starts_at",
            "ends_at",
            "timezone",
            "capacity",
            "enrolled",
            "status",
        ]


# --- Roster and attendance -------------------------------------------------------------------------------------------


class ChildDetailsSerializer(Serializer):
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    age = serializers.IntegerField(help_text="On the day of the session")
    parent_phone = serializers.CharField(help_text="E.164; empty where the parent gave none")


class RosterSeatSerializer(Serializer):
    """A seat in a session and who sits in it."""

    booking_id = serializers.UUIDField()
    status = serializers.ChoiceField(Booking.Status.choices)
    attendance = serializers.ChoiceField(Attendance.choices, allow_null=True)
    attendance_at = serializers.DateTimeField(allow_null=True)
    initials = serializers.CharField(allow_null=True)
    child = ChildDetailsSerializer(allow_null=True)
    hidden = serializers.ChoiceField(
        ["not_now", "removed", "no_consent"], allow_null=True, help_text="Why there are no details"
    )


class RosterSerializer(Serializer):
    """Who sits in a session; details of children from `detailsFrom` until `detailsUntil` only."""

    session = SessionBriefSerializer()
    details_shown = serializers.BooleanField()
    details_from = serializers.DateTimeField()
    details_until = serializers.DateTimeField()
    on_hold = serializers.IntegerField(help_text="Seats held for parents who have yet to pay")
    seats = RosterSeatSerializer(many=True)


class AttendanceEntrySerializer(Serializer):
    booking_id = serializers.UUIDField()
    status = serializers.ChoiceField(Attendance.choices, allow_null=True)


class AttendanceRequestSerializer(Serializer):
    """Who came: `present`, `absent`, or null to take it back."""

    entries: Any = serializers.ListSerializer(
        child=AttendanceEntrySerializer(), allow_empty=False, max_length=MOST_ENTRIES
    )

    def validate_entries(self, entries: list[dict[str, Any]]) -> dict[UUID, Attendance | None]:
        given = {entry["booking_id"]: entry["status"] and Attendance(entry["status"]) for entry in entries}
        if len(given) < len(entries):
            raise serializers.ValidationError("A booking is named twice.")
        return given


class NotedSerializer(Serializer):
    booking_id = serializers.UUIDField()
    status = serializers.ChoiceField(Attendance.choices, allow_null=True)
    noted_at = serializers.DateTimeField(allow_null=True)


class AttendanceSerializer(Serializer):
    """What is noted of a session: everybody who is to come, and how many of each."""

    session_id = serializers.UUIDField()
    present = serializers.IntegerField()
    absent = serializers.IntegerField()
    not_noted = serializers.IntegerField()
    entries = NotedSerializer(many=True)


# --- Bookings --------------------------------------------------------------------------------------------------------


class ProviderBookingSerializer(BookingSerializer):
    """A booking without a child's details: those are on the roster, in their time. `session` is the first one."""

    session = SessionBriefSerializer()
    offering_name = serializers.CharField(source="offering.__str__")
    initials = serializers.SerializerMethodField()

    class Meta(BookingSerializer.Meta):
        fields = [
            "id",
            "status",
            "session",
            "offering_id",
            "offering_name",
            "initials",
            "amount_cents",
            "currency",
            "payment",
            "expires_at",
            "confirmed_at",
            "cancelled_at",
            "created_at",
        ]

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_initials(self, booking: Booking) -> str | None:
        return shown_initials(booking)


class AttendedSessionSerializer(SessionSerializer):
    attendance = serializers.ChoiceField(Attendance.choices, allow_null=True)

    class Meta(SessionSerializer.Meta):
        fields = [*SessionSerializer.Meta.fields, "attendance"]


class ProviderBookingDetailSerializer(ProviderBookingSerializer):
    """A booking with all of its sessions, and whether the child came to them."""

    class Meta(ProviderBookingSerializer.Meta):
        fields = [*ProviderBookingSerializer.Meta.fields, "sessions"]

    @extend_schema_field(AttendedSessionSerializer(many=True))
    def get_sessions(self, booking: Booking) -> Any:
        # A session that was left and booked again has two seats; the held one counts.
        seats = sorted(booking.seats.all(), key=lambda seat: seat.released_at is None)
        noted = {str(seat.session_id): seat.attendance for seat in seats}
        return [{**each, "attendance": noted[str(each["id"])]} for each in super().get_sessions(booking)]


def shown_initials(booking: Booking) -> str | None:
    """Initials of the child; None where nothing of it may be shown. Expects `consent` (`roster.consent_of`)."""
    why = roster.hidden(booking.child, consent=booking.consent)  # type: ignore[attr-defined]
    return None if why else roster.initials(booking.child)


# --- Reviews ---------------------------------------------------------------------------------------------------------


class ProviderReviewSerializer(ModelSerializer):
    """What a parent said, without who said it."""

    activity_id = serializers.UUIDField(source="booking.session.activity_id")
    activity_title = serializers.CharField(source="booking.session.activity.title")

    class Meta:
        model = Review
        fields = [
            "id",
            "activity_id",
            "activity_title",
            "rating",
            "comment",
            "response",
            "responded_at",
            "edited_at",
            "created_at",
        ]


class ReviewResponseRequestSerializer(Serializer):
    response = serializers.CharField(max_length=2000)
