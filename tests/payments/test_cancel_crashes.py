"""Cancelling a session in a process that is killed on the way: the sweep comes round, and all is as it should be."""

import pytest

from bookings.models import Booking, Seat
from marketplace.models import Session
from notifications.models import Notification
from payments.models import Refund
from payments.tasks import finish_cancelled_sessions
from tests.books import wrong_now
from tests.factories import (
    BookingFactory,
    OfferingFactory,
    PaymentFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)
from tests.payments import test_crashes as crashes

pytestmark = pytest.mark.django_db(transaction=True)

nursery, dies = crashes.nursery, crashes.dies

REASON = {"reason": "The hall is flooded."}


@pytest.fixture
def full():
    """A session with three paid bookings and a hold."""
    session = SessionFactory()
    for status in ("confirmed", "confirmed", "confirmed", "pending_payment"):
        booking = BookingFactory(session=Session.objects.get(pk=session.pk), status=status)
        PaymentFactory(booking=booking, status="paid" if status == "confirmed" else "pending")
    return session


def cancelling(session):
    staff = ProviderUserFactory(provider_account=session.activity.provider)
    return crashes.request("POST", f"/v1/provider/sessions/{session.pk}/cancel", REASON, user=staff.user)


def statuses():
    return sorted(Booking.objects.values_list("status", flat=True))


def is_settled():
    """Every booking is over, refunded once and told of once; and nothing is left for another sweep."""
    finish_cancelled_sessions()
    assert statuses() == ["cancelled"] * 4
    assert list(Refund.objects.values_list("amount_cents", flat=True)) == [2500] * 3
    assert Notification.objects.filter(kind="session_cancelled").count() == 4
    assert not Seat.objects.held().exists()
    return wrong_now() == {}


@pytest.mark.parametrize(
    ("point", "after", "count", "ended"),
    [
        ("payments.session_cancellations.settle_all", False, 1, 0),  # marked, and nothing else
        ("payments.session_cancellations.settle", True, 2, 2),
        ("bookings.services.release_seats", True, 3, 2),  # in the midst of the third booking
        ("payments.cancellations.owe_refund", True, 1, 0),
        ("bookings.notices.tell_parent", True, 3, 2),
        ("core.envelope.EnvelopeRenderer.render", False, 1, 4),  # all is done, and nobody knows
    ],
)
def test_a_session_that_was_marked_is_finished_by_the_sweep(api, full, dies, point, after, count, ended):
    do = cancelling(full)
    dies(do, at=point, after=after, count=count)
    full.refresh_from_db()
    assert (full.status, full.sequence) == ("cancelled", 1)
    assert statuses().count("cancelled") == ended
    assert wrong_now() == {}
    # The provider, who got no answer, asks again.
    assert crashes.ask(api, do).code == (409, "INVALID_STATE")
    finish_cancelled_sessions()
    assert is_settled()


def test_before_it_is_marked_nothing_has_happened_and_it_is_asked_again(api, full, dies):
    do = cancelling(full)
    dies(do, at="payments.session_cancellations.extent_of", after=True)
    full.refresh_from_db()
    assert (full.status, full.enrolled) == ("scheduled", 4)
    finish_cancelled_sessions()
    assert statuses() == ["confirmed"] * 3 + ["pending_payment"]
    assert crashes.ask(api, do).status == 200
    assert is_settled()


@pytest.mark.parametrize("count", [1, 2])
def test_the_sweep_itself_may_die(api, full, dies, count):
    Session.objects.filter(pk=full.pk).update(status="cancelled", cancelled_at=in_days(0))
    dies(["task", "payments.tasks.finish_cancelled_sessions"], at="payments.cancellations.owe_refund", count=count)
    assert statuses().count("cancelled") == count - 1
    finish_cancelled_sessions()
    assert is_settled()


def test_a_package_whose_share_was_being_refunded_gets_it_once(api, dies):
    offering = OfferingFactory(type="multi_session", session_count=3, price_cents=1000)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n)) for n in range(3)]
    booking = BookingFactory(session=sessions[0], seats=sessions, status="confirmed")
    PaymentFactory(booking=booking, status="paid")
    dies(cancelling(sessions[1]), at="payments.cancellations.owe_refund", after=True)
    assert Refund.objects.count() == 0
    for _ in range(2):
        finish_cancelled_sessions()
        assert list(Refund.objects.values_list("amount_cents", flat=True)) == [333]
        assert Seat.objects.held().count() == 2
