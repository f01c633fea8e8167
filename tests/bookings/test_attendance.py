"""POST /v1/provider/sessions/{id}/attendance: all of it or nothing, in the session's hours."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from bookings import attendance
from bookings.models import Attendance, Booking, Seat
from core.errors import InvalidState, NotFound
from core.models import Lifecycle
from payments.cancellations import cancel_booking
from tests.factories import BookingFactory, ProviderUserFactory, SessionFactory, UserFactory, in_days
from tests.meeting import Meeting

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


def staff_of(session, role="staff"):
    return ProviderUserFactory(provider_account=session.activity.provider, role=role).user


def booked(session, **fields):
    return BookingFactory(session=session, **{"status": "confirmed", **fields})


def entries(*pairs):
    return {"entries": [{"bookingId": str(booking.pk), "status": status} for booking, status in pairs]}


def at(session):
    return f"/v1/provider/sessions/{session.pk}/attendance"


def noted(*bookings):
    found = dict(Seat.objects.held().values_list("booking", "attendance"))
    return [found[each.pk] for each in bookings]


@pytest.fixture
def session():
    """A session that began a quarter of an hour ago."""
    return SessionFactory(starts_at=in_days(-0.25 / 24))


@pytest.fixture
def desk(api, session):
    return api.as_user(staff_of(session))


def test_staff_note_who_is_there(desk, session):
    mia, ben, ann = (booked(session) for _ in range(3))
    answer = desk.post(at(session), entries((mia, "present"), (ben, "absent")))
    assert answer.status == 200
    assert noted(mia, ben, ann) == ["present", "absent", None]
    stamps = dict(Seat.objects.values_list("booking", "attendance_at"))
    assert (stamps[mia.pk], stamps[ben.pk], stamps[ann.pk]) == (stamps[mia.pk], stamps[mia.pk], None)
    entry = answer.data["entries"][0]
    assert answer.data == {
        "sessionId": str(session.pk),
        "present": 1,
        "absent": 1,
        "notNoted": 1,
        "entries": [
            {"bookingId": str(mia.pk), "status": "present", "notedAt": entry["notedAt"]},
            {"bookingId": str(ben.pk), "status": "absent", "notedAt": entry["notedAt"]},
            {"bookingId": str(ann.pk), "status": None, "notedAt": None},
        ],
    }


def test_the_same_again_changes_nothing(desk, session):
    mia = booked(session)
    first = desk.post(at(session), entries((mia, "present")))
    before = list(Seat.objects.values_list())
    again = desk.post(at(session), entries((mia, "present")))
    assert (again.status, again.content) == (200, first.content)
    assert list(Seat.objects.values_list()) == before


def test_a_slip_can_be_corrected_and_taken_back(desk, session):
    mia = booked(session)
    desk.post(at(session), entries((mia, "present")))
    assert desk.post(at(session), entries((mia, "absent"))).data["absent"] == 1
    answer = desk.post(at(session), entries((mia, None)))
    assert (answer.data["notNoted"], noted(mia)) == (1, [None])
    assert Seat.objects.get().attendance_at is None


def test_of_a_package_only_this_sessions_seat_is_noted(desk, session):
    later = SessionFactory(offering=session.offering)
    package = booked(session, seats=[session, later])
    desk.post(at(session), entries((package, "absent")))
    assert dict(Seat.objects.values_list("session", "attendance")) == {session.pk: "absent", later.pk: None}
    package.refresh_from_db()
    assert package.status == "confirmed"


# --- All or nothing --------------------------------------------------------------------------------------------------


def test_one_unknown_booking_stops_all(desk, session):
    mia, elsewhere = booked(session), booked(SessionFactory(offering=session.offering))
    for stranger in (elsewhere.pk, uuid.uuid4()):
        body = entries((mia, "present"))
        body["entries"].append({"bookingId": str(stranger), "status": "absent"})
        answer = desk.post(at(session), body)
        assert answer.code == (404, "NOT_FOUND")
        assert [each["field"] for each in answer.error["details"]] == ["entries.1.bookingId"]
    assert noted(mia, elsewhere) == [None, None]


@pytest.mark.parametrize("status", ["pending_payment", "cancelled", "expired", "completed", "no_show"])
def test_one_booking_that_is_not_confirmed_stops_all(desk, session, status):
    mia, other = booked(session), booked(session, status=status)
    answer = desk.post(at(session), entries((mia, "present"), (other, "present")))
    assert answer.code == (409, "INVALID_STATE")
    assert answer.error["details"] == [{"field": "entries.1.bookingId", "message": f"This booking is {status}."}]
    assert set(Seat.objects.values_list("attendance", flat=True)) == {None}


def test_a_booking_that_was_moved_away_is_told_so(desk, session):
    moved = booked(session)
    Seat.objects.update(released_at=in_days(0))
    Seat.objects.create(
        booking=moved, session=SessionFactory(offering=session.offering), child=moved.child, released_at=None
    )
    answer = desk.post(at(session), entries((moved, "present")))
    assert answer.code == (409, "INVALID_STATE")
    assert answer.error["details"][0]["message"] == "This booking was moved to another session."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "entries"),
        ({"entries": []}, "entries"),
        ({"entries": "all"}, "entries"),
        ({"entries": None}, "entries"),
        ({"entries": [None]}, "entries.0"),
        ({"entries": [{"bookingId": "mia", "status": "present"}]}, "entries.0.bookingId"),
        ({"entries": [{"status": "present"}]}, "entries.0.bookingId"),
        ({"entries": [{"bookingId": str(uuid.UUID(int=1))}]}, "entries.0.status"),
        ({"entries": [{"bookingId": str(uuid.UUID(int=1)), "status": "late"}]}, "entries.0.status"),
        ({"entries": [{"bookingId": str(uuid.UUID(int=1)), "status": ""}]}, "entries.0.status"),
        ({"entries": [{"bookingId": str(uuid.UUID(int=1)), "status": ["present"]}]}, "entries.0.status"),
        ({"entries": [{"bookingId": str(uuid.UUID(int=1)), "status": "absent", "by": "me"}]}, "entries.0.by"),
        ({"entries": [{"bookingId": str(uuid.UUID(int=1)), "status": "absent"}] * 2}, "entries"),
        ({"entries": [{"bookingId": str(uuid.UUID(int=n)), "status": None} for n in range(501)]}, "entries"),
        ({"entries": [{"bookingId": str(uuid.UUID(int=1)), "status": None}], "all": True}, "all"),
    ],
)
def test_bad_input_is_named(desk, session, body, field):
    answer = desk.post(at(session), body)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert {each["field"] for each in answer.error["details"]} == {field}


# --- When and who ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (lambda s: s.starts_at - HOUR - TICK, False),
        (lambda s: s.starts_at - HOUR, True),
        (lambda s: s.ends_at, True),
        (lambda s: s.ends_at + 24 * HOUR - TICK, True),
        (lambda s: s.ends_at + 24 * HOUR, False),
    ],
    ids=["too early", "an hour before", "at its end", "nearly a day after", "too late"],
)
def test_it_is_open_from_an_hour_before_to_a_day_after(moment, is_open):
    session = SessionFactory()
    mia = booked(session)
    if is_open:
        attendance.note(session_id=session.pk, entries={mia.pk: Attendance.PRESENT}, now=moment(session))
        assert noted(mia) == ["present"]
    else:
        with pytest.raises(InvalidState):
            attendance.note(session_id=session.pk, entries={mia.pk: Attendance.PRESENT}, now=moment(session))
        assert noted(mia) == [None]


def test_a_cancelled_session_has_no_attendance(desk, session):
    mia = booked(session)
    type(session).objects.update(status="cancelled")
    answer = desk.post(at(session), entries((mia, "present")))
    assert answer.code == (409, "INVALID_STATE")
    assert noted(mia) == [None]


def test_a_completed_session_still_takes_corrections(desk, session):
    mia = booked(session)
    type(session).objects.update(status="completed")
    assert desk.post(at(session), entries((mia, "absent"))).status == 200


def test_a_session_that_is_gone_has_none():
    with pytest.raises(NotFound):
        attendance.note(session_id=uuid.uuid4(), entries={uuid.uuid4(): None}, now=in_days(0))


@pytest.mark.parametrize("role", ["owner", "admin", "staff"])
def test_all_staff_of_the_account_may_note_it(api, session, role):
    assert api.as_user(staff_of(session, role)).post(at(session), entries((booked(session), "present"))).status == 200


def test_nobody_else_may(api, session):
    mia = booked(session)
    body = entries((mia, "absent"))
    assert api.as_user(ProviderUserFactory().user).post(at(session), body).code == (404, "NOT_FOUND")
    assert api.as_user(mia.parent.user).post(at(session), body).code == (403, "FORBIDDEN")
    assert api.as_user(UserFactory(role="provider")).post(at(session), body).code == (404, "NOT_FOUND")
    assert api.post(at(session), body).code == (401, "UNAUTHORIZED")
    assert noted(mia) == [None]


def test_the_queries_do_not_grow_with_the_entries(desk, session):
    counts = []
    for more in (2, 3):
        bookings = [booked(session) for _ in range(more)]
        with CaptureQueriesContext(connection) as queries:
            pairs = [(each, ["present", "absent"][n % 2]) for n, each in enumerate(bookings)]
            assert desk.post(at(session), entries(*pairs)).status == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- Two at once -----------------------------------------------------------------------------------------------------


@pytest.fixture
def unlocked(monkeypatch):
    """Every statement without its FOR UPDATE."""
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())


def one_by_one(monkeypatch):
    """A meeting in which the first stops between the two statements of its attendance."""
    meeting, real, calls = Meeting(monkeypatch), attendance.write, []

    def write(seats, *args, **kwargs):
        calls.append(seats)
        return (meeting.pausing(real) if len(calls) == 2 else real)(seats, *args, **kwargs)

    monkeypatch.setattr(attendance, "write", write)
    return meeting


def note(session, **given):
    wanted = {booking_id: status and Attendance(status) for booking_id, status in given["entries"].items()}
    return attendance.note(session_id=session.pk, entries=wanted, now=given["now"])


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    @pytest.fixture
    def session(self):
        return SessionFactory(starts_at=in_days(0.5 / 24))

    @pytest.fixture
    def pair(self, session):
        """Two children and two members of staff, who note the opposite of each other."""
        mia, ben = booked(session), booked(session)
        now = in_days(0)
        one = {"entries": {mia.pk: "present", ben.pk: "absent"}, "now": now}
        other = {"entries": {ben.pk: "present", mia.pk: "absent"}, "now": now}
        return mia, ben, lambda: note(session, **one), lambda: note(session, **other)

    def test_the_later_of_two_notes_stands_as_a_whole(self, pair, monkeypatch):
        mia, ben, one, other = pair
        assert one_by_one(monkeypatch).of(one, other) == (None, None)
        assert noted(mia, ben) == ["absent", "present"]

    def test_control_without_the_lock_they_run_into_each_other(self, pair, monkeypatch, unlocked):
        _, _, one, other = pair
        told = one_by_one(monkeypatch).of(one, other)
        assert sorted(type(each).__name__ for each in told) == ["NoneType", "OperationalError"]

    def cancelled(self, booking):
        return lambda: cancel_booking(booking_id=booking.pk, now=in_days(0))

    def present(self, session, booking):
        return lambda: note(session, entries={booking.pk: "present"}, now=in_days(0))

    def seat(self, booking):
        """What is noted on it, and whether it is still held."""
        seat = Seat.objects.get(booking=booking)
        return seat.attendance, seat.released_at is None

    def test_attendance_and_then_a_cancellation(self, session, monkeypatch):
        mia = booked(session)
        told = Meeting(monkeypatch, (attendance, "write")).of(self.present(session, mia), self.cancelled(mia))
        assert (told[0], told[1].status) == (None, "cancelled")
        assert self.seat(mia) == ("present", False)

    def test_a_cancellation_and_then_attendance(self, session, monkeypatch):
        mia = booked(session)
        told = Meeting(monkeypatch, (Lifecycle, "move")).of(self.cancelled(mia), self.present(session, mia))
        assert (told[0].status, type(told[1])) == ("cancelled", InvalidState)
        assert self.seat(mia) == (None, False)

    def test_control_without_the_lock_a_cancelled_child_is_noted(self, session, monkeypatch, unlocked):
        mia = booked(session)
        told = Meeting(monkeypatch, (Lifecycle, "move")).of(self.cancelled(mia), self.present(session, mia))
        # Told that it was noted, while the booking was on its way out.
        assert (told[0].status, told[1]) == ("cancelled", None)
        assert Booking.objects.get().status == "cancelled"
        assert self.seat(mia) == ("present", False)

    # A worker whose clock is ahead may settle bookings while staff still note who was there.

    def noted_last(self, session, booking):
        last = session.ends_at + 24 * HOUR - TICK
        return lambda: note(session, entries={booking.pk: "absent"}, now=last)

    def settled(self, session):
        return lambda: attendance.settle_bookings(now=session.ends_at + 24 * HOUR)

    def test_a_note_in_the_last_moment_is_heard(self, session, monkeypatch):
        mia = booked(session)
        meeting = Meeting(monkeypatch, (attendance, "write"))
        assert meeting.of(self.noted_last(session, mia), self.settled(session)) == (None, 0)
        assert self.settled(session)() == 1
        assert Booking.objects.get().status == "no_show"

    def test_control_without_the_lock_an_absent_child_came(self, session, monkeypatch, unlocked):
        mia = booked(session)
        meeting = Meeting(monkeypatch, (attendance, "write"))
        assert meeting.of(self.noted_last(session, mia), self.settled(session)) == (None, 1)
        assert (Booking.objects.get().status, self.seat(mia)) == ("completed", ("absent", True))

    def test_a_note_that_comes_too_late_is_refused(self, session, monkeypatch):
        mia = booked(session)
        meeting = Meeting(monkeypatch, (attendance, "notify"))
        told = meeting.of(self.settled(session), self.noted_last(session, mia))
        assert (told[0], type(told[1])) == (1, InvalidState)
        assert (Booking.objects.get().status, self.seat(mia)) == ("completed", (None, True))

    def test_control_without_the_lock_it_is_taken(self, session, monkeypatch, unlocked):
        mia = booked(session)
        meeting = Meeting(monkeypatch, (attendance, "notify"))
        assert meeting.of(self.settled(session), self.noted_last(session, mia)) == (1, None)
        assert (Booking.objects.get().status, self.seat(mia)) == ("completed", ("absent", True))
