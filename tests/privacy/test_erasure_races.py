"""An erasure meets what still happens to the person's bookings."""

import pytest
from django.db import OperationalError, transaction
from django.db.models import QuerySet

from bookings import notices
from bookings.models import Booking
from notifications.models import Notification
from privacy import erasure
from tests.factories import BookingFactory
from tests.meeting import Meeting

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])


def meet(monkeypatch, now):
    """What came of telling of a refund, as its webhook does, while the parent's erasure waits for the booking."""
    booking = BookingFactory(status="cancelled", cancelled_at=now)
    request = erasure.request_erasure(user=booking.parent.user, now=now)

    def tell_of_it():
        with transaction.atomic():
            Booking.objects.select_for_update(of=("self",), no_key=True).get(pk=booking.pk)
            notices.tell_parent(booking, Notification.Kind.REFUND_SENT, now=now)

    def erase():
        erasure.take_next_step(request.pk, now=now)

    return request, Meeting(monkeypatch, (notices, "tell_parent")).of(tell_of_it, erase)


def test_news_of_a_booking_does_not_stop_the_erasure_of_its_parent(monkeypatch, now, sandbox):
    request, given = meet(monkeypatch, now)
    request.refresh_from_db()
    assert given == (None, None)
    assert request.status == "erased"


def test_control_with_a_lock_on_the_key_one_of_them_fails(monkeypatch, now, sandbox):
    lock = QuerySet.select_for_update
    monkeypatch.setattr(
        QuerySet, "select_for_update", lambda rows, **how: lock(rows, **{**how, "no_key": rows.model is Booking})
    )
    _, given = meet(monkeypatch, now)
    assert [type(each) for each in given if each is not None] == [OperationalError]
