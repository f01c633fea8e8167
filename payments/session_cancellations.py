"""Cancelling whole sessions, with everybody who has a seat in them.

First the sessions are marked, in one short transaction, so that nobody books them any more. Then each booking is
settled in a transaction of its own. A crash in between loses nothing: a seat that is still held in a cancelled session
says what is left to do, and a sweep does it.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Count, F, Q

from bookings import notices
from bookings import services as bookings
from bookings.models import Booking, Seat
from core.errors import Error, InvalidState, NotFound
from marketplace.models import Session
from notifications.models import Notification
from payments.cancellations import Extent, end, left_cents, owe, worth_cents

log = structlog.get_logger("juniro.payments")

# Settled within the request; the sweep goes on with the rest.
AT_ONCE = 50
BATCH = 500
ALIVE = (Booking.Status.PENDING_PAYMENT, Booking.Status.CONFIRMED)


def cancel_sessions(
    *, session_ids: Iterable[UUID], reason: str, series: bool = False, dry_run: bool = False, now: datetime
) -> Extent:
    """Cancels sessions, with `series` also all that follow in their series; who has a seat gets its worth back.

    A booking without any other session is cancelled and refunded in full. Any other goes on without this one, and may
    be cancelled for free until its next session begins. Sessions that are over or cancelled already are passed over.
    `dry_run` only tells the extent.

    Raises `InvalidState` where there is nothing to cancel, and `NotFound`.
    """
    extent = mark_cancelled(session_ids=session_ids, reason=reason, series=series, dry_run=dry_run, now=now)
    if not dry_run:
        settle_first(extent, now=now)
    return extent


def mark_cancelled(
    *, session_ids: Iterable[UUID], reason: str, series: bool = False, dry_run: bool = False, now: datetime
) -> Extent:
    """The first half of `cancel_sessions`: nobody books these any more. Their bookings are settled after commit."""
    with transaction.atomic():
        sessions = lock_cancellable(set(session_ids), series=series, now=now)
        extent = extent_of(sessions)
        if dry_run:
            return extent
        Session.objects.filter(pk__in=[each.pk for each in sessions]).update(
            status=Session.Status.CANCELLED,
            cancelled_at=now,
            cancellation_reason=reason,
            sequence=F("sequence") + 1,
            updated_at=now,
        )
    log.info("sessions cancelled", count=extent.sessions, bookings=len(extent.booking_ids))
    return extent


def settle_first(extent: Extent, *, now: datetime) -> None:
    """As many bookings as a request has time for; the sweep goes on with the rest."""
    settle_all(extent.booking_ids[:AT_ONCE], now=now)


def lock_cancellable(ids: set[UUID], *, series: bool, now: datetime) -> list[Session]:
    """Those of the sessions that can be cancelled, locked."""
    also: set[UUID] = set()
    if series:
        of_series = Session.objects.filter(pk__in=ids, series_id__isnull=False).values("series_id")
        # Whole series: which of their sessions follow is known only once none of them can move.
        also = set(Session.objects.filter(series_id__in=of_series).values_list("pk", flat=True))
    locked = bookings.lock_sessions(ids | also)
    named = [each for each in locked if each.pk in ids]
    if not named:
        raise NotFound
    if series and any(each.series_id is None for each in named):
        raise InvalidState("This session is not part of a series.")
    begins = {each.series_id: each.starts_at for each in sorted(named, key=lambda each: each.starts_at, reverse=True)}
    wanted = [each for each in locked if each.pk in ids or each.starts_at >= begins[each.series_id]]
    found = [each for each in wanted if each.can_move(Session.Status.CANCELLED) and each.ends_at > now]
    if not found:
        first = named[0]
        is_open = first.can_move(Session.Status.CANCELLED)
        raise InvalidState(
            "This session is over." if is_open else f"A session that is {first.status} cannot be cancelled."
        )
    return found


def extent_of(sessions: list[Session]) -> Extent:
    """What cancelling the locked `sessions` comes to, in a fixed number of queries."""
    with_seat = Seat.objects.held().filter(session__in=sessions).values("booking")
    held = Q(seats__released_at=None)
    touched = (
        Booking.objects.filter(status__in=ALIVE, pk__in=with_seat)
        .annotate(held=Count("seats", filter=held), lost=Count("seats", filter=held & Q(seats__session__in=sessions)))
        .order_by("pk")
    )
    left = left_cents(each.pk for each in touched)
    extent = Extent(
        sessions=len(sessions),
        booking_ids=[each.pk for each in touched],
        ending=sum(ends(each, lost=each.lost, held=each.held) for each in touched),
        children=len({each.child_id for each in touched}),
    )
    for each in touched:
        cents = worth_cents(left[each.pk], seats=each.lost, of=each.held)
        if cents:
            extent.cents[each.currency] = extent.cents.get(each.currency, 0) + cents
    return extent


def ends(booking: Booking, *, lost: int, held: int) -> bool:
    """Whether a booking that loses so many of its seats is over. One that is not paid yet always is."""
    return lost == held or booking.status == Booking.Status.PENDING_PAYMENT


def settle(booking_id: UUID, *, now: datetime) -> bool:
    """Gives back the seats that a booking holds in cancelled sessions, and what they are worth. False if none is left.

    Twice does no harm.
    """
    with transaction.atomic():
        booking, sessions = bookings.lock_booking(booking_id)
        held_ids = set(Seat.objects.held().filter(booking=booking).values_list("session_id", flat=True))
        held = sorted((each for each in sessions if each.pk in held_ids), key=lambda each: (each.starts_at, each.pk))
        lost = [each for each in held if each.status == Session.Status.CANCELLED]
        if not lost or booking.status not in ALIVE:
            return False
        reason = lost[0].cancellation_reason
        cents = worth_cents(left_cents([booking.pk])[booking.pk], seats=len(lost), of=len(held))
        is_over = ends(booking, lost=len(lost), held=len(held))
        if is_over:
            end(booking, cents=cents, reason=reason, now=now)
        else:
            go_on(booking, held=held, lost=lost, now=now)
            owe(booking, cents=cents, reason=reason, now=now)
        if is_over and len(held) > 1:
            notices.tell_parent(booking, Notification.Kind.BOOKING_CANCELLED, now=now)
        else:
            # Of each, however many there are: nobody should stand before a closed door.
            for each in lost:
                notices.tell_parent(booking, Notification.Kind.SESSION_CANCELLED, subject_id=each.pk, now=now)
    return True


def go_on(booking: Booking, *, held: list[Session], lost: list[Session], now: datetime) -> None:
    """Lets a booking go on with the sessions that are left: it can be cancelled for free until the next one begins."""
    bookings.release_seats(booking, sessions=lost, now=now)
    left = [each for each in held if each not in lost]
    following = [each.starts_at for each in left if each.starts_at > now]
    booking.refundable_until = max([booking.refundable_until, *following[:1]])
    if booking.session_id not in {each.pk for each in left}:
        booking.session = left[0]
    booking.save(update_fields=["session", "refundable_until", "updated_at"])


def settle_all(booking_ids: Iterable[UUID], *, now: datetime) -> None:
    for booking_id in booking_ids:
        try:
            settle(booking_id, now=now)
        except (DatabaseError, Error) as error:
            # One booking that is stuck must not keep the others' money; the sweep comes back to it.
            log.error("booking of a cancelled session not settled", booking=str(booking_id), kind=type(error).__name__)


def finish_cancelled(*, now: datetime) -> int:
    """Settles what a crash left, or what was too much for a request; the number of bookings that it looked at."""
    emptying = Session.objects.filter(status=Session.Status.CANCELLED, enrolled__gt=0)
    seats = Seat.objects.held().filter(session__in=emptying, booking__status__in=ALIVE)
    ids = list(seats.order_by("booking").values_list("booking", flat=True).distinct()[:BATCH])
    settle_all(ids, now=now)
    return len(ids)
