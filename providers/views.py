"""`/v1/provider`: a provider account in the hands of its staff."""

from typing import ClassVar

from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.permissions import IsAuthenticated

from providers.models import ProviderAccount
from providers.permissions import StaffMay
from providers.serializers import ProviderAccountSerializer
from regions.permissions import HomeRegion
from users.permissions import IsProvider


class ProviderProfileView(RetrieveUpdateAPIView[ProviderAccount]):
    """The caller's provider account."""

    permission_classes = (IsAuthenticated, HomeRegion, IsProvider, StaffMay)
    staff_actions: ClassVar[dict[str, str]] = {
        "GET": "view",
        "HEAD": "view",
        "OPTIONS": "view",
        "PATCH": "edit_profile",
    }
    serializer_class = ProviderAccountSerializer
    http_method_names = ("get", "patch", "head", "options")

    def get_object(self) -> ProviderAccount:
        return self.request.membership.provider_account  # type: ignore[attr-defined]
