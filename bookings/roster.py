"""Who sits in a session, for those who receive the children.

Name, age and the parent's phone are shown from 24 hours before a session begins to 24 hours after it has ended, and
never of a child that was removed or whose parent has not (or no longer) agreed to storing its data. At other times
there are initials. Each look at details leaves a `RosterView`.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import OuterRef, Subquery

from bookings.models import Booking, RosterView, Seat
from marketplace.models import Session
from users.models import Child, Consent, Parent, User

SHOWN = timedelta(hours=24)  # before the start and after the end

# Those who come, came, or should have come. A hold is not among them yet.
COMING = (Booking.Status.CONFIRMED, Booking.Status.COMPLETED, Booking.Status.NO_SHOW)


@dataclass(frozen=True, kw_only=True)
class Details:
    """What may be known of a child for a while."""

    first_name: str
    last_name: str
    age: int
    parent_phone: str

    @property
    def sorted_by(self) -> tuple[str, str]:
        return self.last_name.casefold(), self.first_name.casefold()


@dataclass(frozen=True, kw_only=True)
class RosterSeat:
    """A seat and who sits in it. `hidden` says why there are no details: `not_now`, `removed` or `no_consent`."""

    booking_id: UUID
    status: str
    attendance: str | None
    attendance_at: datetime | None
    initials: str | None
    child: Details | None
    hidden: str | None


@dataclass(frozen=True, kw_only=True)
class Roster:
    """A session's seats, by name where names are shown; `details_shown` is whether it is the time for that."""

    session: Session
    seats: list[RosterSeat]
    on_hold: int
    details_from: datetime
    details_until: datetime
    details_shown: bool
    read_at: datetime


def read(*, session: Session, viewer: User, format: str, request_id: str, now: datetime) -> Roster:
    """The roster of `session` as `viewer` may see it at `now`; a note of it is kept first if it shows any child.

    Expects `session` with its location's city.
    """
    since, until = session.starts_at - SHOWN, session.ends_at + SHOWN
    details_shown, day = since <= now <= until, session.local_date()
    held = Seat.objects.held().filter(session=session).select_related("child", "booking__parent")
    found = list(held.annotate(consent=consent_of("booking__parent")).order_by("pk"))
    seats = [as_shown(seat, details=details_shown, day=day) for seat in found if seat.booking.status in COMING]
    # By name only where names are shown: the order would tell of them, too.
    seats.sort(key=lambda each: (0, *each.child.sorted_by) if each.child else (1,))
    children = sum(each.child is not None for each in seats)
    if children:
        RosterView.objects.create(
            user=viewer, session=session, format=format, children=children, request_id=request_id, created_at=now
        )
    return Roster(
        session=session,
        seats=seats,
        on_hold=sum(seat.booking.status == Booking.Status.PENDING_PAYMENT for seat in found),
        details_from=since,
        details_until=until,
        details_shown=details_shown,
        read_at=now,
    )


def as_shown(seat: Seat, *, details: bool, day: date) -> RosterSeat:
    child, why = seat.child, hidden(seat.child, consent=seat.consent)  # type: ignore[attr-defined]
    return RosterSeat(
        booking_id=seat.booking_id,
        status=seat.booking.status,
        attendance=seat.attendance,
        attendance_at=seat.attendance_at,
        initials=None if why else initials(child),
        child=None if why or not details else details_of(child, day=day, parent=seat.booking.parent),
        hidden=why or (None if details else "not_now"),
    )


def details_of(child: Child, *, day: date, parent: Parent) -> Details:
    return Details(
        first_name=child.first_name, last_name=child.last_name, age=child.age_on(day), parent_phone=parent.phone
    )


def consent_of(parent: str) -> Subquery:
    """The latest word about the data of a row's child, by the user behind the column `parent`, to annotate with."""
    said = Consent.objects.latest_first(
        user=OuterRef(f"{parent}__user"), kind=Consent.Kind.CHILD_DATA, child=OuterRef("child")
    )
    return Subquery(said.values("granted")[:1])


def hidden(child: Child, *, consent: bool | None) -> str | None:
    """Why nothing of a child may be shown, not even initials; None if it may."""
    if child.removed_at is not None:
        return "removed"
    return None if consent else "no_consent"


def initials(child: Child) -> str:
    """ "M. L." for Mia Lopez."""
    return " ".join(f"{name.strip()[0].upper()}." for name in (child.first_name, child.last_name) if name.strip())
