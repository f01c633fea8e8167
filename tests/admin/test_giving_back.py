"""Giving money back and cancelling, from the pages of payments, requests, bookings and sessions."""

import re
import uuid

import pytest
from django.contrib.admin.models import LogEntry

from bookings.models import Booking
from marketplace.models import Session
from payments.models import RefundRequest
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import BookingFactory, PaymentFactory, SessionFactory

pytestmark = pytest.mark.django_db(databases=["default", "global"])

VIEW = ["payments.view_payment", "payments.view_refundrequest", "bookings.view_booking", "marketplace.view_session"]
REASON = {"apply": "yes", "reason": "The pool was cold."}


def page(row, verb="change"):
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{verb}/"


def words(row):
    return list(LogEntry.objects.filter(object_id=str(row.pk)).values_list("change_message", flat=True))


def paid(cents=25_00):
    return PaymentFactory(booking=BookingFactory(status="confirmed", amount_cents=cents), status="paid")


@pytest.fixture
def clerk():
    return signed_in(staff(rights=[*VIEW, "payments.refund_payment", "bookings.cancel_booking",
                                   "marketplace.cancel_session"]))  # fmt: skip


@pytest.fixture
def second():
    return signed_in(staff(rights=[*VIEW, "payments.approve_refund"]))


def form(amount, **more):
    return {**REASON, "amount": amount, "request_id": str(uuid.uuid4()), **more}


def told(client, row, verb):
    return re.sub(r"\s+", " ", client.get(page(row, verb)).content.decode())


# --- Payments --------------------------------------------------------------------------------------------------------


def test_the_page_says_what_is_left_and_offers_all_of_it(clerk):
    payment = paid()
    shown = told(clerk, payment, "refund")
    assert "Paid 25.00 USD, of which 25.00 is left to give back." in shown
    assert 'value="25' in shown
    assert payment.refunds.count() == 0


def test_a_part_goes_back_and_is_written_down(clerk, messages_of):
    payment = paid()
    response = clerk.post(page(payment, "refund"), form("10.50"), follow=True)
    assert messages_of(response) == [f"10.50 USD goes back: {payment}."]
    assert words(payment) == ["10.50 USD goes back: The pool was cold."]
    assert payment.refunds.get().amount_cents == 10_50


def test_the_same_page_sent_twice_gives_back_once(clerk, messages_of):
    payment, body = paid(), form("5")
    clerk.post(page(payment, "refund"), body)
    response = clerk.post(page(payment, "refund"), body, follow=True)
    assert messages_of(response)[-1] == f"{payment}: This refund was asked for already."
    assert payment.refunds.get().amount_cents == 5_00
    assert len(words(payment)) == 1


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "1e3", "NaN", "Infinity", "", "ten", "99999999999"])
def test_a_wrong_amount_is_asked_for_again(clerk, amount):
    payment = paid()
    response = clerk.post(page(payment, "refund"), form(amount))
    if response.status_code == 200:
        assert "amount" in response.context["form"].errors
    assert payment.refunds.count() == 0


def test_more_than_is_left_is_refused_in_plain_words(clerk, messages_of):
    payment = paid()
    response = clerk.post(page(payment, "refund"), form("25.01"), follow=True)
    assert messages_of(response) == [f"{payment}: Only 25.00 USD of this payment is left to give back."]
    assert (payment.refunds.count(), words(payment)) == (0, [])


def test_a_large_refund_waits_for_somebody_else(clerk, second, messages_of):
    payment = paid(500_00)
    response = clerk.post(page(payment, "refund"), form("300"), follow=True)
    assert messages_of(response) == [f"300.00 USD waits for approval: {payment}."]
    request = RefundRequest.objects.get()
    assert payment.refunds.count() == 0
    # Who asked cannot approve, in the page or past it.
    assert clerk.post(page(request, "approve"), {"apply": "yes"}).status_code == 403
    assert "asked for by" in told(second, request, "approve")
    second.post(page(request, "approve"), {"apply": "yes"})
    request.refresh_from_db()
    assert (request.status, payment.refunds.get().amount_cents) == ("approved", 300_00)
    assert words(request) == ["Approved."]


def test_who_may_do_both_still_does_not_approve_their_own(messages_of):
    both = signed_in(staff(rights=[*VIEW, "payments.refund_payment", "payments.approve_refund"]))
    payment = paid(500_00)
    both.post(page(payment, "refund"), form("300"))
    request = RefundRequest.objects.get()
    assert "Approve" not in both.get(page(request)).content.decode()
    both.post(page(request, "approve"), {"apply": "yes"})
    request.refresh_from_db()
    assert (request.status, payment.refunds.count()) == ("waiting", 0)
    both.post(page(request, "decline"), REASON)
    request.refresh_from_db()
    assert (request.status, request.decision) == ("declined", "The pool was cold.")


def test_a_request_is_declined_with_a_reason(clerk, second):
    payment = paid(500_00)
    clerk.post(page(payment, "refund"), form("300"))
    request = RefundRequest.objects.get()
    second.post(page(request, "decline"), {"apply": "yes", "reason": ""})
    request.refresh_from_db()
    assert request.status == "waiting"
    second.post(page(request, "decline"), REASON)
    request.refresh_from_db()
    assert (request.status, payment.refunds.count()) == ("declined", 0)


# --- Bookings --------------------------------------------------------------------------------------------------------


def test_a_booking_is_cancelled_after_saying_what_that_comes_to(clerk):
    payment = paid()
    booking = payment.booking
    assert "25.00 USD goes back." in told(clerk, booking, "cancel")
    booking.refresh_from_db()
    assert booking.status == "confirmed"
    clerk.post(page(booking, "cancel"), REASON)
    booking.refresh_from_db()
    assert (booking.status, booking.cancellation_reason) == ("cancelled", "The pool was cold.")
    assert payment.refunds.get().amount_cents == 25_00
    assert words(booking) == ["Cancelled: The pool was cold."]


def test_a_dear_booking_waits_for_somebody_else(clerk, second):
    payment = paid(500_00)
    assert "somebody else has to approve it first" in told(clerk, payment.booking, "cancel")
    clerk.post(page(payment.booking, "cancel"), REASON)
    assert Booking.objects.get(pk=payment.booking_id).status == "confirmed"
    second.post(page(RefundRequest.objects.get(), "approve"), {"apply": "yes"})
    assert Booking.objects.get(pk=payment.booking_id).status == "cancelled"
    assert payment.refunds.get().amount_cents == 500_00


# --- Sessions --------------------------------------------------------------------------------------------------------


def test_a_session_is_cancelled_after_a_dry_run_that_is_confirmed(clerk, django_capture_on_commit_callbacks):
    session = SessionFactory()
    payments = [
        PaymentFactory(booking=BookingFactory(session=Session.objects.get(pk=session.pk), status="confirmed"),
                       status="paid")
        for _ in range(2)
    ]  # fmt: skip
    shown = told(clerk, session, "cancel")
    assert "Sessions: 1. Bookings that lose a seat: 2, of which 2 end. Children: 2. 50.00 USD goes back." in shown
    response = clerk.post(page(session, "cancel"), REASON)
    assert list(response.context["form"].errors) == ["sure"]
    session.refresh_from_db()
    assert session.status == "scheduled"
    with django_capture_on_commit_callbacks(execute=True):
        clerk.post(page(session, "cancel"), REASON | {"sure": "on"})
    session.refresh_from_db()
    assert (session.status, session.enrolled, session.cancellation_reason) == ("cancelled", 0, "The pool was cold.")
    assert [each.refunds.get().amount_cents for each in payments] == [25_00, 25_00]
    assert words(session) == ["Cancelled, with 2 bookings: The pool was cold."]


def test_a_series_is_cancelled_from_one_session_on(clerk):
    series = uuid.uuid4()
    first = SessionFactory(series_id=series)
    later = SessionFactory(offering=first.offering, series_id=series, starts_at=first.starts_at.replace(year=2027))
    assert "With all that follow. Sessions: 2." in told(clerk, first, "cancel")
    clerk.post(page(first, "cancel"), REASON | {"sure": "on", "series": "on"})
    assert set(Session.objects.values_list("status", flat=True)) == {"cancelled"}
    assert later.series_id == series


# --- Who may not -----------------------------------------------------------------------------------------------------


def test_who_may_only_look_moves_no_money():
    looker = signed_in(staff(rights=VIEW))
    payment = paid(500_00)
    request = RefundRequest.objects.create(
        payment=payment, amount_cents=1, currency="USD", reason="x", needs_approval=True, requested_by=staff()
    )
    for row, verb in (
        (payment, "refund"), (payment.booking, "cancel"), (payment.booking.session, "cancel"), (request, "approve"),
        (request, "decline"),
    ):  # fmt: skip
        assert looker.get(page(row)).status_code == 200
        assert looker.get(page(row, verb)).status_code == 403
        assert looker.post(page(row, verb), form("1", sure="on")).status_code == 403
    request.refresh_from_db()
    assert (request.status, payment.refunds.count()) == ("waiting", 0)
    assert Booking.objects.get(pk=payment.booking_id).status == "confirmed"
    assert Session.objects.get(pk=payment.booking.session_id).status == "scheduled"
