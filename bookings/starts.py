"""Where else a booking could start, told together with the dates that are full."""

from bisect import bisect_left
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Greatest

from bookings.models import Booking, Seat
from marketplace.models import Offering, Session
from users.models import Child

# How far to look: so many sessions around the one that was asked for, about a year of weekly ones in each direction.
AROUND = 100


def nearest_start(
    session: Session, *, child: Child, now: datetime, moving: Booking | None = None
) -> list[dict[str, Any]]:
    """The session nearest to `session`, before or after, from which the whole offering still fits: as error details.

    On every date it has a free seat and `child` has none; the seats that `moving` holds count as free. Empty where
    there is none, and for a term, which covers the same dates wherever one starts. One query, without locks.
    """
    offering = session.offering
    if offering.type == Offering.Type.TERM:
        return []
    length = (offering.session_count or 1) if offering.type == Offering.Type.MULTI_SESSION else 1
    asked = session.starts_at
    around = (
        Session.objects.filter(
            offering=offering,
            status=Session.Status.SCHEDULED,
            starts_at__gt=now,
            location__city__country__region=settings.REGION,
        )
        .annotate(
            distance=Greatest(F("starts_at") - asked, asked - F("starts_at")),
            timezone=F("location__city__timezone"),
            spots=F("capacity") - F("enrolled"),
            held_by=Subquery(Seat.objects.held().filter(session=OuterRef("pk"), child=child).values("booking")),
        )
        .order_by("distance", "pk")
        .values_list("starts_at", "pk", "timezone", "spots", "held_by", named=True)
    )
    found = sorted(around[: AROUND + 2 * length])
    starts = [each.starts_at for each in found]

    def fits(start: Any) -> bool:
        if moving and start.pk == moving.session_id:
            return False
        first = bisect_left(starts, start.starts_at)
        # As `services.covered_ids` would choose them.
        covered = [start, *(each for each in found[first : first + length] if each is not start)][:length]
        free = [moving and each.held_by == moving.pk if each.held_by else each.spots > 0 for each in covered]
        age = child.age_on(start.starts_at.astimezone(ZoneInfo(start.timezone)).date())
        return len(covered) == length and all(free) and session.activity.accepts_age(age)

    fitting = filter(fits, found)
    best = min(fitting, key=lambda each: (abs(each.starts_at - asked), each.pk), default=None)
    if best is None:
        return []
    return [
        {
            "field": "nearestStart",
            "message": day_and_time(best.starts_at, best.timezone),
            "nearest_session_id": best.pk,
        }
    ]


def day_and_time(moment: datetime, timezone: str) -> str:
    """`moment` as people there read it."""
    return f"{moment.astimezone(ZoneInfo(timezone)):%A %-d %B %Y, %H:%M}"
