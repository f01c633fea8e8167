"""Two at once, each time brought to the worst moment: one has read and not yet written when the other comes.

Every race runs twice. With the locks the second one waits for the first, whichever it is, and the books are sound.
As a control it runs again with FOR UPDATE taken out of every statement: then the second one slips through, and either
money or seats are lost, or a constraint or a compare-and-swap has the last word and somebody is refused for nothing.
"""

import threading

import pytest
from django.utils import timezone

from bookings import places
from bookings import services as bookings
from bookings.models import Booking, Seat
from core import idempotency
from core.errors import Error
from core.models import Lifecycle
from payments import events, services
from payments.models import Payment, Refund
from payments.processors.stripe import Stripe
from tests import meeting as meetings
from tests.books import wrong_now
from tests.conftest import Answer
from tests.factories import BookingFactory, ChildFactory, OfferingFactory, PaymentFactory, SessionFactory, in_days
from tests.meeting import PATIENCE, unlock
from tests.payments.conftest import act
from tests.payments.signed import charge_refunded, checkout, post_stripe

pytestmark = pytest.mark.django_db(transaction=True)

LATE = in_days(2)  # holds have ended by then, sessions have not begun


class Meeting(meetings.Meeting):
    """Two at once over seats and money: the first stops before its first write."""

    def __init__(self, monkeypatch):
        super().__init__(
            monkeypatch,
            (Lifecycle, "move"),
            (bookings, "release_seats"),
            (bookings, "take_seats"),
            (places, "make"),
            (Payment, "save"),
        )


@pytest.fixture
def meeting(monkeypatch):
    return Meeting(monkeypatch)


@pytest.fixture
def unlocked(monkeypatch):
    """Every statement without its FOR UPDATE, and events without their turn."""
    unlock(monkeypatch)
    monkeypatch.setattr(events, "lock_money", lambda event: None)


@pytest.fixture
def careless(unlocked, monkeypatch):
    """Without locks, and with moves that do not name the status that was read."""

    def move(row, to, **changes):
        changes |= {"status": to, "updated_at": timezone.now()}
        type(row).objects.filter(pk=row.pk).update(**changes)
        for field, value in changes.items():
            setattr(row, field, value)
        return row

    monkeypatch.setattr(Lifecycle, "move", move)


class Scene:
    """A booking and everything that can happen to it; it sits in the only seat of its session."""

    def __init__(self, api, booking, payment):
        self.api, self.booking, self.payment = api, booking, payment
        self.parent, self.url = api.as_user(booking.parent.user), f"/v1/me/bookings/{booking.pk}"
        self.other = SessionFactory(offering=booking.offering, starts_at=in_days(9))
        self.news = checkout(payment)

    def pay(self):
        return post_stripe(self.api, self.news)

    def cancel(self):
        return self.parent.post(f"{self.url}/cancel")

    def move(self):
        return self.parent.post(f"{self.url}/reschedule", {"sessionId": str(self.other.pk)})

    def expire(self):
        return bookings.expire(self.booking.pk, now=LATE)

    def refund(self):
        return post_stripe(self.api, charge_refunded(self.payment))

    def end(self):
        """Of the booking and of its payment, the seats held, and the cents that go back."""
        self.booking.refresh_from_db()
        self.payment.refresh_from_db()
        held = Seat.objects.held().filter(booking=self.booking).count()
        return self.booking.status, self.payment.status, held, sum(r.amount_cents for r in self.payment.refunds.all())


@pytest.fixture
def hold(api):
    booking = BookingFactory(session__capacity=1)
    return Scene(api, booking, PaymentFactory(booking=booking))


@pytest.fixture
def paid(api):
    booking = BookingFactory(session__capacity=1, status="confirmed")
    return Scene(api, booking, PaymentFactory(booking=booking, status="paid"))


def words(result):
    """What somebody was told, in a word."""
    if isinstance(result, Exception):
        return result.code if isinstance(result, Error) else type(result).__name__
    if isinstance(result, Answer):
        return result.status if result.status < 400 else result.error["code"]
    return "done" if isinstance(result, Booking) else result


def meet(scene, meeting, first, second):
    """What both were told when `second` came in the middle of `first`."""
    return tuple(words(each) for each in meeting.of(getattr(scene, first), getattr(scene, second)))


@pytest.mark.parametrize(
    ("first", "second", "told", "end"),
    [
        ("pay", "pay", (200, 200), ("confirmed", "paid", 1, 0)),
        ("pay", "cancel", (200, 200), ("cancelled", "paid", 0, 2500)),
        ("cancel", "pay", (200, 200), ("cancelled", "paid", 0, 2500)),
        ("pay", "expire", (200, False), ("confirmed", "paid", 1, 0)),
        ("expire", "pay", (True, 200), ("confirmed", "paid", 1, 0)),
        ("pay", "move", (200, 200), ("confirmed", "paid", 1, 0)),
        ("move", "pay", (200, 200), ("confirmed", "paid", 1, 0)),
        ("pay", "refund", (200, 200), ("cancelled", "refunded", 0, 0)),
        ("refund", "pay", (200, 200), ("pending_payment", "refunded", 1, 0)),
        ("cancel", "cancel", (200, "INVALID_STATE"), ("cancelled", "pending", 0, 0)),
        ("cancel", "move", (200, "INVALID_STATE"), ("cancelled", "pending", 0, 0)),
        ("move", "cancel", (200, 200), ("cancelled", "pending", 0, 0)),
        ("cancel", "expire", (200, False), ("cancelled", "pending", 0, 0)),
        ("expire", "cancel", (True, "INVALID_STATE"), ("expired", "pending", 0, 0)),
        ("move", "expire", (200, False), ("pending_payment", "pending", 1, 0)),
        ("expire", "move", (True, "INVALID_STATE"), ("expired", "pending", 0, 0)),
        ("move", "move", (200, "INVALID_STATE"), ("pending_payment", "pending", 1, 0)),
        ("expire", "expire", (True, False), ("expired", "pending", 0, 0)),
    ],
)
def test_whoever_comes_in_the_middle_of_what_happens_to_a_hold_finds_it_whole(hold, meeting, first, second, told, end):
    assert meet(hold, meeting, first, second) == told
    assert hold.end() == end
    assert wrong_now() == {}


@pytest.mark.parametrize(
    ("first", "second", "told", "end"),
    [
        ("cancel", "cancel", (200, "INVALID_STATE"), ("cancelled", "paid", 0, 2500)),
        ("cancel", "move", (200, "INVALID_STATE"), ("cancelled", "paid", 0, 2500)),
        ("move", "cancel", (200, 200), ("cancelled", "paid", 0, 2500)),
        # The dashboard gave everything back already: what we owe then is refused there, and does no harm.
        ("cancel", "refund", (200, 200), ("cancelled", "refunded", 0, 2500)),
        ("refund", "cancel", (200, "INVALID_STATE"), ("cancelled", "refunded", 0, 0)),
        ("move", "refund", (200, 200), ("cancelled", "refunded", 0, 0)),
        ("refund", "move", (200, "INVALID_STATE"), ("cancelled", "refunded", 0, 0)),
        ("refund", "refund", (200, 200), ("cancelled", "refunded", 0, 0)),
    ],
)
def test_whoever_comes_in_the_middle_of_what_happens_to_a_paid_booking_finds_it_whole(
    paid, meeting, first, second, told, end
):
    assert meet(paid, meeting, first, second) == told
    assert paid.end() == end
    assert wrong_now() == {}


@pytest.mark.parametrize(
    ("scene", "first", "second", "told", "broken"),
    [
        # The move names the status that it read, so the slower one is turned away for nothing. An event comes again.
        ("hold", "pay", "cancel", ("INTERNAL_ERROR", 200), None),
        ("hold", "cancel", "pay", ("INVALID_STATE", 200), None),
        ("hold", "pay", "expire", ("INTERNAL_ERROR", True), None),
        ("hold", "expire", "pay", ("INVALID_STATE", 200), None),
        ("hold", "pay", "refund", ("INTERNAL_ERROR", 200), None),
        ("paid", "cancel", "cancel", ("INVALID_STATE", 200), None),
        ("paid", "refund", "cancel", ("INTERNAL_ERROR", 200), None),
        # Moving a booking moves no status, so nothing but the lock can help.
        ("hold", "move", "cancel", (200, 200), "a booking that is over holds a seat"),
        ("hold", "move", "expire", (200, True), "a booking that is over holds a seat"),
        ("paid", "move", "cancel", (200, 200), "a booking that is over holds a seat"),
        ("paid", "move", "refund", (200, 200), "a booking that is over holds a seat"),
    ],
)
def test_control_without_locks_somebody_is_refused_or_a_seat_is_lost(
    request, unlocked, meeting, scene, first, second, told, broken
):
    assert meet(request.getfixturevalue(scene), meeting, first, second) == told
    assert wrong_now() == ({broken: 1} if broken else {})


@pytest.mark.parametrize(
    ("first", "second", "broken"),
    [
        ("pay", "cancel", "a booking that stands holds no seat"),
        ("cancel", "pay", "money is kept for nothing"),
        ("pay", "expire", "a booking that stands holds no seat"),
        ("expire", "pay", "money is kept for nothing"),
        ("refund", "pay", "a booking is confirmed without its money"),
    ],
)
def test_control_without_locks_and_careful_moves_seats_and_money_are_lost(
    hold, careless, meeting, first, second, broken
):
    meet(hold, meeting, first, second)
    assert wrong_now() == {broken: 1}


# --- The last seat ---------------------------------------------------------------------------------------------------


def book(child, session):
    return bookings.book(parent=child.parent, child=child, session=session, now=timezone.now())


def test_who_comes_while_the_last_seat_is_being_taken_finds_the_session_full(meeting):
    session = SessionFactory(capacity=1)
    one, two = ChildFactory(), ChildFactory()
    got = meeting.of(lambda: book(one, session), lambda: book(two, session))
    assert [words(each) for each in got] == ["done", "SESSION_FULL"]
    assert wrong_now() == {}


def test_control_without_the_lock_the_first_comer_loses_the_last_seat(unlocked, meeting):
    session = SessionFactory(capacity=1)
    one, two = ChildFactory(), ChildFactory()
    got = meeting.of(lambda: book(one, session), lambda: book(two, session))
    # The CHECK refused what the look had allowed.
    assert [words(each) for each in got] == ["SESSION_FULL", "done"]
    assert wrong_now() == {}


def test_control_packages_that_lock_their_sessions_in_opposite_orders_deadlock(at_once, monkeypatch):
    each_has_one = threading.Barrier(2)
    orders = iter(["pk", "-pk"])

    look = places.look

    def look_one_by_one(*, child_id, session_ids):
        for number, each in enumerate(bookings.sessions_by_id(session_ids).order_by(next(orders))):
            look(child_id=child_id, session_ids=[each.pk])
            if number == 0:
                each_has_one.wait(PATIENCE)
        return look(child_id=child_id, session_ids=session_ids)

    monkeypatch.setattr(places, "look", look_one_by_one)
    offering = OfferingFactory(type="multi_session", session_count=2)
    first, _ = [SessionFactory(offering=offering, starts_at=in_days(days)) for days in (7, 8)]
    told = at_once(lambda child: book(child, first), [ChildFactory(), ChildFactory()])
    # One is taken out by PostgreSQL. In id order none is (tests/bookings/test_create_booking_races.py).
    assert sorted(words(each) for each in told) == ["OperationalError", "done"]
    assert wrong_now() == {}


# --- Two checkouts, two workers --------------------------------------------------------------------------------------


def check_out(booking):
    return services.claim_payment(booking_id=booking.pk, processor_name=None, now=timezone.now())[0].pk


def test_two_checkouts_share_one_payment(meeting):
    booking = BookingFactory()
    one, two = meeting.of(lambda: check_out(booking), lambda: check_out(booking))
    assert one == two == Payment.objects.get().pk


def test_control_without_the_lock_the_slower_checkout_meets_the_unique_index(unlocked, meeting):
    booking = BookingFactory()
    got = meeting.of(lambda: check_out(booking), lambda: check_out(booking))
    assert words(got[0]) == "IntegrityError"
    assert got[1] == Payment.objects.get().pk


@pytest.fixture
def two_senders(sandbox, at_once, monkeypatch):
    """Has a refund sent by two workers at once; gives how often Stripe was asked."""
    booking = BookingFactory()
    payment = services.start_checkout(booking=booking, processor_name=None, now=timezone.now())
    made = act(sandbox, payment.processor_checkout_id)["paymentId"]
    Payment.objects.filter(pk=payment.pk).update(status="paid", paid_at=in_days(0), processor_payment_id=made)
    refund = Refund.objects.create(
        payment=payment, amount_cents=2500, currency="USD", reason="Asked.", next_attempt_at=in_days(-1)
    )
    asked, both_asked = [], threading.Event()
    ask = Stripe.refund

    def refund_at_the_same_time(self, **arguments):
        asked.append(arguments["refund_id"])
        if len(asked) == 2:
            both_asked.set()
        # In vain where the claim works: the other worker has nothing to ask.
        both_asked.wait(0.5)
        return ask(self, **arguments)

    monkeypatch.setattr(Stripe, "refund", refund_at_the_same_time)

    def run():
        at_once(lambda _: services.send(refund.pk, now=timezone.now()), [1, 2])
        given = Stripe().client.v1.refunds.list({"payment_intent": made}).data
        return len(asked), [(each.status, each.amount) for each in given]

    return run


def test_two_workers_ask_for_a_refund_once(two_senders):
    assert two_senders() == (1, [("succeeded", 2500)])


def test_control_without_the_claim_the_processors_key_has_the_last_word(two_senders, unlocked, monkeypatch):
    everybody_looked = threading.Barrier(2)
    save = Refund.save

    def save_together(*args, **kwargs):
        everybody_looked.wait(PATIENCE)
        return save(*args, **kwargs)

    monkeypatch.setattr(Refund, "save", save_together)
    assert two_senders() == (2, [("succeeded", 2500)])


# --- Twins -----------------------------------------------------------------------------------------------------------


def test_control_twins_without_their_key_are_two_requests(api, at_once, monkeypatch):
    monkeypatch.setattr(idempotency, "_store", lambda claim: True)
    monkeypatch.setattr(idempotency.IdempotencyKey, "save", lambda *_, **__: None)
    session, child = SessionFactory(), ChildFactory()
    sibling = ChildFactory(parent=child.parent)

    def ask(child):
        body = {"sessionId": str(session.pk), "childId": str(child.pk)}
        return api.as_user(child.parent.user).post("/v1/me/bookings", body, Idempotency_Key="one")

    # With the key it is one booking, and the same answer twice (tests/bookings/test_create_booking_races.py).
    assert sorted(str(words(each)) for each in at_once(ask, [child, child])) == ["201", "ALREADY_BOOKED"]
    # With the key it is one booking, and a refusal (tests/core/test_idempotency.py).
    assert [words(each) for each in at_once(ask, [sibling, ChildFactory(parent=child.parent)])] == [201, 201]


def told_twice(api, meeting):
    """Two different events tell at once of the same money, which came too late: the answers, the cents to go back."""
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"))
    one, two = checkout(payment), checkout(payment)
    got = meeting.of(lambda: post_stripe(api, one), lambda: post_stripe(api, two))
    assert wrong_now() == {}
    return [words(each) for each in got], sum(Refund.objects.values_list("amount_cents", flat=True))


def test_two_tellings_of_the_same_money_owe_one_refund(api, meeting):
    assert told_twice(api, meeting) == ([200, 200], 2500)


def test_control_without_the_lock_the_slower_telling_must_come_again(api, unlocked, meeting):
    assert told_twice(api, meeting) == (["INTERNAL_ERROR", 200], 2500)
