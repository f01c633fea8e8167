"""Webhooks against each other and against parents and sweeps, with real threads."""

import threading
import time

import pytest
from django.db import connection, transaction
from django.utils import timezone

from bookings import services as booking_services
from bookings.models import Booking, Seat
from marketplace.models import Session
from payments import services
from payments.models import Payment, Refund, WebhookEvent
from tests.factories import BookingFactory, PaymentFactory, SessionFactory, in_days
from tests.payments.signed import captured, charge_refunded, checkout, order_paid, post_razorpay, post_stripe

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 4


def state(payment):
    payment = Payment.objects.select_related("booking__session").get(pk=payment.pk)
    held = Seat.objects.held().filter(booking=payment.booking).count()
    return payment.status, payment.booking.status, held, payment.booking.session.enrolled


def together(at_once, *runs):
    results = at_once(lambda run: run(), list(runs))
    assert [each for each in results if isinstance(each, Exception)] == []
    return results


def test_six_duplicates_at_once_confirm_once(api, at_once, tasks):
    payment = PaymentFactory()
    event = checkout(payment)
    answers = at_once(lambda _: post_stripe(api, event), list(range(6)))
    assert [answer.status for answer in answers] == [200] * 6
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert WebhookEvent.objects.count() == 1
    assert (Refund.objects.count(), tasks) == (0, [])


def test_six_late_duplicates_at_once_owe_one_refund(api, at_once, tasks):
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"))
    event = checkout(payment)
    at_once(lambda _: post_stripe(api, event), list(range(6)))
    refund = Refund.objects.get()
    assert tasks == [("payments.tasks.send_refund", (str(refund.pk),))]


def test_two_kinds_of_the_same_news_at_once_confirm_once(api, at_once, india):
    for _ in range(ROUNDS):
        payment = PaymentFactory()
        events = [captured(payment), order_paid(payment)]
        answers = at_once(lambda event: post_razorpay(api, event), events)
        assert [answer.status for answer in answers] == [200, 200]
        assert state(payment) == ("paid", "confirmed", 1, 1)
    assert (Refund.objects.count(), Payment.objects.count()) == (0, ROUNDS)


def test_two_kinds_of_news_of_a_second_payment_at_once_are_one_refund(api, at_once, india):
    for _ in range(ROUNDS):
        payment = PaymentFactory()
        post_razorpay(api, captured(payment))
        again = f"pay_again{payment.pk.hex[-9:]}"
        at_once(lambda event: post_razorpay(api, event), [event(payment, id=again) for event in (captured, order_paid)])
        assert Payment.objects.filter(processor_payment_id=again).count() == 1
        assert Refund.objects.filter(payment__booking=payment.booking).count() == 1


def test_the_end_of_a_hold_against_its_payment_never_loses_seat_or_money(api, at_once):
    outcomes = set()
    for _ in range(ROUNDS * 2):
        payment = PaymentFactory(booking__expires_at=in_days(0))
        together(
            at_once,
            lambda payment=payment: post_stripe(api, checkout(payment)),
            lambda payment=payment: booking_services.expire(payment.booking_id, now=timezone.now()),
        )
        # Whoever was first: the seat was free again, or never left.
        outcomes.add(state(payment))
        assert Refund.objects.count() == 0
    assert outcomes == {("paid", "confirmed", 1, 1)}


def test_the_end_of_a_hold_against_its_payment_while_others_want_the_seat(api, at_once):
    for _ in range(ROUNDS):
        session = SessionFactory(capacity=1)
        payment = PaymentFactory(booking=BookingFactory(session=session, expires_at=in_days(0)))
        rival = PaymentFactory(booking=BookingFactory(session=session, status="expired"))
        together(
            at_once,
            lambda payment=payment: post_stripe(api, checkout(payment)),
            lambda rival=rival: post_stripe(api, checkout(rival)),
            lambda payment=payment: booking_services.expire(payment.booking_id, now=timezone.now()),
        )
        found = [state(payment)[:3], state(rival)[:3]]
        assert sorted(found) == [("paid", "confirmed", 1), ("paid", "expired", 0)]
        session.refresh_from_db()
        assert session.enrolled == 1
        # Who has no seat gets the money back, and nobody else does.
        loser = payment if state(payment)[1] == "expired" else rival
        assert list(Refund.objects.values_list("payment", "amount_cents")) == [(loser.pk, 2500)]
        Refund.objects.all().delete()


def test_cancelling_against_the_payment_gives_all_of_it_back(api, at_once):
    for _ in range(ROUNDS):
        payment = PaymentFactory()
        client = api.as_user(payment.booking.parent.user)
        paid, cancelled = together(
            at_once,
            lambda payment=payment: post_stripe(api, checkout(payment)),
            lambda payment=payment, client=client: client.post(f"/v1/me/bookings/{payment.booking_id}/cancel"),
        )
        assert (paid.status, cancelled.status) == (200, 200)
        # Cancelled first: paid too late. Paid first: within the refund window.
        assert state(payment) == ("paid", "cancelled", 0, 0)
        assert list(payment.refunds.values_list("status", "amount_cents")) == [("pending", 2500)]


def test_two_cancellations_at_once_give_one_refund(api, at_once):
    payment = PaymentFactory(booking=BookingFactory(status="confirmed"), status="paid")
    client = api.as_user(payment.booking.parent.user)
    answers = at_once(lambda _: client.post(f"/v1/me/bookings/{payment.booking_id}/cancel"), [1, 2, 3])
    assert sorted(answer.status for answer in answers) == [200, 409, 409]
    assert state(payment) == ("paid", "cancelled", 0, 0)
    assert list(payment.refunds.values_list("status", "amount_cents")) == [("pending", 2500)]


def test_two_sweeps_at_once_give_each_seat_back_once(at_once):
    session = SessionFactory()
    bookings = [BookingFactory(session=Session.objects.get(pk=session.pk), expires_at=in_days(-0.01)) for _ in range(6)]
    alive = BookingFactory(session=Session.objects.get(pk=session.pk))
    together(at_once, *[lambda: services.expire_holds(now=timezone.now())] * 3)
    # A sweep skips what another one has locked; the next one finds what is left.
    services.expire_holds(now=timezone.now())
    session.refresh_from_db()
    assert session.enrolled == 1
    assert set(Booking.objects.filter(pk__in=[each.pk for each in bookings]).values_list("status", flat=True)) == {
        "expired"
    }
    assert list(Seat.objects.held().values_list("booking", flat=True)) == [alive.pk]


def test_moving_a_booking_against_its_expiry_ends_whole(api, at_once):
    for _ in range(ROUNDS):
        booking = BookingFactory(expires_at=in_days(0.00001))
        other = SessionFactory(offering=booking.offering, starts_at=in_days(9))
        client = api.as_user(booking.parent.user)
        answer, expired = together(
            at_once,
            lambda client=client, booking=booking, other=other: client.post(
                f"/v1/me/bookings/{booking.pk}/reschedule", {"sessionId": str(other.pk)}
            ),
            lambda booking=booking: booking_services.expire(booking.pk, now=in_days(1)),
        )
        assert answer.status in (200, 409)
        booking.refresh_from_db()
        held = Seat.objects.held().filter(booking=booking).count()
        # The sweep may have stepped aside for the move; it never leaves half of it.
        assert (booking.status, held) == (("expired", 0) if expired else ("pending_payment", 1))
        for session in Session.objects.filter(pk__in=[booking.session_id, other.pk]):
            assert session.enrolled == Seat.objects.held().filter(session=session).count()


def test_a_dashboard_refund_against_the_success_never_leaves_a_seat_without_money(api, at_once):
    for _ in range(ROUNDS):
        payment = PaymentFactory()
        events = [checkout(payment), charge_refunded(payment)]
        answers = at_once(lambda event: post_stripe(api, event), events)
        assert [answer.status for answer in answers] == [200, 200]
        assert state(payment) in (("refunded", "pending_payment", 1, 1), ("refunded", "cancelled", 0, 0))


def test_closing_a_checkout_never_undoes_a_payment(at_once):
    """The sweep's UPDATE waits for the row of a payment that is being made, and must then see that it was made."""
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"), checkout_url="")
    being_paid = threading.Event()

    def pay(_):
        with transaction.atomic():
            Payment.objects.get(pk=payment.pk).move(Payment.Status.PAID, paid_at=timezone.now())
            being_paid.set()
            wait_until_somebody_waits_for_us()

    def sweep(_):
        being_paid.wait(10)
        services.expire_holds(now=timezone.now())

    assert at_once(lambda run: run(None), [pay, sweep]) == [None, None]
    assert state(payment)[0] == "paid"


def wait_until_somebody_waits_for_us():
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            if cursor.fetchone():
                return
        time.sleep(0.02)
    raise AssertionError("nobody came to wait")


def test_a_foreign_keys_check_does_not_wait_for_our_locks(at_once):
    """A row that is written twice in a transaction has its foreign keys checked at commit: against the lock order."""
    payment = PaymentFactory()
    locked, written = threading.Event(), threading.Event()

    def hold(_):
        with transaction.atomic():
            booking_services.lock_booking(payment.booking_id)
            locked.set()
            written.wait(10)

    def write_twice(_):
        locked.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '500ms'")
        try:
            with transaction.atomic():
                payment.save()
                payment.save()
        finally:
            written.set()

    assert at_once(lambda run: run(None), [hold, write_twice]) == [None, None]
