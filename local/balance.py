"""The books of seats and money, asked of the database itself: what must hold at every commit, and once all is quiet.

Each check is one statement that names the rows that break it, so none is a sound book. The tests ask them after every
step, `make soak` at its end; a person with a prompt may, too.

They read the clock, as the application does, and not when the transaction began: a test may be one long transaction.
"""

from collections.abc import Callable, Iterable

# Of each payment what goes back, what of that we owe ourselves, and what is done.
MONEY = """
WITH money AS (
    SELECT payment.id, payment.booking_id, payment.status, payment.amount_cents, payment.needs_review,
        coalesce(sum(refund.amount_cents) FILTER (WHERE refund.status <> 'failed'), 0) AS back,
        coalesce(sum(refund.amount_cents) FILTER (WHERE refund.status = 'succeeded'), 0) AS done,
        coalesce(sum(refund.amount_cents) FILTER (WHERE refund.status <> 'failed'
            AND NOT refund.is_external), 0) AS owed
    FROM payments_payment AS payment LEFT JOIN payments_refund AS refund ON refund.payment_id = payment.id
    GROUP BY payment.id
)
"""
# Of the sessions that it holds seats in, or held until the end.
BEGINS = """(
    SELECT min(session.starts_at) FROM bookings_seat AS seat JOIN marketplace_session AS session
        ON session.id = seat.session_id
    WHERE seat.booking_id = booking.id AND seat.released_at IS NOT DISTINCT FROM (
        SELECT CASE WHEN bool_or(each.released_at IS NULL) THEN NULL ELSE max(each.released_at) END
        FROM bookings_seat AS each WHERE each.booking_id = booking.id)
)"""

ALWAYS = {
    "enrolled is not the number of seats held": """
        SELECT session.id FROM marketplace_session AS session LEFT JOIN bookings_seat AS seat
            ON seat.session_id = session.id AND seat.released_at IS NULL
        GROUP BY session.id HAVING session.enrolled <> count(seat.id)""",
    "more seats are taken than there are": """
        SELECT id FROM marketplace_session WHERE enrolled NOT BETWEEN 0 AND capacity""",
    "a child sits twice in a session": """
        SELECT session_id FROM bookings_seat WHERE released_at IS NULL
        GROUP BY session_id, child_id HAVING count(*) > 1""",
    "a booking that is over holds a seat": """
        SELECT DISTINCT booking.id FROM bookings_booking AS booking JOIN bookings_seat AS seat
            ON seat.booking_id = booking.id AND seat.released_at IS NULL
        WHERE booking.status IN ('cancelled', 'expired')""",
    "a booking that stands holds no seat": """
        SELECT id FROM bookings_booking AS booking WHERE status NOT IN ('cancelled', 'expired') AND NOT EXISTS (
            SELECT FROM bookings_seat AS seat WHERE seat.booking_id = booking.id AND seat.released_at IS NULL)""",
    # One that the provider cancelled is gone for good; the booking may go on without it.
    "a package has not all of its seats": """
        SELECT booking.id FROM bookings_booking AS booking JOIN marketplace_offering AS offering
            ON offering.id = booking.offering_id
        WHERE booking.status NOT IN ('cancelled', 'expired') AND offering.type = 'multi_session'
            AND offering.session_count NOT BETWEEN
                (SELECT count(*) FROM bookings_seat AS seat
                    WHERE seat.booking_id = booking.id AND seat.released_at IS NULL) AND
                (SELECT count(*) FROM bookings_seat AS seat JOIN marketplace_session AS session
                    ON session.id = seat.session_id
                    WHERE seat.booking_id = booking.id
                        AND (seat.released_at IS NULL OR session.status = 'cancelled'))""",
    "a booking is confirmed without its money": f"""{MONEY}
        SELECT id FROM bookings_booking AS booking WHERE status = 'confirmed' AND amount_cents > 0
            AND {BEGINS} > clock_timestamp() AND NOT EXISTS (
                SELECT FROM money WHERE booking_id = booking.id AND status = 'paid' AND owed < amount_cents)""",
    "a booking is paid more than once": f"""{MONEY}
        SELECT booking_id FROM money WHERE status = 'paid' AND back < amount_cents AND NOT needs_review
        GROUP BY booking_id HAVING count(*) > 1""",
    "a free booking has a payment": """
        SELECT booking.id FROM bookings_booking AS booking JOIN payments_payment AS payment
            ON payment.booking_id = booking.id
        WHERE booking.amount_cents = 0""",
    # Only of who cancels after the refund window has closed, or when some of it is over.
    "money is kept for nothing": f"""{MONEY}
        SELECT money.id FROM money JOIN bookings_booking AS booking ON booking.id = money.booking_id
        WHERE money.status = 'paid' AND money.back < money.amount_cents AND NOT money.needs_review AND (
            booking.status IN ('pending_payment', 'expired')
            OR booking.status = 'cancelled' AND booking.cancelled_at <= booking.refundable_until
                AND booking.cancelled_at < {BEGINS})""",
    # Somebody at the processor's dashboard may give back what we owe as well; then the processor refuses ours.
    "we owe more than came": f"{MONEY} SELECT id FROM money WHERE owed > amount_cents",
    "a refund is owed on money that never came": """
        SELECT refund.id FROM payments_refund AS refund JOIN payments_payment AS payment
            ON payment.id = refund.payment_id
        WHERE refund.status = 'pending' AND payment.status NOT IN ('paid', 'refunded')""",
    "a booking has two open payments": """
        SELECT booking_id FROM payments_payment WHERE status IN ('created', 'pending')
        GROUP BY booking_id HAVING count(*) > 1""",
}

# Once every event has come and every sweep has run. What is flagged waits for a person and is told apart.
WHEN_QUIET = {
    "a hold has outlived its time": """
        SELECT id FROM bookings_booking WHERE status = 'pending_payment' AND expires_at < clock_timestamp()""",
    "a seat is held in a cancelled session": """
        SELECT seat.id FROM bookings_seat AS seat JOIN marketplace_session AS session ON session.id = seat.session_id
        WHERE seat.released_at IS NULL AND session.status = 'cancelled'""",
    "a refund is still on its way": """
        SELECT id FROM payments_refund WHERE status IN ('pending', 'sent')""",
    "a refund failed and nobody was told": """
        SELECT refund.id FROM payments_refund AS refund JOIN payments_payment AS payment
            ON payment.id = refund.payment_id
        WHERE refund.status = 'failed' AND payment.status = 'paid' AND NOT payment.needs_review""",
    "a payment of a booking that is over is still open": """
        SELECT payment.id FROM payments_payment AS payment JOIN bookings_booking AS booking
            ON booking.id = payment.booking_id
        WHERE payment.status IN ('created', 'pending') AND NOT payment.needs_review
            AND booking.status IN ('expired', 'cancelled')""",
    "more went back than came": f"{MONEY} SELECT id FROM money WHERE done > amount_cents AND NOT needs_review",
    "refunded and given back differ": f"""{MONEY}
        SELECT id FROM money WHERE status IN ('paid', 'refunded') AND (status = 'refunded') <> (done = amount_cents)
            AND NOT needs_review""",
}


def wrong(ask: Callable[[str], Iterable[tuple[str, int]]], checks: dict[str, str]) -> dict[str, int]:
    """The checks that do not hold, each with how many rows break it; `ask` runs a statement and gives its rows."""
    # One statement, and so one moment: while others write, checks made one after the other could not agree.
    counts = (f"SELECT '{name}', count(*) FROM ({statement}) AS broken" for name, statement in checks.items())
    return {name: count for name, count in ask(" UNION ALL ".join(counts)) if count}
