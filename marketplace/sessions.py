"""Making sessions: what would come of a provider's plan, and the rows of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from uuid_utils.compat import uuid7

from core.errors import InvalidState, NotFound
from marketplace.catalogue import lock_activity, refuse_archived
from marketplace.models import Activity, Offering, Session
from marketplace.schedule import Slot, Timing, Weekly, overlaps
from providers.models import Location

# An overlap names so many of the other sessions, and counts the rest.
NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a provider asks for: sessions of an offering at a place, each with so many seats."""

    offering_id: UUID
    location_id: UUID
    capacity: int
    timing: Timing


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be created, and what the provider should know before."""

    offering: Offering
    location: Location
    slots: list[Slot]
    skipped: list[dict[str, Any]]
    warnings: list[dict[str, Any]]


def plan(*, activity: Activity, wanted: Wanted, now: datetime) -> Plan:
    """What `create` would make of `wanted`.

    Raises `NotFound` for an offering or a place that is not the activity's or its provider's, `InvalidState` where
    nothing may be added, `ValidationFailed` for impossible times.
    """
    offering = activity.offerings.filter(pk=wanted.offering_id).first()
    places = Location.objects.filter(provider=activity.provider_id).select_related("city__country")
    location = places.filter(pk=wanted.location_id).first()
    if offering is None:
        raise NotFound("This activity has no such offering.", field="offeringId")
    if location is None:
        raise NotFound("There is no such location.", field="locationId")
    refuse_archived(activity)
    if offering.status != Offering.Status.ACTIVE:
        raise InvalidState("This offering is no longer sold.")
    zone, country = ZoneInfo(location.city.timezone), location.city.country.code
    timetable = wanted.timing.timetable(zone=zone, country=country, now=now)
    others = [{"code": "SKIP_DATE_UNUSED", "message": each} for each in timetable.warnings]
    return Plan(
        offering=offering,
        location=location,
        slots=timetable.slots,
        skipped=[{"date": day, "reason": reason} for day, reason in timetable.skipped.items()],
        warnings=[*overlap_warnings(timetable.slots, location=location), *others],
    )


def create(*, activity: Activity, wanted: Wanted, now: datetime) -> tuple[Plan, list[Session]]:
    """Makes the sessions, a weekly timetable's as one series. Raises what `plan` raises."""
    with transaction.atomic():
        # Offering and place stay as they are until commit: whoever takes them away locks the account first.
        activity = lock_activity(activity)
        made = plan(activity=activity, wanted=wanted, now=now)
        series_id = uuid7() if isinstance(wanted.timing, Weekly) else None
        sessions = Session.objects.bulk_create(
            Session(
                activity=activity,
                offering=made.offering,
                location=made.location,
                starts_at=each.starts_at,
                ends_at=each.ends_at,
                capacity=wanted.capacity,
                series_id=series_id,
            )
            for each in made.slots
        )
    return made, sessions


def overlap_warnings(slots: Sequence[Slot], *, location: Location, ignore: Iterable[UUID] = ()) -> list[dict[str, Any]]:
    """A warning for each of `slots` at a time when something else takes place there; `ignore` names sessions."""
    return [
        {
            "code": "PLACE_OVERLAP",
            "message": f"Overlaps {len(others)} other session{'s' * (len(others) > 1)} at {location.name}.",
            "starts_at": each.starts_at,
            "session_ids": [other.session_id for other in others if other.session_id][:NAMED],
        }
        for each, others in zip(slots, overlapping(slots, location=location, ignore=ignore), strict=True)
        if others
    ]


def overlapping(slots: Sequence[Slot], *, location: Location, ignore: Iterable[UUID] = ()) -> list[list[Slot]]:
    """For each of `slots`, at least one of them, what else takes place there then, among them and in the database."""
    found = Session.objects.filter(
        location=location,
        status=Session.Status.SCHEDULED,
        starts_at__lt=max(each.ends_at for each in slots),
        ends_at__gt=min(each.starts_at for each in slots),
    ).exclude(pk__in=list(ignore))
    taken = [
        Slot(session_id=pk, starts_at=starts_at, ends_at=ends_at)
        for pk, starts_at, ends_at in found.values_list("pk", "starts_at", "ends_at")
    ]
    return overlaps(slots, taken)
