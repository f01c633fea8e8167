"""POST /v1/me/bookings/{id}/reschedule."""

from uuid import uuid4

import pytest

from bookings.models import Booking, Seat
from marketplace.models import Session
from tests.factories import BookingFactory, ChildFactory, OfferingFactory, PaymentFactory, SessionFactory, in_days

pytestmark = pytest.mark.django_db


def move(api, booking, session, **more):
    path = f"/v1/me/bookings/{booking.pk}/reschedule"
    return api.as_user(booking.parent.user).post(path, {"sessionId": str(session.pk), **more})


def enrolled(*sessions):
    return [Session.objects.values_list("enrolled", flat=True).get(pk=each.pk) for each in sessions]


def held(booking):
    return set(Seat.objects.held().filter(booking=booking).values_list("session_id", flat=True))


@pytest.fixture
def offering():
    return OfferingFactory()


@pytest.fixture
def sessions(offering):
    return [SessionFactory(offering=offering, starts_at=in_days(7 + n)) for n in range(6)]


@pytest.mark.parametrize("status", ["confirmed", "pending_payment"])
def test_a_booking_moves_with_its_seat_and_keeps_its_price_and_hold(api, sessions, status):
    booking = BookingFactory(session=sessions[0], status=status)
    answer = move(api, booking, sessions[1])
    assert answer.status == 200
    assert (answer.data["sessionId"], answer.data["status"]) == (str(sessions[1].pk), status)
    assert [each["id"] for each in answer.data["sessions"]] == [str(sessions[1].pk)]
    assert enrolled(*sessions[:2]) == [0, 1]
    moved = Booking.objects.get()
    assert (moved.session, moved.amount_cents, moved.expires_at) == (sessions[1], 2500, booking.expires_at)
    assert Seat.objects.filter(booking=booking, session=sessions[0], released_at__isnull=False).count() == 1


def test_a_package_moves_all_of_its_seats_and_keeps_those_that_overlap(api):
    offering = OfferingFactory(type="multi_session", session_count=3)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n), capacity=1) for n in range(5)]
    booking = BookingFactory(session=sessions[0], status="confirmed", seats=sessions[:3])
    # Full by this very booking, and that must not stop it.
    assert move(api, booking, sessions[1]).status == 200
    assert held(booking) == {each.pk for each in sessions[1:4]}
    assert enrolled(*sessions) == [0, 1, 1, 1, 0]


def test_a_package_that_would_run_out_of_sessions_stays_where_it_is(api):
    offering = OfferingFactory(type="multi_session", session_count=3)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n)) for n in range(4)]
    booking = BookingFactory(session=sessions[0], status="confirmed", seats=sessions[:3])
    assert move(api, booking, sessions[2]).code == (409, "SESSION_NOT_BOOKABLE")
    assert held(booking) == {each.pk for each in sessions[:3]}
    assert enrolled(*sessions) == [1, 1, 1, 0]


def test_a_booking_may_move_to_another_offering_of_the_same_price(api, sessions, offering):
    camp = OfferingFactory(activity=offering.activity, type="camp")
    target = SessionFactory(offering=camp, starts_at=in_days(9))
    booking = BookingFactory(session=sessions[0], status="confirmed")
    assert move(api, booking, target).status == 200
    booking.refresh_from_db()
    assert (booking.offering, booking.session) == (camp, target)


def test_another_price_is_refused(api, sessions, offering):
    dearer = OfferingFactory(activity=offering.activity, price_cents=2600)
    target = SessionFactory(offering=dearer)
    booking = BookingFactory(session=sessions[0], status="confirmed")
    assert move(api, booking, target).code == (409, "PRICE_MISMATCH")
    assert (held(booking), enrolled(sessions[0], target)) == ({sessions[0].pk}, [1, 0])


def test_the_agreed_price_is_compared_not_todays(api, sessions, offering):
    booking = BookingFactory(session=sessions[0], status="confirmed")
    offering.price_cents = 3000
    offering.save()
    assert move(api, booking, sessions[1]).code == (409, "PRICE_MISMATCH")


def test_a_full_session_is_refused_and_the_old_seat_is_kept(api, sessions):
    Session.objects.filter(pk=sessions[1].pk).update(capacity=1)
    BookingFactory(session=Session.objects.get(pk=sessions[1].pk))
    booking = BookingFactory(session=sessions[0], status="confirmed")
    answer = move(api, booking, sessions[1])
    assert answer.code == (409, "SESSION_FULL")
    assert answer.error["details"][0]["sessionId"] == str(sessions[1].pk)
    # Its neighbours are as near; where the booking is now is no place to go.
    assert answer.error["details"][1]["nearestSessionId"] == str(sessions[2].pk)
    assert len(answer.error["details"]) == 2
    assert (held(booking), enrolled(*sessions[:2])) == ({sessions[0].pk}, [1, 1])
    booking.refresh_from_db()
    assert booking.session == sessions[0]


def test_a_session_where_the_child_sits_already_is_refused(api, sessions):
    booking = BookingFactory(session=sessions[0], status="confirmed")
    BookingFactory(session=sessions[1], child=booking.child)
    assert move(api, booking, sessions[1]).code == (409, "ALREADY_BOOKED")
    assert enrolled(*sessions[:2]) == [1, 1]


def test_age_is_asked_again_for_the_new_day(api, sessions):
    turns_thirteen = in_days(9).date()
    child = ChildFactory(
        birth_date=turns_thirteen.replace(year=turns_thirteen.year - 13, day=min(turns_thirteen.day, 28))
    )
    booking = BookingFactory(session=sessions[0], child=child, status="confirmed")
    late = SessionFactory(offering=sessions[0].offering, starts_at=in_days(40))
    assert move(api, booking, late).code == (409, "AGE_NOT_ELIGIBLE")
    assert held(booking) == {sessions[0].pk}


@pytest.mark.parametrize("fields", [{"status": "cancelled"}, {"starts_at": in_days(-1)}])
def test_a_session_that_is_not_open_is_refused(api, sessions, fields):
    booking = BookingFactory(session=sessions[0], status="confirmed")
    Session.objects.filter(pk=sessions[1].pk).update(**fields)
    assert move(api, booking, sessions[1]).code == (409, "SESSION_NOT_BOOKABLE")
    assert enrolled(*sessions[:2]) == [1, 0]


@pytest.mark.parametrize("status", ["cancelled", "expired", "completed", "no_show"])
def test_a_booking_that_is_over_does_not_move(api, sessions, status):
    booking = BookingFactory(session=sessions[0], status=status)
    before = enrolled(*sessions)
    assert move(api, booking, sessions[1]).code == (409, "INVALID_STATE")
    assert enrolled(*sessions) == before


def test_a_hold_whose_time_is_up_does_not_move(api, sessions):
    booking = BookingFactory(session=sessions[0], expires_at=in_days(0))
    assert move(api, booking, sessions[1]).code == (409, "BOOKING_EXPIRED")
    assert enrolled(*sessions[:2]) == [1, 0]


def test_a_booking_that_has_begun_does_not_move(api, offering, sessions):
    begun = SessionFactory(offering=offering, starts_at=in_days(-0.01))
    booking = BookingFactory(session=begun, status="confirmed")
    assert move(api, booking, sessions[1]).code == (409, "INVALID_STATE")


def test_a_term_has_begun_with_the_first_session_that_it_covers(api):
    term = OfferingFactory(type="term")
    sessions = [SessionFactory(offering=term, starts_at=in_days(n)) for n in (-1, 3, 10)]
    # Chosen was the second one; the seats are in all.
    booking = BookingFactory(session=sessions[1], status="confirmed", seats=sessions)
    assert move(api, booking, sessions[2]).code == (409, "INVALID_STATE")


def test_the_session_that_is_booked_already_is_refused(api, sessions):
    booking = BookingFactory(session=sessions[0], status="confirmed")
    assert move(api, booking, sessions[0]).code == (409, "INVALID_STATE")


def test_another_activity_is_refused(api, sessions):
    booking = BookingFactory(session=sessions[0], status="confirmed")
    assert move(api, booking, SessionFactory()).code == (409, "INVALID_STATE")


def test_a_strangers_booking_does_not_exist(api, sessions):
    booking = BookingFactory(session=sessions[0])
    path = f"/v1/me/bookings/{booking.pk}/reschedule"
    answer = api.as_user(ChildFactory().parent.user).post(path, {"sessionId": str(sessions[1].pk)})
    assert answer.code == (404, "NOT_FOUND")
    assert enrolled(*sessions[:2]) == [1, 0]


def test_an_unknown_session_is_not_found_and_an_unknown_field_is_refused(api, sessions):
    booking = BookingFactory(session=sessions[0])
    path = f"/v1/me/bookings/{booking.pk}/reschedule"
    client = api.as_user(booking.parent.user)
    assert client.post(path, {"sessionId": str(uuid4())}).code == (404, "NOT_FOUND")
    assert client.post(path, {}).code == (400, "VALIDATION_ERROR")
    assert move(api, booking, sessions[1], amountCents=1).code == (400, "VALIDATION_ERROR")
    assert enrolled(*sessions[:2]) == [1, 0]


def test_an_open_checkout_moves_along(api, sessions):
    booking = BookingFactory(session=sessions[0])
    payment = PaymentFactory(booking=booking)
    answer = move(api, booking, sessions[1])
    assert answer.data["payment"]["id"] == str(payment.pk)
    assert answer.data["payment"]["status"] == "pending"


def test_a_user_of_the_other_region_is_sent_there(api, sessions):
    booking = BookingFactory(session=sessions[0], child__parent__user__home_region="in")
    assert move(api, booking, sessions[1]).code == (403, "REGION_MISMATCH")
    assert enrolled(*sessions[:2]) == [1, 0]
