"""What parents hear of the sessions in which they booked seats, and how every letter names a session."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bookings.models import BookingStatus, Seat
from marketplace.models import Session, SessionStatus
from notifications.contents import Content
from notifications.letters import Letter, Reader, one_line
from notifications.models import NotificationKind

Facts = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """A session as letters name it."""

    activity: str
    provider: str
    starts_at: datetime
    ends_at: datetime
    zone: str
    place: str
    session: UUID

    def when(self, reader: Reader) -> str:
        return reader.moment(self.starts_at, self.zone)

    def facts(self, reader: Reader) -> Facts:
        return [
            ("What", f"{self.activity}, {self.provider}"),
            ("When", reader.span(self.starts_at, self.ends_at, self.zone)),
            ("Where", self.place),
        ]


def occasion(session: Session) -> dict[str, Any]:
    """The fields of an `Occasion`. Expects `WITH_PLACE` at hand."""
    location, activity = session.location, session.activity
    return {
        "activity": one_line(activity.title),
        "provider": one_line(activity.provider.business_name),
        "starts_at": session.starts_at,
        "ends_at": session.ends_at,
        "zone": location.city.timezone,
        "place": f"{one_line(location.name)}, {one_line(location.address)}, {location.city.name}",
        "session": session.pk,
    }


WITH_PLACE = ("activity__provider", "location__city")


def listed(names: Iterable[str]) -> str:
    """ "Mia", "Mia and Leo", "Ana, Mia and Leo"; without names, "your child"."""
    *others, last = [name for name in names if name] or ["your child"]
    return f"{', '.join(others)} and {last}" if others else last


@dataclass(frozen=True, kw_only=True)
class Visit(Occasion):
    """A session in which children of the reader have, or had, a seat; `booking` is the first one's."""

    status: str
    reason: str
    children: tuple[str, ...]
    is_held: bool
    is_paid: bool
    booking: UUID

    @property
    def path(self) -> str:
        return f"/bookings/{self.booking}"


def visits(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, Visit]:
    """Those sessions in which the user has, or had, booked seats."""
    seats = (
        Seat.objects.filter(session__in=ids, booking__parent__user=user_id)
        .select_related("booking", "child", *(f"session__{path}" for path in WITH_PLACE))
        .order_by("pk")
    )
    by_session: dict[UUID, list[Seat]] = {}
    for seat in seats:
        by_session.setdefault(seat.session_id, []).append(seat)
    return {session_id: visit(each) for session_id, each in by_session.items()}


def visit(seats: list[Seat]) -> Visit:
    held = [seat for seat in seats if seat.released_at is None and seat.booking.status == BookingStatus.CONFIRMED]
    session = seats[0].session
    # Of a cancelled session those that were still held when it was; not those that were given back long before.
    since = session.cancelled_at
    lost = [seat for seat in seats if since and seat.released_at and seat.released_at >= since]
    shown = held or lost or seats
    return Visit(
        **occasion(session),
        status=session.status,
        reason=session.cancellation_reason,
        # A child that had several seats here, one after the other, is named once.
        children=tuple(dict.fromkeys(seat.child.first_name for seat in shown)),
        is_held=bool(held) or any(seat.released_at is None for seat in seats),
        is_paid=any(seat.booking.amount_cents and seat.booking.confirmed_at for seat in shown),
        booking=shown[0].booking_id,
    )


def session_changed(it: Visit, reader: Reader) -> Letter:
    return Letter(
        subject=f"Changed: {it.activity}, now {it.when(reader)}",
        title="A session has changed",
        summary=f"{it.provider} has changed time or place of {it.activity}. It is now on {it.when(reader)}.",
        facts=[*it.facts(reader), ("For", listed(it.children))],
        button=("See all dates", it.path),
        small=["Does it no longer suit you? Until the session begins you can cancel and get everything back."],
    )


def session_cancelled(it: Visit, reader: Reader) -> Letter:
    return Letter(
        subject=f"Cancelled: {it.activity}, {it.when(reader)}",
        title="A session was cancelled",
        summary=f"{it.provider} has cancelled {it.activity} on {it.when(reader)}.",
        paragraphs=["We will write again as soon as your money is on its way back."] if it.is_paid else [],
        facts=[
            *it.facts(reader),
            ("For", listed(it.children)),
            *([("Reason", it.reason)] if it.reason else []),
        ],
        button=("See your booking", it.path),
    )


def session_reminder(it: Visit, reader: Reader) -> Letter:
    return Letter(
        subject=f"Reminder: {it.activity}, {it.when(reader)}",
        title="See you soon",
        summary=f"{it.activity} is on {it.when(reader)}.",
        facts=[*it.facts(reader), ("For", listed(it.children))],
        button=("See your booking", it.path),
    )


def is_to_come(it: Visit, now: datetime) -> bool:
    return it.status == SessionStatus.SCHEDULED and it.is_held and it.starts_at > now


# --- Samples ---------------------------------------------------------------------------------------------------------

NUMBER = UUID("01958f3a-2b7c-7d10-8e55-6a0c4b1d9f20")
OCCASIONS: dict[str, dict[str, Any]] = {
    "us": {
        "activity": "Swim Starters",
        "provider": "Blue Fin Swim School",
        "starts_at": datetime(2026, 3, 7, 16, 0, tzinfo=UTC),
        "ends_at": datetime(2026, 3, 7, 16, 45, tzinfo=UTC),
        "zone": "America/Chicago",
        "place": "Main pool, 1 Water Street, Austin",
        "session": NUMBER,
    },
    "in": {
        "activity": "Bharatanatyam for beginners",
        "provider": "Taal Dance Academy",
        "starts_at": datetime(2026, 3, 7, 4, 30, tzinfo=UTC),
        "ends_at": datetime(2026, 3, 7, 5, 30, tzinfo=UTC),
        "zone": "Asia/Kolkata",
        "place": "Studio 2, 14 Residency Road, Bangalore",
        "session": NUMBER,
    },
}


def sample(region: str, *children: str) -> Visit:
    return Visit(
        **OCCASIONS[region],
        status=SessionStatus.SCHEDULED,
        reason="The floor has to be repaired.",
        children=children,
        is_held=True,
        is_paid=True,
        booking=NUMBER,
    )


SAMPLES = {"us": sample("us", "Mia"), "in": sample("in", "Aarav", "Diya")}

CONTENTS = {
    NotificationKind.SESSION_CHANGED: Content(find=visits, write=session_changed, still=is_to_come, samples=SAMPLES),
    NotificationKind.SESSION_CANCELLED: Content(
        find=visits,
        write=session_cancelled,
        still=lambda it, now: it.status == SessionStatus.CANCELLED,
        samples=SAMPLES,
    ),
    NotificationKind.SESSION_REMINDER: Content(find=visits, write=session_reminder, still=is_to_come, samples=SAMPLES),
}
