"""The catalogue as a provider's own staff see and write it."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from core import pictures
from core.models import Currency
from core.serializers import LineField, ModelSerializer, OptionalURLField, Serializer, UploadFormSerializer
from marketplace import images
from marketplace.catalogue import open_categories
from marketplace.models import Activity, ActivityImage, Category, Offering
from marketplace.serializers import CategoryBriefSerializer
from providers.models import ProviderStatus
from providers.serializers import MOST_TEXT

OLDEST = 99
LONGEST_MINUTES = 7 * 24 * 60
MOST_CENTS = 99_999_999  # what the processors take for one payment
LEAST_CENTS = {Currency.USD: 50, Currency.INR: 100}
MOST_HOURS = 365 * 24
MOST_COUNT = 500


# --- Images ---------------------------------------------------------------------------------------------------------


class ImageSerializer(ModelSerializer):
    """A picture; `url` is empty until it is ready."""

    url = serializers.SerializerMethodField()
    alt = LineField(max_length=300, allow_blank=True, required=False, help_text="What it shows, in words")
    position = serializers.IntegerField(min_value=0, max_value=images.MOST_IMAGES, required=False)

    class Meta:
        model = ActivityImage
        fields = ["id", "activity_id", "url", "alt", "position", "status", "width", "height", "created_at"]
        read_only_fields = ["id", "activity_id", "status", "width", "height", "created_at"]

    def get_url(self, image: ActivityImage) -> str | None:
        return images.url(image.pk) if image.status == ActivityImage.Status.READY else None


class NewImageSerializer(Serializer):
    content_type = serializers.ChoiceField(list(pictures.FORMATS))
    alt = LineField(max_length=300, allow_blank=True, default="")


class AnnouncedImageSerializer(ImageSerializer):
    upload = UploadFormSerializer(read_only=True)

    class Meta(ImageSerializer.Meta):
        fields = [*ImageSerializer.Meta.fields, "upload"]


# --- Offerings ------------------------------------------------------------------------------------------------------


class ProviderOfferingSerializer(ModelSerializer):
    """A way to buy an activity. Type and currency stay; a changed price counts for bookings from then on."""

    name = LineField(max_length=200, allow_null=True, required=False)
    price_cents = serializers.IntegerField(min_value=0, max_value=MOST_CENTS, help_text="0 is free")
    session_count = serializers.IntegerField(
        min_value=1, max_value=MOST_COUNT, allow_null=True, required=False, help_text="For multi_session: how many"
    )
    refund_window_hours = serializers.IntegerField(
        min_value=0,
        max_value=MOST_HOURS,
        required=False,
        help_text="Until how many hours before the start a cancellation is refunded in full; 24 unless told",
    )

    class Meta:
        model = Offering
        fields = [
            "id",
            "activity_id",
            "type",
            "name",
            "price_cents",
            "currency",
            "session_count",
            "refund_window_hours",
            "status",
            "created_at",
        ]
        read_only_fields = ["id", "activity_id", "type", "currency", "created_at"]

    def validate_price_cents(self, value: int) -> int:
        least = LEAST_CENTS[Currency(settings.CURRENCY)]
        if 0 < value < least:
            raise serializers.ValidationError(f"A price is 0, or at least {least}: less cannot be paid by card.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        now: Any = self.instance
        type_ = attrs.get("type") or now.type
        count = attrs.get("session_count", now and now.session_count)
        if (type_ == Offering.Type.MULTI_SESSION) != (count is not None):
            message = "Say how many sessions the package has." if count is None else "Only a package has a number."
            raise serializers.ValidationError({"session_count": [message]})
        return attrs


class NewOfferingSerializer(ProviderOfferingSerializer):
    currency = serializers.ChoiceField(Currency.choices, required=False, help_text="This region's, told or not")

    class Meta(ProviderOfferingSerializer.Meta):
        read_only_fields = ["id", "activity_id", "created_at"]
        extra_kwargs = {"type": {"required": True}}

    def validate_currency(self, value: str) -> str:
        if value != settings.CURRENCY:
            raise serializers.ValidationError(f"Prices in this region are in {settings.CURRENCY}.")
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return super().validate(attrs) | {"currency": settings.CURRENCY}


# --- Activities -----------------------------------------------------------------------------------------------------


class ProviderActivitySerializer(ModelSerializer):
    """An activity in any state, with its offerings and images. Ages are whole years, both ends included."""

    title = LineField(max_length=200)
    summary = LineField(max_length=300, allow_blank=True, required=False)
    description = serializers.CharField(max_length=MOST_TEXT, allow_blank=True, required=False)
    category_id = serializers.PrimaryKeyRelatedField(source="category", queryset=Category.objects.none())
    category = CategoryBriefSerializer(read_only=True)
    age_min = serializers.IntegerField(min_value=0, max_value=OLDEST, allow_null=True, required=False)
    age_max = serializers.IntegerField(min_value=0, max_value=OLDEST, allow_null=True, required=False)
    duration = serializers.IntegerField(
        min_value=1, max_value=LONGEST_MINUTES, allow_null=True, required=False, help_text="Minutes"
    )
    image_url = OptionalURLField()
    offerings = ProviderOfferingSerializer(many=True, read_only=True)
    images = ImageSerializer(many=True, read_only=True)

    class Meta:
        model = Activity
        fields = [
            "id",
            "slug",
            "title",
            "summary",
            "description",
            "category_id",
            "category",
            "age_min",
            "age_max",
            "duration",
            "image_url",
            "status",
            "published_at",
            "offerings",
            "images",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "slug", "status", "published_at", "created_at", "updated_at"]
        validators: list = []

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        category: Any = fields["category_id"]
        category.queryset = open_categories()
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        youngest, oldest = (attrs.get(name, getattr(self.instance, name, None)) for name in ("age_min", "age_max"))
        if youngest is not None and oldest is not None and oldest < youngest:
            raise serializers.ValidationError({"age_max": ["Must not be below ageMin."]})
        return attrs


# --- Onboarding -----------------------------------------------------------------------------------------------------


class StepSerializer(Serializer):
    key = serializers.CharField()
    title = serializers.CharField()
    hint = serializers.CharField()
    done = serializers.BooleanField()


class OnboardingSerializer(Serializer):
    """What is done and what is missing, in order."""

    status = serializers.ChoiceField(ProviderStatus.choices)
    status_reason = serializers.CharField()
    can_submit = serializers.BooleanField()
    is_live = serializers.BooleanField(help_text="Parents see something of this account")
    steps = StepSerializer(many=True)
