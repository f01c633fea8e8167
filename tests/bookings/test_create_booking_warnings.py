"""Overlaps in a family are told with the booking, the move and its quote, and refuse nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, Seat
from marketplace.models import Session
from tests.factories import BookingFactory, ChildFactory, LocationFactory, OfferingFactory, SessionFactory, in_days

pytestmark = pytest.mark.django_db

BOOKINGS = "/v1/me/bookings"
TUESDAY = datetime(2031, 6, 3, 22, 0, tzinfo=UTC)  # five in the afternoon in Austin
HOUR, MINUTE, WEEK = timedelta(hours=1), timedelta(minutes=1), timedelta(weeks=1)


def book(api, child, session, key="one"):
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    return api.as_user(child.parent.user).post(BOOKINGS, body, Idempotency_Key=key)


def session_at(starts_at=TUESDAY, hours=1, **fields):
    return SessionFactory(
        starts_at=starts_at, ends_at=starts_at + hours * HOUR, **{"offering__activity__age_max": None, **fields}
    )


def told(answer):
    assert answer.status == 201
    return [(row["code"], row["sessionId"], row["otherSessionId"]) for row in answer.data["warnings"]]


@pytest.fixture
def child():
    return ChildFactory()


def seat(child, session, **fields):
    return BookingFactory(child=child, session=session, **{"status": "confirmed", **fields})


def test_a_child_that_is_booked_elsewhere_at_that_time(api, child):
    other, session = session_at(offering__activity__title="Chess"), session_at()
    booked = seat(child, other)
    answer = book(api, child, session)
    assert answer.status == 201
    assert answer.data["warnings"] == [
        {
            "code": "CHILD_OVERLAP",
            "message": "Tuesday 3 June 2031, 17:00: this child is also booked for Chess then.",
            "sessionId": str(session.pk),
            "otherSessionId": str(other.pk),
            "bookingId": str(booked.pk),
            "childId": str(child.pk),
        }
    ]
    # Told, not refused: both seats are held.
    assert Seat.objects.held().filter(child=child).count() == 2


def test_a_sibling_that_is_booked_at_another_place_at_that_time(api, child):
    sibling = ChildFactory(parent=child.parent, first_name="Ben")
    other, session = session_at(offering__activity__title="Chess"), session_at()
    booked = seat(sibling, other)
    answer = book(api, child, session)
    assert answer.data["warnings"] == [
        {
            "code": "SIBLING_OVERLAP",
            "message": (
                "Tuesday 3 June 2031, 17:00: another of your children is booked for Chess then, at another place."
            ),
            "sessionId": str(session.pk),
            "otherSessionId": str(other.pk),
            "bookingId": str(booked.pk),
            "childId": str(sibling.pk),
        }
    ]


def test_siblings_at_one_place_are_no_trouble(api, child):
    other = session_at()
    seat(ChildFactory(parent=child.parent), other)
    same_place = session_at(offering__activity__provider=other.activity.provider, location=other.location)
    assert told(book(api, child, same_place)) == []
    # The child itself cannot be in two rooms, though.
    third = session_at(offering__activity__provider=other.activity.provider, location=other.location)
    assert told(book(api, child, third, key="two")) == [("CHILD_OVERLAP", str(third.pk), str(same_place.pk))]


def test_two_sessions_of_one_activity_at_a_time_are_told_as_well(api, child):
    offering = OfferingFactory()
    first, second = session_at(offering=offering), session_at(TUESDAY + 30 * MINUTE, offering=offering)
    seat(child, first)
    assert told(book(api, child, second)) == [("CHILD_OVERLAP", str(second.pk), str(first.pk))]


@pytest.mark.parametrize(
    ("starts", "hours", "overlaps"),
    [
        (TUESDAY - HOUR, 1, False),  # ends as the other begins
        (TUESDAY - HOUR, 61 / 60, True),
        (TUESDAY + HOUR, 1, False),
        (TUESDAY + HOUR - MINUTE, 1, True),
        (TUESDAY + 15 * MINUTE, 0.25, True),  # within
        (TUESDAY - HOUR, 4, True),  # around
        (TUESDAY - 48 * HOUR, 96, True),  # a camp
        (TUESDAY + WEEK, 1, False),
    ],
)
def test_times_overlap_where_one_begins_before_the_other_ends(api, child, starts, hours, overlaps):
    other, session = session_at(starts, hours), session_at()
    seat(child, other)
    expected = [("CHILD_OVERLAP", str(session.pk), str(other.pk))] if overlaps else []
    assert told(book(api, child, session)) == expected


@pytest.mark.parametrize("status", ["cancelled", "expired"])
def test_seats_that_were_given_back_do_not_count(api, child, status):
    seat(child, session_at(), status=status)
    assert told(book(api, child, session_at())) == []


def test_a_hold_counts_like_a_confirmed_booking(api, child):
    other, session = session_at(), session_at()
    seat(child, other, status="pending_payment")
    assert told(book(api, child, session)) == [("CHILD_OVERLAP", str(session.pk), str(other.pk))]


def test_a_session_that_was_cancelled_does_not_count(api, child):
    other = session_at()
    seat(child, other)
    Session.objects.filter(pk=other.pk).update(status="cancelled")
    assert told(book(api, child, session_at())) == []


def test_another_family_is_none_of_ours(api, child):
    seat(ChildFactory(), session_at())
    assert told(book(api, child, session_at())) == []


def test_each_date_of_a_package_is_looked_at(api, child):
    offering = OfferingFactory(type="multi_session", session_count=3)
    sessions = [session_at(TUESDAY + n * WEEK, offering=offering) for n in range(4)]
    sibling = ChildFactory(parent=child.parent)
    first, third, beyond = session_at(), session_at(TUESDAY + 2 * WEEK), session_at(TUESDAY + 3 * WEEK)
    seat(sibling, first)
    seat(child, third)
    seat(child, beyond)
    assert told(book(api, child, sessions[0])) == [
        ("SIBLING_OVERLAP", str(sessions[0].pk), str(first.pk)),
        ("CHILD_OVERLAP", str(sessions[2].pk), str(third.pk)),
    ]


def test_a_replay_tells_the_same_again_though_the_family_has_changed(api, child):
    other, session = session_at(), session_at()
    booked = seat(child, other)
    first = book(api, child, session)
    assert len(told(first)) == 1
    Seat.objects.filter(booking=booked).update(released_at=in_days(0))
    second = book(api, child, session)
    assert (second.status, second.headers["Idempotency-Replayed"], second.content) == (201, "true", first.content)


def test_lists_and_single_bookings_say_nothing_of_it(api, child):
    seat(child, session_at())
    book(api, child, session_at())
    client = api.as_user(child.parent.user)
    booking = Booking.objects.latest("pk")
    assert "warnings" not in client.get(BOOKINGS).data[0]
    assert "warnings" not in client.get(f"{BOOKINGS}/{booking.pk}").data


def test_a_big_family_takes_as_many_queries_as_a_small_one(api):
    def queries(count):
        child = ChildFactory()
        offering = OfferingFactory(type="multi_session", session_count=3)
        sessions = [session_at(TUESDAY + n * WEEK, offering=offering) for n in range(3)]
        for n in range(count):
            seat(child, session_at(TUESDAY + (n % 3) * WEEK))
            seat(ChildFactory(parent=child.parent), session_at(TUESDAY + (n % 3) * WEEK))
        with CaptureQueriesContext(connection) as captured:
            answer = book(api, child, sessions[0])
        assert len(answer.data["warnings"]) == 2 * count
        return len(captured)

    assert queries(1) == queries(3)


# --- Moving ----------------------------------------------------------------------------------------------------------


def test_a_move_and_its_quote_tell_the_same_and_not_of_its_own_seats(api, child):
    offering = OfferingFactory(type="multi_session", session_count=2)
    place = LocationFactory(provider=offering.activity.provider)
    sessions = [session_at(TUESDAY + n * WEEK, offering=offering, location=place) for n in range(3)]
    booking = seat(child, sessions[0], seats=sessions[:2])
    other = session_at(TUESDAY + 2 * WEEK)
    booked = seat(child, other)
    client = api.as_user(child.parent.user)
    path = f"{BOOKINGS}/{booking.pk}"
    quoted = client.get(f"{path}/quote?action=reschedule&sessionId={sessions[1].pk}").data
    assert quoted["allowed"] is True
    assert [(row["code"], row["sessionId"], row["bookingId"]) for row in quoted["warnings"]] == [
        ("CHILD_OVERLAP", str(sessions[2].pk), str(booked.pk))
    ]
    moved = client.post(f"{path}/reschedule", {"sessionId": str(sessions[1].pk)})
    assert (moved.status, moved.data["warnings"]) == (200, quoted["warnings"])


def test_the_quote_of_a_cancellation_warns_of_nothing(api, child):
    seat(child, session_at())
    booking = seat(child, session_at())
    path = f"{BOOKINGS}/{booking.pk}/quote?action=cancel"
    assert api.as_user(child.parent.user).get(path).data["warnings"] == []
