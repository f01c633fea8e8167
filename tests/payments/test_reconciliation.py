"""The beat tasks that compare the processors' books with ours."""

import logging
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import QuerySet

from bookings.models import Booking
from payments import events, reconciliation
from payments.models import Payment, Reconciliation, Refund, WebhookEvent
from payments.processors import MoneyIn, ProcessorUnavailable, Signal, processor
from payments.processors.razorpay import Razorpay
from payments.processors.stripe import Stripe
from payments.services import EVENT_MISSING, send, start_checkout
from payments.tasks import reconcile_events, reconcile_payments, reconcile_refunds
from tests.conftest import free_port
from tests.factories import BookingFactory, PaymentFactory, in_days
from tests.payments.conftest import act, wait_until
from tests.payments.signed import captured, checkout, post_razorpay, post_stripe

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sandbox")]

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def books(sandbox, monkeypatch):
    """Both processors' books are read up to a second in which nothing has happened yet; the time of it."""
    monkeypatch.setattr(Stripe, "news_overlap", timedelta())
    last = int(time.time())
    wait_until(lambda: time.time() >= last + 1)
    here = datetime.fromtimestamp(last + 1, UTC)
    for name in ("stripe", "razorpay"):
        Reconciliation.objects.create(processor=name, until=here)
    return here


@pytest.fixture
def alerts(caplog):
    """What was told to ops, as (words, the row or payment that it was about)."""
    caplog.set_level(logging.ERROR, logger="juniro.payments")

    def told():
        lines = [record.msg for record in caplog.records if record.levelname == "ERROR"]
        return [(line["event"], line.get("payment") or line.get("refund")) for line in lines]

    return told


def opened(**booking):
    """A checkout that is really open at the processor, since a while."""
    payment = start_checkout(booking=BookingFactory(**booking), processor_name=None, now=in_days(0))
    Payment.objects.filter(pk=payment.pk).update(created_at=in_days(0) - 20 * MINUTE)
    return payment


def paid_at(sandbox, payment, action="pay", **fields):
    """Has the checkout paid; the webhook is not delivered. Gives the processor's payment and event ids."""
    answer = act(sandbox, payment.processor_checkout_id, action, **fields)
    return answer["paymentId"], [event["id"] for event in answer["events"]]


def statuses(payment):
    payment = Payment.objects.select_related("booking").get(pk=payment.pk)
    return payment.status, payment.booking.status


def review(payment):
    return Payment.objects.values_list("needs_review", "status_reason").get(pk=payment.pk)


def compare(name, now):
    return reconciliation.compare_books(name, now=now)


# --- Events that never came ------------------------------------------------------------------------------------------


def test_an_event_that_was_lost_is_fetched_and_confirms_the_booking(sandbox, books, tasks):
    payment = opened()
    _, (event_id,) = paid_at(sandbox, payment)
    assert compare("stripe", books + 6 * MINUTE) == 1
    assert statuses(payment) == ("paid", "confirmed")
    event = WebhookEvent.objects.get()
    assert (event.event_id, event.status, event.note) == (event_id, "processed", "paid, booking confirmed")
    assert review(payment) == (False, None)


def test_what_is_still_on_its_way_is_left_to_arrive(sandbox, books):
    payment = opened()
    paid_at(sandbox, payment)
    assert compare("stripe", books + 4 * MINUTE) == 0
    assert statuses(payment) == ("pending", "pending_payment")


def test_an_event_that_came_is_not_taken_up_again(api, sandbox, books):
    payment = opened()
    intent, (event_id,) = paid_at(sandbox, payment)
    assert post_stripe(api, checkout(payment, payment_intent=intent, event={"id": event_id})).status == 200
    assert compare("stripe", books + 6 * MINUTE) == 0
    assert WebhookEvent.objects.get().attempts == 1


def test_an_event_that_comes_after_it_was_fetched_does_nothing_more(api, sandbox, books):
    payment = opened()
    intent, (event_id,) = paid_at(sandbox, payment)
    compare("stripe", books + 6 * MINUTE)
    assert post_stripe(api, checkout(payment, payment_intent=intent, event={"id": event_id})).status == 200
    assert WebhookEvent.objects.count() == 1
    assert statuses(payment) == ("paid", "confirmed")
    assert not Refund.objects.exists()


def test_all_kinds_of_events_are_fetched_in_their_order(sandbox, books):
    payment = opened()
    paid_at(sandbox, payment, "decline")
    paid_at(sandbox, payment)
    paid_at(sandbox, payment, "refund")
    assert compare("stripe", books + 6 * MINUTE) == 5
    assert statuses(payment) == ("refunded", "cancelled")
    types = list(WebhookEvent.objects.order_by("created_at", "pk").values_list("type", flat=True))
    assert types[:2] == ["payment_intent.payment_failed", "checkout.session.completed"]
    assert sorted(types[2:]) == ["charge.refunded", "refund.created", "refund.updated"]


def test_we_note_how_far_we_have_read_and_go_on_from_there(sandbox, books, monkeypatch):
    first = opened()
    paid_at(sandbox, first)
    compare("stripe", books + 6 * MINUTE)
    until = Reconciliation.objects.get(processor="stripe").until
    # As far as events were seen, not as far as the clock says.
    assert books < until <= datetime.now(UTC) + timedelta(seconds=1)
    second = opened()
    paid_at(sandbox, second)
    monkeypatch.setattr(Stripe, "news_overlap", timedelta(seconds=1))
    assert compare("stripe", books + 12 * MINUTE) == 1
    assert statuses(second) == ("paid", "confirmed")


def test_the_first_look_goes_three_days_back(sandbox, books):
    Reconciliation.objects.all().delete()
    payment = opened()
    paid_at(sandbox, payment)
    compare("stripe", books + 2 * DAY)
    assert statuses(payment) == ("paid", "confirmed")


def test_an_outage_is_left_to_the_next_run(sandbox, books, monkeypatch):
    payment = opened()
    paid_at(sandbox, payment)
    sandbox.post("/faults", {"stripe": "down"})
    with pytest.raises(ProcessorUnavailable):
        compare("stripe", books + 6 * MINUTE)
    assert Reconciliation.objects.get(processor="stripe").until == books
    reconcile_events()
    sandbox.post("/faults", {"stripe": "up"})
    monkeypatch.setattr(Stripe, "news_lag", -MINUTE)
    reconcile_events()
    assert statuses(payment) == ("paid", "confirmed")


def test_a_refused_key_is_told_to_ops(books, settings, alerts, monkeypatch):
    monkeypatch.setattr(Stripe, "news_lag", -MINUTE)
    settings.STRIPE_SECRET_KEY = "sk_test_wrong_sandbox"
    processor.cache_clear()
    reconcile_events()
    assert alerts() == [("books not compared", None)]


def test_a_fetched_event_that_fails_is_in_the_inbox_and_does_not_stop_the_others(sandbox, books, monkeypatch):
    broken, sound = opened(), opened()
    for payment in (broken, sound):
        paid_at(sandbox, payment)
    apply = events.effects.apply

    def break_one(outcome, *, payment, **more):
        if payment.pk == broken.pk:
            raise ValueError
        return apply(outcome, payment=payment, **more)

    monkeypatch.setattr(events.effects, "apply", break_one)
    assert compare("stripe", books + 6 * MINUTE) == 1
    assert (statuses(broken)[0], statuses(sound)[0]) == ("pending", "paid")
    failed = WebhookEvent.objects.get(status="failed")
    assert (failed.error, failed.attempts) == ("ValueError", 1)
    # From now on it is the sweep's.
    compare("stripe", books + 7 * MINUTE)
    assert WebhookEvent.objects.get(status="failed").attempts == 1
    monkeypatch.setattr(events.effects, "apply", apply)
    events.replay(failed.pk, now=books)
    assert statuses(broken) == ("paid", "confirmed")


def test_money_by_an_event_that_names_no_payment_of_ours_is_alerted(sandbox, books, alerts):
    payment = opened()
    intent, _ = paid_at(sandbox, payment)
    Payment.objects.all().delete()
    compare("stripe", books + 6 * MINUTE)
    assert ("payment without a record", intent) in alerts()
    assert (WebhookEvent.objects.get().status, WebhookEvent.objects.get().note) == ("ignored", "not ours")


class Books:
    """A processor's list of news, of which it gives three at a time."""

    name = "stripe"

    def __init__(self, times):
        self.times, self.reads = sorted(times), 0

    def list_news(self, *, since, until):
        self.reads += 1
        found = [each for each in self.times if int(since.timestamp()) <= each < int(until.timestamp())]
        return [money(each) for each in found[-3:]], len(found) <= 3


def money(seconds):
    return MoneyIn(
        processor_payment_id=str(seconds),
        checkout_id=None,
        payment_id=None,
        amount_cents=1,
        currency="INR",
        at=datetime.fromtimestamp(seconds, UTC),
    )


@pytest.mark.parametrize(
    "times", [[], [5], [0, 1, 2, 3, 4, 5], [100, 200, 300, 86_300, 86_390, 86_395, 86_399], [9, 9, 9, 10, 10, 10]]
)
def test_where_there_is_much_the_time_is_cut_into_parts_and_nothing_is_left_out(times, monkeypatch):
    monkeypatch.setattr(reconciliation, "READS", 60)
    start, books = datetime.fromtimestamp(0, UTC), Books(times)
    read = list(reconciliation.read_in_parts(books, since=start, until=start + DAY))
    assert [int(each.at.timestamp()) for news, _ in read for each in news] == sorted(times)
    assert read[-1][1] == start + DAY
    assert books.reads < 60


def test_a_run_reads_a_bounded_number_of_times_and_the_next_one_goes_on():
    books = Books(range(0, 3600, 10))
    start = datetime.fromtimestamp(0, UTC)
    seen, since, runs = [], start, 0
    while since < start + timedelta(hours=1):
        books.reads, runs = 0, runs + 1
        for news, until in reconciliation.read_in_parts(books, since=since, until=start + timedelta(hours=1)):
            seen += [int(each.at.timestamp()) for each in news]
            since = until
        assert books.reads <= reconciliation.READS
    assert seen == books.times
    assert runs > 1


# --- Payments that stay open -----------------------------------------------------------------------------------------


def look_up(now):
    return reconciliation.look_up_payments(now=now)


def test_an_open_payment_is_looked_up_after_a_quarter_of_an_hour_and_then_again(sandbox, now):
    payment = opened()
    Payment.objects.update(created_at=now - 14 * MINUTE)
    assert look_up(now) == 0
    assert look_up(now + MINUTE) == 1
    assert look_up(now + 2 * MINUTE) == 0
    assert look_up(now + 16 * MINUTE) == 1
    payment.refresh_from_db()
    assert (payment.status, payment.looked_up_at, payment.needs_review) == ("pending", now + 16 * MINUTE, False)


def test_what_nobody_can_pay_or_ops_look_at_is_not_asked_about(sandbox, now):
    long_ago = in_days(-0.1)
    PaymentFactory(status="created", processor_checkout_id=None, created_at=long_ago)
    PaymentFactory(status="paid", created_at=long_ago)
    PaymentFactory(status="refunded", created_at=long_ago)
    PaymentFactory(needs_review=True, created_at=long_ago)
    PaymentFactory(created_at=in_days(-5))
    PaymentFactory(processor="razorpay", created_at=long_ago)
    assert look_up(now) == 0


def test_a_payment_found_paid_has_its_event_fetched(sandbox, now):
    payment = opened()
    paid_at(sandbox, payment)
    # Made just now: its event is on its way.
    assert look_up(now + 5 * MINUTE) == 1
    assert statuses(payment)[0] == "pending"
    assert look_up(now + 25 * MINUTE) == 1
    assert statuses(payment) == ("paid", "confirmed")
    assert review(payment) == (False, None)
    assert WebhookEvent.objects.get().type == "checkout.session.completed"


def test_a_payment_whose_event_stripe_does_not_know_is_flagged_and_never_marked_paid(sandbox, now, alerts):
    payment = opened()
    sandbox.post("/faults", {"unlisted": 1})
    paid_at(sandbox, payment)
    assert look_up(now + 25 * MINUTE) == 1
    assert statuses(payment) == ("pending", "pending_payment")
    assert review(payment) == (True, EVENT_MISSING)
    assert alerts() == [("paid without an event", str(payment.pk))]
    # Told once.
    assert look_up(now + 60 * MINUTE) == 0
    assert Payment.objects.get(pk=payment.pk).paid_at is None


def test_when_the_event_comes_after_all_the_flag_goes_and_the_booking_is_confirmed(api, sandbox, now):
    payment = opened()
    sandbox.post("/faults", {"unlisted": 1})
    intent, _ = paid_at(sandbox, payment)
    look_up(now + 25 * MINUTE)
    assert post_stripe(api, checkout(payment, payment_intent=intent)).status == 200
    assert statuses(payment) == ("paid", "confirmed")
    assert review(payment) == (False, None)


def test_an_outage_is_no_answer_and_the_next_run_asks_again(sandbox, now):
    payments = [opened(), opened()]
    for payment in payments:
        paid_at(sandbox, payment)
    sandbox.post("/faults", {"stripe": "down"})
    assert look_up(now + 25 * MINUTE) == 1
    sandbox.post("/faults", {"stripe": "up"})
    assert look_up(now + 26 * MINUTE) == 2
    assert {statuses(payment) for payment in payments} == {("paid", "confirmed")}


def test_a_checkout_that_the_processor_does_not_know_is_told_and_the_others_are_asked_about(sandbox, now, alerts):
    lost, payment = PaymentFactory(created_at=now - 20 * MINUTE), opened()
    paid_at(sandbox, payment)
    assert look_up(now + 25 * MINUTE) == 2
    assert alerts() == [("payment not looked up", str(lost.pk))]
    assert statuses(payment) == ("paid", "confirmed")


def test_a_run_asks_about_so_many_and_no_more(sandbox, now, monkeypatch):
    monkeypatch.setattr(reconciliation, "ROWS", 2)
    for _ in range(3):
        opened()
    assert [look_up(now + MINUTE), look_up(now + MINUTE), look_up(now + MINUTE)] == [2, 1, 0]


# --- Razorpay, which tells nothing again ------------------------------------------------------------------------------


def test_an_order_found_paid_is_flagged_and_never_marked_paid(api, sandbox, india, now, alerts):
    payment = opened()
    made, _ = paid_at(sandbox, payment)
    assert look_up(now + 5 * MINUTE) == 1
    assert review(payment) == (False, None)
    assert look_up(now + 25 * MINUTE) == 1
    assert statuses(payment) == ("pending", "pending_payment")
    assert review(payment) == (True, EVENT_MISSING)
    assert alerts() == [("paid without an event", str(payment.pk))]
    client = api.as_user(payment.booking.parent.user)
    again = client.post("/v1/payments/checkout", {"bookingId": str(payment.booking_id)}, Idempotency_Key="again")
    assert again.code == (409, "INVALID_STATE")
    assert post_razorpay(api, captured(payment, id=made)).status == 200
    assert statuses(payment) == ("paid", "confirmed")
    assert review(payment) == (False, None)


def test_a_failed_payment_is_asked_about_daily_for_four_days(sandbox, india, now, alerts):
    payment = opened()
    paid_at(sandbox, payment, "decline")
    Payment.objects.update(status="failed")
    Booking.objects.update(status="expired")
    assert [look_up(now + MINUTE), look_up(now + 2 * MINUTE)] == [1, 0]
    # Late authorisation: the same order is paid after all.
    paid_at(sandbox, payment)
    assert look_up(now + DAY + MINUTE) == 1
    assert review(payment) == (True, EVENT_MISSING)
    assert alerts() == [("paid without an event", str(payment.pk))]


def test_money_without_any_row_of_ours_is_alerted_once(sandbox, books, india, alerts):
    payment = opened()
    made, _ = paid_at(sandbox, payment)
    Payment.objects.all().delete()
    compare("razorpay", books + 30 * MINUTE)
    assert alerts() == []
    compare("razorpay", books + 62 * MINUTE)
    assert alerts() == [("payment without a record", made)]
    compare("razorpay", books + 70 * MINUTE)
    assert len(alerts()) == 1


def test_money_for_a_payment_of_ours_that_nobody_told_of_is_flagged(sandbox, books, india, alerts):
    payment = opened()
    paid_at(sandbox, payment)
    compare("razorpay", books + 62 * MINUTE)
    assert statuses(payment)[0] == "pending"
    assert review(payment) == (True, EVENT_MISSING)
    compare("razorpay", books + 63 * MINUTE)
    assert alerts() == [("paid without an event", str(payment.pk))]


def test_money_that_is_known_is_passed_over(api, sandbox, books, india, alerts):
    payment, refused = opened(), opened()
    made, _ = paid_at(sandbox, payment)
    assert post_razorpay(api, captured(payment, id=made)).status == 200
    paid_at(sandbox, refused, "decline")
    compare("razorpay", books + 62 * MINUTE)
    assert (alerts(), review(payment), review(refused)) == ([], (False, None), (False, None))


def test_a_second_payment_of_an_order_that_nobody_told_of_is_flagged(api, sandbox, books, india, alerts):
    payment = opened()
    assert post_razorpay(api, captured(payment, id="pay_TheFirst000001")).status == 200
    paid_at(sandbox, payment)
    compare("razorpay", books + 62 * MINUTE)
    assert review(payment) == (True, "Paid a second time at the processor, but no event came.")
    assert alerts() == [("second payment without an event", str(payment.pk))]
    assert statuses(payment) == ("paid", "confirmed")


# --- Refunds that nobody confirms ------------------------------------------------------------------------------------


def sent_refund(api, sandbox, now):
    """A refund that the processor took; what it says of it does not reach us."""
    payment = opened()
    made, _ = paid_at(sandbox, payment)
    post = post_stripe if payment.processor == "stripe" else post_razorpay
    event = checkout(payment, payment_intent=made) if payment.processor == "stripe" else captured(payment, id=made)
    assert post(api, event).status == 200
    refund = Refund.objects.create(
        payment=payment, amount_cents=2500, currency=payment.currency, reason="x", next_attempt_at=now
    )
    assert send(refund.pk, now=now) is True
    return refund


@pytest.fixture(params=["stripe", "razorpay"])
def either(request):
    """Each processor in turn."""
    if request.param == "razorpay":
        request.getfixturevalue("india")
    return request.param


@pytest.mark.parametrize(("fate", "flagged"), [("succeed", True), ("fail", True), ("pending", False)])
def test_a_refund_without_an_answer_is_asked_about_after_a_day_and_alerted(
    api, sandbox, either, now, alerts, fate, flagged
):
    sandbox.post("/faults", {"refunds": fate})
    refund = sent_refund(api, sandbox, now)
    assert reconciliation.look_up_refunds(now=now + DAY - MINUTE) == 0
    assert reconciliation.look_up_refunds(now=now + DAY) == 1
    assert alerts() == [("refund not confirmed", str(refund.pk))]
    says = {"succeed": "succeeded", "fail": "failed", "pending": "pending"}[fate]
    reason = f"A refund is {says} at the processor, but no event came." if flagged else None
    assert review(refund.payment) == (flagged, reason)
    refund.refresh_from_db()
    assert (refund.status, refund.payment.status) == ("sent", "paid")
    # Once a day, no more.
    assert reconciliation.look_up_refunds(now=now + DAY + MINUTE) == 0
    assert reconciliation.look_up_refunds(now=now + 2 * DAY) == 1


def test_a_refund_whose_processor_is_down_is_asked_about_in_the_next_run(api, sandbox, either, now, alerts):
    sent_refund(api, sandbox, now)
    sandbox.post("/faults", {"stripe": "down", "razorpay": "down"})
    assert reconciliation.look_up_refunds(now=now + DAY) == 1
    assert alerts() == []
    sandbox.post("/faults", {"stripe": "up", "razorpay": "up"})
    assert reconciliation.look_up_refunds(now=now + DAY) == 1
    assert len(alerts()) == 1


def test_the_tasks_run_with_nothing_to_do(books, settings):
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_port()}"
    processor.cache_clear()
    for task in (reconcile_events, reconcile_payments, reconcile_refunds):
        task()


# --- Two at once -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_that_compare_the_books_at_once_carry_each_event_out_once(sandbox, books, at_once):
    payments = [opened() for _ in range(4)]
    for payment in payments:
        paid_at(sandbox, payment)
    found = at_once(lambda _: compare("stripe", books + 6 * MINUTE), [1, 2, 3])
    assert sum(found) == 4
    assert {statuses(payment) for payment in payments} == {("paid", "confirmed")}
    assert list(WebhookEvent.objects.values_list("status", "attempts")) == [("processed", 1)] * 4


def asked_about(monkeypatch, owner):
    asked, ask = [], owner.money_by

    def counted(self, checkout_id):
        asked.append(checkout_id)
        return ask(self, checkout_id)

    monkeypatch.setattr(owner, "money_by", counted)
    return asked


@pytest.mark.django_db(transaction=True)
def test_two_that_look_payments_up_share_them(sandbox, now, at_once, monkeypatch):
    payments = [opened() for _ in range(4)]
    asked = asked_about(monkeypatch, Stripe)
    found = at_once(lambda _: look_up(now + 25 * MINUTE), [1, 2, 3])
    assert sum(found) == 4
    assert sorted(asked) == sorted(payment.processor_checkout_id for payment in payments)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_claims_lock_a_payment_is_asked_about_twice(sandbox, now, overtaken, monkeypatch):
    payment = opened()
    asked = asked_about(monkeypatch, Stripe)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())
    # The first has read the row, and not yet written that it asks.
    overtaken(
        (QuerySet, "first"),
        lambda: look_up(now + 25 * MINUTE),
        lambda: look_up(now + 25 * MINUTE),
    )
    assert asked == [payment.processor_checkout_id] * 2


@pytest.mark.django_db(transaction=True)
def test_a_webhook_that_comes_while_we_look_the_payment_up_leaves_no_flag(api, sandbox, india, now, overtaken, alerts):
    payment = opened()
    made, _ = paid_at(sandbox, payment)
    found, answer = overtaken(
        (Razorpay, "money_by"),
        lambda: look_up(now + 25 * MINUTE),
        lambda: post_razorpay(api, captured(payment, id=made)).status,
    )
    assert (found, answer) == (1, 200)
    assert statuses(payment) == ("paid", "confirmed")
    assert review(payment) == (False, None)
    assert alerts() == []


@pytest.mark.django_db(transaction=True)
def test_control_a_flag_that_does_not_look_again_stays_on_a_paid_payment(
    api, sandbox, india, now, overtaken, monkeypatch
):
    def flag_blindly(payment, *, now):
        Payment.objects.filter(pk=payment.pk).update(needs_review=True, status_reason=EVENT_MISSING)

    monkeypatch.setattr(reconciliation, "flag_missing", flag_blindly)
    payment = opened()
    made, _ = paid_at(sandbox, payment)
    overtaken(
        (Razorpay, "money_by"),
        lambda: look_up(now + 25 * MINUTE),
        lambda: post_razorpay(api, captured(payment, id=made)).status,
    )
    assert statuses(payment) == ("paid", "confirmed")
    assert review(payment) == (True, EVENT_MISSING)


def both_ways(api, sandbox, books, overtaken):
    """One event is fetched, and delivered in the middle of that."""
    payment = opened()
    intent, (event_id,) = paid_at(sandbox, payment)
    event = checkout(payment, payment_intent=intent, event={"id": event_id})
    results = overtaken(
        (events, "store"), lambda: compare("stripe", books + 6 * MINUTE), lambda: post_stripe(api, event).status
    )
    return payment, results


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_delivered_while_it_is_fetched_is_one_event(api, sandbox, books, overtaken):
    payment, results = both_ways(api, sandbox, books, overtaken)
    assert results == [1, 200]
    assert statuses(payment) == ("paid", "confirmed")
    assert WebhookEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_control_without_the_unique_id_it_is_two(api, sandbox, books, overtaken):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_webhookevent DROP CONSTRAINT webhookevent_id_unique")
    try:
        both_ways(api, sandbox, books, overtaken)
        assert WebhookEvent.objects.count() == 2
    finally:
        WebhookEvent.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE payments_webhookevent ADD CONSTRAINT webhookevent_id_unique UNIQUE (processor, event_id)"
            )


def test_every_type_that_we_ask_stripe_for_means_something():
    from payments.processors.stripe import TYPES

    stripe = Stripe()
    for name in TYPES:
        subject = {
            "id": "x", "amount": 1, "currency": "usd", "payment_status": "paid", "refunded": True, "amount_refunded": 1,
        }  # fmt: skip
        outcome = stripe.outcome({"id": "evt", "type": name, "livemode": False, "data": {"object": subject}}, "evt")
        assert outcome.signal is not Signal.OTHER, name
