"""POST /v1/me/bookings/{id}/cancel."""

from datetime import timedelta
from uuid import uuid4

import pytest

from bookings.models import Booking, Seat
from core.errors import InvalidState
from marketplace.models import Session
from payments import cancellations, services
from payments.models import Refund
from payments.processors import processor
from payments.tasks import close_checkout
from tests.factories import BookingFactory, OfferingFactory, PaymentFactory, SessionFactory, UserFactory, in_days

pytestmark = pytest.mark.django_db


def cancel(api, booking, body=None):
    return api.as_user(booking.parent.user).post(f"/v1/me/bookings/{booking.pk}/cancel", body)


def paid_booking(**fields):
    booking = BookingFactory(status="confirmed", **fields)
    return booking, PaymentFactory(booking=booking, status="paid")


def enrolled(*sessions):
    return [Session.objects.values_list("enrolled", flat=True).get(pk=each.pk) for each in sessions]


def owed(booking):
    return list(Refund.objects.filter(payment__booking=booking).order_by("pk").values_list("status", "amount_cents"))


def test_a_paid_booking_is_cancelled_its_seat_freed_and_its_money_owed(api, tasks, django_capture_on_commit_callbacks):
    booking, payment = paid_booking()
    with django_capture_on_commit_callbacks(execute=True):
        answer = cancel(api, booking, {"reason": "Grandma is visiting."})
    assert answer.status == 200
    assert (answer.data["status"], answer.data["cancellationReason"]) == ("cancelled", "Grandma is visiting.")
    assert answer.data["payment"]["refundedCents"] == 2500
    refund = payment.refunds.get()
    assert (refund.status, refund.amount_cents, refund.currency) == ("pending", 2500, "USD")
    # Sent after the commit, by its id alone.
    assert tasks == [("payments.tasks.send_refund", (str(refund.pk),))]
    # The money is on its way, not back: only the processor's event says so.
    payment.refresh_from_db()
    assert payment.status == "paid"
    row = Booking.objects.get()
    assert (row.status, row.cancelled_at is not None, row.expires_at) == ("cancelled", True, None)
    assert enrolled(booking.session) == [0]
    assert not Seat.objects.held().exists()


def test_a_hold_is_cancelled_without_any_refund_and_its_page_closed(api, tasks, django_capture_on_commit_callbacks):
    booking = BookingFactory()
    payment = PaymentFactory(booking=booking)
    with django_capture_on_commit_callbacks(execute=True):
        assert cancel(api, booking).data["status"] == "cancelled"
    assert (owed(booking), enrolled(booking.session)) == ([], [0])
    assert tasks == [("payments.tasks.close_checkout", (str(payment.pk),))]


def test_the_checkout_of_a_hold_that_is_given_up_is_closed_at_stripe(api, sandbox):
    booking = BookingFactory()
    payment = services.start_checkout(booking=booking, processor_name=None, now=in_days(0))
    assert cancel(api, booking).status == 200
    close_checkout(str(payment.pk))
    at_stripe = processor("stripe").client.v1.checkout.sessions.retrieve(payment.processor_checkout_id)
    payment.refresh_from_db()
    assert (at_stripe.status, payment.status) == ("expired", "failed")


def test_a_free_booking_is_cancelled_without_any_refund(api):
    booking = BookingFactory(status="confirmed", session__offering__price_cents=0)
    assert cancel(api, booking).status == 200
    assert (owed(booking), enrolled(booking.session)) == ([], [0])


@pytest.mark.parametrize("hours", [0, 1, 24, 72])
def test_the_refund_window_ends_so_many_hours_before_the_start_to_the_microsecond(hours):
    window = timedelta(hours=hours)
    for moment, cents in (
        (-window, 2500),
        (-window - timedelta(hours=1), 2500),
        (-window + timedelta(microseconds=1), 0),
    ):
        booking, _ = paid_booking(session__offering__refund_window_hours=hours)
        now = booking.session.starts_at + moment
        if now >= booking.session.starts_at:
            continue
        cancellations.cancel_booking(booking_id=booking.pk, now=now)
        assert owed(booking) == ([("pending", cents)] if cents else []), moment
        assert enrolled(booking.session) == [0]


def test_after_the_window_the_seat_is_freed_and_the_money_is_kept(api):
    booking, payment = paid_booking(session__starts_at=in_days(0.9))
    answer = cancel(api, booking)
    assert (answer.status, answer.data["payment"]["refundedCents"]) == (200, 0)
    payment.refresh_from_db()
    assert (payment.status, owed(booking), enrolled(booking.session)) == ("paid", [], [0])


def test_a_provider_or_ops_gives_everything_back_whatever_the_window(now):
    booking, _ = paid_booking(session__starts_at=in_days(0.1))
    cancellations.cancel_booking(booking_id=booking.pk, in_full=True, reason="The pool is closed.", now=now)
    assert owed(booking) == [("pending", 2500)]


def test_what_was_given_back_already_is_not_owed_again(api):
    booking, payment = paid_booking()
    for status, cents in (("succeeded", 700), ("sent", 300), ("failed", 900)):
        Refund.objects.create(payment=payment, amount_cents=cents, currency="USD", reason="x", status=status)
    assert cancel(api, booking).status == 200
    assert owed(booking)[-1] == ("pending", 1500)
    assert services.unrefunded_cents(payment) == 0


def test_a_second_payment_that_is_going_back_already_is_not_owed_twice(api):
    booking, first = paid_booking()
    second = PaymentFactory(booking=booking, status="paid")
    Refund.objects.create(payment=second, amount_cents=2500, currency="USD", reason="Paid a second time.")
    assert cancel(api, booking).status == 200
    assert [refunds.amount_cents for refunds in first.refunds.all()] == [2500]
    assert second.refunds.count() == 1


def test_the_price_that_was_paid_goes_back_not_todays(api):
    booking, _ = paid_booking()
    booking.offering.price_cents = 9900
    booking.offering.save()
    cancel(api, booking)
    assert owed(booking) == [("pending", 2500)]


def test_a_package_gives_back_all_of_its_seats(api):
    offering = OfferingFactory(type="multi_session", session_count=3)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n)) for n in range(3)]
    booking, _ = paid_booking(session=sessions[0], seats=sessions)
    assert cancel(api, booking).status == 200
    assert enrolled(*sessions) == [0, 0, 0]


def test_the_window_of_a_term_counts_from_its_first_session_not_the_chosen_one(api):
    term = OfferingFactory(type="term")
    sessions = [SessionFactory(offering=term, starts_at=in_days(n)) for n in (0.5, 7, 14)]
    booking, _ = paid_booking(session=sessions[2], seats=sessions)
    assert cancel(api, booking).status == 200
    assert owed(booking) == []


def test_moving_within_a_term_does_not_open_the_window_again(api):
    term = OfferingFactory(type="term")
    sessions = [SessionFactory(offering=term, starts_at=in_days(n)) for n in (0.5, 7, 14)]
    booking, _ = paid_booking(session=sessions[0], seats=sessions)
    client = api.as_user(booking.parent.user)
    moved = client.post(f"/v1/me/bookings/{booking.pk}/reschedule", {"sessionId": str(sessions[2].pk)})
    assert moved.status == 200
    assert cancel(api, booking).status == 200
    assert owed(booking) == []


@pytest.mark.parametrize("status", ["cancelled", "expired", "completed", "no_show"])
def test_a_booking_that_is_over_cannot_be_cancelled(api, status):
    booking = BookingFactory(status=status)
    before = enrolled(booking.session)
    answer = cancel(api, booking)
    assert answer.code == (409, "INVALID_STATE")
    assert answer.error["message"] == f"A booking that is {status} cannot be cancelled."
    booking.refresh_from_db()
    assert (booking.status, enrolled(booking.session), owed(booking)) == (status, before, [])


def test_a_booking_that_has_begun_cannot_be_cancelled(api):
    booking, _ = paid_booking(session__starts_at=in_days(-0.01))
    assert cancel(api, booking).code == (409, "INVALID_STATE")
    assert (owed(booking), enrolled(booking.session)) == ([], [1])
    with pytest.raises(InvalidState):
        cancellations.cancel_booking(booking_id=booking.pk, now=booking.session.starts_at)


def test_to_the_very_moment_of_the_start_a_booking_without_a_window_is_refunded():
    booking, _ = paid_booking(session__offering__refund_window_hours=0)
    moment = booking.session.starts_at
    with pytest.raises(InvalidState):
        cancellations.cancel_booking(booking_id=booking.pk, now=moment)
    cancellations.cancel_booking(booking_id=booking.pk, now=moment - timedelta(microseconds=1))
    assert owed(booking) == [("pending", 2500)]


def test_a_provider_or_ops_cancels_what_has_begun_and_gives_everything_back(now):
    offering = OfferingFactory(type="multi_session", session_count=3, price_cents=1000)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(n)) for n in (-7, -1, 7)]
    booking, payment = paid_booking(session=sessions[0], seats=sessions)
    Refund.objects.create(payment=payment, amount_cents=100, currency="USD", reason="Goodwill.", status="succeeded")
    cancellations.cancel_booking(booking_id=booking.pk, in_full=True, reason="The coach has left.", now=now)
    assert owed(booking) == [("succeeded", 100), ("pending", 900)]
    assert enrolled(*sessions) == [0, 0, 0]


@pytest.mark.parametrize("status", ["cancelled", "expired", "completed", "no_show"])
def test_nobody_cancels_what_is_over(now, status):
    booking = BookingFactory(status=status)
    with pytest.raises(InvalidState):
        cancellations.cancel_booking(booking_id=booking.pk, in_full=True, now=now)


def test_a_window_that_was_opened_under_way_gives_back_what_has_not_begun(api):
    """A provider's change opens the refund window again until the next session; what was had is kept."""
    offering = OfferingFactory(type="multi_session", session_count=3, price_cents=1000)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(n)) for n in (-7, 1, 8)]
    booking, _ = paid_booking(session=sessions[0], seats=sessions)
    assert cancel(api, booking).code == (409, "INVALID_STATE")
    Booking.objects.filter(pk=booking.pk).update(refundable_until=sessions[1].starts_at)
    path = f"/v1/me/bookings/{booking.pk}/quote?action=cancel"
    quoted = api.as_user(booking.parent.user).get(path).data
    assert (quoted["allowed"], quoted["refundCents"]) == (True, 666)
    assert cancel(api, booking).status == 200
    assert (owed(booking), enrolled(*sessions)) == ([("pending", 666)], [0, 0, 0])


@pytest.mark.parametrize("left", [0, 1, 2, 3, 99, 100, 101, 1000, 1001, 99_999])
@pytest.mark.parametrize("seats", [1, 2, 3, 7, 52])
def test_seats_are_worth_what_was_paid_to_the_cent_in_whatever_steps(left, seats):
    assert cancellations.worth_cents(left, seats=seats, of=seats) == left
    assert cancellations.worth_cents(left, seats=0, of=seats) == 0
    for step in (1, 2, 5):
        kept, remaining, parts = left, seats, []
        while remaining:
            lost = min(step, remaining)
            parts.append(cancellations.worth_cents(kept, seats=lost, of=remaining))
            kept, remaining = kept - parts[-1], remaining - lost
        assert (sum(parts), kept) == (left, 0)
        # Equal parts, but for a cent.
        assert all(abs(part - left * step / seats) <= step for part in parts[:-1])


def test_cancelling_twice_gives_back_once(api):
    booking, _ = paid_booking()
    assert [cancel(api, booking).status for _ in range(2)] == [200, 409]
    assert (owed(booking), enrolled(booking.session)) == ([("pending", 2500)], [0])


def test_a_strangers_or_unknown_booking_does_not_exist(api):
    booking, _ = paid_booking()
    client = api.as_user(UserFactory())
    for unknown in (booking.pk, uuid4()):
        assert client.post(f"/v1/me/bookings/{unknown}/cancel").code == (404, "NOT_FOUND")
    assert (owed(booking), enrolled(booking.session)) == ([], [1])


@pytest.mark.parametrize(
    "body", [{"reason": "x" * 501}, {"reason": None}, {"inFull": True}, {"in_full": True}, {"refundCents": 1}, []]
)
def test_a_body_that_is_not_allowed_is_refused(api, body):
    booking, _ = paid_booking()
    assert cancel(api, booking, body).code == (400, "VALIDATION_ERROR")
    assert (owed(booking), enrolled(booking.session)) == ([], [1])


def test_a_user_of_the_other_region_is_sent_there(api):
    booking, _ = paid_booking(child__parent__user__home_region="in")
    assert cancel(api, booking).code == (403, "REGION_MISMATCH")
    assert owed(booking) == []
