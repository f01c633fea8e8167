"""The two statements of a booking: they ask what the ORM would ask, and there are no more of them."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import places, services
from bookings.models import Booking, Seat
from tests.factories import BookingFactory, ChildFactory, OfferingFactory, SessionFactory, in_days

pytestmark = pytest.mark.django_db

BOOKINGS = "/v1/me/bookings"


def plan(count=3, **offering):
    """Sessions of one offering whose dates run against their ids."""
    offering = OfferingFactory(**offering)
    return [SessionFactory(offering=offering, starts_at=in_days(20 - n)) for n in range(count)]


def said(child, sessions):
    """What was sent to the database when `child` was booked for the earliest of `sessions`."""
    with CaptureQueriesContext(connection) as sent:
        services.book(parent=child.parent, child=child, session=sessions[-1], now=in_days(0))
    return [each["sql"].split()[0] for each in sent.captured_queries]


def test_a_booking_is_one_look_and_one_write():
    assert said(ChildFactory(), plan(1)) == ["SAVEPOINT", "WITH", "WITH", "RELEASE"]


def test_a_package_asks_first_which_sessions_it_covers():
    sessions = plan(3, type="multi_session", session_count=3)
    assert said(ChildFactory(), sessions) == ["SELECT", "SAVEPOINT", "WITH", "WITH", "RELEASE"]
    assert Seat.objects.held().count() == 3


def test_whoever_waits_for_the_session_waits_for_five_trips_at_most(api):
    session, child = SessionFactory(), ChildFactory()
    with CaptureQueriesContext(connection) as sent:
        body = {"sessionId": str(session.pk), "childId": str(child.pk)}
        answer = api.as_user(child.parent.user).post(BOOKINGS, body, Idempotency_Key="one")
    assert answer.status == 201
    words = [each["sql"].split()[0] for each in sent.captured_queries]
    # Write, release, overlaps of the family, the answer's copy, the end of the request's transaction.
    assert len(words[words.index("WITH") + 1 :]) == 5


def test_what_is_looked_at_is_what_the_rows_say(now):
    sessions, child = plan(), ChildFactory()
    booking = BookingFactory(session=sessions[1], child=child)
    found_child, found, held = places.look(child_id=child.pk, session_ids=[each.pk for each in sessions])
    with CaptureQueriesContext(connection) as sent:
        assert [each.pk for each in found] == sorted(each.pk for each in sessions)
        for ours, theirs in zip(found, services.sessions_by_id(each.pk for each in sessions), strict=True):
            pairs = [
                (ours, theirs),
                (ours.offering, theirs.offering),
                (ours.activity, theirs.activity),
                (ours.activity.provider, theirs.activity.provider),
                (ours.activity.category, theirs.activity.category),
                (ours.location, theirs.location),
                (ours.location.city, theirs.location.city),
                (ours.location.city.country, theirs.location.city.country),
            ]
            for (_, names), (our, their) in zip(places.ASKED.values(), pairs, strict=True):
                assert {name: getattr(our, name) for name in names} == {name: getattr(their, name) for name in names}
    assert len(sent) == 1  # that of the ORM
    assert (found_child, found_child.birth_date, found_child.parent_id) == (child, child.birth_date, child.parent_id)
    assert held == {sessions[1].pk: booking.pk}


def test_a_seat_that_was_given_back_is_not_held():
    session, child = SessionFactory(), ChildFactory()
    BookingFactory(session=session, child=child, status="cancelled")
    assert places.look(child_id=child.pk, session_ids=[session.pk])[2] == {}


def test_a_child_that_was_removed_is_not_found(now):
    session, child = SessionFactory(), ChildFactory()
    BookingFactory(session=session, child=child, status="cancelled")
    services.remove_child(child=child, now=now)
    assert places.look(child_id=child.pk, session_ids=[session.pk]) == (None, [], {})


def test_of_a_session_that_is_gone_the_child_is_left():
    session, child = SessionFactory(), ChildFactory()
    session.delete()
    assert places.look(child_id=child.pk, session_ids=[session.pk]) == (child, [], {})


def test_the_booking_that_is_given_is_the_one_that_is_kept(now):
    sessions, child = plan(2, type="term"), ChildFactory()
    given = services.book(parent=child.parent, child=child, session=sessions[0], now=now)
    kept = Booking.objects.get()
    for field in Booking._meta.concrete_fields:
        assert getattr(given, field.attname) == getattr(kept, field.attname), field.name
    assert {(each.pk, each.session_id, each.child_id) for each in given.seats.all()} == {
        (each.pk, each.session_id, each.child_id) for each in kept.seats.all()
    }
    assert [each.session.enrolled for each in given.seats.all()] == [1, 1]
