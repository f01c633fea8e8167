"""Bodies of a change to a planned session."""

from rest_framework import serializers

from bookings.changes import Change
from core.serializers import Serializer
from marketplace.schedule_serializers import (
    InstantField,
    ProviderSessionSerializer,
    ScheduleWarningSerializer,
    capacity_field,
)


class SessionChangeSerializer(Serializer):
    """What is to be different; what is left out stays. `startsAt` alone keeps how long it lasts."""

    starts_at = InstantField(required=False)
    ends_at = InstantField(required=False)
    location_id = serializers.UUIDField(required=False)
    capacity = capacity_field(required=False)
    series = serializers.BooleanField(
        default=False, help_text="Change the following sessions of its series by as much, too"
    )
    dry_run = serializers.BooleanField(default=False, help_text="Only tell what would change")

    @property
    def change(self) -> Change:
        data = self.validated_data
        return Change(**{name: data.get(name) for name in ("starts_at", "ends_at", "location_id", "capacity")})


class ChangedSessionsSerializer(Serializer):
    """The session, and with `series` those that follow it, as they are now or, on a dry run, would be."""

    dry_run = serializers.BooleanField()
    sessions = ProviderSessionSerializer(many=True)
    moved = serializers.IntegerField(help_text="How many get another time or place")
    parents_notified = serializers.IntegerField(help_text="How many parents are told of that")
    bookings_refundable = serializers.IntegerField(help_text="How many bookings may therefore be cancelled for free")
    warnings = ScheduleWarningSerializer(many=True)
