"""The two statements that a booking is made of: one looks at everything under lock, the other writes everything.

Between them stand the rules (`services.check_bookable`). Two, because whoever wants the same session waits meanwhile.

Their ids are written out, one by one: PostgreSQL then keeps a plan for each number of sessions. Of an array it does not
know how long it will be, and planning anew each time costs more than the statement itself.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model
from uuid_utils.compat import uuid7

from bookings.models import Booking, Seat
from geography.models import City, Country
from marketplace.models import Activity, Category, Offering, Session
from providers.models import Location, ProviderAccount
from users.models import Child

LOCK = "FOR NO KEY UPDATE"
# Child first, then sessions by id, as everybody locks them. What is locked is read as it is after the wait; of the
# rest, and of `held_by`, we see what was so when we came. A seat that the child got since, the unique index finds.
LOOK = """
WITH child AS MATERIALIZED (
    SELECT {child} FROM users_child AS child WHERE child.id = %(child)s AND child.removed_at IS NULL {lock}
), session AS MATERIALIZED (
    SELECT session.* FROM marketplace_session AS session
    WHERE session.id IN ({sessions}) AND EXISTS (SELECT FROM child)
    ORDER BY session.id {lock}
)
SELECT {child}, {columns}, (SELECT seat.booking_id FROM bookings_seat AS seat
    WHERE seat.session_id = session.id AND seat.child_id = child.id AND seat.released_at IS NULL) AS held_by
FROM child LEFT JOIN (session
    JOIN marketplace_offering AS offering ON offering.id = session.offering_id
    JOIN marketplace_activity AS activity ON activity.id = session.activity_id
    JOIN providers_provideraccount AS provider ON provider.id = activity.provider_id
    JOIN marketplace_category AS category ON category.id = activity.category_id
    JOIN providers_location AS location ON location.id = session.location_id
    JOIN geography_city AS city ON city.id = location.city_id
    JOIN geography_country AS country ON country.id = city.country_id
) ON TRUE ORDER BY session.id
"""
WRITE = """
WITH booking AS (
    INSERT INTO bookings_booking (id, session_id, offering_id, parent_id, child_id, status, amount_cents, currency,
        expires_at, refundable_until, confirmed_at, created_at, updated_at)
    VALUES (%(booking)s, %(session)s, %(offering)s, %(parent)s, %(child)s, %(status)s, %(cents)s, %(currency)s,
        %(expires_at)s, %(refundable_until)s, %(confirmed_at)s, %(now)s, %(now)s)
), counted AS (
    UPDATE marketplace_session SET enrolled = enrolled + 1 WHERE id IN ({sessions})
)
INSERT INTO bookings_seat (id, booking_id, session_id, child_id, created_at, updated_at)
VALUES {seats}
"""
SEAT = "(%(seat_{0})s, %(booking)s, %(session_{0})s, %(child)s, %(now)s, %(now)s)"


def asked(model: type[Model], columns: str = "") -> tuple[type[Model], list[str]]:
    """A model with some of its columns, or all, in the order in which it expects them."""
    wanted, every = columns.split(), [field.attname for field in model._meta.concrete_fields]
    return model, [name for name in every if name in wanted] if wanted else every


# What a booking and its answer ask of each model; whatever else is asked for costs a query.
CHILD = asked(Child, "id parent_id birth_date removed_at")
ASKED = {
    "session": asked(Session),
    "offering": asked(Offering, "id type price_cents currency session_count refund_window_hours status"),
    "activity": asked(Activity, "id provider_id category_id title slug age_min age_max status"),
    "provider": asked(ProviderAccount, "id business_name status"),
    "category": asked(Category, "id is_active"),
    "location": asked(Location, "id city_id"),
    "city": asked(City, "id country_id timezone"),
    "country": asked(Country, "id region"),
}


@cache
def look_statement(lock: str, sessions: int) -> str:
    columns = (f"{table}.{name}" for table, (_, names) in ASKED.items() for name in names)
    child = ", ".join(f"child.{name}" for name in CHILD[1])
    return LOOK.format(child=child, columns=", ".join(columns), lock=lock, sessions=placeholders(sessions))


@cache
def write_statement(sessions: int) -> str:
    seats = ", ".join(SEAT.format(number) for number in range(sessions))
    return WRITE.format(sessions=placeholders(sessions), seats=seats)


def placeholders(sessions: int) -> str:
    return ", ".join(f"%(session_{number})s" for number in range(sessions))


def numbered(name: str, ids: Iterable[UUID]) -> dict[str, UUID]:
    return {f"{name}_{number}": each for number, each in enumerate(ids)}


def look(*, child_id: UUID, session_ids: Sequence[UUID]) -> tuple[Child | None, list[Session], dict[UUID, UUID]]:
    """The child and the sessions, locked until commit, with all that a booking asks of them; one statement.

    Also, by session, the booking with which the child holds a seat there. None if the child was removed.
    """
    with connection.cursor() as cursor:
        statement = look_statement(LOCK, len(session_ids))
        cursor.execute(statement, {"child": child_id, **numbered("session", session_ids)})
        rows = cursor.fetchall()
    if not rows:
        return None, [], {}
    width = len(CHILD[1])
    child = Child.from_db(connection.alias, CHILD[1], rows[0][:width])
    found = [row[width:] for row in rows if row[width] is not None]
    return child, [session_of(row) for row in found], {row[0]: row[-1] for row in found if row[-1]}


def session_of(row: Sequence[Any]) -> Session:
    """The columns of `ASKED` as a session with its relations."""
    found: dict[str, Any] = {}
    for table, (model, names) in ASKED.items():
        found[table] = model.from_db(connection.alias, names, row[: len(names)])
        row = row[len(names) :]
    session, activity, location, city = (found[name] for name in ("session", "activity", "location", "city"))
    session.offering, session.activity, session.location = found["offering"], activity, location
    activity.provider, activity.category = found["provider"], found["category"]
    location.city, city.country = city, found["country"]
    return session


def make(booking: Booking, sessions: Sequence[Session], *, now: datetime) -> None:
    """Writes a new booking with a seat in each of the locked `sessions`; one statement. Raises `IntegrityError`.

    The booking then knows its seats, as after a prefetch.
    """
    seats = [Seat(pk=uuid7(), booking=booking, session=each, child_id=booking.child_id) for each in sessions]
    with connection.cursor() as cursor:
        cursor.execute(
            write_statement(len(sessions)),
            {
                "booking": booking.pk,
                "session": booking.session_id,
                "offering": booking.offering_id,
                "parent": booking.parent_id,
                "child": booking.child_id,
                "status": str(booking.status),
                "cents": booking.amount_cents,
                "currency": str(booking.currency),
                "expires_at": booking.expires_at,
                "refundable_until": booking.refundable_until,
                "confirmed_at": booking.confirmed_at,
                "now": now,
                **numbered("session", (each.pk for each in sessions)),
                **numbered("seat", (each.pk for each in seats)),
            },
        )
    for each in sessions:
        each.enrolled += 1
    booking._state.adding, booking._state.db = False, connection.alias
    booking._prefetched_objects_cache = {"seats": seats, "payments": []}  # type: ignore[attr-defined]
