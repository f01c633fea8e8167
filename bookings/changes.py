"""Changing planned sessions that somebody may have booked: when, where, how many seats.

Who has a seat is told of another time or place, and may then cancel for free until it begins.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import OuterRef, Subquery

from bookings.models import Booking, Seat
from bookings.services import lock_sessions
from core.errors import InvalidState, NotFound
from marketplace.models import Session
from marketplace.schedule import (
    HORIZON,
    LONGEST,
    EndsTooEarlyOrLate,
    Slot,
    check_ahead,
    check_end,
    ending,
    instant,
    lasting,
    wall,
)
from marketplace.sessions import overlap_warnings
from notifications.models import Notification
from notifications.services import notify
from providers.models import Location
from providers.services import lock_account

LIVE = (Booking.Status.PENDING_PAYMENT, Booking.Status.CONFIRMED)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be different about a session; None stays as it is."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    location_id: UUID | None = None
    capacity: int | None = None


@dataclass(kw_only=True)
class Outcome:
    """The sessions as they are now (on a dry run: would be), and whom that concerns."""

    sessions: list[Session]
    moved: list[Session] = field(default_factory=list)
    bookings: list[UUID] = field(default_factory=list)
    parents: int = 0
    warnings: list[dict[str, Any]] = field(default_factory=list)


def change_session(
    *,
    provider_id: UUID,
    session_id: UUID,
    change: Change,
    series: bool = False,
    dry_run: bool = False,
    now: datetime,
) -> Outcome:
    """Changes a session of this account, with `series` those that follow it by as much on the wall clock, too.

    Another time or place raises `sequence`, tells the parents with a seat once for all of it, and lets their bookings
    be cancelled for a full refund until the first session that is left begins. `dry_run` writes nothing.

    Raises `NotFound`, `InvalidState` for what cannot change any more and for fewer seats than are held,
    `ValidationFailed` for impossible times.
    """
    with transaction.atomic():
        if change.location_id:
            # Before any session, as everywhere: the place stays where it is until commit.
            lock_account(provider_id)
        sessions = lock_changeable(session_id, series=series, now=now)
        place = find_place(change.location_id, provider_id)
        moved = move(sessions, change, place, now=now)
        resized = set_capacity(sessions, change.capacity)
        outcome = Outcome(sessions=sessions, moved=moved, warnings=warnings_of(moved))
        if not dry_run:
            save({each.pk: each for each in (*moved, *resized)}.values(), now=now)
        concern(outcome, dry_run=dry_run, now=now)
    return outcome


def lock_changeable(session_id: UUID, *, series: bool, now: datetime) -> list[Session]:
    """The session, with `series` followed by the later ones of its series; locked, in order of time."""
    # The whole series: which of its sessions follow is known only once none of them can move.
    locked = lock_sessions({session_id} | (series_ids(session_id) if series else set()))
    session = of_id(session_id, locked)
    if session.status != Session.Status.SCHEDULED:
        raise InvalidState(f"A session that is {session.status} cannot be changed.")
    if session.starts_at <= now:
        raise InvalidState("This session has begun.")
    if series and session.series_id is None:
        raise InvalidState("This session is not part of a series.")
    later = [
        each
        for each in locked
        if each.pk != session.pk and each.status == Session.Status.SCHEDULED and each.starts_at >= session.starts_at
    ]
    return [session, *sorted(later, key=lambda each: (each.starts_at, each.pk))]


def find_place(location_id: UUID | None, provider_id: UUID) -> Location | None:
    """The provider's place to move to; None where there is to be no other."""
    if location_id is None:
        return None
    mine = Location.objects.filter(provider=provider_id).select_related("city__country")
    found = mine.filter(pk=location_id).first()
    if found is None:
        raise NotFound("There is no such location.", field="locationId")
    return found


def move(sessions: list[Session], change: Change, place: Location | None, *, now: datetime) -> list[Session]:
    """Gives the first session its new time and place, the others the same shift on their wall clocks.

    Returns those that did move, their `sequence` one higher.
    """
    before = {each.pk: when_and_where(each) for each in sessions}
    first, *others = sessions
    if change.starts_at:
        check_ahead(change.starts_at, now=now)
    if change.ends_at and not now < change.ends_at <= now + HORIZON + LONGEST:
        # Before a clock is asked about it: they know no year 0, and no year 10000.
        raise EndsTooEarlyOrLate
    old = zone_of(first)
    begun, lasted = wall(first.starts_at, old), lasting(first.starts_at, first.ends_at, old)
    relocate(first, place, starts_at=change.starts_at, ends_at=change.ends_at)
    shift = wall(first.starts_at, zone_of(first)) - begun
    longer = lasting(first.starts_at, first.ends_at, zone_of(first)) - lasted
    for each in others:
        relocate(each, place, shift=shift, longer=longer)
    moved = [each for each in sessions if when_and_where(each) != before[each.pk]]
    for each in moved:
        check_ahead(each.starts_at, now=now)
        check_end(each.starts_at, each.ends_at)
        each.sequence += 1
    return moved


def when_and_where(session: Session) -> tuple[datetime, datetime, UUID]:
    return session.starts_at, session.ends_at, session.location_id


def zone_of(session: Session) -> ZoneInfo:
    return ZoneInfo(session.location.city.timezone)


def relocate(
    session: Session,
    place: Location | None,
    *,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    shift: timedelta = timedelta(),
    longer: timedelta = timedelta(),
) -> None:
    """Moves a session to `place`, in time to `starts_at` and `ends_at` or by `shift` and `longer`.

    What is not given stays: the place, the time on the wall clock (in another zone, too), and how long it lasts.
    """
    old = zone_of(session)
    shown, lasts = wall(session.starts_at, old) + shift, lasting(session.starts_at, session.ends_at, old) + longer
    if place is not None:
        session.location = place
    new = zone_of(session)
    # What does not move keeps its very moments: read from a clock, the second of two equal hours would be the first.
    moves = shift or new != old
    session.starts_at = starts_at or (instant(shown, new) if moves else session.starts_at)
    session.ends_at = ends_at or (
        ending(session.starts_at, lasts, new) if moves or longer or starts_at else session.ends_at
    )


def set_capacity(sessions: list[Session], capacity: int | None) -> list[Session]:
    """Gives the sessions so many seats and returns those that had more or fewer; None changes nothing.

    Raises `InvalidState` where more seats are held, naming each of these sessions with their number.
    """
    if capacity is None:
        return []
    crowded = [each for each in sessions if each.enrolled > capacity]
    if crowded:
        most = max(each.enrolled for each in crowded)
        raise InvalidState(
            f"{most} seats are held, so the capacity cannot be {capacity}.",
            details=[
                {
                    "field": "capacity",
                    "message": f"{each.enrolled} seats are held.",
                    "session_id": each.pk,
                    "starts_at": each.starts_at,
                    "enrolled": each.enrolled,
                }
                for each in crowded
            ],
        )
    resized = [each for each in sessions if each.capacity != capacity]
    for each in resized:
        each.capacity = capacity
    return resized


def warnings_of(moved: list[Session]) -> list[dict[str, Any]]:
    """What else takes place at the new times and places."""
    by_place: dict[UUID, list[Session]] = {}
    for each in moved:
        by_place.setdefault(each.location_id, []).append(each)
    return [
        warning
        for there in by_place.values()
        for warning in overlap_warnings(
            [Slot(starts_at=each.starts_at, ends_at=each.ends_at, session_id=each.pk) for each in there],
            location=there[0].location,
            ignore=[each.pk for each in moved],
        )
    ]


def save(sessions: Collection[Session], *, now: datetime) -> None:
    for each in sessions:
        each.updated_at = now
    Session.objects.bulk_update(sessions, ["starts_at", "ends_at", "location", "capacity", "sequence", "updated_at"])


def concern(outcome: Outcome, *, dry_run: bool, now: datetime) -> None:
    """Fills in whom the moved sessions concern; unless `dry_run`, tells them and opens their way out."""
    held = Seat.objects.held().filter(session__in=outcome.moved, booking__status__in=LIVE)
    seats = list(held.values_list("session_id", "booking_id", "booking__parent__user_id"))
    outcome.bookings = sorted({booking_id for _, booking_id, _ in seats})
    users_of: dict[UUID, set[UUID]] = {}
    for session_id, _, user_id in seats:
        users_of.setdefault(session_id, set()).add(user_id)
    outcome.parents = len(set().union(*users_of.values()))
    if dry_run or not seats:
        return
    open_window(outcome.bookings, now=now)
    told: set[UUID] = set()
    # One message for each parent, of the first session that concerns them: they need no thirty of a whole term.
    for session in sorted(outcome.moved, key=lambda each: (each.starts_at, each.pk)):
        news = users_of.get(session.pk, set()) - told
        if news:
            kind, occasion = Notification.Kind.SESSION_CHANGED, str(session.sequence)
            notify(sorted(news), kind=kind, subject_id=session.pk, occasion=occasion, now=now)
        told |= news


def open_window(booking_ids: Iterable[UUID], *, now: datetime) -> None:
    """Full refunds until the first session that is left begins; the caller has the sessions locked."""
    bookings = Booking.objects.filter(pk__in=booking_ids)
    locked = list(bookings.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    left = Seat.objects.held().filter(booking=OuterRef("pk"), session__starts_at__gt=now)
    begins = left.order_by("session__starts_at").values("session__starts_at")[:1]
    Booking.objects.filter(pk__in=locked).update(refundable_until=Subquery(begins), updated_at=now)


def delete_session(*, session_id: UUID, series: bool = False) -> None:
    """Deletes a session that nobody ever booked, with `series` the later ones of its series, too; all or none.

    Raises `NotFound`, and `InvalidState` where somebody had a seat, were it given back long ago.
    """
    with transaction.atomic():
        ids = {session_id} | (series_ids(session_id) if series else set())
        locked = lock_sessions(ids)
        session = of_id(session_id, locked)
        gone = [each.pk for each in locked if each.starts_at >= session.starts_at]
        booked = set(Seat.objects.filter(session__in=gone).values_list("session_id", flat=True))
        booked |= set(Booking.objects.filter(session__in=gone).values_list("session_id", flat=True))
        if booked:
            which = f"{len(booked)} of the sessions have" if series else "This session has"
            raise InvalidState(f"{which} been booked. Cancel instead of deleting.")
        Session.objects.filter(pk__in=gone).delete()


def series_ids(session_id: UUID) -> set[UUID]:
    """All sessions of the series that this one is part of; none where it is of no series."""
    series = Session.objects.filter(pk=session_id, series_id__isnull=False).values("series_id")
    return set(Session.objects.filter(series_id__in=series).values_list("pk", flat=True))


def of_id(session_id: UUID, sessions: Iterable[Session]) -> Session:
    """Raises `NotFound`."""
    found = next((each for each in sessions if each.pk == session_id), None)
    if found is None:
        raise NotFound
    return found
