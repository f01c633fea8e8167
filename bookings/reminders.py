"""What is told because time has come: a hold that is about to end, a session tomorrow.

Sweeps, not timers (decision 0003): each looks for what is due and untold, so that one which is late, or runs twice,
tells everybody once.
"""

from datetime import datetime, time, timedelta
from uuid import UUID

from django.db.models import DateTimeField, ExpressionWrapper, F, Func, Value

from bookings.models import Booking, Seat
from marketplace.models import LocalDay, Session
from notifications.models import Notification
from notifications.services import notify, was_told

HOLD_NOTICE = timedelta(minutes=10)
# The hour of the day before, on the clock of the place. Late enough for everybody, early enough to pack a bag.
REMINDED_AT = time(9)
ZONE = "session__location__city__timezone"


def tell_of_holds(*, now: datetime, batch: int = 200) -> int:
    """Tells parents, once, that their hold ends in about ten minutes; returns how many.

    Not of a hold that was hardly longer than that: they have only just seen how long it lasts.
    """
    kind = Notification.Kind.HOLD_ENDING
    ending = Booking.objects.filter(
        ~was_told(kind, subject="pk", user="parent__user"),
        status=Booking.Status.PENDING_PAYMENT,
        expires_at__gt=now,
        expires_at__lte=now + HOLD_NOTICE,
        created_at__lte=F("expires_at") - 2 * HOLD_NOTICE,
    )
    found = list(ending.order_by("expires_at").values_list("pk", "parent__user")[:batch])
    for booking_id, user_id in found:
        notify([user_id], kind=kind, subject_id=booking_id, now=now)
    return len(found)


def remind_of_sessions(*, now: datetime, batch: int = 500) -> int:
    """Reminds parents, the day before, of the sessions in which they have confirmed seats; returns of how many seats.

    The day is the place's. Once for each session and day, so that one which is moved to another day is told again. Who
    booked after that morning has only just been told, and hears no more.
    """
    kind = Notification.Kind.SESSION_REMINDER
    seats = (
        Seat.objects.held()
        .filter(
            session__status=Session.Status.SCHEDULED,
            session__starts_at__gt=now,
            session__starts_at__lt=now + timedelta(days=3),
            booking__status=Booking.Status.CONFIRMED,
        )
        .annotate(day=LocalDay("session__starts_at", ZONE))
        .alias(due_at=morning_before("day", ZONE))
        .filter(
            ~was_told(kind, subject="session", user="booking__parent__user", occasion="day"),
            due_at__lte=now,
            booking__confirmed_at__lte=F("due_at"),
        )
        .order_by("session__starts_at", "session")
    )
    found = list(seats.values_list("session", "day", "booking__parent__user")[:batch])
    users: dict[tuple[UUID, str], set[UUID]] = {}
    for session_id, day, user_id in found:
        users.setdefault((session_id, str(day)), set()).add(user_id)
    for (session_id, occasion), user_ids in users.items():
        notify(sorted(user_ids), kind=kind, subject_id=session_id, occasion=occasion, now=now)
    return len(found)


def morning_before(day: str, zone: str) -> Func:
    """The moment of `REMINDED_AT` on the day before `day`, in `zone`; both are columns."""
    before = timedelta(days=1) - timedelta(hours=REMINDED_AT.hour, minutes=REMINDED_AT.minute)
    local = ExpressionWrapper(F(day) - Value(before), output_field=DateTimeField())
    return Func(F(zone), local, function="timezone", output_field=DateTimeField())
