"""The catalogue as parents see it."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.models import Currency
from core.serializers import ModelSerializer, OptionalURLField, Serializer
from marketplace.models import ActivityImage, Category, Offering, ParentInterest, Session
from providers.models import Location, ProviderAccount, ProviderType
from users.models import Child, User
from users.serializers import UserSerializer


class CategorySerializer(ModelSerializer):
    """A category with its active children."""

    children = serializers.SerializerMethodField()

    class Meta:
        model = Category
        fields = ["id", "name", "slug", "children"]

    @extend_schema_field({"type": "array", "items": {"$ref": "#/components/schemas/Category"}})
    def get_children(self, category: Category) -> Any:
        children = self.context["children"].get(category.pk, [])
        return CategorySerializer(children, many=True, context=self.context).data


class CategoryBriefSerializer(ModelSerializer):
    class Meta:
        model = Category
        fields = ["id", "name", "slug"]


class ProviderBriefSerializer(ModelSerializer):
    class Meta:
        model = ProviderAccount
        fields = ["id", "business_name", "slug"]


class NamedSerializer(Serializer):
    name = serializers.CharField()
    slug = serializers.CharField()


class RatingSerializer(Serializer):
    average = serializers.FloatField(allow_null=True)
    count = serializers.IntegerField()


class OfferingSerializer(ModelSerializer):
    class Meta:
        model = Offering
        fields = ["id", "type", "name", "price_cents", "currency", "session_count", "refund_window_hours"]


class LocationSerializer(ModelSerializer):
    city = NamedSerializer()
    timezone = serializers.CharField(source="city.timezone")

    class Meta:
        model = Location
        fields = ["id", "name", "address", "city", "timezone", "latitude", "longitude"]


class SessionSerializer(ModelSerializer):
    """A session; times in UTC, and the zone in which people there read their clocks."""

    timezone = serializers.CharField(source="location.city.timezone")
    spots_left = serializers.IntegerField()
    offering_id = serializers.UUIDField()
    location_id = serializers.UUIDField()

    class Meta:
        model = Session
        fields = [
            "id",
            "offering_id",
            "location_id",
            "starts_at",
            "ends_at",
            "timezone",
            "capacity",
            "enrolled",
            "spots_left",
            "status",
        ]


class ActivitySerializer(Serializer):
    """An activity's card. Describes what the search row holds as finished JSON."""

    id = serializers.UUIDField()
    slug = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    category = CategoryBriefSerializer()
    provider = ProviderBriefSerializer()
    age_min = serializers.IntegerField(allow_null=True)
    age_max = serializers.IntegerField(allow_null=True)
    duration = serializers.IntegerField(allow_null=True, help_text="Minutes")
    price_from_cents = serializers.IntegerField(allow_null=True)
    currency = serializers.ChoiceField(Currency.choices, allow_null=True)
    city = NamedSerializer()
    rating = RatingSerializer()
    next_session_at = serializers.DateTimeField(allow_null=True)
    spots_left = serializers.IntegerField(help_text="In the next session")
    image_url = OptionalURLField()
    distance_km = serializers.FloatField(required=False, help_text="Where lat and lng were given")


class AgeBandRatingSerializer(Serializer):
    min = serializers.IntegerField()
    max = serializers.IntegerField()
    average = serializers.FloatField()
    count = serializers.IntegerField()


class PictureSerializer(ModelSerializer):
    url = serializers.URLField()

    class Meta:
        model = ActivityImage
        fields = ["id", "url", "alt", "width", "height", "position"]


class ActivityDetailSerializer(ActivitySerializer):
    description = serializers.CharField()
    images = PictureSerializer(many=True)
    offerings = OfferingSerializer(many=True)
    locations = LocationSerializer(many=True)
    next_sessions = SessionSerializer(many=True)
    rating_breakdown = serializers.DictField(child=serializers.IntegerField(), help_text="Reviews by stars")
    rating_by_age = AgeBandRatingSerializer(many=True, help_text="Bands of three reviews or more")


class TitleSerializer(Serializer):
    title = serializers.CharField()
    slug = serializers.CharField()


class ProviderNameSerializer(Serializer):
    business_name = serializers.CharField()
    slug = serializers.CharField()


class SuggestionsSerializer(Serializer):
    """Up to five completions of each kind."""

    activities = TitleSerializer(many=True)
    categories = NamedSerializer(many=True)
    providers = ProviderNameSerializer(many=True)
    cities = NamedSerializer(many=True)


class ProviderSerializer(Serializer):
    """A provider's public profile."""

    id = serializers.UUIDField()
    business_name = serializers.CharField()
    slug = serializers.CharField()
    type = serializers.ChoiceField(ProviderType.choices)
    description = serializers.CharField()
    website = OptionalURLField()
    verified_at = serializers.DateTimeField()
    activities = ActivitySerializer(many=True)
    rating = RatingSerializer()


class InterestSerializer(ModelSerializer):
    category_id = serializers.PrimaryKeyRelatedField(
        source="category", queryset=Category.objects.filter(is_active=True)
    )
    child_id = serializers.PrimaryKeyRelatedField(
        source="child", queryset=Child.objects.none(), allow_null=True, required=False
    )

    class Meta:
        model = ParentInterest
        fields = ["category_id", "child_id"]
        validators: list = []

    def get_fields(self) -> dict[str, Any]:
        """Children are the caller's own; anybody else's do not exist."""
        fields = super().get_fields()
        if "request" in self.context:
            child: Any = fields["child_id"]
            child.queryset = Child.objects.present().filter(parent__user=self.context["request"].user)
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        # A PATCH of the profile makes every field below it optional, but half an interest is none.
        if "category" not in attrs:
            raise serializers.ValidationError({"category_id": ["This field is required."]})
        return attrs


class ProfileSerializer(UserSerializer):
    """`/v1/me`: the user with their interests; a PATCH with `interests` replaces all of them."""

    interests = InterestSerializer(many=True, source="parent.interests", required=False)

    class Meta(UserSerializer.Meta):
        fields = [*UserSerializer.Meta.fields, "interests"]

    def validate_interests(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(value) > 100:
            raise serializers.ValidationError("At most 100 interests.")
        return value

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        interests = validated_data.get("parent", {}).pop("interests", None)
        user = super().update(instance, validated_data)
        if interests is not None:
            user.parent.interests.all().delete()
            ParentInterest.objects.bulk_create(
                (ParentInterest(parent=user.parent, **interest) for interest in interests), ignore_conflicts=True
            )
        return user
