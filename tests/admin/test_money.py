"""What ops see and do about money: flags, failed refunds, failed events, and a booking's timeline."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission

from payments.models import Payment, Refund, WebhookEvent
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import BookingFactory, PaymentFactory, in_days

pytestmark = pytest.mark.django_db


def page(row, verb="change"):
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{verb}/"


def words(row):
    return list(LogEntry.objects.filter(object_id=str(row.pk)).values_list("change_message", flat=True))


@pytest.fixture
def failed():
    payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid", needs_review=True)
    return Refund.objects.create(
        payment=payment, amount_cents=2500, currency="USD", reason="Cancelled.", status="failed", error="Refused."
    )


@pytest.fixture
def event():
    return WebhookEvent.objects.create(
        processor="stripe", event_id="evt_1", body_sha256="a", type="checkout.session.completed", status="failed",
        attempts=3, error="ValueError", payload={},
    )  # fmt: skip


def test_the_lists_show_what_needs_somebody(ops, failed, event):
    PaymentFactory()
    for path, found in (
        ("/admin/payments/payment/?needs_review__exact=1", failed.payment),
        ("/admin/payments/refund/?status__exact=failed", failed),
        ("/admin/payments/webhookevent/?status__exact=failed", event),
    ):
        response = ops.get(path)
        assert list(response.context["cl"].result_list) == [found], path


def test_a_failed_refund_is_tried_again_and_that_is_logged(ops, failed, tasks, django_capture_on_commit_callbacks):
    assert ops.get(page(failed, "retry")).status_code == 200
    failed.refresh_from_db()
    assert failed.status == "failed"
    with django_capture_on_commit_callbacks(execute=True):
        ops.post(page(failed, "retry"), {"apply": "yes"})
    failed.refresh_from_db()
    assert (failed.status, failed.error) == ("pending", "")
    assert ("payments.tasks.send_refund", (str(failed.pk),)) in tasks
    assert words(failed) == ["Will be sent again."]


def test_a_refund_that_cannot_be_tried_again_says_why(ops, failed, messages_of):
    Payment.objects.filter(pk=failed.payment_id).update(status="refunded")
    response = ops.post(page(failed, "retry"), {"apply": "yes"}, follow=True)
    assert messages_of(response) == [f"{failed}: This money has gone back already, or is on its way."]
    assert words(failed) == []


def test_a_review_is_ended_with_a_reason(ops, failed):
    payment = failed.payment
    ops.post(page(payment, "end_review"), {"apply": "yes", "reason": " "})
    payment.refresh_from_db()
    assert payment.needs_review is True
    ops.post(page(payment, "end_review"), {"apply": "yes", "reason": "Settled with the bank."})
    payment.refresh_from_db()
    assert (payment.needs_review, payment.review_note) == (False, "Settled with the bank.")
    assert words(payment) == ["Reviewed: Settled with the bank."]


def test_a_failed_event_goes_to_a_worker_again(ops, event, tasks, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        ops.post(page(event, "replay"), {"apply": "yes"})
    assert tasks == [("payments.tasks.replay_event", (str(event.pk),))]
    event.refresh_from_db()
    assert event.status == "failed"


@pytest.mark.parametrize("verb", ["retry", "end_review", "replay"])
def test_who_may_only_look_may_not_settle(failed, event, tasks, verb):
    row = {"retry": failed, "end_review": failed.payment, "replay": event}[verb]
    looker = staff()
    looker.user_permissions.add(
        *Permission.objects.filter(content_type__app_label="payments", codename__startswith="view_")
    )
    client = signed_in(looker)
    assert client.get(page(row)).status_code == 200
    assert client.post(page(row, verb), {"apply": "yes", "reason": "x"}).status_code == 403
    before = row.status if verb != "end_review" else row.needs_review
    row.refresh_from_db()
    assert (row.status if verb != "end_review" else row.needs_review) == before
    assert tasks == []


def test_a_bookings_page_tells_its_money(ops):
    booking = BookingFactory(status="confirmed")
    payment = PaymentFactory(booking=booking, status="paid", processor_payment_id="pi_known_to_ops")
    WebhookEvent.objects.create(
        processor="stripe", event_id="evt_<b>", body_sha256="a", type="checkout.session.completed", payload={},
        note="paid, booking <confirmed>", attempts=2, payment=payment,
    )  # fmt: skip
    Refund.objects.create(payment=payment, amount_cents=1000, currency="USD", reason="Ill.", next_attempt_at=in_days(0))
    text = ops.get(page(booking)).content.decode()
    for told in (
        "Booked. The seat is held until it is paid.",
        "Checkout with Stripe.",
        "Stripe told us: paid, booking &lt;confirmed&gt;.",
        "checkout.session.completed, processed, tried 2 times",
        "Refund: Ill.",
        "pi_known_to_ops",
        "10.00 USD",
        "25.00 USD",
    ):
        assert told in text, told
    assert "<confirmed>" not in text
    assert payment.checkout_url not in text
