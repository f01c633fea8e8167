"""Cancelling a session against everybody who wants something of it, with real threads, each with its control."""

import pytest
from django.utils import timezone

from bookings import services as bookings
from bookings.models import Booking, Seat
from core.models import Lifecycle
from marketplace.models import Session
from payments import cancellations, session_cancellations
from payments.models import Payment, Refund
from payments.session_cancellations import cancel_sessions, finish_cancelled, settle
from tests.factories import (
    BookingFactory,
    ChildFactory,
    OfferingFactory,
    PaymentFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)
from tests.meeting import unlock
from tests.payments.signed import checkout, post_stripe
from tests.payments.test_interleavings import Meeting, words

pytestmark = pytest.mark.django_db(transaction=True)

LATE = in_days(2)  # holds have ended by then, sessions have not begun


class Scene:
    """A session with one seat, and everything that can happen to it and to who sits there."""

    def __init__(self, api):
        self.api = api
        self.session = SessionFactory(capacity=2)
        self.other = SessionFactory(offering=self.session.offering, starts_at=in_days(9), capacity=2)
        self.staff = ProviderUserFactory(provider_account=self.session.activity.provider)
        self.child = ChildFactory()

    def sit(self, status):
        self.booking = BookingFactory(session=Session.objects.get(pk=self.session.pk), status=status)
        self.payment = PaymentFactory(
            booking=self.booking, status="paid" if status == "confirmed" else Payment.Status.PENDING
        )
        self.news = checkout(self.payment)

    def cancel_session(self):
        return cancel_sessions(session_ids=[self.session.pk], reason="Storm.", now=timezone.now())

    def cancel_in_full(self):
        return cancellations.cancel_in_full(booking_id=self.booking.pk, reason="Storm.", now=timezone.now())

    def settle(self):
        return settle(self.booking.pk, now=timezone.now())

    def sweep(self):
        return finish_cancelled(now=timezone.now())

    def book(self):
        return bookings.book(parent=self.child.parent, child=self.child, session=self.session, now=timezone.now())

    def pay(self):
        return post_stripe(self.api, self.news)

    def cancel(self):
        return cancellations.cancel_booking(booking_id=self.booking.pk, now=timezone.now())

    def move_away(self):
        return bookings.reschedule(booking_id=self.booking.pk, session=self.other, now=timezone.now())

    def expire(self):
        return bookings.expire(self.booking.pk, now=LATE)

    def end(self):
        """Of the booking and its payment, the seats held, the cents that go back; and the sums are right."""
        for each in Session.objects.all():
            assert each.enrolled == Seat.objects.held().filter(session=each).count()
        self.booking.refresh_from_db()
        self.payment.refresh_from_db()
        held = Seat.objects.held().filter(booking=self.booking).count()
        return self.booking.status, self.payment.status, held, sum(r.amount_cents for r in self.payment.refunds.all())


@pytest.fixture
def meeting(monkeypatch):
    return Meeting(monkeypatch)


@pytest.fixture
def unlocked(monkeypatch):
    """Every statement without its FOR UPDATE."""
    unlock(monkeypatch)


@pytest.fixture
def careless(unlocked, monkeypatch):
    """Without locks, and with moves that do not name the status that was read."""

    def move(row, to, **changes):
        changes |= {"status": to}
        type(row).objects.filter(pk=row.pk).update(**changes)
        for field, value in changes.items():
            setattr(row, field, value)
        return row

    monkeypatch.setattr(Lifecycle, "move", move)


@pytest.fixture
def scene(api):
    return Scene(api)


@pytest.fixture
def hold(scene):
    scene.sit("pending_payment")
    return scene


@pytest.fixture
def paid(scene):
    scene.sit("confirmed")
    return scene


@pytest.fixture
def marking(meeting, monkeypatch):
    """The first one also stops when it has looked at the sessions to cancel and not yet marked them."""
    look = session_cancellations.extent_of

    def look_and_stop(sessions):
        extent = look(sessions)
        meeting.pausing(lambda: None)()
        return extent

    monkeypatch.setattr(session_cancellations, "extent_of", look_and_stop)
    return meeting


def told(result):
    return "done" if isinstance(result, cancellations.Extent) else words(result)


def meet(scene, meeting, first, second):
    return tuple(told(each) for each in meeting.of(getattr(scene, first), getattr(scene, second)))


def stray_seats():
    """Seats that are held in a cancelled session."""
    return Seat.objects.held().filter(session__status="cancelled").count()


def marked(session):
    return Session.objects.values_list("status", "sequence").get(pk=session.pk)


# --- While the session is being marked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("cancel_session", "book", ("done", "SESSION_NOT_BOOKABLE")),
        ("book", "cancel_session", ("done", "done")),
    ],
)
def test_nobody_gets_a_seat_in_a_session_that_is_being_cancelled(scene, marking, first, second, expected):
    assert meet(scene, marking, first, second) == expected
    assert (marked(scene.session), stray_seats()) == (("cancelled", 1), 0)
    assert list(Booking.objects.values_list("status", flat=True)) == (["cancelled"] if first == "book" else [])


@pytest.mark.parametrize(("first", "second"), [("cancel_session", "book"), ("book", "cancel_session")])
def test_control_without_the_lock_somebody_sits_in_a_cancelled_session(scene, unlocked, marking, first, second):
    assert meet(scene, marking, first, second) == ("done", "done")
    assert (marked(scene.session)[0], stray_seats()) == ("cancelled", 1)
    # Not for long, though: the sweep has the last word.
    scene.sweep()
    assert stray_seats() == 0


def test_of_two_who_cancel_a_session_one_does(paid, marking):
    assert meet(paid, marking, "cancel_session", "cancel_session") == ("done", "INVALID_STATE")
    assert (marked(paid.session), paid.end()) == (("cancelled", 1), ("cancelled", "paid", 0, 2500))


def test_control_without_the_lock_both_believe_that_they_did(paid, unlocked, marking):
    assert meet(paid, marking, "cancel_session", "cancel_session") == ("done", "done")
    assert marked(paid.session) == ("cancelled", 2)


@pytest.mark.parametrize(
    ("first", "second", "expected", "end"),
    [
        ("cancel_session", "move_away", ("done", "INVALID_STATE"), ("cancelled", "paid", 0, 2500)),
        ("move_away", "cancel_session", ("done", "done"), ("confirmed", "paid", 1, 0)),
    ],
)
def test_a_booking_moves_away_before_its_session_is_cancelled_or_not_at_all(
    paid, marking, first, second, expected, end
):
    assert meet(paid, marking, first, second) == expected
    assert (paid.end(), stray_seats()) == (end, 0)


def test_control_without_the_lock_the_booking_moves_and_its_seat_is_counted_off_twice(paid, unlocked, meeting):
    # The move has read where it sits, the cancellation ends the booking, and the move goes on.
    meet(paid, meeting, "move_away", "cancel_session")
    paid.booking.refresh_from_db()
    assert paid.booking.status == "cancelled"
    assert Seat.objects.held().filter(booking=paid.booking).count() == 1


# --- While a booking is being settled --------------------------------------------------------------------------------


def mark_only(scene, monkeypatch):
    """The session as a crash right after the marking leaves it."""
    with monkeypatch.context() as crash:
        crash.setattr(session_cancellations, "settle_all", lambda *_, **__: None)
        scene.cancel_session()
    assert stray_seats() == 1


@pytest.mark.parametrize(
    ("first", "second", "expected", "end"),
    [
        ("settle", "pay", (True, 200), ("cancelled", "paid", 0, 2500)),
        ("pay", "settle", (200, True), ("cancelled", "paid", 0, 2500)),
        ("settle", "expire", (True, False), ("cancelled", "pending", 0, 0)),
        ("expire", "settle", (True, False), ("expired", "pending", 0, 0)),
        ("settle", "cancel", (True, "INVALID_STATE"), ("cancelled", "pending", 0, 0)),
        ("cancel", "settle", ("done", False), ("cancelled", "pending", 0, 0)),
    ],
)
def test_a_hold_is_settled_once_whoever_comes_in_the_middle(hold, meeting, monkeypatch, first, second, expected, end):
    mark_only(hold, monkeypatch)
    assert meet(hold, meeting, first, second) == expected
    assert (hold.end(), stray_seats()) == (end, 0)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("settle", "settle", (True, False)),
        ("settle", "cancel", (True, "INVALID_STATE")),
        ("cancel", "settle", ("done", False)),
        ("settle", "cancel_in_full", (True, "INVALID_STATE")),
        ("cancel_in_full", "settle", ("done", False)),
        ("cancel_in_full", "cancel_in_full", ("done", "INVALID_STATE")),
        ("cancel_in_full", "cancel", ("done", "INVALID_STATE")),
        ("cancel", "cancel_in_full", ("done", "INVALID_STATE")),
        ("sweep", "sweep", (1, 1)),
    ],
)
def test_a_paid_booking_is_refunded_once_whoever_comes_in_the_middle(
    paid, meeting, monkeypatch, first, second, expected
):
    mark_only(paid, monkeypatch)
    assert meet(paid, meeting, first, second) == expected
    assert (paid.end(), stray_seats()) == (("cancelled", "paid", 0, 2500), 0)
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("settle", "settle", ("INVALID_STATE", True)),
        ("cancel_in_full", "cancel_in_full", ("INVALID_STATE", "done")),
        ("cancel_in_full", "cancel", ("INVALID_STATE", "done")),
    ],
)
def test_control_without_the_lock_somebody_is_refused_by_the_swap(
    paid, unlocked, meeting, monkeypatch, first, second, expected
):
    mark_only(paid, monkeypatch)
    assert meet(paid, meeting, first, second) == expected


@pytest.mark.parametrize(("first", "second"), [("settle", "settle"), ("cancel_in_full", "cancel_in_full")])
def test_control_without_lock_and_swap_the_money_would_go_back_twice(
    paid, careless, unlimited, meeting, monkeypatch, first, second
):
    # What is paid and not going back yet is read before the pause, as under the lock; the last look is taken away, too.
    monkeypatch.setattr(cancellations, "unrefunded_cents", lambda payment: payment.amount_cents)
    mark_only(paid, monkeypatch)
    meet(paid, meeting, first, second)
    assert sum(Refund.objects.values_list("amount_cents", flat=True)) == 5000


def test_control_without_the_lock_a_payment_is_lost_on_a_hold_that_ends(hold, unlocked, meeting, monkeypatch):
    mark_only(hold, monkeypatch)
    assert meet(hold, meeting, "settle", "pay") == ("INVALID_STATE", 200)
    assert hold.end() == ("confirmed", "paid", 1, 0)


@pytest.fixture
def package(scene):
    """A paid package of three sessions, of which the scene's is the second."""
    offering = OfferingFactory(type="multi_session", session_count=3, price_cents=1000)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n)) for n in range(3)]
    scene.booking = BookingFactory(session=sessions[0], seats=sessions, status="confirmed")
    scene.payment = PaymentFactory(booking=scene.booking, status="paid")
    scene.session, scene.last = sessions[1], sessions[2]
    return scene


@pytest.mark.parametrize(("first", "second"), [("settle", "settle"), ("settle", "sweep"), ("sweep", "settle")])
def test_a_package_gets_the_share_of_a_session_once(package, meeting, monkeypatch, first, second):
    mark_only(package, monkeypatch)
    meet(package, meeting, first, second)
    assert (package.end(), stray_seats()) == (("confirmed", "paid", 2, 333), 0)


def test_control_without_the_lock_it_gets_the_share_twice(package, unlocked, meeting, monkeypatch):
    mark_only(package, monkeypatch)
    assert meet(package, meeting, "settle", "settle") == (True, True)
    assert package.end() == ("confirmed", "paid", 2, 666)


def test_two_sessions_of_a_package_cancelled_at_once_are_two_shares(package, at_once):
    def cancel(session):
        return cancel_sessions(session_ids=[session.pk], reason="Storm.", now=timezone.now())

    results = at_once(cancel, [package.session, package.last])
    assert [told(each) for each in results] == ["done", "done"]
    assert (package.end(), stray_seats()) == (("confirmed", "paid", 1, 666), 0)


def test_many_at_once_leave_no_seat_and_no_cent(api, at_once):
    """A session is cancelled twice, booked, paid for, left and swept, all in the same moment."""
    session = SessionFactory(capacity=30)
    holds = [PaymentFactory(booking=BookingFactory(session=Session.objects.get(pk=session.pk))) for _ in range(4)]
    there = []
    for _ in range(4):
        booking = BookingFactory(session=Session.objects.get(pk=session.pk), status="confirmed")
        there.append(PaymentFactory(booking=booking, status="paid"))
    children = [ChildFactory() for _ in range(3)]

    def cancel():
        return cancel_sessions(session_ids=[session.pk], reason="Storm.", now=timezone.now())

    def sweep():
        return finish_cancelled(now=timezone.now())

    runs = [cancel, cancel, sweep]
    runs += [lambda each=each: post_stripe(api, checkout(each)) for each in holds]
    runs += [
        lambda each=each: cancellations.cancel_booking(booking_id=each.booking_id, now=timezone.now())
        for each in there[:2]
    ]
    runs += [
        lambda each=each: bookings.book(parent=each.parent, child=each, session=session, now=timezone.now())
        for each in children
    ]
    results = [told(each) for each in at_once(lambda run: run(), runs)]
    assert sorted(results[:2]) == ["INVALID_STATE", "done"]
    sweep()
    assert (marked(session), stray_seats(), Seat.objects.held().count()) == (("cancelled", 1), 0, 0)
    assert set(Booking.objects.values_list("status", flat=True)) == {"cancelled"}
    for payment in (*holds, *there):
        payment.refresh_from_db()
        assert (payment.status, [refund.amount_cents for refund in payment.refunds.all()]) == ("paid", [2500])
