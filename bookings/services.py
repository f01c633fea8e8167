"""Taking and giving back seats. Whoever changes seats holds the locks of their sessions, in id order.

`Session.enrolled` equals the held seats at every commit; a CHECK and two partial unique indexes see to the rest.
Locks are FOR NO KEY UPDATE: a foreign key's own check (FOR KEY SHARE, at commit) would otherwise wait for them, against
the house's order, and deadlock.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Max, Min, Q, QuerySet

from bookings import notices, places
from bookings.models import Booking, Seat
from bookings.starts import day_and_time, nearest_start
from core.errors import Error, InvalidState, NotFound
from marketplace.models import Activity, Offering, Session
from providers.models import ProviderAccount
from users.models import Child, Parent

# Further back than any booking is made, and near enough for a date.
LONGEST_WINDOW_HOURS = 87_600


class SessionFull(Error):
    status, code, message = 409, "SESSION_FULL", "This session is full."


class SessionNotBookable(Error):
    status, code, message = 409, "SESSION_NOT_BOOKABLE", "This session cannot be booked."


class AlreadyBooked(Error):
    status, code, message = 409, "ALREADY_BOOKED", "This child already has a seat in this session."


class AgeNotEligible(Error):
    status, code, message = 409, "AGE_NOT_ELIGIBLE", "The child's age does not fit this activity."


class CrossRegionBooking(Error):
    status, code, message = 409, "CROSS_REGION_BOOKING", "This activity takes place in the other region."


class BookingExpired(Error):
    status, code, message = 409, "BOOKING_EXPIRED", "The hold on this booking is over. Book again."


class PriceMismatch(Error):
    status, code, message = 409, "PRICE_MISMATCH", "The other session has another price. Cancel and book again."


def book(*, parent: Parent, child: Child, session: Session, now: datetime) -> Booking:
    """Holds a seat in every session that the offering covers, all or nothing (contract §6).

    A paid offering gives a hold of `BOOKING_HOLD_MINUTES`, a free one is confirmed at once. Raises
    `CrossRegionBooking`, `SessionNotBookable`, `AlreadyBooked`, `AgeNotEligible`, `SessionFull`, and `NotFound` if
    child or session went away in this very moment.
    """
    covered = covered_ids(session, now=now)
    try:
        with transaction.atomic():
            # The child's lock keeps it from being removed meanwhile (`remove_child` takes it, too).
            present, sessions, held = places.look(child_id=child.pk, session_ids=covered)
            if present is None:
                raise NotFound("There is no such child.", field="childId")
            child, session = present, chosen(session, sessions)
            check_bookable(session, sessions, child=child, now=now, held=held)
            offering = session.offering
            is_free = offering.price_cents == 0
            booking = Booking(
                session=session,
                offering=offering,
                parent=parent,
                child=child,
                status=Booking.Status.CONFIRMED if is_free else Booking.Status.PENDING_PAYMENT,
                amount_cents=offering.price_cents,
                currency=offering.currency,
                confirmed_at=now if is_free else None,
                expires_at=None if is_free else now + timedelta(minutes=settings.BOOKING_HOLD_MINUTES),
                refundable_until=refund_deadline(sessions, offering),
                created_at=now,
                updated_at=now,
            )
            with refusing():
                places.make(booking, sessions, now=now)
            if is_free:
                notices.tell_confirmed(booking, now=now)
    except SessionFull as full:
        # Looked up only now that the locks are gone: others are waiting for them.
        held = held_by(child, sessions)
        if held:
            # The last seat went to this very child, while we waited.
            raise AlreadyBooked(details=dates(each for each in sessions if each.pk in held)) from full
        full.details += nearest_start(session, child=child, now=now)
        raise
    return booking


def refund_deadline(sessions: Iterable[Session], offering: Offering) -> datetime:
    """Until when a cancellation is refunded in full: so many hours before the first of `sessions`."""
    hours = min(offering.refund_window_hours, LONGEST_WINDOW_HOURS)
    return min(each.starts_at for each in sessions) - timedelta(hours=hours)


def chosen(session: Session, sessions: Iterable[Session]) -> Session:
    """`session` as it is among the locked ones: what was read before the lock may be old. Raises `NotFound`."""
    found = next((each for each in sessions if each.pk == session.pk), None)
    if found is None:
        raise NotFound("There is no such session.", field="sessionId")
    return found


def covered_ids(session: Session, *, now: datetime) -> list[UUID]:
    """The sessions that a booking of `session` covers: itself, the next of a package, or the rest of a term."""
    offering = session.offering
    if offering.type in (Offering.Type.SINGLE_SESSION, Offering.Type.CAMP):
        return [session.pk]
    following = Session.objects.filter(offering=offering, status=Session.Status.SCHEDULED).order_by("starts_at", "pk")
    if offering.type == Offering.Type.TERM:
        ids = list(following.filter(starts_at__gt=now).values_list("pk", flat=True))
    else:
        following = following.filter(starts_at__gte=session.starts_at).exclude(pk=session.pk)
        ids = [session.pk, *following.values_list("pk", flat=True)[: (offering.session_count or 1) - 1]]
    # A session that cannot be booked must still be among them, to be refused for its own reason.
    return ids if session.pk in ids else [session.pk, *ids]


def lock_sessions(ids: Iterable[UUID], *, skip_locked: bool = False) -> list[Session]:
    """The sessions, locked in id order, with all that a booking asks of them, read after the wait for the lock."""
    return list(sessions_by_id(ids).select_for_update(of=("self",), no_key=True, skip_locked=skip_locked))


def sessions_by_id(ids: Iterable[UUID]) -> QuerySet[Session]:
    related = ("offering", "activity__provider", "activity__category", "location__city__country")
    return Session.objects.select_related(*related).filter(pk__in=list(ids)).order_by("pk")


def held_by(child: Child, sessions: Iterable[Session]) -> dict[UUID, UUID]:
    """By session, the booking with which `child` holds a seat there."""
    return dict(Seat.objects.held().filter(session__in=sessions, child=child).values_list("session_id", "booking_id"))


def check_bookable(
    session: Session,
    sessions: list[Session],
    *,
    child: Child,
    now: datetime,
    held: Mapping[UUID, UUID],
    moving: Booking | None = None,
) -> None:
    """Raises the first reason why `child` cannot have a seat in all of `sessions`, locked ones if it shall last.

    `held` are the seats that it has there; those of `moving` count as free, since they are given back when it moves.
    """
    for each in sessions:
        if each.location.city.country.region != settings.REGION or each.offering.currency != settings.CURRENCY:
            raise CrossRegionBooking
        check_open(each, now=now)
    offering = session.offering
    if offering.type == Offering.Type.MULTI_SESSION and len(sessions) < (offering.session_count or 1):
        raise SessionNotBookable(f"Only {len(sessions)} of the {offering.session_count} sessions are left from here.")
    mine = {session_id for session_id, booking_id in held.items() if moving and booking_id == moving.pk}
    taken = held.keys() - mine
    if taken:
        raise AlreadyBooked(details=dates(each for each in sessions if each.pk in taken))
    age = child.age_on(session.local_date())
    if not session.activity.accepts_age(age):
        raise AgeNotEligible(
            f"The child is {age} on that day; this activity is for {age_range(session.activity)}.",
            field="childId",
        )
    full = [each for each in sessions if each.spots_left < 1 and each.pk not in mine]
    if full:
        raise SessionFull(details=dates(full))


def check_open(session: Session, *, now: datetime) -> None:
    """Raises `SessionNotBookable` with the reason."""
    activity = session.activity
    if session.status != Session.Status.SCHEDULED:
        raise SessionNotBookable(f"This session is {session.status}.")
    if session.starts_at <= now:
        raise SessionNotBookable("This session has started.")
    if activity.status != Activity.Status.PUBLISHED or not activity.category.is_active:
        raise SessionNotBookable("This activity is not published.")
    if activity.provider.status != ProviderAccount.Status.VERIFIED:
        raise SessionNotBookable("This provider is not verified.")
    if session.offering.status != Offering.Status.ACTIVE:
        raise SessionNotBookable("This offering is no longer sold.")


def age_range(activity: Activity) -> str:
    if activity.age_max is None:
        return f"{activity.age_min} and older"
    if activity.age_min is None:
        return f"up to {activity.age_max}"
    return f"{activity.age_min} to {activity.age_max}"


def dates(sessions: Iterable[Session]) -> list[dict[str, Any]]:
    """Error details that name sessions by their local date and time."""
    return [
        {
            "field": "sessionId",
            "message": day_and_time(each.starts_at, each.location.city.timezone),
            "session_id": each.pk,
        }
        for each in sorted(sessions, key=lambda each: each.starts_at)
    ]


def take_seats(booking: Booking, sessions: list[Session]) -> None:
    """One seat in each of the locked `sessions`. Raises `AlreadyBooked`, and `SessionFull` by the CHECK's word."""
    with refusing(), transaction.atomic():
        Session.objects.filter(pk__in=[each.pk for each in sessions]).update(enrolled=F("enrolled") + 1)
        Seat.objects.bulk_create(Seat(booking=booking, session=each, child_id=booking.child_id) for each in sessions)
    for each in sessions:
        each.enrolled += 1


@contextmanager
def refusing() -> Iterator[None]:
    """Says in our words what the database refused: the checks held the locks, but it has the last word."""
    try:
        yield
    except IntegrityError as error:
        raise (SessionFull if "capacity" in str(error) else AlreadyBooked) from error


def release_seats(booking: Booking, *, sessions: Iterable[Session] | None = None, now: datetime) -> None:
    """Gives back the seats that `booking` holds, in `sessions` or in all; the caller has these locked.

    Twice does no harm.
    """
    held = Seat.objects.held().filter(booking=booking)
    if sessions is not None:
        held = held.filter(session__in=list(sessions))
    ids = list(held.values_list("session_id", flat=True))
    held.update(released_at=now, updated_at=now)
    Session.objects.filter(pk__in=ids).update(enrolled=F("enrolled") - 1)


def lock_booking(booking_id: UUID, *, also: Iterable[UUID] = ()) -> tuple[Booking, list[Session]]:
    """A booking and the sessions of all its seats (and `also`), locked in the house's order: sessions, then booking.

    Raises `Booking.DoesNotExist`. A reschedule between our look and our lock makes us look again.
    """
    while True:
        wanted = seat_sessions(booking_id) | set(also)
        with transaction.atomic():
            sessions = lock_sessions(wanted)
            booking = (
                Booking.objects.select_for_update(of=("self",), no_key=True)
                .select_related("offering")
                .get(pk=booking_id)
            )
            if seat_sessions(booking_id) <= wanted:
                return booking, sessions
            # Lets go of the locks, too.
            transaction.set_rollback(True)


def seat_sessions(booking_id: UUID) -> set[UUID]:
    return set(Seat.objects.filter(booking_id=booking_id).values_list("session_id", flat=True))


def begins_at(booking: Booking) -> datetime:
    """When the first session that `booking` holds a seat in starts; of a term, that may be before the chosen one."""
    first = Seat.objects.held().filter(booking=booking).aggregate(first=Min("session__starts_at"))["first"]
    return first or booking.session.starts_at


def expire(booking_id: UUID, *, now: datetime) -> bool:
    """Ends an overdue hold and gives its seats back, once. False if it was not overdue, or is being worked on."""
    with transaction.atomic():
        wanted = seat_sessions(booking_id)
        if len(lock_sessions(wanted, skip_locked=True)) < len(wanted):
            return False
        booking = (
            Booking.objects.overdue(now=now)
            .select_for_update(no_key=True, skip_locked=True)
            .filter(pk=booking_id)
            .first()
        )
        if booking is None or not seat_sessions(booking_id) <= wanted:
            return False
        booking.move(Booking.Status.EXPIRED)
        release_seats(booking, now=now)
        return True


def retake_seats(booking: Booking, sessions: list[Session], *, now: datetime) -> bool:
    """Takes the seats of an expired booking again, if each session is open and free and the child is not in it."""
    if booking.child.removed_at is not None:
        return False
    seats = Seat.objects.filter(booking=booking)
    # Those that it held in the end: a booking that was moved has older ones, too.
    last = seats.aggregate(last=Max("released_at"))["last"]
    lost = set(seats.filter(released_at=last).values_list("session_id", flat=True))
    wanted = [each for each in sessions if each.pk in lost]
    taken = Seat.objects.held().filter(session__in=wanted, child=booking.child_id).exists()
    if taken or not wanted or any(each.spots_left < 1 for each in wanted):
        return False
    try:
        for each in wanted:
            check_open(each, now=now)
        take_seats(booking, wanted)
    except (SessionNotBookable, SessionFull, AlreadyBooked):
        # The money is a fact all the same: no seat must mean a refund, never an error.
        return False
    return True


def reschedule(*, booking_id: UUID, session: Session, now: datetime) -> Booking:
    """Moves a booking to start at `session`, all of its seats at once, for the same price and currency.

    It keeps the earlier of both refund deadlines: moving to a later day must not open a closed refund window again.
    Raises `PriceMismatch`, `InvalidState`, `BookingExpired` and everything that `book` raises.
    """
    try:
        with transaction.atomic():
            wanted_ids = set(covered_ids(session, now=now))
            booking, sessions = lock_booking(booking_id, also=wanted_ids)
            session = chosen(session, sessions)
            wanted = [each for each in sessions if each.pk in wanted_ids]
            check_movable(booking, session, now=now)
            held = held_by(booking.child, wanted)
            check_bookable(session, wanted, child=booking.child, now=now, held=held, moving=booking)
            release_seats(booking, now=now)
            take_seats(booking, wanted)
            booking.session, booking.offering = session, session.offering
            booking.refundable_until = min(booking.refundable_until, refund_deadline(wanted, session.offering))
            booking.save(update_fields=["session", "offering", "refundable_until", "updated_at"])
            notices.tell_moved(booking, now=now)
    except SessionFull as full:
        full.details += nearest_start(session, child=booking.child, now=now, moving=booking)
        raise
    return booking


def check_movable(booking: Booking, session: Session, *, now: datetime) -> None:
    if booking.status not in (Booking.Status.PENDING_PAYMENT, Booking.Status.CONFIRMED):
        raise InvalidState(f"A booking that is {booking.status} cannot be moved.")
    if booking.status == Booking.Status.PENDING_PAYMENT and booking.expires_at and booking.expires_at <= now:
        raise BookingExpired
    if begins_at(booking) <= now:
        raise InvalidState("This booking has already begun.")
    if has_lost_a_session(booking):
        # It is worth less than its price now, or is about to end.
        raise InvalidState("A session of this booking was cancelled. Cancel it for free, and book again.")
    if booking.session_id == session.pk:
        raise InvalidState("This is the session that is booked already.")
    if session.activity_id != booking.session.activity_id:
        raise InvalidState("A booking can move only within its activity.")
    if (session.offering.price_cents, session.offering.currency) != (booking.amount_cents, booking.currency):
        raise PriceMismatch


def has_lost_a_session(booking: Booking) -> bool:
    """Whether a session was cancelled under it: its seat is still to be given back, or was since."""
    lost = Q(released_at=None, session__status=Session.Status.CANCELLED) | Q(
        released_at__gte=F("session__cancelled_at")
    )
    return Seat.objects.filter(lost, booking=booking).exists()


def check_move(booking: Booking, session: Session, *, now: datetime) -> list[Session]:
    """The sessions that `booking` would cover from `session` on. Raises what moving it would raise; takes no locks."""
    check_movable(booking, session, now=now)
    wanted = list(sessions_by_id(covered_ids(session, now=now)))
    try:
        held = held_by(booking.child, wanted)
        check_bookable(session, wanted, child=booking.child, now=now, held=held, moving=booking)
    except SessionFull as full:
        full.details += nearest_start(session, child=booking.child, now=now, moving=booking)
        raise
    return wanted


def remove_child(*, child: Child, now: datetime) -> None:
    """Removes a child: the row where nothing hangs on it, else name and birth date. Raises `InvalidState` if booked."""
    with transaction.atomic():
        child = Child.objects.select_for_update().get(pk=child.pk)
        if Seat.objects.held().filter(child=child, session__ends_at__gt=now).exists():
            raise InvalidState("This child has upcoming bookings. Cancel them first.")
        if not Booking.objects.filter(child=child).exists():
            child.delete()
            return
        child.interests.all().delete()
        child.first_name, child.last_name, child.birth_date, child.removed_at = "", "", None, now
        child.save()
