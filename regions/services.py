"""Being one of two regions: which API is whose, and the slugs that both share.

A provider's slug is taken in the global layer before its account is written in the region, and the two databases share
no transaction. So it is first held for the account to come (`hold_slug`), then kept (`keep_slug`) or given back
(`release_slug`); whatever a crash leaves held, a sweep of the region settles.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, transaction

from core.errors import Error, ServiceUnavailable
from core.models import Region
from regions.models import RatingAggregate, SlugReservation

log = structlog.get_logger("juniro.regions")

# Far longer than any request lives: what is held for so long belongs to a process that died.
HOLD = timedelta(minutes=10)


class RegionMismatch(Error):
    """The caller belongs to the region `home_region`; the answer names that region's API."""

    status, code = 403, "REGION_MISMATCH"

    def __init__(self, home_region: str):
        url = settings.REGION_API_URLS[home_region]
        message = f"This account belongs to the region {Region(home_region).label}. Use {url} instead."
        super().__init__(message, details=[{"field": "homeRegion", "message": message, "correct_api_url": url}])


class SlugTaken(Error):
    status, code, message = 409, "SLUG_TAKEN", "Another provider has this slug. Choose another."


class SlugsOutOfReach(ServiceUnavailable):
    message = (
        "Both regions share one register of slugs, and it is out of reach. Nothing was changed. Try again shortly."
    )


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


@contextmanager
def _slugs() -> Iterator[None]:
    try:
        with transaction.atomic(using="global"):
            yield
    except (OperationalError, InterfaceError) as error:
        log.warning("slugs out of reach", kind=type(error).__name__)
        raise SlugsOutOfReach from error


def hold_slug(slug: str, *, account_id: UUID) -> None:
    """Takes `slug` in both regions for an account that is about to be written here.

    Raises `SlugTaken`, and `SlugsOutOfReach` without the global layer.
    """
    try:
        with _slugs():
            SlugReservation.objects.create(slug=slug, region=settings.REGION, held_for=account_id)
    except IntegrityError:
        raise SlugTaken(field="slug") from None


def keep_slug(slug: str) -> None:
    """Notes that an account of this region has `slug`. Raises `SlugsOutOfReach`; twice does no harm."""
    try:
        with _slugs():
            mine = SlugReservation.objects.filter(slug=slug, region=settings.REGION)
            if not mine.update(held_for=None):
                SlugReservation.objects.create(slug=slug, region=settings.REGION)
    except IntegrityError:
        log.error("slug in both regions", slug=slug)


def release_slug(slug: str, *, account_id: UUID) -> None:
    """Gives back what is held for an account that will not be. Raises `SlugsOutOfReach`; twice does no harm."""
    with _slugs():
        SlugReservation.objects.filter(slug=slug, region=settings.REGION, held_for=account_id).delete()


def free_slug(slug: str) -> None:
    """Makes a slug that an account of this region had free again. Raises `SlugsOutOfReach`; twice does no harm."""
    with _slugs():
        SlugReservation.objects.filter(slug=slug, region=settings.REGION, held_for=None).delete()


def overdue_slugs(*, now: datetime) -> list[tuple[str, UUID]]:
    """The slugs that this region has held for too long, and for which accounts. Raises `SlugsOutOfReach`."""
    with _slugs():
        held = SlugReservation.objects.filter(
            region=settings.REGION, held_for__isnull=False, created_at__lte=now - HOLD
        ).order_by("created_at")
        return [(slug, account_id) for slug, account_id in held.values_list("slug", "held_for")[:200] if account_id]


# --- Ratings ---------------------------------------------------------------------------------------------------------


def put_rating(*, subject: str, subject_id: UUID, count: int, average: Decimal) -> None:
    """Tells both regions how an activity or provider of this one is rated. Raises `DatabaseError` if out of reach."""
    RatingAggregate.objects.update_or_create(
        region=settings.REGION, subject=subject, subject_id=subject_id, defaults={"count": count, "average": average}
    )
