"""GET /v1/me/bookings and /v1/me/bookings/{id}."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments.models import Refund
from tests.factories import (
    BookingFactory,
    ChildFactory,
    OfferingFactory,
    PaymentFactory,
    SessionFactory,
    UserFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

BOOKINGS = "/v1/me/bookings"


def paid_package(child):
    """A confirmed booking of two sessions with a payment and a refund: everything that an answer shows."""
    offering = OfferingFactory(type="multi_session", session_count=2)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(7 + n)) for n in range(2)]
    booking = BookingFactory(session=sessions[0], child=child, status="confirmed", seats=sessions)
    payment = PaymentFactory(booking=booking, status="paid")
    Refund.objects.create(payment=payment, amount_cents=100, currency="USD", reason="A gesture.", status="succeeded")
    return booking


def test_only_my_bookings_are_listed_latest_first(api):
    child = ChildFactory()
    mine = [BookingFactory(child=child, status=status) for status in ("confirmed", "cancelled", "pending_payment")]
    BookingFactory()
    answer = api.as_user(child.parent.user).get(BOOKINGS)
    assert answer.status == 200
    assert [row["id"] for row in answer.data] == [str(each.pk) for each in reversed(mine)]
    assert answer.meta == {"page": 1, "limit": 20, "total": 3}


def test_somebody_without_bookings_gets_an_empty_list(api):
    BookingFactory()
    answer = api.as_user(UserFactory()).get(BOOKINGS)
    assert (answer.data, answer.meta) == ([], {"page": 1, "limit": 20, "total": 0})


def test_pages(api):
    child = ChildFactory()
    mine = [str(BookingFactory(child=child).pk) for _ in range(3)][::-1]
    client = api.as_user(child.parent.user)
    assert [row["id"] for row in client.get(f"{BOOKINGS}?limit=2").data] == mine[:2]
    second = client.get(f"{BOOKINGS}?limit=2&page=2")
    assert ([row["id"] for row in second.data], second.meta) == (mine[2:], {"page": 2, "limit": 2, "total": 3})
    assert client.get(f"{BOOKINGS}?limit=2&page=3").data == []
    for wrong in ("limit=0", "limit=101", "page=0", "page=x", "limit=-1"):
        assert client.get(f"{BOOKINGS}?{wrong}").code == (400, "VALIDATION_ERROR")


def test_a_list_takes_the_same_queries_for_one_row_and_for_three(api):
    child = ChildFactory()
    client = api.as_user(child.parent.user)
    counts = []
    for more in (1, 2):
        for _ in range(more):
            paid_package(child)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get(BOOKINGS).status == 200
        counts.append(len(queries))
    # User; count; bookings with activity and provider; seats; sessions with place; payments; refunds.
    assert counts == [counts[0]] * 2
    assert counts[0] <= 9


def test_one_booking_shows_its_sessions_and_its_payment(api):
    child = ChildFactory()
    booking = paid_package(child)
    answer = api.as_user(child.parent.user).get(f"{BOOKINGS}/{booking.pk}")
    assert answer.status == 200
    assert answer.data["status"] == "confirmed"
    assert len(answer.data["sessions"]) == 2
    payment = booking.payments.get()
    assert answer.data["payment"] == {
        "id": str(payment.pk),
        "status": "paid",
        "processor": "stripe",
        "amountCents": 2500,
        "currency": "USD",
        "refundedCents": 100,
    }
    assert answer.data == api.as_user(child.parent.user).get(BOOKINGS).data[0]


def test_the_payment_shown_is_the_one_that_counts(api):
    booking = BookingFactory(status="confirmed")
    paid = PaymentFactory(booking=booking, status="paid")
    PaymentFactory(booking=booking, status="failed")
    answer = api.as_user(booking.parent.user).get(f"{BOOKINGS}/{booking.pk}")
    assert answer.data["payment"]["id"] == str(paid.pk)


def test_a_refund_that_failed_does_not_count_as_given_back(api):
    booking = BookingFactory(status="confirmed")
    payment = PaymentFactory(booking=booking, status="paid")
    for status, cents in (("failed", 2500), ("pending", 300), ("sent", 200)):
        Refund.objects.create(payment=payment, amount_cents=cents, currency="USD", reason="x", status=status)
    answer = api.as_user(booking.parent.user).get(f"{BOOKINGS}/{booking.pk}")
    assert answer.data["payment"]["refundedCents"] == 500


def test_a_cancelled_booking_shows_the_sessions_that_it_held_last(api):
    booking = BookingFactory(status="cancelled")
    answer = api.as_user(booking.parent.user).get(f"{BOOKINGS}/{booking.pk}")
    assert [each["id"] for each in answer.data["sessions"]] == [str(booking.session_id)]


def test_a_strangers_booking_does_not_exist(api):
    booking = BookingFactory()
    client = api.as_user(UserFactory())
    assert client.get(f"{BOOKINGS}/{booking.pk}").code == (404, "NOT_FOUND")
    assert client.get(f"{BOOKINGS}/{uuid4()}").code == (404, "NOT_FOUND")
    assert client.get(f"{BOOKINGS}/not-an-id").code == (404, "NOT_FOUND")


def test_reading_is_open_to_a_user_of_the_other_region(api):
    assert api.as_user(UserFactory(home_region="in")).get(BOOKINGS).status == 200


def test_nobody_reads_without_signing_in(api):
    assert api.get(BOOKINGS).code == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_booking_is_not_changed_or_deleted_directly(api, method):
    booking = BookingFactory()
    answer = api.as_user(booking.parent.user).request(method, f"{BOOKINGS}/{booking.pk}", {"status": "confirmed"})
    assert answer.code == (405, "METHOD_NOT_ALLOWED")
    booking.refresh_from_db()
    assert booking.status == "pending_payment"
