"""The sweep that completes sessions at their end, and settles bookings when the attendance of their last one closes."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from bookings import attendance
from bookings.models import Booking, Seat
from bookings.tasks import complete_ended
from marketplace.models import Session
from notifications.models import Notification
from tests.factories import BookingFactory, OfferingFactory, SessionFactory, in_days

pytestmark = pytest.mark.django_db

TICK = timedelta(microseconds=1)


def ended(days=1.1, **fields):
    """A session that ended so many days ago."""
    return SessionFactory(starts_at=in_days(-days) - timedelta(minutes=45), **fields)


def booked(*sessions, **fields):
    return BookingFactory(session=sessions[0], seats=list(sessions), **{"status": "confirmed", **fields})


def status(*rows):
    found = [type(row).objects.values_list("status", flat=True).get(pk=row.pk) for row in rows]
    return found if len(found) > 1 else found[0]


def note(booking, *noted):
    seats = Seat.objects.held().filter(booking=booking).order_by("session__starts_at")
    for seat, given in zip(seats, noted, strict=True):
        Seat.objects.filter(pk=seat.pk).update(attendance=given, attendance_at=given and in_days(-1))


# --- Sessions --------------------------------------------------------------------------------------------------------


def test_a_session_is_completed_at_its_very_end_and_not_before():
    session = SessionFactory()
    assert attendance.complete_sessions(now=session.ends_at - TICK) == 0
    assert status(session) == "scheduled"
    assert attendance.complete_sessions(now=session.ends_at) == 1
    assert attendance.complete_sessions(now=session.ends_at) == 0
    session.refresh_from_db()
    # What calendars show does not change by it.
    assert (session.status, session.sequence) == ("completed", 0)


def test_cancelled_sessions_stay_cancelled():
    session = ended(status="cancelled")
    complete_ended()
    assert status(session) == "cancelled"


def test_its_seats_stay_held():
    session = ended()
    booked(session)
    complete_ended()
    session.refresh_from_db()
    assert (session.enrolled, Seat.objects.held().count()) == (1, 1)


# --- Bookings --------------------------------------------------------------------------------------------------------


def test_a_booking_is_completed_a_day_after_its_session_and_not_before():
    session = SessionFactory()
    booking = booked(session)
    over = session.ends_at + timedelta(hours=24)
    assert attendance.settle_bookings(now=over - TICK) == 0
    assert status(booking) == "confirmed"
    assert attendance.settle_bookings(now=over) == 1
    assert status(booking) == "completed"
    assert attendance.settle_bookings(now=over) == 0


def test_attendance_is_open_until_the_moment_when_bookings_are_settled():
    session = SessionFactory()
    booking = booked(session)
    last = session.ends_at + timedelta(hours=24) - TICK
    assert attendance.settle_bookings(now=last) == 0
    attendance.note(session_id=session.pk, entries={booking.pk: "absent"}, now=last)
    assert attendance.settle_bookings(now=last + TICK) == 1
    assert status(booking) == "no_show"


def test_a_package_is_over_with_its_last_session():
    offering = OfferingFactory(type="multi_session", session_count=2)
    first, last = ended(3, offering=offering), ended(0.9, offering=offering)
    booking = booked(first, last)
    complete_ended()
    assert status(first, last, booking) == ["completed", "completed", "confirmed"]
    Session.objects.filter(pk=last.pk).update(starts_at=in_days(-1.1), ends_at=in_days(-1.01))
    complete_ended()
    assert status(booking) == "completed"


@pytest.mark.parametrize(
    ("noted", "end"),
    [
        (["present", "present"], "completed"),
        (["absent", "present"], "completed"),
        (["absent", None], "completed"),
        ([None, None], "completed"),
        (["absent", "absent"], "no_show"),
    ],
)
def test_who_was_absent_every_time_is_a_no_show(noted, end):
    booking = booked(ended(3), ended(2))
    note(booking, *noted)
    complete_ended()
    assert status(booking) == end


def test_a_seat_that_was_given_back_says_nothing():
    old, new = ended(3), ended(2)
    booking = booked(old, new)
    note(booking, "present", "absent")
    Seat.objects.filter(session=old).update(released_at=in_days(-2.5))
    complete_ended()
    assert status(booking) == "no_show"


@pytest.mark.parametrize("state", ["pending_payment", "cancelled", "expired", "no_show", "completed"])
def test_other_bookings_are_left_alone(state):
    booking = booked(ended(), status=state)
    complete_ended()
    assert status(booking) == state
    assert not Notification.objects.exists()


def test_a_booking_in_a_cancelled_session_waits_for_its_refund():
    booking = booked(ended(3), ended(2, status="cancelled"))
    complete_ended()
    assert status(booking) == "confirmed"


def test_one_that_waits_does_not_keep_the_others(monkeypatch):
    waiting = [booked(ended(2, status="cancelled")) for _ in range(3)]
    booking = booked(ended())
    assert attendance.settle_bookings(now=in_days(0), batch=2) == 1
    assert status(*waiting, booking) == ["confirmed", "confirmed", "confirmed", "completed"]


def test_parents_are_asked_for_a_review_once_and_only_if_the_child_came():
    came, away = booked(ended()), booked(ended())
    note(away, "absent")
    for _ in range(2):
        complete_ended()
    prompt = Notification.objects.get()
    assert (prompt.kind, prompt.user, prompt.subject_id) == ("review_prompt", came.parent.user, came.pk)


def test_batches_go_on_until_nothing_is_left():
    bookings = [booked(ended()) for _ in range(5)]
    assert attendance.complete_sessions(now=in_days(0), batch=2) == 2
    assert attendance.settle_bookings(now=in_days(0), batch=2) == 2
    complete_ended()
    assert set(status(*bookings)) == {"completed"}
    assert set(Session.objects.values_list("status", flat=True)) == {"completed"}


def test_a_batch_takes_few_statements():
    for _ in range(4):
        booked(ended())
    with CaptureQueriesContext(connection) as queries:
        assert attendance.settle_bookings(now=in_days(0)) == 4
    # Savepoint twice; lock; look again; two updates at most; a notification each.
    assert len(queries) <= 6 + 4


# --- Two workers -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
class TestTwoWorkers:
    def test_each_booking_is_settled_by_one_of_them(self, at_once):
        bookings = [booked(ended()) for _ in range(12)]

        def work(_):
            done = 0
            while more := attendance.settle_bookings(now=in_days(0), batch=2):
                done += more
            return done

        assert sum(at_once(work, [1, 2])) == 12
        assert set(status(*bookings)) == {"completed"}
        assert Notification.objects.count() == 12

    def busy(self, function):
        """What `function` gives while another worker has the first booking and the first session in hand."""
        in_hand, done = threading.Event(), threading.Event()

        def hold():
            with transaction.atomic():
                list(Session.objects.order_by("pk").select_for_update(no_key=True)[:1])
                list(Booking.objects.order_by("pk").select_for_update(no_key=True)[:1])
                in_hand.set()
                done.wait(20)
            connections.close_all()

        worker = threading.Thread(target=hold)
        worker.start()
        in_hand.wait(10)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '200ms'")
            return function()
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
            done.set()
            worker.join(20)

    def test_what_another_worker_has_in_hand_is_passed_over(self):
        bookings = [booked(ended()) for _ in range(3)]
        assert self.busy(lambda: attendance.complete_sessions(now=in_days(0))) == 2
        assert self.busy(lambda: attendance.settle_bookings(now=in_days(0))) == 2
        assert status(*bookings) == ["confirmed", "completed", "completed"]
        complete_ended()
        assert status(bookings[0]) == "completed"

    def test_control_without_skip_locked_it_would_wait(self, monkeypatch):
        for _ in range(3):
            booked(ended())
        real = QuerySet.select_for_update
        monkeypatch.setattr(
            QuerySet, "select_for_update", lambda self, **options: real(self, **options | {"skip_locked": False})
        )
        for sweep in (attendance.complete_sessions, attendance.settle_bookings):
            with pytest.raises(Exception, match="lock timeout"):
                self.busy(lambda sweep=sweep: sweep(now=in_days(0)))
        assert set(Booking.objects.values_list("status", flat=True)) == {"confirmed"}

    def test_a_booking_that_changed_before_the_lock_is_looked_at_again(self, monkeypatch):
        booking = booked(ended())
        real = attendance.due
        looks = []

        def due(*, now):
            looks.append(now)
            if len(looks) == 2:
                # Between lock and second look: somebody else was faster.
                Booking.objects.filter(pk=booking.pk).update(status="cancelled")
            return real(now=now)

        monkeypatch.setattr(attendance, "due", due)
        assert attendance.settle_bookings(now=in_days(0)) == 0
        assert status(booking) == "cancelled"
        assert not Notification.objects.exists()
