"""Bodies of a provider's schedule."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from rest_framework import serializers

from core.serializers import Serializer
from marketplace import schedule
from marketplace.filters import WEEKDAYS
from marketplace.serializers import SessionSerializer
from marketplace.sessions import Wanted

LONGEST_MINUTES = int(schedule.LONGEST / timedelta(minutes=1))


class InstantField(serializers.DateTimeField):
    """A moment, which only an offset or `Z` makes of a date and a time."""

    default_error_messages = {"naive": "Add the offset from UTC, such as Z or -05:00."}

    def enforce_timezone(self, value: datetime) -> datetime:
        if timezone.is_naive(value):
            self.fail("naive")
        return super().enforce_timezone(value)


def capacity_field(**options: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=schedule.MOST_SEATS, **options)


def duration_field(**options: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=LONGEST_MINUTES, **options)


class RecurrenceSerializer(Serializer):
    """A weekly timetable on the location's wall clock, from `startDate` on, `until` a day or for `count` sessions."""

    start_date = serializers.DateField()
    start_time = serializers.TimeField(input_formats=["%H:%M", "%H:%M:%S"], help_text="On the location's clock")
    duration_minutes = duration_field()
    weekdays = serializers.ListField(
        child=serializers.ChoiceField(WEEKDAYS), allow_empty=False, max_length=len(WEEKDAYS)
    )
    interval = serializers.IntegerField(min_value=1, max_value=52, default=1, help_text="Every so many weeks")
    until = serializers.DateField(required=False, help_text="The last day")
    count = serializers.IntegerField(
        min_value=1, max_value=schedule.MOST_SESSIONS, required=False, help_text="Skipped days do not count"
    )
    skip_dates = serializers.ListField(child=serializers.DateField(), default=list, max_length=366)
    skip_holidays = serializers.BooleanField(default=False, help_text="Leave the country's public holidays out")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("until" in attrs) == ("count" in attrs):
            raise serializers.ValidationError({"until": ["Give either until or count."]})
        if "until" in attrs and attrs["until"] < attrs["start_date"]:
            raise serializers.ValidationError({"until": ["The timetable ends before it begins."]})
        return attrs

    @staticmethod
    def timing(data: dict[str, Any]) -> schedule.Weekly:
        return schedule.Weekly(
            start_date=data["start_date"],
            start_time=data["start_time"],
            duration=timedelta(minutes=data["duration_minutes"]),
            weekdays=schedule.weekday_numbers(data["weekdays"]),
            interval=data["interval"],
            until=data.get("until"),
            count=data.get("count"),
            skip_dates=frozenset(data["skip_dates"]),
            skip_holidays=data["skip_holidays"],
        )


class SessionsRequestSerializer(Serializer):
    """One session by `startsAt`, with `endsAt` or `durationMinutes`; or many by a weekly `recurrence`."""

    offering_id = serializers.UUIDField()
    location_id = serializers.UUIDField()
    capacity = capacity_field()
    starts_at = InstantField(required=False)
    ends_at = InstantField(required=False)
    duration_minutes = duration_field(required=False)
    recurrence = RecurrenceSerializer(required=False)
    preview = serializers.BooleanField(default=False, help_text="Only tell what would be created")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        single = {"starts_at", "ends_at", "duration_minutes"} & attrs.keys()
        if "recurrence" in attrs:
            if single:
                raise serializers.ValidationError({name: ["The recurrence says this."] for name in sorted(single)})
        elif "starts_at" not in attrs:
            raise serializers.ValidationError({"starts_at": ["Give either startsAt or a recurrence."]})
        elif len(single) != 2:
            raise serializers.ValidationError({"ends_at": ["Give either endsAt or durationMinutes."]})
        return attrs

    @property
    def wanted(self) -> Wanted:
        data = self.validated_data
        timing: schedule.Timing
        if "recurrence" in data:
            timing = RecurrenceSerializer.timing(data["recurrence"])
        else:
            minutes = data.get("duration_minutes")
            timing = schedule.Once(
                starts_at=data["starts_at"],
                ends_at=data.get("ends_at"),
                duration=None if minutes is None else timedelta(minutes=minutes),
            )
        return Wanted(
            offering_id=data["offering_id"], location_id=data["location_id"], capacity=data["capacity"], timing=timing
        )


class ProviderSessionSerializer(SessionSerializer):
    """A session as the provider's staff see it."""

    activity_id = serializers.UUIDField()

    class Meta(SessionSerializer.Meta):
        fields = [
            *SessionSerializer.Meta.fields,
            "activity_id",
            "series_id",
            "sequence",
            "cancelled_at",
            "cancellation_reason",
        ]


class PlannedSessionSerializer(Serializer):
    """A session that would be created: its day and times on the location's clock, and in UTC."""

    date = serializers.DateField()
    start_time = serializers.TimeField(format="%H:%M")
    end_time = serializers.TimeField(format="%H:%M")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    notes = serializers.ListField(child=serializers.CharField(), help_text="What a clock change does to it")

    def to_representation(self, instance: schedule.Slot) -> dict[str, Any]:
        zone: ZoneInfo = self.context["zone"]
        begins = schedule.wall(instance.starts_at, zone)
        ends = schedule.wall(instance.ends_at, zone)
        return {
            "date": begins.date(),
            "start_time": f"{begins:%H:%M}",
            "end_time": f"{ends:%H:%M}",
            "starts_at": instance.starts_at,
            "ends_at": instance.ends_at,
            "notes": list(instance.notes),
        }


class SkippedDaySerializer(Serializer):
    date = serializers.DateField()
    reason = serializers.CharField()


class ScheduleWarningSerializer(Serializer):
    """Something to look at that stops nothing: sessions that overlap there, a day to skip that is none of its days."""

    code = serializers.ChoiceField(["PLACE_OVERLAP", "SKIP_DATE_UNUSED"])
    message = serializers.CharField()
    starts_at = serializers.DateTimeField(required=False)
    session_ids = serializers.ListField(child=serializers.UUIDField(), required=False, help_text="The first few")


class PreviewSerializer(Serializer):
    """What would be created."""

    count = serializers.IntegerField()
    timezone = serializers.CharField()
    sessions = PlannedSessionSerializer(many=True)
    skipped = SkippedDaySerializer(many=True)
    warnings = ScheduleWarningSerializer(many=True)


class CreatedSessionsSerializer(Serializer):
    """What was created; `seriesId` where it was a recurrence."""

    count = serializers.IntegerField()
    series_id = serializers.UUIDField(allow_null=True)
    sessions = ProviderSessionSerializer(many=True)
    skipped = SkippedDaySerializer(many=True)
    warnings = ScheduleWarningSerializer(many=True)
