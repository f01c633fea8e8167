"""Writes go to a user's home region only (API architecture §8.4)."""

from typing import Any

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from regions.services import RegionMismatch


class HomeRegion(BasePermission):
    """Refuses unsafe methods of a user whose home is the other region, naming the right API."""

    errors = (RegionMismatch,)

    def has_permission(self, request: Request, view: Any) -> bool:
        home_region = getattr(request.user, "home_region", settings.REGION)
        if request.method not in SAFE_METHODS and home_region != settings.REGION:
            raise RegionMismatch(home_region)
        return True
