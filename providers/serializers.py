"""A provider account as its own staff see it."""

from core.serializers import ModelSerializer
from providers.models import ProviderAccount
from users.serializers import PhoneField


class ProviderAccountSerializer(ModelSerializer):
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
