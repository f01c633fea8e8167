"""Until when a booking is refunded in full: set when it is booked, never later by a move of the parent."""

import importlib
from datetime import timedelta

import pytest
from django.db import connection

from bookings.models import Booking, Seat
from tests.factories import BookingFactory, ChildFactory, OfferingFactory, PaymentFactory, SessionFactory, in_days

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def book(api, session):
    child = ChildFactory()
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    assert api.as_user(child.parent.user).post("/v1/me/bookings", body, Idempotency_Key="one").status == 201
    return Booking.objects.get()


def move(api, booking, session):
    path = f"/v1/me/bookings/{booking.pk}/reschedule"
    answer = api.as_user(booking.parent.user).post(path, {"sessionId": str(session.pk)})
    assert answer.status == 200
    booking.refresh_from_db()
    return booking


def quoted(api, booking):
    path = f"/v1/me/bookings/{booking.pk}/quote?action=cancel"
    return api.as_user(booking.parent.user).get(path).data["refundCents"]


@pytest.mark.parametrize("kind", ["single_session", "camp", "multi_session"])
@pytest.mark.parametrize("hours", [0, 24, 72])
def test_it_is_so_many_hours_before_the_chosen_session(api, kind, hours):
    offering = OfferingFactory(type=kind, session_count=2, refund_window_hours=hours)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(n)) for n in (7, 14, 21)]
    booking = book(api, sessions[1])
    assert booking.refundable_until == sessions[1].starts_at - timedelta(hours=hours)


def test_of_a_term_it_counts_from_the_first_session_that_is_left_not_the_chosen_one(api):
    offering = OfferingFactory(type="term")
    sessions = [SessionFactory(offering=offering, starts_at=in_days(n)) for n in (-7, 7, 14)]
    assert book(api, sessions[2]).refundable_until == sessions[1].starts_at - DAY


def test_a_window_of_many_years_means_no_refund_and_no_error(api):
    session = SessionFactory(offering__refund_window_hours=2_147_483_647)
    assert quoted(api, book(api, session)) == 0


def test_it_is_agreed_when_booked_and_a_new_window_of_the_offering_changes_nothing(api):
    booking = book(api, SessionFactory())
    booking.offering.refund_window_hours = 24 * 30
    booking.offering.save()
    booking.refresh_from_db()
    assert booking.refundable_until == booking.session.starts_at - DAY


def test_a_move_to_a_later_day_keeps_it(api):
    booking = BookingFactory(session__starts_at=in_days(3), status="confirmed")
    later = SessionFactory(offering=booking.offering, starts_at=in_days(30))
    until = booking.session.starts_at - DAY
    assert move(api, booking, later).refundable_until == until


def test_a_move_to_an_earlier_day_brings_it_forward_and_the_way_back_does_not_undo_that(api):
    booking = BookingFactory(session__starts_at=in_days(30), status="confirmed")
    first = booking.session
    earlier = SessionFactory(offering=booking.offering, starts_at=in_days(3))
    assert move(api, booking, earlier).refundable_until == earlier.starts_at - DAY
    assert move(api, booking, first).refundable_until == earlier.starts_at - DAY


def test_a_move_to_an_offering_with_a_longer_window_brings_it_forward(api):
    booking = BookingFactory(session__starts_at=in_days(10), status="confirmed")
    stricter = OfferingFactory(activity=booking.session.activity, refund_window_hours=24 * 8)
    target = SessionFactory(offering=stricter, starts_at=in_days(11))
    assert move(api, booking, target).refundable_until == target.starts_at - 8 * DAY


def test_moving_does_not_open_a_closed_window_again(api):
    booking = BookingFactory(session__starts_at=in_days(0.5), status="confirmed")
    PaymentFactory(booking=booking, status="paid")
    assert quoted(api, booking) == 0
    later = SessionFactory(offering=booking.offering, starts_at=in_days(30))
    move(api, booking, later)
    assert quoted(api, booking) == 0
    answer = api.as_user(booking.parent.user).post(f"/v1/me/bookings/{booking.pk}/cancel")
    assert (answer.status, answer.data["payment"]["refundedCents"]) == (200, 0)


def until(booking_id):
    return Booking.objects.values_list("refundable_until", flat=True).get(pk=booking_id)


def test_bookings_from_before_the_column_was_written_get_theirs():
    fill = importlib.import_module("bookings.migrations.0004_fill_refundable_until").FILL
    term = OfferingFactory(type="term", refund_window_hours=48)
    sessions = [SessionFactory(offering=term, starts_at=in_days(n)) for n in (3, 10)]
    of_term = BookingFactory(session=sessions[1], status="confirmed", seats=sessions)
    over = BookingFactory(status="cancelled", session__starts_at=in_days(5))
    endless = BookingFactory(session__offering__refund_window_hours=2_147_483_647, refundable_until=in_days(1))
    moved = BookingFactory(session__starts_at=in_days(9))
    given_back = SessionFactory(starts_at=in_days(1))
    Seat.objects.create(booking=moved, session=given_back, child=moved.child, released_at=in_days(-1))
    known = BookingFactory(refundable_until=in_days(1))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE bookings_booking ALTER COLUMN refundable_until DROP NOT NULL")
        cursor.execute("UPDATE bookings_booking SET refundable_until = NULL WHERE id <> %s", [known.pk])
        cursor.execute(fill)
    assert until(of_term.pk) == sessions[0].starts_at - 2 * DAY
    assert until(over.pk) == over.session.starts_at - DAY
    assert until(endless.pk) == endless.session.starts_at - timedelta(hours=87_600)
    assert until(moved.pk) == moved.session.starts_at - DAY
    assert until(known.pk) == known.refundable_until


def test_a_booking_whose_writer_does_not_know_of_it_gets_it_from_the_database():
    booking = BookingFactory(session__offering__refund_window_hours=48)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO bookings_booking
                (session_id, offering_id, parent_id, child_id, amount_cents, currency, expires_at)
            SELECT session_id, offering_id, parent_id, child_id, amount_cents, currency, expires_at
            FROM bookings_booking RETURNING id"""
        )
        (written,) = cursor.fetchone()
    assert until(written) == booking.session.starts_at - 2 * DAY
