"""GET /v1/me/bookings/{id}/quote: it tells what the action would do, and does nothing."""

from datetime import UTC, timedelta
from uuid import uuid4

import pytest

from bookings.models import Seat
from marketplace.models import Session
from payments.models import Refund
from tests.factories import BookingFactory, OfferingFactory, PaymentFactory, SessionFactory, UserFactory, in_days

pytestmark = pytest.mark.django_db


def quote(api, booking, query):
    return api.as_user(booking.parent.user).get(f"/v1/me/bookings/{booking.pk}/quote?{query}")


def to(session):
    return f"action=reschedule&sessionId={session.pk}"


def iso(moment):
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@pytest.fixture
def booking():
    booking = BookingFactory(status="confirmed")
    PaymentFactory(booking=booking, status="paid")
    return booking


def test_a_cancellation_in_time_gives_everything_back(api, booking):
    answer = quote(api, booking, "action=cancel")
    assert answer.status == 200
    assert answer.data == {
        "action": "cancel",
        "allowed": True,
        "code": None,
        "message": None,
        "refundCents": 2500,
        "differenceCents": 0,
        "currency": "USD",
        "refundUntil": iso(booking.session.starts_at - timedelta(hours=24)),
        "details": [],
        "warnings": [],
    }


def test_a_quote_changes_nothing(api, booking):
    other = SessionFactory(offering=booking.offering)
    quote(api, booking, "action=cancel")
    quote(api, booking, to(other))
    booking.refresh_from_db()
    assert (booking.status, booking.session_id != other.pk) == ("confirmed", True)
    assert Seat.objects.held().get().session_id == booking.session_id
    assert not Refund.objects.exists()


def test_a_cancellation_that_is_too_late_gives_nothing_back(api):
    booking = BookingFactory(status="confirmed", session__starts_at=in_days(0.5))
    PaymentFactory(booking=booking, status="paid")
    answer = quote(api, booking, "action=cancel")
    assert (answer.data["allowed"], answer.data["refundCents"]) == (True, 0)


@pytest.mark.parametrize("status", ["cancelled", "expired", "completed", "no_show"])
def test_a_cancellation_that_is_not_possible_says_why(api, status):
    booking = BookingFactory(status=status)
    answer = quote(api, booking, "action=cancel")
    assert answer.status == 200
    assert (answer.data["allowed"], answer.data["code"], answer.data["refundCents"]) == (False, "INVALID_STATE", 0)
    assert answer.data["message"] == f"A booking that is {status} cannot be cancelled."


def test_a_move_for_the_same_price_is_free(api, booking):
    answer = quote(api, booking, to(SessionFactory(offering=booking.offering)))
    assert (answer.data["allowed"], answer.data["code"], answer.data["differenceCents"]) == (True, None, 0)


@pytest.mark.parametrize(("price", "difference"), [(3000, 500), (2000, -500)])
def test_a_move_to_another_price_tells_the_difference(api, booking, price, difference):
    offering = OfferingFactory(activity=booking.session.activity, price_cents=price)
    answer = quote(api, booking, to(SessionFactory(offering=offering)))
    assert (answer.data["allowed"], answer.data["code"]) == (False, "PRICE_MISMATCH")
    assert answer.data["differenceCents"] == difference


def test_a_full_session_says_so(api, booking):
    full = SessionFactory(offering=booking.offering, capacity=1)
    BookingFactory(session=full)
    assert quote(api, booking, to(full)).data["code"] == "SESSION_FULL"


def test_the_quote_says_what_the_move_itself_would_say(api, booking):
    """Every reason, through both doors."""
    activity, offering = booking.session.activity, booking.offering
    taken = SessionFactory(offering=offering)
    BookingFactory(session=taken, child=booking.child)
    cancelled = SessionFactory(offering=offering, status="cancelled")
    too_few = SessionFactory(offering=OfferingFactory(activity=activity, type="multi_session", session_count=2))
    unsold = SessionFactory(offering=OfferingFactory(activity=activity, status="inactive"))
    too_old = SessionFactory(offering=offering, starts_at=in_days(365 * 6))
    elsewhere = SessionFactory()
    client = api.as_user(booking.parent.user)
    found = []
    for session in (taken, cancelled, too_few, unsold, too_old, elsewhere, booking.session):
        told = quote(api, booking, to(session)).data
        done = client.post(f"/v1/me/bookings/{booking.pk}/reschedule", {"sessionId": str(session.pk)})
        assert {name: told[name] for name in ("code", "message", "details")} == done.error
        found.append(told["code"])
    assert found == [
        "ALREADY_BOOKED",
        "SESSION_NOT_BOOKABLE",
        "SESSION_NOT_BOOKABLE",
        "SESSION_NOT_BOOKABLE",
        "AGE_NOT_ELIGIBLE",
        "INVALID_STATE",
        "INVALID_STATE",
    ]


def test_a_package_that_is_full_by_its_own_seats_may_move(api):
    offering = OfferingFactory(type="multi_session", session_count=2)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n), capacity=1) for n in range(3)]
    booking = BookingFactory(session=sessions[0], status="confirmed", seats=sessions[:2])
    assert quote(api, booking, to(sessions[1])).data["allowed"] is True


def test_the_window_of_a_term_is_told_from_its_first_session(api):
    term = OfferingFactory(type="term")
    sessions = [SessionFactory(offering=term, starts_at=in_days(n)) for n in (3, 10)]
    booking = BookingFactory(session=sessions[1], status="confirmed", seats=sessions)
    until = quote(api, booking, "action=cancel").data["refundUntil"]
    assert until == iso(sessions[0].starts_at - timedelta(hours=24))


def test_a_hold_that_is_over_cannot_move(api):
    booking = BookingFactory(expires_at=in_days(0))
    other = SessionFactory(offering=booking.offering)
    assert quote(api, booking, to(other)).data["code"] == "BOOKING_EXPIRED"


@pytest.mark.parametrize(
    "query", ["", "action=", "action=refund", "action=reschedule", "action=reschedule&sessionId=x", "action=cancel&x=1"]
)
def test_a_question_that_makes_no_sense_is_refused(api, booking, query):
    assert quote(api, booking, query).code == (400, "VALIDATION_ERROR")


def test_an_unknown_session_is_not_found(api, booking):
    assert quote(api, booking, f"action=reschedule&sessionId={uuid4()}").code == (404, "NOT_FOUND")


def test_a_strangers_booking_does_not_exist(api, booking):
    client = api.as_user(UserFactory())
    assert client.get(f"/v1/me/bookings/{booking.pk}/quote?action=cancel").code == (404, "NOT_FOUND")
    assert Session.objects.get(pk=booking.session_id).enrolled == 1
