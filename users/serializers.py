"""Bodies of `/auth` and `/me`."""

import re
from datetime import date, timedelta
from typing import Any

import phonenumbers
from django.utils import timezone
from rest_framework import serializers

from core.models import Region
from core.serializers import ModelSerializer, Serializer
from geography.models import Country
from users.models import Child, Consent, User
from users.permissions import caller

OLDEST_CHILD_YEARS = 25
E164 = re.compile(r"\+[1-9][0-9]{6,14}")


class SyncSerializer(Serializer):
    home_region = serializers.ChoiceField(Region.choices)


class PhoneField(serializers.CharField):
    """A phone number in E.164, such as +15125550123; empty removes it."""

    default_error_messages = {"phone": "Enter a phone number in international form, such as +15125550123."}

    def __init__(self, **options: Any):
        super().__init__(allow_blank=True, max_length=32, **options)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not text:
            return ""
        try:
            number = phonenumbers.parse(text)
        except phonenumbers.NumberParseException:
            self.fail("phone")
        reason = phonenumbers.is_possible_number_with_reason(number)
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        # Some numbering plans go beyond the 15 digits of E.164, and our database does not.
        if reason != phonenumbers.ValidationResult.IS_POSSIBLE or not E164.fullmatch(e164):
            self.fail("phone")
        return e164


class UserSerializer(ModelSerializer):
    """A user with the profile that their parent row holds."""

    first_name = serializers.CharField(source="parent.first_name", max_length=100, allow_blank=True, required=False)
    last_name = serializers.CharField(source="parent.last_name", max_length=100, allow_blank=True, required=False)
    phone = PhoneField(source="parent.phone", required=False)
    country_id = serializers.PrimaryKeyRelatedField(
        source="country", queryset=Country.objects.active(), allow_null=True, required=False
    )

    class Meta:
        model = User
        fields = [
            "id",
            "email",
            "home_region",
            "role",
            "first_name",
            "last_name",
            "phone",
            "country_id",
            "last_seen_at",
            "created_at",
        ]
        read_only_fields = ["id", "email", "home_region", "role", "last_seen_at", "created_at"]

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        profile = validated_data.pop("parent", {})
        for field, value in profile.items():
            setattr(instance.parent, field, value)
        if profile:
            instance.parent.save(update_fields=[*profile, "updated_at"])
        for field, value in validated_data.items():
            setattr(instance, field, value)
        # Nothing else: a role or a suspension that came in the meantime must stand.
        instance.save(update_fields=[*validated_data, "updated_at"])
        return instance


class ChildSerializer(ModelSerializer):
    birth_date = serializers.DateField()

    class Meta:
        model = Child
        fields = ["id", "first_name", "last_name", "birth_date", "created_at"]
        read_only_fields = ["id", "created_at"]

    def validate_birth_date(self, value: date) -> date:
        # Somewhere on earth it is already tomorrow.
        today = (timezone.now() + timedelta(hours=14)).date()
        if value > today:
            raise serializers.ValidationError("The birth date lies in the future.")
        if value.year < today.year - OLDEST_CHILD_YEARS:
            raise serializers.ValidationError("The birth date is too long ago for a child.")
        return value


class ConsentSerializer(ModelSerializer):
    """A word about `child_data` is about all of the caller's children, or with `childId` about this one alone."""

    child_id = serializers.UUIDField(required=False, allow_null=True)

    class Meta:
        model = Consent
        fields = ["id", "kind", "version", "granted", "child_id", "created_at"]
        read_only_fields = ["id", "created_at"]
        extra_kwargs = {"granted": {"required": True}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        child_id = attrs.get("child_id")
        if child_id is None:
            return attrs
        if attrs["kind"] != Consent.Kind.CHILD_DATA:
            raise serializers.ValidationError({"child_id": ["Only a word about child_data may be about one child."]})
        mine = Child.objects.present().filter(parent__user=caller(self.context["request"]), pk=child_id)
        if not mine.exists():
            raise serializers.ValidationError({"child_id": ["You have no such child."]})
        return attrs


class HomeRegionSerializer(Serializer):
    user_home_region = serializers.ChoiceField(Region.choices)
    server_region = serializers.ChoiceField(Region.choices)
    is_correct_region = serializers.BooleanField()
    correct_api_url = serializers.URLField()
