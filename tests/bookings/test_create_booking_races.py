"""POST /v1/me/bookings by many at once, with real threads, and with controls that show that the races are real."""

import threading
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from bookings import places, services
from bookings.models import Booking, Seat
from core.models import IdempotencyKey
from marketplace.models import Session
from tests.factories import BookingFactory, ChildFactory, OfferingFactory, SessionFactory, in_days
from tests.meeting import unlock
from users.models import Child

pytestmark = pytest.mark.django_db(transaction=True)

BOOKINGS = "/v1/me/bookings"


def book(api, child, session, key="one"):
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    return api.as_user(child.parent.user).post(BOOKINGS, body, Idempotency_Key=key)


def codes(answers):
    """How often each answer was given: statuses, and codes of errors."""
    found = [answer.status if answer.status < 400 else answer.error["code"] for answer in answers]
    return {each: found.count(each) for each in set(found)}


def seats_add_up():
    """The invariant: `enrolled` is the held seats, in every session."""
    for session in Session.objects.all():
        assert session.enrolled == Seat.objects.held().filter(session=session).count()
    return True


@pytest.fixture
def unlocked(monkeypatch):
    """Looks without FOR UPDATE. All who look see the same free seats before any of them takes one."""
    everybody_looked = threading.Barrier(15)
    look = places.look

    def look_together(**asked):
        found = look(**asked)
        everybody_looked.wait(timeout=10)
        return found

    unlock(monkeypatch)
    monkeypatch.setattr(places, "look", look_together)


@contextmanager
def without_constraint(table, name):
    """Drops a constraint in the test's database, and puts it back once the offending rows are gone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name])
        definition = cursor.fetchone()[0]
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET enrolled = 0")
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def test_fifteen_parents_for_ten_seats_give_ten_bookings(api, at_once):
    session = SessionFactory(capacity=10)
    answers = at_once(lambda child: book(api, child, session), [ChildFactory() for _ in range(15)])
    assert codes(answers) == {201: 10, "SESSION_FULL": 5}
    session.refresh_from_db()
    assert (session.enrolled, Seat.objects.held().count(), Booking.objects.count()) == (10, 10, 10)
    # A refusal keeps no key, so that it can be tried again when a seat comes free.
    assert IdempotencyKey.objects.count() == 10


def test_control_without_the_lock_the_constraint_has_the_last_word(api, at_once, unlocked):
    session = SessionFactory(capacity=10)
    answers = at_once(lambda child: book(api, child, session), [ChildFactory() for _ in range(15)])
    # All fifteen passed the check: the five refusals are the CHECK's, in the same words, and no 500.
    assert codes(answers) == {201: 10, "SESSION_FULL": 5}
    # The check would have named the full session in `details`; the CHECK cannot.
    assert [answer.error["details"] for answer in answers if answer.status == 409] == [[]] * 5
    session.refresh_from_db()
    assert (session.enrolled, Seat.objects.held().count(), Booking.objects.count()) == (10, 10, 10)


def test_control_without_lock_and_constraint_it_oversells(api, at_once, unlocked):
    session = SessionFactory(capacity=10)
    with without_constraint("marketplace_session", "session_enrolled_within_capacity"):
        answers = at_once(lambda child: book(api, child, session), [ChildFactory() for _ in range(15)])
        assert codes(answers) == {201: 15}
        session.refresh_from_db()
        assert (session.enrolled, session.capacity, Seat.objects.held().count()) == (15, 10, 15)


def test_control_without_the_locks_the_unique_index_has_the_last_word(api, at_once, unlocked):
    session, child = SessionFactory(), ChildFactory()
    answers = at_once(lambda n: book(api, child, session, key=f"key {n}"), list(range(15)))
    assert codes(answers) == {201: 1, "ALREADY_BOOKED": 14}
    assert seats_add_up()


def test_eight_twins_of_one_key_make_one_booking_and_eight_equal_answers(api, at_once):
    session, child = SessionFactory(), ChildFactory()
    answers = at_once(lambda _: book(api, child, session), list(range(8)))
    # Each twin waits for the first one's commit, at most 5 s (`lock_timeout`): far more than one booking takes.
    assert codes(answers) == {201: 8}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers.get("Idempotency-Replayed", "") for answer in answers) == ["", *["true"] * 7]
    session.refresh_from_db()
    assert (session.enrolled, Booking.objects.count(), Seat.objects.count()) == (1, 1, 1)


def test_twins_of_a_refused_request_are_all_refused(api, at_once):
    session, child = SessionFactory(capacity=1), ChildFactory()
    BookingFactory(session=session)
    answers = at_once(lambda _: book(api, child, session), list(range(4)))
    assert codes(answers) == {"SESSION_FULL": 4}
    assert not IdempotencyKey.objects.exists()


def test_a_twin_that_has_waited_long_enough_is_told_to_come_again(api, at_once):
    session, child = SessionFactory(), ChildFactory()
    first_is_in, twin_has_answer = threading.Event(), threading.Event()

    def hold_the_key(_):
        with transaction.atomic():
            IdempotencyKey.objects.create(
                user_id=child.parent.user_id, key="one", method="POST", path=BOOKINGS, expires_at=in_days(1)
            )
            first_is_in.set()
            twin_has_answer.wait(10)
            transaction.set_rollback(True)

    def twin(_):
        first_is_in.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        try:
            return book(api, child, session)
        finally:
            twin_has_answer.set()

    _, answer = at_once(lambda run: run(None), [hold_the_key, twin])
    assert answer.code == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert answer.headers["Retry-After"] == "1"
    assert not Booking.objects.exists()
    # The first one came to nothing, so the twin's second try is the first request.
    assert book(api, child, session).status == 201


def test_two_keys_for_one_child_and_session_make_one_booking(api, at_once):
    session, child = SessionFactory(), ChildFactory()
    answers = at_once(lambda key: book(api, child, session, key=key), ["one", "two"])
    assert codes(answers) == {201: 1, "ALREADY_BOOKED": 1}
    session.refresh_from_db()
    assert (session.enrolled, Booking.objects.count(), Seat.objects.count()) == (1, 1, 1)


def test_packages_that_meet_their_sessions_in_opposite_order_do_not_deadlock(api, at_once):
    # The dates run against the ids, so locks by date would cross with those of the other packages.
    offering = OfferingFactory(type="multi_session", session_count=3)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(20 - n), capacity=4) for n in range(6)]
    chosen = [sessions[5], sessions[3], sessions[4], sessions[2]] * 3
    answers = at_once(lambda pair: book(api, *pair), [(ChildFactory(), session) for session in chosen])
    assert set(codes(answers)) <= {201, "SESSION_FULL"}
    assert seats_add_up()
    booked = codes(answers)[201]
    assert Seat.objects.held().count() == 3 * booked
    assert Booking.objects.count() == booked
    # Sessions 3 and 2 are in most packages: full, and not one more.
    assert max(Session.objects.values_list("enrolled", flat=True)) == 4


def test_terms_packages_and_moves_over_the_same_dates_neither_deadlock_nor_oversell(api, at_once):
    # Again the dates run against the ids.
    offering = OfferingFactory(type="multi_session", session_count=2)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(20 - n), capacity=6) for n in range(5)]
    movers = [
        BookingFactory(session=sessions[at], seats=[sessions[at], sessions[at - 1]], status="confirmed")
        for at in (4, 3, 2, 1)
    ]
    term = OfferingFactory(activity=offering.activity, type="term")
    days = [SessionFactory(offering=term, starts_at=in_days(20 - n), capacity=3) for n in range(4)]

    def move(booking, session):
        path = f"{BOOKINGS}/{booking.pk}/reschedule"
        return api.as_user(booking.parent.user).post(path, {"sessionId": str(session.pk)})

    runs = [lambda b=booking, s=session: move(b, s) for booking, session in zip(movers, sessions[1:], strict=True)]
    runs += [lambda s=session: book(api, ChildFactory(), s) for session in sessions[1:]]
    runs += [lambda s=session: book(api, ChildFactory(), s) for session in days]
    answers = at_once(lambda run: run(), runs)
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert set(codes(answers)) <= {200, 201, "SESSION_FULL"}
    assert codes(answers[8:]) == {201: 3, "SESSION_FULL": 1}
    assert seats_add_up()
    assert all(each.enrolled <= each.capacity for each in Session.objects.all())


def test_locks_are_taken_in_id_order_whatever_order_is_asked_for(api):
    sessions = [SessionFactory() for _ in range(4)]
    with transaction.atomic():
        locked = services.lock_sessions([each.pk for each in reversed(sessions)])
    assert [each.pk for each in locked] == sorted(each.pk for each in sessions)


def test_opposite_reschedules_do_not_deadlock(api, at_once):
    offering = OfferingFactory()
    first, second = SessionFactory(offering=offering), SessionFactory(offering=offering, starts_at=in_days(8))
    one, two = BookingFactory(session=first, status="confirmed"), BookingFactory(session=second, status="confirmed")

    def move(pair):
        booking, session = pair
        client = api.as_user(booking.parent.user)
        return client.post(f"{BOOKINGS}/{booking.pk}/reschedule", {"sessionId": str(session.pk)})

    answers = at_once(move, [(one, second), (two, first)])
    assert [answer.status for answer in answers] == [200, 200]
    assert seats_add_up()
    assert sorted(Session.objects.values_list("enrolled", flat=True)) == [1, 1]


def test_of_five_who_move_to_the_last_seat_one_gets_it(api, at_once):
    offering = OfferingFactory()
    old, new = SessionFactory(offering=offering), SessionFactory(offering=offering, starts_at=in_days(8), capacity=1)
    bookings = [BookingFactory(session=old, status="confirmed") for _ in range(5)]

    def move(booking):
        client = api.as_user(booking.parent.user)
        return client.post(f"{BOOKINGS}/{booking.pk}/reschedule", {"sessionId": str(new.pk)})

    assert codes(at_once(move, bookings)) == {200: 1, "SESSION_FULL": 4}
    assert seats_add_up()
    assert enrolled_of(old, new) == [4, 1]


def test_a_child_is_never_booked_while_it_is_removed(api, at_once):
    for _ in range(5):
        session, child = SessionFactory(), ChildFactory()

        def remove(child=child):
            return api.as_user(child.parent.user).delete(f"/v1/me/children/{child.pk}")

        booked, removed = at_once(
            lambda run: run(), [lambda child=child, session=session: book(api, child, session), remove]
        )
        outcome = booked.status, removed.status
        assert outcome in ((201, 409), (404, 200)), (booked.content, removed.content)
        assert Child.objects.present().filter(pk=child.pk).exists() == (booked.status == 201)
        assert Seat.objects.filter(child=child.pk).count() == (booked.status == 201)


def enrolled_of(*sessions):
    return [Session.objects.values_list("enrolled", flat=True).get(pk=each.pk) for each in sessions]


def test_enrolled_cannot_leave_its_range_whoever_writes_it():
    session = SessionFactory(capacity=2)
    for wrong in (3, -1):
        with pytest.raises(IntegrityError, match=r"session_enrolled_within_capacity|_enrolled_check"):
            Session.objects.filter(pk=session.pk).update(enrolled=wrong)
    Session.objects.filter(pk=session.pk).update(enrolled=2)
    with pytest.raises(IntegrityError, match="session_enrolled_within_capacity"):
        Session.objects.filter(pk=session.pk).update(capacity=F("enrolled") - 1)


def test_a_child_cannot_hold_two_seats_in_a_session_whoever_writes_them():
    booking = BookingFactory()
    other = BookingFactory(child=booking.child)
    with pytest.raises(IntegrityError, match="seat_one_per_child"):
        Seat.objects.create(booking=other, session=booking.session, child=booking.child)
    Seat.objects.filter(booking=booking).update(released_at=in_days(0))
    Seat.objects.create(booking=other, session=booking.session, child=booking.child)
