"""Bodies of the inbox, of preferences and of unsubscribing."""

from typing import Any

from rest_framework import serializers

from core.serializers import Serializer
from notifications.letters import Letter
from notifications.models import OPTIONAL, BounceReason, Notification, NotificationKind


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    """A notification in words. `path` leads to what it is about, within the web app; null where that is gone.

    Expects the letters of its rows in the context.
    """

    title = serializers.SerializerMethodField()
    text = serializers.SerializerMethodField()
    path = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = ["id", "kind", "title", "text", "path", "subject_id", "read_at", "created_at"]

    def letter(self, row: Notification) -> Letter | None:
        return self.context["letters"].get(row.pk)

    def get_title(self, row: Notification) -> str:
        letter = self.letter(row)
        return letter.title if letter else row.get_kind_display()

    def get_text(self, row: Notification) -> str:
        letter = self.letter(row)
        return letter.summary if letter else ""

    def get_path(self, row: Notification) -> str | None:
        letter = self.letter(row)
        return letter.button[1] if letter and letter.button else None


class ReadRequestSerializer(Serializer):
    up_to = serializers.UUIDField(required=False, help_text="The newest one seen; what came later stays unread")


class ReadSerializer(Serializer):
    unread = serializers.IntegerField()


class PreferenceSerializer(Serializer):
    """One kind of mail. `required`: it tells of money, seats or rights and cannot be switched off."""

    kind = serializers.ChoiceField(NotificationKind.choices)
    title = serializers.CharField()
    email = serializers.BooleanField()
    required = serializers.BooleanField()  # type: ignore[assignment]


class PreferencesSerializer(Serializer):
    """What the caller gets by e-mail. `trouble`: why their address does not take what can be switched off, if so."""

    trouble = serializers.ChoiceField(BounceReason.choices, allow_null=True)
    kinds = PreferenceSerializer(many=True)


class PreferenceRequestSerializer(Serializer):
    kind = serializers.ChoiceField(NotificationKind.choices)
    email = serializers.BooleanField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["kind"] not in OPTIONAL and not attrs["email"]:
            raise serializers.ValidationError({"email": "This kind of mail cannot be switched off."})
        return attrs


class PreferencesRequestSerializer(Serializer):
    kinds = PreferenceRequestSerializer(many=True, allow_empty=False, max_length=len(NotificationKind))  # type: ignore[call-arg]

    def validate_kinds(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({each["kind"] for each in value}) < len(value):
            raise serializers.ValidationError("A kind is given twice.")
        return value


class UnsubscribedSerializer(Serializer):
    kind = serializers.ChoiceField(NotificationKind.choices)
    title = serializers.CharField()
    email = serializers.BooleanField()


class BounceReceivedSerializer(Serializer):
    received = serializers.BooleanField()
