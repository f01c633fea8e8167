"""A provider account, its staff and its places, as its own staff see them."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from core.serializers import LineField, ModelSerializer, Serializer
from geography.models import City, Locality
from providers.models import Invitation, InvitedRole, Location, ProviderAccount, ProviderUser
from users.serializers import PhoneField

MOST_TEXT = 10_000


class ProviderAccountSerializer(ModelSerializer):
    business_name = LineField(max_length=200)
    description = serializers.CharField(max_length=MOST_TEXT, allow_blank=True, required=False)
    phone = PhoneField(required=False)

    class Meta:
        model = ProviderAccount
        fields = [
            "id",
            "business_name",
            "slug",
            "type",
            "status",
            "status_reason",
            "submitted_at",
            "verified_at",
            "description",
            "email",
            "phone",
            "website",
            "created_at",
        ]
        read_only_fields = ["id", "slug", "status", "status_reason", "submitted_at", "verified_at", "created_at"]


class NewAccountSerializer(ProviderAccountSerializer):
    slug = serializers.RegexField(
        r"^[a-z0-9]+(-[a-z0-9]+)*$",
        min_length=3,
        max_length=80,
        required=False,
        help_text="Small letters, digits and single hyphens; made from the name unless given",
        error_messages={"invalid": "Use small letters, digits and single hyphens between them."},
    )

    class Meta(ProviderAccountSerializer.Meta):
        read_only_fields = [name for name in ProviderAccountSerializer.Meta.read_only_fields if name != "slug"]


class OwnAccountSerializer(ModelSerializer):
    """One of the caller's accounts, and what they are there."""

    id = serializers.UUIDField(source="provider_account_id")
    business_name = serializers.CharField(source="provider_account.business_name")
    slug = serializers.CharField(source="provider_account.slug")
    status = serializers.CharField(source="provider_account.status")

    class Meta:
        model = ProviderUser
        fields = ["id", "business_name", "slug", "status", "role"]


class StaffSerializer(ModelSerializer):
    email = serializers.EmailField(source="user.email", read_only=True)
    first_name = serializers.CharField(source="user.parent.first_name", read_only=True, default="")
    last_name = serializers.CharField(source="user.parent.last_name", read_only=True, default="")

    class Meta:
        model = ProviderUser
        fields = ["id", "user_id", "email", "first_name", "last_name", "role", "created_at"]
        read_only_fields = ["id", "user_id", "created_at"]
        extra_kwargs = {"role": {"required": True}}


class StaffIdSerializer(Serializer):
    staff_id = serializers.UUIDField()


class InvitationSerializer(ModelSerializer):
    role = serializers.ChoiceField(InvitedRole.choices)

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "expires_at", "sent_at", "created_at"]
        read_only_fields = ["id", "expires_at", "sent_at", "created_at"]


class CityBriefSerializer(Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()


class CoordinateField(serializers.FloatField):
    """Degrees from `-most` to `most`; NaN is no number here."""

    default_error_messages = {"range": "Must be from -{most} to {most}."}

    def __init__(self, most: int, **options: Any):
        self.most = most
        super().__init__(allow_null=True, required=False, **options)

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not -self.most <= value <= self.most:
            self.fail("range", most=self.most)
        return value


class ProviderLocationSerializer(ModelSerializer):
    """A place; times there are told in `timezone`, its city's."""

    name = LineField(max_length=200)
    address = LineField(max_length=500)
    city_id = serializers.PrimaryKeyRelatedField(
        source="city", queryset=City.objects.none(), help_text="An active city of this region"
    )
    locality_id = serializers.PrimaryKeyRelatedField(
        source="locality", queryset=Locality.objects.active(), allow_null=True, required=False
    )
    city = CityBriefSerializer(read_only=True)
    locality = CityBriefSerializer(read_only=True, allow_null=True)
    timezone = serializers.CharField(source="city.timezone", read_only=True)
    latitude = CoordinateField(90)
    longitude = CoordinateField(180)
    is_default = serializers.BooleanField(required=False)

    class Meta:
        model = Location
        fields = [
            "id",
            "name",
            "address",
            "city_id",
            "locality_id",
            "city",
            "locality",
            "timezone",
            "latitude",
            "longitude",
            "is_default",
            "created_at",
        ]
        read_only_fields = ["id", "created_at"]
        validators: list = []

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        city: Any = fields["city_id"]
        city.queryset = City.objects.active().filter(country__is_active=True, country__region=settings.REGION)
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        now: Any = self.instance
        city = attrs.get("city") or (now and now.city)
        if now and city != now.city:
            # Unless a new one is named, the old city's neighbourhood goes with it.
            attrs.setdefault("locality", None)
        locality = attrs.get("locality")
        if locality and locality.city_id != city.pk:
            raise serializers.ValidationError({"locality_id": ["This locality belongs to another city."]})
        place = [attrs.get(name, now and getattr(now, name)) for name in ("latitude", "longitude")]
        if place.count(None) == 1:
            raise serializers.ValidationError({"longitude": ["Latitude and longitude go together."]})
        return attrs
