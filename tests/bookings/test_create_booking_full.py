"""SESSION_FULL: every full date is named, and the nearest start that fits. By all doors: booking, moving, quote."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.starts import AROUND
from marketplace.models import Session
from tests.factories import (
    BookingFactory,
    ChildFactory,
    CityFactory,
    CountryFactory,
    LocationFactory,
    OfferingFactory,
    SessionFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

BOOKINGS = "/v1/me/bookings"
FIRST = datetime(2031, 6, 3, 22, 0, tzinfo=UTC)  # a Tuesday, five in the afternoon in Austin


def book(api, child, session, key="one"):
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    return api.as_user(child.parent.user).post(BOOKINGS, body, Idempotency_Key=key)


def weekly(offering, count, *, full=(), start=FIRST):
    """Weekly sessions with one seat each, those whose numbers are in `full` without any left."""
    return [
        SessionFactory(offering=offering, starts_at=start + timedelta(weeks=n), capacity=1, enrolled=int(n in full))
        for n in range(count)
    ]


def package(count):
    return OfferingFactory(type="multi_session", session_count=count)


def child_of(years, on=FIRST):
    return ChildFactory(birth_date=date(on.year - years, 1, 1))


def nearest(answer):
    """The id of the nearest start that a refusal tells, or None; whatever it is, seats are full."""
    assert answer.code == (409, "SESSION_FULL")
    found = [row["nearestSessionId"] for row in answer.error["details"] if row["field"] == "nearestStart"]
    return found[0] if found else None


def test_the_full_dates_are_named_and_the_nearest_start_that_fits(api):
    sessions = weekly(package(3), 10, full=(2, 4))
    answer = book(api, child_of(8), sessions[2])
    assert answer.code == (409, "SESSION_FULL")
    assert answer.error["details"] == [
        {"field": "sessionId", "message": "Tuesday 17 June 2031, 17:00", "sessionId": str(sessions[2].pk)},
        {"field": "sessionId", "message": "Tuesday 1 July 2031, 17:00", "sessionId": str(sessions[4].pk)},
        {
            "field": "nearestStart",
            "message": "Tuesday 8 July 2031, 17:00",
            "nearestSessionId": str(sessions[5].pk),
        },
    ]


@pytest.mark.parametrize(
    ("full", "asked", "told"),
    [
        ({3}, 3, 4),  # 2 and 1 would cover the full one, too
        ({5}, 5, 6),
        ({1}, 0, 2),
        ({6}, 4, 3),
        ({7}, 5, 4),
        ({2, 5, 8}, 2, None),
        (set(range(9)), 4, None),
    ],
)
def test_it_may_lie_before_or_after_and_the_whole_package_fits_from_there(api, full, asked, told):
    sessions = weekly(package(3), 9, full=full)
    answer = book(api, child_of(8), sessions[asked])
    assert nearest(answer) == (None if told is None else str(sessions[told].pk))
    if told is not None:
        assert book(api, child_of(8), sessions[told], key="two").status == 201


@pytest.mark.parametrize("kind", ["single_session", "camp"])
def test_of_single_sessions_and_camps_it_is_the_nearest_with_a_free_seat(api, kind):
    sessions = weekly(OfferingFactory(type=kind), 8, full=(3, 4, 5))
    assert nearest(book(api, child_of(8), sessions[4])) == str(sessions[2].pk)
    assert nearest(book(api, child_of(8), sessions[5])) == str(sessions[6].pk)


def test_of_a_term_there_is_none_since_every_start_covers_the_same_dates(api):
    sessions = weekly(OfferingFactory(type="term"), 4, full=(3,))
    assert nearest(book(api, child_of(8), sessions[0])) is None


def test_a_cancelled_date_is_neither_a_start_nor_a_gap(api):
    sessions = weekly(package(2), 6, full=(1,))
    sessions[3].move(Session.Status.CANCELLED)
    # From the third date on the package covers that one and the fifth.
    assert nearest(book(api, child_of(8), sessions[1])) == str(sessions[2].pk)
    sessions[2].move(Session.Status.CANCELLED)
    assert nearest(book(api, child_of(8), sessions[1])) == str(sessions[4].pk)


def test_what_has_started_is_no_start(api):
    offering = OfferingFactory()
    SessionFactory(offering=offering, starts_at=in_days(-0.1))
    full = SessionFactory(offering=offering, starts_at=in_days(1), capacity=1, enrolled=1)
    later = SessionFactory(offering=offering, starts_at=in_days(30))
    child = ChildFactory()
    assert nearest(book(api, child, full)) == str(later.pk)


def test_a_date_on_which_the_child_sits_already_does_not_fit(api):
    sessions = weekly(package(2), 8, full=(3,))
    child = child_of(8)
    Session.objects.filter(pk=sessions[5].pk).update(capacity=2)
    BookingFactory(session=Session.objects.get(pk=sessions[5].pk), child=child)
    assert nearest(book(api, child, sessions[3])) == str(sessions[1].pk)


def test_a_start_for_which_the_child_is_too_young_or_too_old_there_does_not_fit(api):
    # Five on Tuesday 24 June in Austin; in UTC it is the birthday an evening earlier already.
    offering = OfferingFactory()
    evening = datetime(2031, 6, 24, 1, 0, tzinfo=UTC)
    sessions = weekly(offering, 4, full=(2,), start=evening - timedelta(weeks=1))
    child = ChildFactory(birth_date=date(2026, 6, 24))
    assert nearest(book(api, child, sessions[2])) == str(sessions[3].pk)
    older = ChildFactory(birth_date=date(2031 - 13, 7, 3))
    assert nearest(book(api, older, sessions[2])) == str(sessions[1].pk)


def test_other_offerings_and_the_other_region_are_not_told(api):
    offering = OfferingFactory()
    full = weekly(offering, 1, full=(0,))[0]
    SessionFactory(offering=OfferingFactory(activity=offering.activity), starts_at=FIRST)
    elsewhere = LocationFactory(city=CityFactory(country=CountryFactory(region="in")))
    SessionFactory(offering=offering, starts_at=FIRST, location=elsewhere)
    assert nearest(book(api, child_of(8), full)) is None


def test_of_two_groups_at_the_same_time_the_other_one_is_told(api):
    offering = OfferingFactory()
    full, other = weekly(offering, 1, full=(0,))[0], SessionFactory(offering=offering, starts_at=FIRST)
    weekly(offering, 2, start=FIRST + timedelta(days=1))
    assert nearest(book(api, child_of(8), full)) == str(other.pk)


def test_of_two_that_are_as_near_it_is_always_the_same_one(api):
    sessions = weekly(OfferingFactory(), 3, full=(1,))
    assert nearest(book(api, child_of(8), sessions[1])) == str(min(sessions[0].pk, sessions[2].pk))


def test_it_takes_one_query_at_any_length(api):
    def queries(count):
        sessions = weekly(package(3), count, full=(1,))
        with CaptureQueriesContext(connection) as captured:
            assert nearest(book(api, child_of(8), sessions[0])) == str(sessions[2].pk)
        return captured.captured_queries

    few, many = queries(6), queries(40)
    assert len(few) == len(many)
    (asked,) = [each["sql"] for each in many if "GREATEST" in each["sql"]]
    assert f"LIMIT {AROUND + 6}" in asked


def test_the_look_for_it_does_not_hold_the_seats_of_others(api):
    """The locks go with the failed attempt, before the look: a queue at a full session must not wait for it."""
    sessions = weekly(OfferingFactory(), 2, full=(0,))
    with CaptureQueriesContext(connection) as captured:
        book(api, child_of(8), sessions[0])
    statements = [each["sql"] for each in captured.captured_queries]
    (look,) = [n for n, sql in enumerate(statements) if "GREATEST" in sql]
    (lock,) = [n for n, sql in enumerate(statements) if "marketplace_session" in sql and "FOR NO KEY UPDATE" in sql]
    assert any(sql.startswith("ROLLBACK TO SAVEPOINT") for sql in statements[lock:look])


# --- Moving ----------------------------------------------------------------------------------------------------------


def move(api, booking, session):
    path = f"{BOOKINGS}/{booking.pk}/reschedule"
    return api.as_user(booking.parent.user).post(path, {"sessionId": str(session.pk)})


def quote(api, booking, session):
    path = f"{BOOKINGS}/{booking.pk}/quote?action=reschedule&sessionId={session.pk}"
    return api.as_user(booking.parent.user).get(path).data


def test_a_move_is_told_it_with_the_bookings_own_seats_counted_as_free(api):
    sessions = weekly(package(3), 9, full=(6,))
    booking = BookingFactory(session=sessions[0], child=child_of(8), status="confirmed", seats=sessions[:3])
    answer = move(api, booking, sessions[4])
    # 3 to 5 are free; 1 and 2 have no seat left but this booking's own.
    assert nearest(answer) == str(sessions[3].pk)
    Session.objects.filter(pk=sessions[5].pk).update(enrolled=1)
    assert nearest(move(api, booking, sessions[4])) == str(sessions[2].pk)


def test_where_it_starts_now_is_not_told(api):
    sessions = weekly(OfferingFactory(), 3, full=(1,))
    booking = BookingFactory(session=sessions[0], child=child_of(8), status="confirmed")
    Session.objects.filter(pk=sessions[2].pk).update(enrolled=1)
    assert nearest(move(api, booking, sessions[1])) is None


def test_the_quote_tells_the_same_details(api):
    sessions = weekly(package(2), 6, full=(3,))
    booking = BookingFactory(session=sessions[0], child=child_of(8), status="confirmed", seats=sessions[:2])
    told = quote(api, booking, sessions[2])
    assert (told["allowed"], told["code"], told["warnings"]) == (False, "SESSION_FULL", [])
    assert told["details"] == move(api, booking, sessions[2]).error["details"]
    assert told["details"][-1]["nearestSessionId"] == str(sessions[1].pk)
