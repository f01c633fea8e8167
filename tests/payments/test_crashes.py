"""Processes that are killed (SIGKILL) at every step between a commit and a processor's answer, and inside webhooks.

Whoever asked asks again, and the sweeps come round; then all is as if nothing had happened: one checkout, one refund,
one seat, and not a cent out of place. The dying is done by tests/payments/dying.py, in real processes on the same
database.
"""

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.db import connections

from bookings.models import Booking, Seat
from marketplace.models import Session
from payments.models import Payment, Refund, WebhookEvent
from payments.services import start_checkout
from payments.tasks import expire_holds, send_refund, send_refunds
from tests import tokens
from tests.books import wrong_now, wrong_when_quiet
from tests.conftest import ROOT
from tests.factories import BookingFactory, ChildFactory, PaymentFactory, SessionFactory, in_days
from tests.payments.conftest import act, razorpay_orders, stripe_sessions
from tests.payments.signed import RAZORPAY, STRIPE, captured, checkout, razorpay_signature, stripe_signature
from tests.payments.test_send_refund import at_razorpay, at_stripe, paid_at

pytestmark = pytest.mark.django_db(transaction=True)

BOOKINGS, CHECKOUT = "/v1/me/bookings", "/v1/payments/checkout"
RENDER = "core.envelope.EnvelopeRenderer.render"  # the answer is being written: all is committed, nobody knows
# What a test may have set for itself, and the process that dies must know.
SETTINGS = (
    "REGION",
    "CURRENCY",
    "PAYMENT_PROCESSORS",
    "STRIPE_API_BASE",
    "RAZORPAY_API_BASE",
    "RAZORPAY_KEY_ID",
    "RAZORPAY_KEY_SECRET",
    "RAZORPAY_WEBHOOK_SECRETS",
    "SUPABASE_URL",
    "SUPABASE_JWKS_URL",
)


@pytest.fixture(scope="module")
def nursery(django_db_setup):
    """The process whose children die."""
    env = dict(os.environ)
    for name, alias in (("DATABASE_URL", "default"), ("GLOBAL_DATABASE_URL", "global")):
        database = connections[alias].settings_dict["NAME"]
        env[name] = urlsplit(os.environ[name])._replace(path=f"/{database}").geturl()
    command = [sys.executable, "-m", "tests.payments.dying"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


@pytest.fixture
def dies(nursery):
    """`dies(do, at=point)` does something in a process of its own and kills it there."""

    def run(do, *, at, after=False, count=1):
        chosen = {name: getattr(django_settings, name) for name in SETTINGS if hasattr(django_settings, name)}
        job = {"do": do, "point": at, "after": after, "count": count, "settings": chosen}
        nursery.stdin.write(json.dumps(job) + "\n")
        nursery.stdin.flush()
        assert int(nursery.stdout.readline()) == signal.SIGKILL, "it did not come to the point"

    return run


def request(method, path, body=None, *, user=None, **headers):
    if user:
        headers["Authorization"] = "Bearer " + tokens.sign(sub=user.auth_id, email=user.email)
    raw = body if isinstance(body, str) else json.dumps(body or {})
    return ["request", method, path, raw, headers]


def ask(api, do):
    """The same request once more, from a parent or a processor who got no answer."""
    _, method, path, raw, headers = do
    return api.request(
        method, path, raw=raw.encode(), **{name.replace("-", "_"): value for name, value in headers.items()}
    )


@pytest.fixture(params=["stripe", "razorpay"])
def shop(request, sandbox, tasks):
    """One region with its processor, and how to ask that what it knows."""
    name = request.param
    if name == "razorpay":
        request.getfixturevalue("india")
    return SimpleNamespace(
        name=name,
        module=f"payments.processors.{name}.{name.title()}",
        opened={"stripe": stripe_sessions, "razorpay": razorpay_orders}[name],
        given_back={"stripe": at_stripe, "razorpay": at_razorpay}[name],
        sandbox=sandbox,
    )


def work(tasks):
    """A worker does what was queued."""
    while tasks:
        name, arguments = tasks.pop(0)
        current_app.tasks[name](*arguments)


def end_of_hold(booking, tasks):
    Booking.objects.filter(pk=booking.pk).update(expires_at=in_days(-0.001))
    tasks.clear()
    expire_holds()
    work(tasks)
    booking.refresh_from_db()
    return booking.status


# --- Checkout --------------------------------------------------------------------------------------------------------

STEPS_OF_A_CHECKOUT = [
    ("{module}.open_checkout", False),  # the row is committed, nobody was asked
    ("{module}.open_checkout", True),  # the checkout is open, and we do not know it
    ("payments.services.remember_checkout", True),  # we know it, and the parent does not
    ("core.idempotency._store", True),  # the answer is stored, and nobody has it
]


@pytest.mark.parametrize(("point", "after"), STEPS_OF_A_CHECKOUT)
def test_a_checkout_that_died_is_found_again_by_who_asks_again(api, shop, dies, point, after):
    booking = BookingFactory()
    asked = request(
        "POST", CHECKOUT, {"bookingId": str(booking.pk)}, user=booking.parent.user, **{"Idempotency-Key": "k"}
    )
    dies(asked, at=point.format(module=shop.module), after=after)
    answer = ask(api, asked)
    assert answer.status == 201
    payment = Payment.objects.get()
    (opened,) = shop.opened(payment)
    assert payment.processor_checkout_id == (opened["id"] if shop.name == "razorpay" else opened.id)
    assert (payment.status, answer.data["paymentId"]) == ("pending", str(payment.pk))
    # It can be paid, once.
    assert act(shop.sandbox, payment.processor_checkout_id)["status"] == "paid"
    assert wrong_now() == {}


@pytest.mark.parametrize(("point", "after"), STEPS_OF_A_CHECKOUT)
def test_a_checkout_that_died_and_was_given_up_ends_with_its_hold(shop, dies, tasks, point, after):
    booking = BookingFactory()
    asked = request(
        "POST", CHECKOUT, {"bookingId": str(booking.pk)}, user=booking.parent.user, **{"Idempotency-Key": "k"}
    )
    dies(asked, at=point.format(module=shop.module), after=after)
    assert end_of_hold(booking, tasks) == "expired"
    assert Payment.objects.get().status == "failed"
    assert Session.objects.get().enrolled == 0
    assert wrong_when_quiet() == {}


# --- Refunds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before it asked", "before it knew"])
def test_a_refund_whose_worker_died_is_sent_by_the_next_sweep_and_once(api, shop, dies, tasks, after):
    payment, refund = paid_at(shop.name, api, shop.sandbox)
    dies(["task", "payments.tasks.send_refund", str(refund.pk)], at=f"{shop.module}.refund", after=after)
    refund.refresh_from_db()
    assert (refund.status, refund.attempts, refund.processor_refund_id) == ("pending", 1, None)
    tasks.clear()
    send_refunds()
    assert tasks == []
    Refund.objects.update(next_attempt_at=in_days(-0.001))
    send_refunds()
    work(tasks)
    refund.refresh_from_db()
    assert refund.status == "sent"
    assert shop.given_back(payment) == [(refund.processor_refund_id, 2500)]


def test_a_sweep_that_died_after_some_refunds_leaves_the_others_to_the_next(api, shop, dies, tasks):
    refunds = [paid_at(shop.name, api, shop.sandbox)[1] for _ in range(3)]
    for refund in refunds[:1]:
        send_refund(str(refund.pk))
    dies(["task", "payments.tasks.send_refund", str(refunds[1].pk)], at="payments.models.Refund.save", after=True)
    Refund.objects.filter(status="pending").update(next_attempt_at=in_days(-0.001))
    tasks.clear()
    send_refunds()
    assert len(tasks) == 2
    work(tasks)
    assert [len(shop.given_back(refund.payment)) for refund in refunds] == [1, 1, 1]


# --- Holds and their pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "after"),
    [
        ("payments.processors.stripe.Stripe.close_checkout", False),
        ("payments.processors.stripe.Stripe.close_checkout", True),
        ("payments.services.fail_abandoned", False),
    ],
)
def test_a_page_whose_closing_died_is_closed_by_a_later_sweep(sandbox, dies, tasks, point, after):
    payment = start_checkout(booking=BookingFactory(status="pending_payment"), processor_name=None, now=in_days(0))
    Booking.objects.update(expires_at=in_days(-0.001))
    expire_holds()
    dies(["task", "payments.tasks.close_checkout", str(payment.pk)], at=point, after=after)
    tasks.clear()
    expire_holds()
    work(tasks)
    payment.refresh_from_db()
    assert (payment.status, payment.checkout_url) == ("failed", "")
    assert [session.status for session in stripe_sessions(payment)] == ["expired"]
    assert wrong_when_quiet() == {}


@pytest.mark.parametrize("after", [False, True])
def test_a_sweep_that_died_among_its_holds_gives_each_seat_back_once(dies, tasks, after):
    session = SessionFactory()
    for _ in range(3):
        BookingFactory(session=Session.objects.get(pk=session.pk), expires_at=in_days(-0.001))
    dies(["task", "payments.tasks.expire_holds"], at="bookings.services.release_seats", after=after, count=2)
    assert sorted(Booking.objects.values_list("status", flat=True)) == ["expired", *["pending_payment"] * 2]
    assert wrong_now() == {}
    expire_holds()
    assert set(Booking.objects.values_list("status", flat=True)) == {"expired"}
    session.refresh_from_db()
    assert session.enrolled == 0
    assert wrong_when_quiet() == {}


# --- Parents ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("point", "after", "is_made"),
    [
        ("bookings.places.make", False, False),
        ("bookings.places.make", True, False),
        ("core.models.IdempotencyKey.save", True, False),
        (RENDER, False, True),
    ],
)
def test_a_booking_that_died_is_made_whole_or_not_at_all(api, dies, point, after, is_made):
    session, child = SessionFactory(capacity=1), ChildFactory()
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    asked = request("POST", BOOKINGS, body, user=child.parent.user, **{"Idempotency-Key": "k"})
    dies(asked, at=point, after=after)
    assert (Booking.objects.count(), Seat.objects.count()) == (int(is_made), int(is_made))
    assert wrong_now() == {}
    answer = ask(api, asked)
    assert (answer.status, answer.headers.get("Idempotency-Replayed")) == (201, "true" if is_made else None)
    assert (Booking.objects.count(), Seat.objects.count()) == (1, 1)
    assert wrong_now() == {}


@pytest.mark.parametrize(("point", "after"), [("bookings.services.release_seats", True), (RENDER, False)])
def test_a_move_that_died_is_made_whole_or_not_at_all(api, dies, point, after):
    booking = BookingFactory()
    other = SessionFactory(offering=booking.offering, starts_at=in_days(8))
    asked = request(
        "POST", f"{BOOKINGS}/{booking.pk}/reschedule", {"sessionId": str(other.pk)}, user=booking.parent.user
    )
    dies(asked, at=point, after=after)
    assert wrong_now() == {}
    # Who asks again hears that it is there already, or gets there now.
    assert ask(api, asked).status == (409 if point == RENDER else 200)
    booking.refresh_from_db()
    assert booking.session_id == other.pk
    assert wrong_now() == {}


@pytest.mark.parametrize(
    ("point", "after", "is_done"),
    [
        ("bookings.services.release_seats", True, False),
        ("payments.models.Refund.save", True, False),
        (RENDER, False, True),
    ],
)
def test_a_cancellation_that_died_owes_its_refund_once(api, dies, point, after, is_done):
    booking = BookingFactory(status="confirmed")
    PaymentFactory(booking=booking, status="paid")
    asked = request("POST", f"{BOOKINGS}/{booking.pk}/cancel", user=booking.parent.user)
    dies(asked, at=point, after=after)
    assert Refund.objects.count() == int(is_done)
    assert wrong_now() == {}
    assert ask(api, asked).status == (409 if is_done else 200)
    assert list(Refund.objects.values_list("status", "amount_cents")) == [("pending", 2500)]
    assert wrong_now() == {}


def test_a_refund_whose_task_died_with_the_process_is_found_by_the_sweep(api, dies, tasks):
    booking = BookingFactory(status="confirmed")
    PaymentFactory(booking=booking, status="paid")
    asked = request("POST", f"{BOOKINGS}/{booking.pk}/cancel", user=booking.parent.user)
    # Committed, and killed before the broker was told.
    dies(asked, at="celery.current_app.send_task")
    assert tasks == []
    send_refunds()
    assert [name for name, _ in tasks] == ["payments.tasks.send_refund"]


# --- Webhooks --------------------------------------------------------------------------------------------------------


def delivery(name, payment):
    """The event that `payment` was made, as its processor sends it."""
    if name == "stripe":
        raw = json.dumps(checkout(payment))
        return request("POST", STRIPE, raw, **{"Stripe-Signature": stripe_signature(raw.encode())})
    raw = json.dumps(captured(payment))
    headers = {"X-Razorpay-Event-Id": "evt_1", "X-Razorpay-Signature": razorpay_signature(raw.encode())}
    return request("POST", RAZORPAY, raw, **headers)


def state():
    payment = Payment.objects.select_related("booking").get()
    return payment.status, payment.booking.status, Seat.objects.held().count(), Refund.objects.count()


INSIDE_A_WEBHOOK = [
    ("bookings.services.lock_booking", True),  # the event is stored, nothing else is
    ("core.models.Lifecycle.move", True),  # paid, not yet confirmed
    ("payments.models.WebhookEvent.save", True),  # all is done but the commit
    (RENDER, False),  # all is done but the answer
]


@pytest.mark.parametrize(("point", "after"), INSIDE_A_WEBHOOK)
def test_an_event_that_died_has_its_effect_once_when_it_is_sent_again(api, shop, dies, point, after):
    payment = PaymentFactory()
    sent = delivery(shop.name, payment)
    dies(sent, at=point, after=after)
    done, nothing = ("paid", "confirmed", 1, 0), ("pending", "pending_payment", 1, 0)
    assert state() == (done if point == RENDER else nothing)
    assert WebhookEvent.objects.count() == int(point == RENDER)
    for _ in range(2):
        assert ask(api, sent).status == 200
        assert state() == done
    assert WebhookEvent.objects.count() == 1
    assert wrong_when_quiet() == {}


@pytest.mark.parametrize(
    ("point", "after"), [*INSIDE_A_WEBHOOK[:1], ("payments.models.Refund.save", True), *INSIDE_A_WEBHOOK[1:]]
)
def test_late_money_whose_event_died_is_owed_once(api, shop, dies, point, after):
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"))
    sent = delivery(shop.name, payment)
    dies(sent, at=point, after=after)
    done, nothing = ("paid", "cancelled", 0, 1), ("pending", "cancelled", 0, 0)
    assert state() == (done if point == RENDER else nothing)
    for _ in range(2):
        assert ask(api, sent).status == 200
        assert state() == done
    assert list(Refund.objects.values_list("status", "amount_cents")) == [("pending", 2500)]
    assert wrong_now() == {}


def test_late_money_whose_event_died_after_the_seat_was_taken_again_takes_it_once(api, shop, dies):
    payment = PaymentFactory(booking=BookingFactory(status="expired"))
    sent = delivery(shop.name, payment)
    dies(sent, at="bookings.services.take_seats", after=True)
    assert state() == ("pending", "expired", 0, 0)
    assert ask(api, sent).status == 200
    assert state() == ("paid", "confirmed", 1, 0)
    assert wrong_when_quiet() == {}
