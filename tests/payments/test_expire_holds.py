"""The tasks that end overdue holds and close the checkouts that they leave behind."""

from datetime import timedelta

import pytest

from bookings import services as booking_services
from bookings.models import Booking, Seat
from marketplace.models import Session
from payments.models import Payment
from payments.processors import processor
from payments.services import start_checkout
from payments.tasks import close_checkout, expire_holds
from tests.factories import BookingFactory, PaymentFactory, SessionFactory, in_days
from tests.payments.conftest import act
from tests.payments.signed import captured, checkout, post_razorpay, post_stripe

pytestmark = pytest.mark.django_db


def overdue(**fields):
    return BookingFactory(expires_at=in_days(-0.001), **fields)


def status(row):
    return type(row).objects.values_list("status", flat=True).get(pk=row.pk)


def enrolled(*sessions):
    return [Session.objects.values_list("enrolled", flat=True).get(pk=each.pk) for each in sessions]


def test_an_overdue_hold_expires_and_its_seat_is_free_again(api):
    booking, alive, confirmed = overdue(), BookingFactory(), BookingFactory(status="confirmed")
    expire_holds()
    assert [status(each) for each in (booking, alive, confirmed)] == ["expired", "pending_payment", "confirmed"]
    assert enrolled(booking.session, alive.session, confirmed.session) == [0, 1, 1]
    assert Seat.objects.get(booking=booking).released_at is not None
    expire_holds()
    assert enrolled(booking.session) == [0]


def test_a_hold_ends_at_its_very_moment_and_not_before():
    booking = BookingFactory()
    assert booking_services.expire(booking.pk, now=booking.expires_at - timedelta(microseconds=1)) is False
    assert status(booking) == "pending_payment"
    assert booking_services.expire(booking.pk, now=booking.expires_at) is True
    assert booking_services.expire(booking.pk, now=booking.expires_at) is False
    assert enrolled(booking.session) == [0]


def test_a_package_gives_back_all_of_its_seats():
    sessions = [SessionFactory() for _ in range(3)]
    booking = overdue(session=sessions[0], seats=sessions)
    expire_holds()
    assert (status(booking), enrolled(*sessions)) == ("expired", [0, 0, 0])


def test_one_booking_that_is_stuck_does_not_keep_the_others_seats():
    stuck, other = overdue(), BookingFactory(expires_at=in_days(-0.0005))
    # A count that is wrong for whatever reason: the CHECK refuses to go below zero.
    Session.objects.filter(pk=stuck.session_id).update(enrolled=0)
    expire_holds()
    assert [status(stuck), status(other)] == ["pending_payment", "expired"]
    assert enrolled(other.session) == [0]


@pytest.fixture
def opened(sandbox):
    """A checkout that is really open at Stripe."""
    return start_checkout(booking=BookingFactory(), processor_name=None, now=in_days(0))


def session_status(payment):
    return processor("stripe").client.v1.checkout.sessions.retrieve(payment.processor_checkout_id).status


def end_hold(payment):
    Booking.objects.filter(pk=payment.booking_id).update(expires_at=in_days(-0.001))
    expire_holds()
    return status(payment.booking)


def test_the_checkout_of_an_expired_hold_is_closed_at_stripe(opened, sandbox, tasks):
    assert session_status(opened) == "open"
    assert end_hold(opened) == "expired"
    assert tasks == [("payments.tasks.close_checkout", (str(opened.pk),))]
    close_checkout(str(opened.pk))
    assert session_status(opened) == "expired"
    assert act(sandbox, opened.processor_checkout_id) == {"refused": 409}
    opened.refresh_from_db()
    assert (opened.status, opened.checkout_url) == ("failed", "")
    assert opened.status_reason == "The booking was over before it was paid."
    # Once closed it is not asked for again.
    tasks.clear()
    expire_holds()
    assert tasks == []


def test_a_declined_checkout_is_closed_as_well(opened, tasks):
    Payment.objects.filter(pk=opened.pk).update(status="failed")
    end_hold(opened)
    close_checkout(str(opened.pk))
    assert session_status(opened) == "expired"


def test_stripes_own_word_of_the_closed_page_changes_nothing_more(api, opened):
    end_hold(opened)
    close_checkout(str(opened.pk))
    post_stripe(api, checkout(opened, "expired"))
    opened.refresh_from_db()
    assert (opened.status, status(opened.booking), enrolled(opened.booking.session)) == ("failed", "expired", [0])


def test_a_checkout_that_was_paid_in_the_last_moment_is_left_to_its_event(api, opened, sandbox, tasks):
    made = act(sandbox, opened.processor_checkout_id)["paymentId"]
    end_hold(opened)
    close_checkout(str(opened.pk))
    assert session_status(opened) == "complete"
    assert status(opened) == "pending"
    tasks.clear()
    expire_holds()
    assert tasks == []
    post_stripe(api, checkout(opened, payment_intent=made))
    assert (status(opened), status(opened.booking)) == ("paid", "confirmed")


def test_a_checkout_of_a_living_booking_is_never_closed(opened):
    close_checkout(str(opened.pk))
    assert (session_status(opened), status(opened)) == ("open", "pending")


def test_a_checkout_under_review_is_left_to_ops(opened, tasks):
    Payment.objects.filter(pk=opened.pk).update(needs_review=True)
    assert end_hold(opened) == "expired"
    assert tasks == []
    assert status(opened) == "pending"


def test_an_outage_leaves_the_closing_to_the_next_sweep(opened, sandbox, tasks):
    end_hold(opened)
    sandbox.post("/faults", {"stripe": "down"})
    tasks.clear()
    close_checkout(str(opened.pk))
    assert status(opened) == "pending"
    sandbox.post("/faults", {"stripe": "up"})
    expire_holds()
    assert tasks == [("payments.tasks.close_checkout", (str(opened.pk),))]
    close_checkout(str(opened.pk))
    assert (session_status(opened), status(opened)) == ("expired", "failed")


def test_a_checkout_that_was_never_opened_fails_with_its_hold(tasks):
    payment = PaymentFactory(booking=overdue(), status="created", processor_checkout_id=None, checkout_url="")
    expire_holds()
    assert (status(payment), tasks) == ("failed", [])


def test_an_order_fails_with_its_hold_and_late_money_still_counts(api, india, tasks):
    payment = PaymentFactory(booking=overdue(), checkout_url="")
    expire_holds()
    assert (status(payment), status(payment.booking), tasks) == ("failed", "expired", [])
    post_razorpay(api, captured(payment))
    assert (status(payment), status(payment.booking)) == ("paid", "confirmed")
