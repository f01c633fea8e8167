"""Being one of two regions: which API is whose, and the slugs that both share."""

from django.conf import settings

from core.errors import Error
from core.models import Region


class RegionMismatch(Error):
    """The caller belongs to the region `home_region`; the answer names that region's API."""

    status, code = 403, "REGION_MISMATCH"

    def __init__(self, home_region: str):
        url = settings.REGION_API_URLS[home_region]
        message = f"This account belongs to the region {Region(home_region).label}. Use {url} instead."
        super().__init__(message, details=[{"field": "homeRegion", "message": message, "correct_api_url": url}])


def other_region() -> str:
    return Region.IN if settings.REGION == Region.US else Region.US


def describe_region(home_region: str) -> dict[str, str | bool]:
    """The answer of `GET /v1/me/region` for somebody at home in `home_region` (multi-region, API response)."""
    return {
        "user_home_region": home_region,
        "server_region": settings.REGION,
        "is_correct_region": home_region == settings.REGION,
        "correct_api_url": settings.REGION_API_URLS[home_region],
    }
