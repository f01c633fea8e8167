"""The inbox: what is stored of an event, what happens when it fails, and how it is taken up again."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction

from bookings import services as bookings
from bookings.models import Booking, Seat
from core.errors import InvalidState
from marketplace.models import Session
from payments import effects, events
from payments.models import Payment, Refund, WebhookEvent
from payments.processors import processor
from payments.tasks import replay_event, replay_events
from tests.factories import BookingFactory, PaymentFactory, in_days
from tests.payments.conftest import out_of_order, wait_until
from tests.payments.signed import (
    authorized,
    captured,
    charge_refunded,
    checkout,
    declined,
    disputed,
    order_paid,
    post_razorpay,
    post_stripe,
    private_parts_of,
    razorpay_signature,
    refund_event,
    rzp_disputed,
    rzp_failed,
    rzp_refund,
    stripe_signature,
)

pytestmark = pytest.mark.django_db

STRIPE_EVENTS = {
    "paid": checkout,
    "paid later": lambda payment: checkout(payment, "async_payment_succeeded"),
    "unpaid": lambda payment: checkout(payment, payment_status="unpaid"),
    "expired": lambda payment: checkout(payment, "expired"),
    "refused": lambda payment: checkout(payment, "async_payment_failed"),
    "declined": declined,
    "refunded in full": charge_refunded,
    "refund": refund_event,
    "part of a refund": lambda payment: refund_event(payment, "created", cents=1000, status="pending"),
    "failed refund": lambda payment: refund_event(payment, "failed", status="failed"),
    "disputed": disputed,
    "wrong amount": lambda payment: checkout(payment, amount_total=1),
    "other mode": lambda payment: checkout(payment, event={"livemode": True}),
}
RAZORPAY_EVENTS = {
    "paid": captured,
    "order paid": order_paid,
    "authorised": authorized,
    "failed": rzp_failed,
    "refund": rzp_refund,
    "failed refund": lambda payment: rzp_refund(payment, "failed"),
    "disputed": rzp_disputed,
    "wrong currency": lambda payment: captured(payment, currency="USD"),
}


@pytest.fixture
def payment():
    return PaymentFactory()


def state(payment):
    """Payment, booking, seats held, seats counted: everything that an event could move."""
    payment = Payment.objects.select_related("booking__session").get(pk=payment.pk)
    held = Seat.objects.held().filter(booking=payment.booking).count()
    return payment.status, payment.booking.status, held, payment.booking.session.enrolled


def stored():
    return WebhookEvent.objects.get()


def facts(event):
    return event.status, event.attempts, event.error, event.note


# --- When something fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "when"),
    [("bookings_booking", "UPDATE"), ("payments_payment", "UPDATE"), ("payments_webhookevent", "UPDATE")],
)
def test_a_crash_is_a_5xx_that_undoes_everything_but_the_note_and_the_next_delivery_works(api, payment, table, when):
    event = checkout(payment)
    with out_of_order(table, when):
        answer = post_stripe(api, event)
    assert answer.status in (500, 503)
    assert "disk" not in answer.content.decode()
    assert state(payment) == ("pending", "pending_payment", 1, 1)
    assert facts(stored()) == ("failed", 1, "django.db.utils.OperationalError 53100", "")
    assert stored().payment_id == payment.pk
    assert post_stripe(api, event).status == 200
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert facts(stored()) == ("processed", 2, "", "paid, booking confirmed")
    assert stored().payment_id == payment.pk


def test_without_even_the_inbox_the_answer_is_a_5xx_and_the_next_delivery_works(api, payment):
    event = checkout(payment)
    with out_of_order("payments_webhookevent", "INSERT"):
        assert post_stripe(api, event).status in (500, 503)
    assert not WebhookEvent.objects.exists()
    assert state(payment) == ("pending", "pending_payment", 1, 1)
    assert post_stripe(api, event).status == 200
    assert state(payment) == ("paid", "confirmed", 1, 1)


def test_every_further_failure_is_counted(api, payment):
    event = checkout(payment)
    with out_of_order("bookings_booking", "UPDATE"):
        for attempts in (1, 2, 3):
            assert post_stripe(api, event).status in (500, 503)
            assert stored().attempts == attempts
    assert post_stripe(api, event).status == 200
    assert facts(stored())[:2] == ("processed", 4)
    assert post_stripe(api, event).status == 200
    assert facts(stored())[:2] == ("processed", 4)


def test_a_crash_while_the_refund_is_written_down_leaves_the_money_for_the_next_try(api):
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"))
    event = checkout(payment)
    with out_of_order("payments_refund", "INSERT"):
        assert post_stripe(api, event).status in (500, 503)
    assert state(payment)[0] == "pending"
    assert post_stripe(api, event).status == 200
    assert state(payment)[0] == "paid"
    assert list(payment.refunds.values_list("status", "amount_cents")) == [("pending", 2500)]


def test_a_refusal_by_our_own_rules_is_our_fault_too(api, payment, monkeypatch):
    def refuse(*args, **kwargs):
        raise InvalidState("A payment that is pending cannot become paid.")

    monkeypatch.setattr(effects, "paid", refuse)
    answer = post_stripe(api, checkout(payment))
    assert answer.code == (500, "INTERNAL_ERROR")
    assert state(payment) == ("pending", "pending_payment", 1, 1)
    said = "Unprocessable: checkout.session.completed: A payment that is pending cannot become paid."
    assert facts(stored()) == ("failed", 1, said, "")


@pytest.mark.parametrize("error", [ValueError("zoe.parent@example.com"), KeyError("+15125550123"), RecursionError()])
def test_the_note_of_a_failure_names_its_kind_and_nobody(api, payment, monkeypatch, error):
    def crash(*args, **kwargs):
        raise error

    monkeypatch.setattr(effects, "paid", crash)
    assert post_stripe(api, checkout(payment)).code == (500, "INTERNAL_ERROR")
    assert stored().error == type(error).__name__
    assert private_parts_of(json.dumps(stored().payload, ensure_ascii=False) + stored().error) == []


def test_razorpays_event_is_taken_up_again_by_its_body_under_another_id(api, india):
    payment = PaymentFactory()
    event = captured(payment)
    with out_of_order("bookings_booking", "UPDATE"):
        assert post_razorpay(api, event, event_id="evt_1").status in (500, 503)
    assert post_razorpay(api, event, event_id="evt_2").status == 200
    assert (stored().event_id, stored().status, stored().attempts) == ("evt_1", "processed", 2)
    assert state(payment) == ("paid", "confirmed", 1, 1)


# --- Taking it up again ----------------------------------------------------------------------------------------------


def read(name, event):
    """The outcome of an event as it comes in."""
    raw = json.dumps(event, ensure_ascii=False).encode()
    if name == "stripe":
        return processor(name).read_event(raw, {"Stripe-Signature": stripe_signature(raw)})
    headers = {"X-Razorpay-Signature": razorpay_signature(raw), "X-Razorpay-Event-Id": "evt_1"}
    return processor(name).read_event(raw, headers)


def all_kinds(request, name):
    if name == "razorpay":
        request.getfixturevalue("india")
    return STRIPE_EVENTS if name == "stripe" else RAZORPAY_EVENTS


@pytest.mark.parametrize("name", ["stripe", "razorpay"])
@pytest.mark.parametrize("status", ["pending", "paid"])
def test_what_is_stored_says_all_that_the_event_said(request, name, status):
    for kind, make in all_kinds(request, name).items():
        outcome = read(name, make(PaymentFactory(status=status)))
        row = WebhookEvent.objects.create(
            processor=name, event_id=kind, body_sha256=kind, type=outcome.type, payload=outcome.payload
        )
        row.refresh_from_db()
        assert processor(name).outcome(row.payload, outcome.event_id) == outcome, kind
        assert private_parts_of(json.dumps(row.payload, ensure_ascii=False)) == [], kind


@pytest.mark.parametrize("name", ["stripe", "razorpay"])
@pytest.mark.parametrize("status", ["pending", "paid"])
def test_a_replay_has_the_same_effect_as_the_delivery_would_have_had(request, api, name, status, now):
    post = post_stripe if name == "stripe" else post_razorpay

    def scene():
        booking = BookingFactory(status="confirmed" if status == "paid" else "pending_payment")
        return PaymentFactory(booking=booking, status=status)

    def outcome_of(payment, event):
        event.refresh_from_db()
        row = Payment.objects.get(pk=payment.pk)
        known = (row.status_reason, row.needs_review, bool(row.processor_payment_id), bool(row.paid_at))
        refunds = list(payment.refunds.values_list("status", "amount_cents", "reason"))
        return state(payment), known, refunds, event.status, event.note, event.error, bool(event.payment_id)

    for kind, make in all_kinds(request, name).items():
        delivered, replayed = scene(), scene()
        assert post(api, make(delivered)).status == 200
        first = WebhookEvent.objects.latest("created_at")
        outcome = read(name, make(replayed))
        second = WebhookEvent.objects.create(
            processor=name, event_id=f"{outcome.event_id} {kind}", body_sha256=kind, type=outcome.type,
            payload=outcome.payload, processor_payment_id=outcome.processor_payment_id, status="failed", attempts=1,
            error="x",
        )  # fmt: skip
        events.replay(second.pk, now=now)
        assert outcome_of(replayed, second) == outcome_of(delivered, first), kind
        assert WebhookEvent.objects.get(pk=second.pk).attempts == 2


def failed_event(api, payment, make=checkout):
    with out_of_order("bookings_booking", "UPDATE"):
        assert post_stripe(api, make(payment)).status in (500, 503)
    return WebhookEvent.objects.get(status="failed")


def test_a_replay_works_once(api, payment, now):
    event = failed_event(api, payment)
    for _ in range(2):
        assert events.replay(event.pk, now=now).status == "processed"
    assert facts(stored())[:2] == ("processed", 2)
    assert state(payment) == ("paid", "confirmed", 1, 1)


def test_a_replay_that_fails_again_is_counted_and_told(api, payment):
    event = failed_event(api, payment)
    with out_of_order("payments_payment", "UPDATE"), pytest.raises(Exception, match="disk full"):
        replay_event(str(event.pk))
    assert facts(stored())[:2] == ("failed", 2)
    assert state(payment) == ("pending", "pending_payment", 1, 1)


def test_what_was_processed_or_ignored_is_left_alone_by_a_replay(api, payment, now):
    assert post_stripe(api, checkout(payment)).status == 200
    assert post_stripe(api, checkout(payment, id="cs_foreign", metadata={})).status == 200
    for event in WebhookEvent.objects.all():
        before = facts(event)
        assert facts(events.replay(event.pk, now=now)) == before


def test_the_sweep_takes_up_what_failed_for_a_while_and_not_too_often(api, tasks, now):
    def event(number, **fields):
        WebhookEvent.objects.create(
            processor="stripe", event_id=f"evt_{number}", body_sha256=str(number), type="x", payload={}, **fields
        )

    due = failed_event(api, PaymentFactory())
    event(1, status="failed", attempts=10)
    event(2, status="processed")
    event(3, status="ignored")
    WebhookEvent.objects.update(updated_at=now - timedelta(minutes=6))
    event(4, status="failed", attempts=1)
    replay_events()
    assert tasks == [("payments.tasks.replay_event", (str(due.pk),))]


# --- In time ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("copies", [1, 3])
def test_behind_a_lock_that_nobody_gives_back_the_answer_comes_within_five_seconds(api, at_once, payment, copies):
    """Also for twins, which wait for each other before they wait for the lock."""
    event, took, held = checkout(payment), [], threading.Event()

    def deliver():
        held.wait(10)
        started = time.monotonic()
        answer = post_stripe(api, event)
        took.append(time.monotonic() - started)
        return answer.status

    def hold():
        with transaction.atomic():
            Session.objects.select_for_update().get(pk=payment.booking.session_id)
            held.set()
            wait_until(lambda: len(took) == copies, seconds=30)

    statuses = at_once(lambda run: run(), [hold, *[deliver] * copies])[1:]
    assert statuses == [503] * copies
    assert max(took) < 5
    assert (stored().status, state(payment)[0]) == ("failed", "pending")
    assert post_stripe(api, event).status == 200
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert stored().status == "processed"


def test_the_time_for_all_statements_together_is_bounded_and_then_given_back():
    def limit():
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            return cursor.fetchone()[0]

    before = limit()
    with transaction.atomic(), events.within(2):
        assert limit() != before
    assert limit() == before
    with pytest.raises(Exception, match="out of time"), transaction.atomic(), events.within(0):
        limit()
    assert limit() == before


# --- Two at once -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_replay_and_a_delivery_at_once_carry_the_event_out_once(api, overtaken, payment, now, monkeypatch):
    event = checkout(payment)
    with out_of_order("bookings_booking", "UPDATE"):
        assert post_stripe(api, event).status in (500, 503)
    entered = count_calls(monkeypatch, effects, "paid")
    results = overtaken(
        (bookings, "lock_booking"),
        lambda: events.replay(stored().pk, now=now).status,
        lambda: post_stripe(api, event).status,
    )
    assert results == ["processed", 200]
    assert entered == ["paid"]
    assert facts(stored())[:2] == ("processed", 2)
    assert state(payment) == ("paid", "confirmed", 1, 1)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_locks_both_carry_it_out(api, overtaken, payment, now, monkeypatch):
    event = checkout(payment)
    with out_of_order("bookings_booking", "UPDATE"):
        assert post_stripe(api, event).status in (500, 503)
    entered = count_calls(monkeypatch, effects, "paid")
    monkeypatch.setattr("django.db.models.query.QuerySet.select_for_update", lambda self, **_: self._chain())
    monkeypatch.setattr(events, "lock_money", lambda event: None)
    overtaken(
        (bookings, "lock_booking"),
        lambda: events.replay(stored().pk, now=now).status,
        lambda: post_stripe(api, event).status,
    )
    assert entered == ["paid", "paid"]


def count_calls(monkeypatch, owner, name):
    calls, function = [], getattr(owner, name)

    def counted(*args, **kwargs):
        calls.append(name)
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


@pytest.mark.django_db(transaction=True)
def test_the_note_of_a_failure_never_undoes_a_twin_that_worked(api, payment, overtaken, monkeypatch):
    """The first delivery fails; before it has noted that, the second one carries the event out."""
    event, broken = checkout(payment), []

    def break_once(*args, **kwargs):
        if not broken:
            broken.append(1)
            raise RuntimeError
        return paid(*args, **kwargs)

    paid = effects.paid
    monkeypatch.setattr(effects, "paid", break_once)
    results = overtaken(
        (events, "in_words"), lambda: post_stripe(api, event).status, lambda: post_stripe(api, event).status
    )
    assert results == [500, 200]
    assert facts(stored()) == ("processed", 1, "", "paid, booking confirmed")
    assert state(payment) == ("paid", "confirmed", 1, 1)


# --- Events that come before the payment that they are about ---------------------------------------------------------


def before_paid(payment):
    """A refund of everything and a dispute, told of a payment intent that we do not know yet."""
    return {"refund": refund_event(payment), "dispute": disputed(payment)}


@pytest.mark.parametrize("order", [("refund", "dispute", "paid"), ("dispute", "refund", "paid")])
def test_what_came_before_its_payment_is_carried_out_first_when_the_payment_comes(api, payment, order):
    told = before_paid(payment) | {"paid": checkout(payment)}
    for name in order[:2]:
        assert post_stripe(api, told[name]).status == 200
    waiting = WebhookEvent.objects.all()
    assert {facts(each) for each in waiting} == {("ignored", 1, "", "waits for its payment")}
    assert state(payment) == ("pending", "pending_payment", 1, 1)
    assert post_stripe(api, told["paid"]).status == 200
    # As if it had been told in full before: refunded, and never confirmed.
    assert state(payment) == ("refunded", "pending_payment", 1, 1)
    assert list(payment.refunds.values_list("status", "amount_cents")) == [("succeeded", 2500)]
    assert Payment.objects.get(pk=payment.pk).needs_review is True
    assert set(WebhookEvent.objects.values_list("status", "payment")) == {("processed", payment.pk)}


def test_a_partial_refund_that_came_before_its_payment_gets_its_row_and_the_booking_stands(api, payment):
    assert post_stripe(api, refund_event(payment, cents=1000)).status == 200
    assert not Refund.objects.exists()
    assert post_stripe(api, checkout(payment)).status == 200
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert list(payment.refunds.values_list("status", "amount_cents")) == [("succeeded", 1000)]


def test_a_refund_whose_payment_came_whole_is_known_by_its_note(api, payment):
    event = refund_event(payment, payment_intent={"id": "pi_1", "metadata": {"payment_id": str(payment.pk)}})
    assert post_stripe(api, event).status == 200
    assert state(payment)[0] == "refunded"
    assert Payment.objects.get(pk=payment.pk).processor_payment_id == "pi_1"


@pytest.mark.parametrize("reverse", [False, True])
def test_news_of_a_second_payment_waits_for_that_payments_row(api, india, reverse):
    """A refund of the second payment of one order, told before the payment itself, leaves the first one alone."""
    payment = PaymentFactory()
    second = PaymentFactory.build(
        booking=payment.booking, pk=payment.pk, processor_checkout_id=payment.processor_checkout_id,
        processor_payment_id="pay_Second00000001", processor="razorpay",
    )  # fmt: skip
    assert post_razorpay(api, captured(payment)).status == 200
    told = [captured(second), rzp_refund(second)]
    for event in reversed(told) if reverse else told:
        assert post_razorpay(api, event).status == 200
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert not payment.refunds.exists()
    row = Payment.objects.get(processor_payment_id="pay_Second00000001")
    assert row.status == "refunded"
    # What we owed gave way to what somebody had given back by hand.
    assert sorted(row.refunds.values_list("status", "amount_cents")) == [("failed", 2500), ("succeeded", 2500)]
    assert row.needs_review is False


def test_a_payment_that_comes_after_its_refund_was_taken_back_is_paid_and_flagged(api, payment):
    refund = refund_event(
        payment, id="re_1", payment_intent={"id": "pi_1", "metadata": {"payment_id": str(payment.pk)}}
    )
    failed = refund_event(payment, "failed", id="re_1", status="failed", payment_intent="pi_1")
    for event in (refund, failed, checkout(payment, payment_intent="pi_1")):
        assert post_stripe(api, event).status == 200
    # The money is here, and a full refund of it was told, so that nobody is confirmed without ops.
    assert state(payment) == ("paid", "pending_payment", 1, 1)
    assert list(payment.refunds.values_list("status", "amount_cents")) == [("failed", 2500)]
    assert Payment.objects.get(pk=payment.pk).needs_review is True


def test_one_that_waited_and_cannot_be_carried_out_fails_alone(api, payment):
    # A refund of nothing, which our rules and the database refuse.
    assert post_stripe(api, refund_event(payment, amount=0)).status == 200
    assert post_stripe(api, refund_event(payment, cents=700)).status == 200
    assert post_stripe(api, checkout(payment)).status == 200
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert list(payment.refunds.values_list("amount_cents", flat=True)) == [700]
    (broken,) = WebhookEvent.objects.filter(status="failed")
    assert broken.error == "django.db.utils.IntegrityError 23514 payments_refund refund_amount_positive"
    assert broken.payment_id == payment.pk


@pytest.mark.django_db(transaction=True)
def test_news_of_a_second_payment_that_waited_for_the_first_leaves_the_first_alone(api, india, overtaken):
    """When the refund looked, nobody knew whose it was; when it has the lock, the first payment is known."""
    payment = PaymentFactory()
    second = PaymentFactory.build(
        booking=payment.booking, pk=payment.pk, processor_checkout_id=payment.processor_checkout_id,
        processor_payment_id="pay_Second00000001", processor="razorpay",
    )  # fmt: skip
    results = overtaken(
        (events, "find_payment"),
        lambda: post_razorpay(api, rzp_refund(second)).status,
        lambda: post_razorpay(api, captured(payment)).status,
    )
    assert results == [200, 200]
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert WebhookEvent.objects.get(status="ignored").note == "waits for its payment"


@pytest.mark.django_db(transaction=True)
def test_a_refund_and_its_payment_at_once_do_not_miss_each_other(api, payment, overtaken):
    results = overtaken(
        (events, "find_payment"),
        lambda: post_stripe(api, refund_event(payment)).status,
        lambda: post_stripe(api, checkout(payment)).status,
    )
    assert results == [200, 200]
    assert state(payment) == ("refunded", "pending_payment", 1, 1)
    assert set(WebhookEvent.objects.values_list("status", flat=True)) == {"processed"}


@pytest.mark.django_db(transaction=True)
def test_control_without_taking_turns_the_refund_is_missed(api, payment, overtaken, monkeypatch):
    monkeypatch.setattr(events, "lock_money", lambda event: None)
    overtaken(
        (events, "find_payment"),
        lambda: post_stripe(api, refund_event(payment)).status,
        lambda: post_stripe(api, checkout(payment)).status,
    )
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert WebhookEvent.objects.filter(status="ignored").count() == 1


def test_late_money_after_a_refund_of_the_first_payment_goes_back(api, india):
    """One order, paid, refunded by hand, and then paid by a second payment that took days."""
    payment = PaymentFactory()
    first = captured(payment)
    assert post_razorpay(api, first).status == 200
    payment.refresh_from_db()
    assert post_razorpay(api, rzp_refund(payment)).status == 200
    assert state(payment) == ("refunded", "cancelled", 0, 0)
    assert post_razorpay(api, captured(payment, id="pay_Late0000000001")).status == 200
    late = Payment.objects.get(processor_payment_id="pay_Late0000000001")
    assert (late.status, list(late.refunds.values_list("status", "amount_cents"))) == ("paid", [("pending", 2500)])
    assert Booking.objects.get(pk=payment.booking_id).status == "cancelled"


# --- What we owe, and what somebody gives back by hand ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("by_hand", "attempts", "ours", "flagged"),
    [
        (2500, 0, ("failed", 2500), False),
        (1000, 0, ("pending", 1500), False),
        (2500, 3, ("failed", 2500), False),
        # It may have been asked for with its amount, which cannot be taken any more: for ops.
        (1000, 3, ("failed", 2500), True),
    ],
)
def test_what_we_owe_gives_way_to_what_was_given_back_by_hand(api, by_hand, attempts, ours, flagged):
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid")
    refund = Refund.objects.create(
        payment=payment, amount_cents=2500, currency="USD", reason="Cancelled.", next_attempt_at=in_days(0),
        attempts=attempts,
    )  # fmt: skip
    assert post_stripe(api, refund_event(payment, cents=by_hand)).status == 200
    refund.refresh_from_db()
    assert (refund.status, refund.amount_cents) == ours
    payment.refresh_from_db()
    assert payment.needs_review is flagged
    going = payment.refunds.exclude(status="failed").values_list("amount_cents", flat=True)
    assert sum(going) <= payment.amount_cents
