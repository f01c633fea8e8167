"""Seats of one family at the same time: told as warnings, never refused, since parents know who takes whom where."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import models

from bookings.models import Booking, Seat
from bookings.starts import day_and_time
from marketplace.models import Session


class WarningCode(models.TextChoices):
    CHILD_OVERLAP = "CHILD_OVERLAP"
    SIBLING_OVERLAP = "SIBLING_OVERLAP"


MESSAGES = {
    WarningCode.CHILD_OVERLAP: "{when}: this child is also booked for {activity} then.",
    WarningCode.SIBLING_OVERLAP: "{when}: another of your children is booked for {activity} then, at another place.",
}


def warnings(booking: Booking, sessions: Iterable[Session]) -> list[dict[str, Any]]:
    """What a parent should know of when the child of `booking` comes to `sessions`: the family's seats at that time.

    The child's own, wherever they are, and its siblings' at another location; those of `booking` itself do not count.
    Each warning names both sessions, and the child and booking that hold the other seat. One query.
    """
    coming = sorted(sessions, key=lambda each: (each.starts_at, each.pk))
    seats = (
        Seat.objects.held()
        .filter(
            child__parent=booking.parent_id,
            session__status=Session.Status.SCHEDULED,
            session__starts_at__lt=max(each.ends_at for each in coming),
            session__ends_at__gt=coming[0].starts_at,
        )
        .exclude(booking=booking)
        .select_related("session__activity")
        .order_by("session__starts_at", "pk")
    )
    return [
        {
            "code": code,
            "message": MESSAGES[code].format(
                when=day_and_time(each.starts_at, each.location.city.timezone), activity=seat.session.activity.title
            ),
            "session_id": each.pk,
            "other_session_id": seat.session_id,
            "booking_id": seat.booking_id,
            "child_id": seat.child_id,
        }
        for each in coming
        for seat in seats
        if (code := overlap(each, seat, child_id=booking.child_id))
    ]


def overlap(session: Session, seat: Seat, *, child_id: UUID) -> WarningCode | None:
    other = seat.session
    if session.starts_at >= other.ends_at or other.starts_at >= session.ends_at:
        return None
    if seat.child_id == child_id:
        return WarningCode.CHILD_OVERLAP
    return WarningCode.SIBLING_OVERLAP if other.location_id != session.location_id else None
