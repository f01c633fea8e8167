"""Who came, and when a booking is over.

Staff note who is there from an hour before a session begins until a day after it has ended. A session is completed as
soon as it has ended; a booking a day after its last one, when nothing that could be noted is open any more: as
`no_show` if the child was noted absent every time, else as `completed`. Both are the last word: the books of a booking
that is over do not change again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from bookings.models import Attendance, Booking, BookingQuerySet, Seat
from bookings.services import lock_sessions
from core.errors import InvalidState, NotFound
from marketplace.models import Session
from notifications.models import Notification
from notifications.services import notify

OPENS = timedelta(hours=1)  # before the start
CLOSES = timedelta(hours=24)  # after the end; bookings are settled then


def opens_at(session: Session) -> datetime:
    return session.starts_at - OPENS


def closes_at(session: Session) -> datetime:
    return session.ends_at + CLOSES


def note(*, session_id: UUID, entries: Mapping[UUID, Attendance | None], now: datetime) -> None:
    """Notes who came: for each booking present, absent, or None to take it back. All of `entries` or none of them.

    Saying the same again changes nothing. Raises `InvalidState` outside the session's hours and for a booking that is
    not confirmed, `NotFound` for one that was never in the session; both name the entries.
    """
    with transaction.atomic():
        session = next(iter(lock_sessions([session_id])), None)
        if session is None:
            raise NotFound
        check_hours(session, now=now)
        # Sessions before bookings, as everywhere: whoever cancels, moves or settles them waits, or we do.
        here = Seat.objects.filter(session=session, booking__in=list(entries))
        bookings = Booking.objects.filter(pk__in=here.values("booking")).order_by("pk")
        statuses = {each.pk: each.status for each in bookings.select_for_update(no_key=True)}
        seats = {seat.booking_id: seat for seat in here.held()}
        check_entries(list(entries), statuses, seats)
        for attendance in (Attendance.PRESENT, Attendance.ABSENT, None):
            wanted = (seats[booking_id] for booking_id, given in entries.items() if given == attendance)
            write([seat for seat in wanted if seat.attendance != attendance], attendance, now=now)


def check_hours(session: Session, *, now: datetime) -> None:
    if session.status == Session.Status.CANCELLED:
        raise InvalidState("This session is cancelled.")
    if now < opens_at(session):
        raise InvalidState("Attendance can be noted from an hour before the session begins.")
    if now >= closes_at(session):
        raise InvalidState("Attendance can be noted until 24 hours after the session has ended.")


def check_entries(entries: list[UUID], statuses: Mapping[UUID, str], seats: Mapping[UUID, Seat]) -> None:
    def named(wrong: Mapping[UUID, str]) -> list[dict[str, str]]:
        return [{"field": f"entries.{entries.index(pk)}.bookingId", "message": text} for pk, text in wrong.items()]

    unknown = {pk: "This booking has no seat in the session." for pk in entries if pk not in statuses}
    if unknown:
        raise NotFound("There is no such booking in this session.", details=named(unknown))
    over = {
        pk: f"This booking is {statuses[pk]}."
        if statuses[pk] != Booking.Status.CONFIRMED
        else "This booking was moved to another session."
        for pk in entries
        if statuses[pk] != Booking.Status.CONFIRMED or pk not in seats
    }
    if over:
        raise InvalidState("Attendance is noted for confirmed bookings only.", details=named(over))


def write(seats: list[Seat], attendance: Attendance | None, *, now: datetime) -> None:
    if seats:
        Seat.objects.filter(pk__in=[seat.pk for seat in seats]).update(
            attendance=attendance, attendance_at=now if attendance else None, updated_at=now
        )


# --- Sweeps ----------------------------------------------------------------------------------------------------------


def complete_sessions(*, now: datetime, batch: int = 500) -> int:
    """Completes sessions that have ended, at most `batch`; returns how many."""
    with transaction.atomic():
        ended = Session.objects.filter(status=Session.Status.SCHEDULED, ends_at__lte=now).order_by("ends_at")
        ended = ended.select_for_update(no_key=True, skip_locked=True)
        ids = list(ended.values_list("pk", flat=True)[:batch])
        return Session.objects.filter(pk__in=ids).update(status=Session.Status.COMPLETED, updated_at=now)


def due(*, now: datetime) -> BookingQuerySet:
    """Confirmed bookings whose last session has ended so long ago that its attendance is closed.

    Not those with a seat in a cancelled session: whoever cancels it has yet to come to them, and owes them money.
    """
    held = Seat.objects.held().filter(booking=OuterRef("pk"))
    last = now - CLOSES
    unfinished = held.filter(Q(session__ends_at__gt=last) | Q(session__status=Session.Status.CANCELLED))
    return Booking.objects.filter(
        Exists(held),
        ~Exists(unfinished),
        status=Booking.Status.CONFIRMED,
        # Says nothing new, but spares the look at the seats of all that have not begun.
        session__starts_at__lt=last,
    )


def settle_bookings(*, now: datetime, batch: int = 100) -> int:
    """Settles bookings that are over, at most `batch`, and asks their parents for a review; returns how many."""
    with transaction.atomic():
        locked = due(now=now).select_for_update(of=("self",), no_key=True, skip_locked=True).order_by("pk")
        ids = list(locked.values_list("pk", flat=True)[:batch])
        # Looked at again now that nobody else can change them.
        came = Seat.objects.held().filter(booking=OuterRef("pk")).exclude(attendance=Attendance.ABSENT)
        found = due(now=now).filter(pk__in=ids).annotate(came=Exists(came))
        settled = list(found.values_list("pk", "came", "parent__user_id"))
        for status, is_it in ((Booking.Status.COMPLETED, True), (Booking.Status.NO_SHOW, False)):
            some = [pk for pk, came_once, _ in settled if came_once is is_it]
            Booking.objects.filter(pk__in=some).update(status=status, updated_at=now)
        for pk, came_once, user_id in settled:
            if came_once:
                notify([user_id], kind=Notification.Kind.REVIEW_PROMPT, subject_id=pk, now=now)
    return len(settled)
