"""Who is told of a booking, in the transaction of the fact: what did not happen is told to nobody."""

import pytest

from notifications.models import Notification
from tests.factories import (
    BookingFactory,
    ChildFactory,
    OfferingFactory,
    PaymentFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)
from tests.payments.signed import checkout, post_stripe

pytestmark = pytest.mark.django_db

BOOKINGS = "/v1/me/bookings"


@pytest.fixture
def offering():
    return OfferingFactory(price_cents=0)


@pytest.fixture
def staff(offering):
    """Users who work for the provider, by role; and somebody who works for another one."""
    account = offering.activity.provider
    ProviderUserFactory(role="owner")
    return {role: ProviderUserFactory(provider_account=account, role=role).user for role in ("owner", "admin", "staff")}


def book(api, child, session, key="one"):
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    return api.as_user(child.parent.user).post(BOOKINGS, body, Idempotency_Key=key)


def told():
    rows = Notification.objects.values_list("kind", "subject_id", "user_id")
    return sorted((kind, subject, user) for kind, subject, user in rows)


def expected(booking_id, *rows):
    return sorted((kind, booking_id, user.pk) for kind, user in rows)


def confirmation(booking, staff):
    return expected(
        booking.pk,
        ("booking_confirmed", booking.parent.user),
        ("booking_received", staff["owner"]),
        ("booking_received", staff["admin"]),
    )


def test_a_free_booking_is_told_to_the_parent_and_to_those_who_run_the_account(api, offering, staff):
    child = ChildFactory()
    assert book(api, child, SessionFactory(offering=offering)).status == 201
    assert told() == confirmation(child.bookings.get(), staff)
    book(api, child, SessionFactory(offering=offering), key="one")
    assert len(told()) == 3


def test_a_hold_is_told_to_nobody(api, staff, offering):
    priced = OfferingFactory(activity=offering.activity)
    assert book(api, ChildFactory(), SessionFactory(offering=priced)).status == 201
    assert told() == []


def test_a_refusal_is_told_to_nobody(api, offering, staff):
    full = SessionFactory(offering=offering, capacity=1, enrolled=1)
    assert book(api, ChildFactory(), full).status == 409
    booking = BookingFactory(session=SessionFactory(offering=offering), status="confirmed")
    path = f"{BOOKINGS}/{booking.pk}/reschedule"
    assert api.as_user(booking.parent.user).post(path, {"sessionId": str(full.pk)}).status == 409
    assert told() == []


@pytest.mark.parametrize("status", ["pending_payment", "expired"])
def test_a_paid_booking_is_told_when_it_is_confirmed_in_time_or_late(api, offering, staff, status):
    priced = OfferingFactory(activity=offering.activity)
    booking = BookingFactory(session=SessionFactory(offering=priced), status=status)
    event = checkout(PaymentFactory(booking=booking))
    post_stripe(api, event)
    assert told() == confirmation(booking, staff)
    post_stripe(api, event)
    assert len(told()) == 3


def test_money_for_a_seat_that_is_gone_is_no_confirmation(api, offering, staff):
    booking = BookingFactory(session=SessionFactory(offering=offering), status="cancelled", amount_cents=2500)
    post_stripe(api, checkout(PaymentFactory(booking=booking)))
    assert told() == []


def test_each_move_is_told_to_both_sides(api, offering, staff):
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n)) for n in range(2)]
    booking = BookingFactory(session=sessions[0], status="confirmed")
    for session in (sessions[1], sessions[0], sessions[1]):
        path = f"{BOOKINGS}/{booking.pk}/reschedule"
        assert api.as_user(booking.parent.user).post(path, {"sessionId": str(session.pk)}).status == 200
    people = [booking.parent.user, staff["owner"], staff["admin"]]
    assert told() == expected(booking.pk, *[("booking_rescheduled", user) for user in people] * 3)


def test_of_a_hold_that_moves_only_the_parent_hears(api, offering, staff):
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n)) for n in range(2)]
    booking = BookingFactory(session=sessions[0])
    path = f"{BOOKINGS}/{booking.pk}/reschedule"
    assert api.as_user(booking.parent.user).post(path, {"sessionId": str(sessions[1].pk)}).status == 200
    assert told() == expected(booking.pk, ("booking_rescheduled", booking.parent.user))


@pytest.mark.parametrize(("status", "is_news"), [("confirmed", True), ("pending_payment", False)])
def test_a_parents_cancellation_is_told_to_the_parent_and_if_it_was_confirmed_to_the_provider(
    api, offering, staff, status, is_news
):
    booking = BookingFactory(session=SessionFactory(offering=offering), status=status)
    assert api.as_user(booking.parent.user).post(f"{BOOKINGS}/{booking.pk}/cancel").status == 200
    people = [booking.parent.user, *([staff["owner"], staff["admin"]] if is_news else [])]
    assert told() == expected(booking.pk, *[("booking_cancelled", user) for user in people])


def test_the_providers_own_cancellation_is_told_to_the_parent_alone(api, offering, staff):
    booking = BookingFactory(session=SessionFactory(offering=offering), status="confirmed")
    path = f"/v1/provider/bookings/{booking.pk}/cancel"
    assert api.as_user(staff["owner"]).post(path, {"reason": "Storm."}).status == 200
    assert told() == expected(booking.pk, ("booking_cancelled", booking.parent.user))
