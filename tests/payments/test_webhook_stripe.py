"""POST /v1/payments/webhook/stripe."""

import itertools
import json
import time
from uuid import uuid4

import pytest

from bookings.models import Booking, Seat
from marketplace.models import Session
from payments.models import Payment, Refund, WebhookEvent
from tests.factories import BookingFactory, ChildFactory, PaymentFactory, SessionFactory, in_days
from tests.payments.signed import (
    STRIPE,
    charge_refunded,
    checkout,
    declined,
    disputed,
    intent_id,
    post_stripe,
    private_parts_of,
    refund_event,
    stripe_event,
    stripe_signature,
)

pytestmark = pytest.mark.django_db

RECEIVED = {"success": True, "data": {"received": True}}


@pytest.fixture
def payment():
    """An open checkout of a booking that holds one seat of ten."""
    return PaymentFactory()


def state(payment):
    """Payment, booking, seats held, seats counted: everything that an event could move."""
    payment = Payment.objects.select_related("booking__session").get(pk=payment.pk)
    held = Seat.objects.held().filter(booking=payment.booking).count()
    return payment.status, payment.booking.status, held, payment.booking.session.enrolled


def refunds(payment):
    return list(payment.refunds.order_by("pk").values_list("status", "amount_cents"))


def take(api, *events):
    for event in events:
        answer = post_stripe(api, event)
        assert (answer.status, answer.body) == (200, RECEIVED), answer.body


def last_event():
    return WebhookEvent.objects.order_by("-pk").first()


def end_hold(payment, status="expired"):
    """The booking ended, and its seat was given back, before the money came."""
    Booking.objects.filter(pk=payment.booking_id).update(status=status)
    Seat.objects.filter(booking=payment.booking_id).update(released_at=in_days(0))
    Session.objects.filter(pk=payment.booking.session_id).update(enrolled=0)


# --- The signature ----------------------------------------------------------------------------------------------------


def signed_with(raw, **options):
    return {"Stripe_Signature": stripe_signature(raw, **options)}


@pytest.mark.parametrize(
    "headers",
    [
        lambda raw: {},
        lambda raw: {"Stripe_Signature": ""},
        lambda raw: {"Stripe_Signature": "t=,v1="},
        lambda raw: {"Stripe_Signature": "v1=00"},
        lambda raw: {"Stripe_Signature": f"t={int(time.time())}"},
        lambda raw: {"Stripe_Signature": f"t={int(time.time())},v1=00"},
        lambda raw: {"Stripe_Signature": f"t={int(time.time())},v1=ünïcode"},
        lambda raw: {"Stripe_Signature": f"t=soon,v1={stripe_signature(raw)[-64:]}"},
        lambda raw: {"Stripe_Signature": f"t={int(time.time())},v0={stripe_signature(raw)[-64:]}"},
        lambda raw: {"Stripe_Signature": "t=1=2,,=,v1"},
        lambda raw: {"Stripe_Signature": "=" * 60_000},
        lambda raw: {"Stripe_Signature": "t=" + "9" * 5000 + ",v1=00"},
        lambda raw: {"Stripe_Signature": f"t={int(time.time())}," + ",".join(["v1=00"] * 5000)},
        lambda raw: signed_with(raw, secret="whsec_another"),
        lambda raw: signed_with(raw, secret=""),
        lambda raw: signed_with(raw + b" "),
        lambda raw: signed_with(raw, at=time.time() - 301),
        lambda raw: signed_with(raw, at=time.time() - 86_400),
        lambda raw: signed_with(raw, at=0),
        lambda raw: signed_with(raw, at=time.time() + 400),
        lambda raw: signed_with(raw, at=time.time() + 10 * 365 * 86_400),
    ],
)
def test_a_bad_signature_is_refused_and_nothing_is_written(api, payment, headers):
    raw = json.dumps(checkout(payment)).encode()
    answer = api.post(STRIPE, raw=raw, **headers(raw))
    assert answer.code == (400, "INVALID_SIGNATURE")
    assert not WebhookEvent.objects.exists()
    assert state(payment) == ("pending", "pending_payment", 1, 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"{",
        b"{}",
        b'{"id": "evt_1", "type": "x", "data": null}',
        b'{"id": "evt_1", "type": "x", "data": {"object": []}}',
        b'{"id": "evt_1", "type": "checkout.session.completed", "data": {"object": {}}}',
        b"\xff\xfe",
        b"\x00",
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(api, raw):
    answer = api.post(STRIPE, raw=raw, Stripe_Signature=stripe_signature(raw))
    assert answer.code == (400, "INVALID_SIGNATURE")
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("age", [0, 290, -250])
def test_a_signature_of_the_last_five_minutes_is_good(api, payment, age):
    answer = post_stripe(api, checkout(payment), at=time.time() - age)
    assert (answer.status, answer.body) == (200, RECEIVED)
    assert state(payment)[:2] == ("paid", "confirmed")


def test_each_of_several_secrets_is_good_while_one_replaces_the_other(api, settings):
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", "whsec_old"]
    for secret in settings.STRIPE_WEBHOOK_SECRETS:
        payment = PaymentFactory()
        assert post_stripe(api, checkout(payment), secret=secret).status == 200
        assert state(payment)[:2] == ("paid", "confirmed")
    assert post_stripe(api, checkout(PaymentFactory()), secret="whsec_sandbox").code == (400, "INVALID_SIGNATURE")


def test_without_any_secret_nothing_is_believed(api, payment, settings):
    settings.STRIPE_WEBHOOK_SECRETS = []
    assert post_stripe(api, checkout(payment), secret="").code == (400, "INVALID_SIGNATURE")


def test_the_body_is_verified_as_it_came_whatever_its_white_space_or_alphabet(api, payment):
    raw = b"\n " + json.dumps(checkout(payment), ensure_ascii=False, indent=7).encode() + b"\n\n"
    assert api.post(STRIPE, raw=raw, Stripe_Signature=stripe_signature(raw)).status == 200
    assert state(payment)[:2] == ("paid", "confirmed")


def test_a_region_without_stripe_does_not_know_the_address(api, india):
    payment = PaymentFactory(processor="stripe")
    assert post_stripe(api, checkout(payment)).code == (404, "NOT_FOUND")
    assert not WebhookEvent.objects.exists()
    assert state(payment)[:2] == ("pending", "pending_payment")


def test_a_body_beyond_the_limit_is_refused(api):
    raw = b" " * (1024 * 1024 + 1)
    assert api.post(STRIPE, raw=raw, Stripe_Signature=stripe_signature(raw)).code == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_a_post_is_an_event(api, method):
    assert api.request(method, STRIPE).code == (405, "METHOD_NOT_ALLOWED")


def test_coming_back_from_the_checkout_page_confirms_nothing(api, payment, settings):
    client = api.as_user(payment.booking.parent.user)
    session = payment.processor_checkout_id
    for path in (
        f"/returned?outcome=success&session_id={session}",
        f"/v1/payments/success?session_id={session}",
        f"/v1/me/bookings/{payment.booking_id}?outcome=success&session_id={session}&payment_status=paid",
        f"{STRIPE}?session_id={session}",
    ):
        client.get(path)
    client.post(f"/v1/me/bookings/{payment.booking_id}", {"status": "confirmed"})
    client.patch(f"/v1/me/bookings/{payment.booking_id}", {"status": "confirmed"})
    assert state(payment) == ("pending", "pending_payment", 1, 1)


# --- The signal table, row by row -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["created", "pending", "failed"])
@pytest.mark.parametrize("type", ["completed", "async_payment_succeeded"])
def test_paid_confirms_the_booking(api, status, type):
    payment = PaymentFactory(status=status)
    take(api, checkout(payment, type))
    assert state(payment) == ("paid", "confirmed", 1, 1)
    row = Payment.objects.get(pk=payment.pk)
    assert row.paid_at is not None
    assert (row.processor_payment_id, row.status_reason, row.needs_review) == (intent_id(payment), None, False)
    booking = row.booking
    assert (booking.confirmed_at is not None, booking.expires_at) == (True, None)
    assert not Refund.objects.exists()
    event = WebhookEvent.objects.get()
    assert (event.processor, event.type, event.status) == ("stripe", f"checkout.session.{type}", "processed")
    assert (event.payment_id, event.note) == (payment.pk, "paid, booking confirmed")


def test_paid_counts_as_long_as_the_hold_was_not_ended_even_when_its_time_is_up(api):
    payment = PaymentFactory(booking__expires_at=in_days(-0.01))
    take(api, checkout(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)


def test_completed_without_money_only_makes_it_pending(api):
    payment = PaymentFactory(status="created")
    take(api, checkout(payment, payment_status="unpaid"))
    assert state(payment) == ("pending", "pending_payment", 1, 1)


def test_a_declined_card_fails_the_payment_and_the_hold_runs_on(api, payment):
    take(api, declined(payment))
    assert state(payment) == ("failed", "pending_payment", 1, 1)
    row = Payment.objects.get(pk=payment.pk)
    assert (row.status_reason, row.failed_at is not None) == ("Payment failed: card_declined.", True)
    take(api, checkout(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)


@pytest.mark.parametrize("type", ["expired", "async_payment_failed"])
def test_the_current_checkouts_end_gives_the_seat_back_once(api, payment, type):
    take(api, checkout(payment, type))
    assert state(payment) == ("failed", "expired", 0, 0)
    take(api, checkout(payment, type), checkout(payment, "expired"))
    assert state(payment) == ("failed", "expired", 0, 0)


def test_the_end_of_an_earlier_checkout_leaves_the_booking_alone(api, payment):
    earlier = PaymentFactory(booking=payment.booking, status="failed", id=uuid4())
    Payment.objects.filter(pk=earlier.pk).update(id="00000000-0000-7000-8000-000000000001")
    earlier = Payment.objects.exclude(pk=payment.pk).get()
    take(api, checkout(earlier, "expired"))
    assert state(payment) == ("pending", "pending_payment", 1, 1)


def test_the_end_of_a_checkout_that_is_not_ours_any_more_leaves_all_alone(api, payment):
    take(api, checkout(payment, "expired", id="cs_test_of_another_try"))
    assert state(payment) == ("pending", "pending_payment", 1, 1)


@pytest.mark.parametrize(
    "later", [declined, lambda p: checkout(p, "expired"), lambda p: checkout(p, payment_status="unpaid")]
)
def test_what_comes_after_paid_is_ignored(api, payment, later):
    take(api, checkout(payment), later(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)


def test_every_order_of_decline_expiry_and_success_ends_confirmed(api):
    """An expiry that overtakes the success releases the seat, which the success takes again."""
    for order in itertools.permutations(("declined", "expired", "paid", "unpaid")):
        payment = PaymentFactory()
        events = {
            "declined": declined(payment),
            "expired": checkout(payment, "expired"),
            "paid": checkout(payment),
            "unpaid": checkout(payment, payment_status="unpaid"),
        }
        for name in order:
            take(api, events[name], events[name])
        assert state(payment) == ("paid", "confirmed", 1, 1), order
        assert refunds(payment) == []


def test_the_same_event_twice_is_one_event(api, payment):
    event = checkout(payment)
    take(api, event, event)
    # The same id in other bytes: Stripe counts `pending_webhooks` down.
    take(api, event | {"pending_webhooks": 0})
    assert WebhookEvent.objects.count() == 1
    assert state(payment) == ("paid", "confirmed", 1, 1)


def test_two_events_about_the_same_success_confirm_once(api, payment):
    take(api, checkout(payment), checkout(payment, "async_payment_succeeded"))
    assert WebhookEvent.objects.count() == 2
    assert last_event().note == "already paid"
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert refunds(payment) == []


@pytest.mark.parametrize(
    "change", [{"amount_total": 2600}, {"amount_total": 1}, {"currency": "inr"}, {"amount_total": None}]
)
def test_another_amount_or_currency_never_confirms(api, payment, change):
    take(api, checkout(payment, **change))
    assert state(payment) == ("pending", "pending_payment", 1, 1)
    row = Payment.objects.get(pk=payment.pk)
    assert (row.needs_review, row.paid_at) == (True, None)
    assert row.status_reason.startswith("Paid ")
    assert refunds(payment) == []


@pytest.mark.parametrize("livemode", [True, "yes", None])
def test_an_event_of_the_other_mode_is_stored_and_ignored(api, payment, livemode):
    take(api, checkout(payment, event={"livemode": livemode}))
    assert state(payment) == ("pending", "pending_payment", 1, 1)
    assert (last_event().status, last_event().note, last_event().payment) == ("ignored", "not ours", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {}, "id": "cs_test_foreign"},
        {"metadata": None, "id": "cs_test_foreign"},
        {"metadata": {"payment_id": "x"}, "id": "cs_test_foreign"},
        {"metadata": {"payment_id": 7}, "id": "cs_test_foreign"},
        {"metadata": {"payment_id": "00000000-0000-7000-8000-000000000001"}, "id": "cs_test_foreign"},
    ],
)
def test_somebody_elses_object_is_stored_and_ignored(api, payment, changes):
    take(api, checkout(payment, **changes))
    assert (last_event().status, last_event().note) == ("ignored", "not ours")
    assert state(payment) == ("pending", "pending_payment", 1, 1)


def test_a_session_without_metadata_is_known_by_its_id(api, payment):
    take(api, checkout(payment, metadata={}))
    assert state(payment)[:2] == ("paid", "confirmed")


def test_the_other_processors_payment_is_not_stripes(api):
    payment = PaymentFactory(processor="razorpay")
    take(api, checkout(payment))
    assert state(payment)[:2] == ("pending", "pending_payment")


@pytest.mark.parametrize("type", ["charge.succeeded", "payment_intent.created", "something.new"])
def test_an_unknown_type_is_stored_and_ignored(api, payment, type):
    take(api, stripe_event(type, {"id": "x", "metadata": {"payment_id": str(payment.pk)}}))
    assert (last_event().status, last_event().note) == ("ignored", "nothing to do")
    assert state(payment) == ("pending", "pending_payment", 1, 1)


def test_the_event_may_overtake_the_answer_that_opened_the_checkout(api):
    payment = PaymentFactory(status="created", processor_checkout_id=None, pending_at=None)
    event = checkout(payment)
    take(api, event)
    assert state(payment)[:2] == ("paid", "confirmed")
    assert Payment.objects.get(pk=payment.pk).processor_checkout_id == event["data"]["object"]["id"]


# --- Late, twice, too much --------------------------------------------------------------------------------------------


def test_late_with_the_seat_still_free_takes_it_again(api, payment, tasks):
    end_hold(payment)
    take(api, checkout(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)
    assert (refunds(payment), tasks) == ([], [])
    booking = Booking.objects.get(pk=payment.booking_id)
    assert (booking.confirmed_at is not None, booking.expires_at) == (True, None)


def full(payment):
    Session.objects.filter(pk=payment.booking.session_id).update(capacity=1)
    BookingFactory(session=Session.objects.get(pk=payment.booking.session_id))


def booked_again(payment):
    BookingFactory(session=Session.objects.get(pk=payment.booking.session_id), child=payment.booking.child)


def begun(payment):
    Session.objects.filter(pk=payment.booking.session_id).update(starts_at=in_days(-0.01))


def called_off(payment):
    Session.objects.filter(pk=payment.booking.session_id).update(status="cancelled")


def child_removed(payment):
    child = payment.booking.child
    child.first_name, child.birth_date, child.removed_at = "", None, in_days(0)
    child.save()


@pytest.mark.parametrize("gone", [full, booked_again, begun, called_off, child_removed])
def test_late_without_the_seat_is_paid_and_given_back(api, payment, tasks, gone, django_capture_on_commit_callbacks):
    end_hold(payment)
    gone(payment)
    taken = Session.objects.get(pk=payment.booking.session_id).enrolled
    with django_capture_on_commit_callbacks(execute=True):
        take(api, checkout(payment))
    assert state(payment) == ("paid", "expired", 0, taken)
    refund = payment.refunds.get()
    assert (refund.status, refund.amount_cents, refund.currency) == ("pending", 2500, "USD")
    assert refund.reason == "Paid after the hold was over, and the seat was gone."
    assert tasks == [("payments.tasks.send_refund", (str(refund.pk),))]


def test_a_package_paid_late_is_all_or_nothing(api):
    first, second = SessionFactory(), SessionFactory(capacity=1)
    booking = BookingFactory(session=first, status="expired", seats=[first, second])
    BookingFactory(session=second)
    payment = PaymentFactory(booking=booking)
    take(api, checkout(payment))
    assert state(payment) == ("paid", "expired", 0, 0)
    assert refunds(payment) == [("pending", 2500)]


def test_a_booking_that_was_moved_takes_only_its_last_seat_again(api):
    old, new = SessionFactory(), SessionFactory()
    booking = BookingFactory(session=new, status="expired", seats=[new])
    Seat.objects.create(booking=booking, session=old, child=booking.child, released_at=in_days(-1))
    payment = PaymentFactory(booking=booking)
    take(api, checkout(payment))
    assert state(payment) == ("paid", "confirmed", 1, 1)
    old.refresh_from_db()
    assert old.enrolled == 0


def test_paid_after_cancelling_is_given_back_and_stays_cancelled(api, payment):
    end_hold(payment, "cancelled")
    take(api, checkout(payment))
    assert state(payment) == ("paid", "cancelled", 0, 0)
    assert refunds(payment) == [("pending", 2500)]
    assert payment.refunds.get().reason == "Paid after the booking was cancelled."


def test_a_second_success_for_one_booking_is_given_back(api):
    booking = BookingFactory(status="confirmed")
    first = PaymentFactory(booking=booking, status="paid")
    second = PaymentFactory(booking=booking, status="failed")
    take(api, checkout(second))
    assert state(second) == ("paid", "confirmed", 1, 1)
    assert (refunds(first), refunds(second)) == ([], [("pending", 2500)])
    assert second.refunds.get().reason == "Paid a second time."


def test_one_checkout_paid_by_two_payments_keeps_the_first_and_gives_the_second_back(api, payment):
    take(api, checkout(payment), checkout(payment, payment_intent="pi_second"))
    # More news of the second payment belongs to its own row, however they come.
    take(api, checkout(payment, "async_payment_succeeded", payment_intent="pi_second"))
    assert state(payment) == ("paid", "confirmed", 1, 1)
    second = Payment.objects.get(processor_payment_id="pi_second")
    assert (second.status, second.booking_id, second.amount_cents) == ("paid", payment.booking_id, 2500)
    assert (refunds(payment), refunds(second)) == ([], [("pending", 2500)])
    refund = second.refunds.get()
    # Both intents carry the note of the one row that the checkout was opened for.
    note = {"metadata": {"payment_id": str(payment.pk)}}
    take(api, charge_refunded(second, **note), refund_event(second, refund=refund))
    assert state(second) == ("refunded", "confirmed", 1, 1)
    assert state(payment)[0] == "paid"
    assert refunds(payment) == []


# --- Refunds and disputes ---------------------------------------------------------------------------------------------


@pytest.fixture
def paid():
    return PaymentFactory(booking=BookingFactory(status="confirmed"), status="paid")


def owe(payment, cents=None, **fields):
    cents = payment.amount_cents if cents is None else cents
    return Refund.objects.create(payment=payment, amount_cents=cents, currency="USD", reason="Cancelled.", **fields)


def test_a_full_refund_before_paid_is_final(api, payment):
    take(api, charge_refunded(payment), checkout(payment))
    assert state(payment) == ("refunded", "pending_payment", 1, 1)
    assert refunds(payment) == []
    assert last_event().note == "already refunded"


def test_our_refunds_success_makes_the_payment_refunded(api, paid):
    end_hold(paid, "cancelled")
    refund = owe(paid, status="sent", processor_refund_id="re_1")
    take(api, refund_event(paid, refund=refund))
    assert state(paid) == ("refunded", "cancelled", 0, 0)
    assert Payment.objects.get(pk=paid.pk).refunded_at is not None
    refund.refresh_from_db()
    assert (refund.status, refund.succeeded_at is not None) == ("succeeded", True)


def test_every_order_of_a_refunds_events_ends_the_same(api):
    for order in itertools.permutations(("created", "charge", "updated")):
        payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid")
        refund = owe(payment)
        events = {
            "created": refund_event(payment, "created", refund=refund, status="pending"),
            "charge": charge_refunded(payment),
            "updated": refund_event(payment, refund=refund),
        }
        take(api, *(events[name] for name in order), *(events[name] for name in order))
        assert state(payment)[0] == "refunded", order
        assert refunds(payment) == [("succeeded", 2500)], order


def test_every_order_of_a_failing_refunds_events_ends_the_same(api):
    for order in itertools.permutations(("created", "charge", "failed")):
        payment = PaymentFactory(booking=BookingFactory(status="cancelled"), status="paid")
        refund = owe(payment)
        events = {
            "created": refund_event(payment, "created", refund=refund, status="pending"),
            "charge": charge_refunded(payment),
            "failed": refund_event(payment, "failed", refund=refund, status="failed"),
        }
        take(api, *(events[name] for name in order))
        assert state(payment)[0] == "paid", order
        assert refunds(payment) == [("failed", 2500)], order
        row = Payment.objects.get(pk=payment.pk)
        assert (row.needs_review, row.refunded_at, row.status_reason) == (True, None, "A refund failed.")


def test_a_refund_that_fails_after_its_success_puts_the_payment_back_to_paid(api, paid):
    end_hold(paid, "cancelled")
    refund = owe(paid)
    take(api, refund_event(paid, refund=refund))
    assert state(paid)[0] == "refunded"
    take(api, refund_event(paid, "failed", refund=refund, status="failed"))
    assert state(paid) == ("paid", "cancelled", 0, 0)
    refund.refresh_from_db()
    assert (refund.status, refund.error) == ("failed", "expired_or_canceled_card")
    # A success that was sent before the failure and comes after it changes nothing.
    take(api, refund_event(paid, refund=refund))
    assert state(paid)[0] == "paid"
    assert refunds(paid) == [("failed", 2500)]


@pytest.mark.parametrize("first", ["pending", "succeeded"])
def test_a_refund_that_we_gave_up_and_that_went_through_after_all_counts(api, paid, first):
    end_hold(paid, "cancelled")
    refund = owe(paid, status="failed", error="The payment processor is out of reach.", attempts=10)
    take(api, refund_event(paid, "created", refund=refund, status=first), refund_event(paid, refund=refund))
    assert refunds(paid) == [("succeeded", 2500)]
    assert state(paid)[0] == "refunded"


def test_a_partial_refund_on_the_dashboard_gets_a_row_and_changes_nothing_else(api, paid):
    take(api, charge_refunded(paid, 1000), refund_event(paid, cents=1000))
    assert state(paid) == ("paid", "confirmed", 1, 1)
    assert refunds(paid) == [("succeeded", 1000)]
    assert paid.refunds.get().reason == "Refunded at the processor."


def test_partial_refunds_that_add_up_to_everything_make_it_refunded(api, paid):
    take(api, refund_event(paid, cents=1000))
    take(api, refund_event(paid, cents=1500))
    assert state(paid) == ("refunded", "cancelled", 0, 0)
    assert sorted(refunds(paid)) == [("succeeded", 1000), ("succeeded", 1500)]


def test_a_full_refund_on_the_dashboard_cancels_a_booking_to_come(api, paid):
    take(api, refund_event(paid))
    assert state(paid) == ("refunded", "cancelled", 0, 0)
    assert Booking.objects.get().cancellation_reason == "The payment was refunded."


def test_a_full_refund_on_the_dashboard_leaves_a_booking_that_has_begun(api):
    booking = BookingFactory(session__starts_at=in_days(-0.01), status="confirmed")
    payment = PaymentFactory(booking=booking, status="paid")
    take(api, charge_refunded(payment))
    assert state(payment) == ("refunded", "confirmed", 1, 1)


def test_the_refund_of_one_of_two_payments_leaves_the_booking(api):
    booking = BookingFactory(status="confirmed")
    first, second = (PaymentFactory(booking=booking, status="paid") for _ in range(2))
    take(api, refund_event(second))
    assert state(second) == ("refunded", "confirmed", 1, 1)
    assert state(first)[0] == "paid"


def test_a_refund_of_an_unknown_payment_is_stored_and_ignored(api, paid):
    take(
        api, refund_event(paid, payment_intent="pi_foreign"), charge_refunded(paid, payment_intent="pi_x", metadata={})
    )
    assert state(paid) == ("paid", "confirmed", 1, 1)
    assert not Refund.objects.exists()


def test_a_dispute_flags_the_payment_and_moves_nothing(api, paid):
    take(api, disputed(paid))
    assert state(paid) == ("paid", "confirmed", 1, 1)
    row = Payment.objects.get(pk=paid.pk)
    assert (row.needs_review, row.status_reason) == (True, "Disputed: fraudulent.")


# --- What is kept -----------------------------------------------------------------------------------------------------


def test_what_is_stored_holds_no_card_and_no_contact_data(api, payment):
    paid = PaymentFactory(booking=BookingFactory(status="confirmed"), status="paid")
    take(api, checkout(payment), declined(payment), charge_refunded(paid), refund_event(paid), disputed(paid))
    assert WebhookEvent.objects.count() == 5
    for event in WebhookEvent.objects.all():
        stored = json.dumps(event.payload, ensure_ascii=False) + event.note
        assert private_parts_of(stored) == []
        assert event.payload["type"] == event.type
    assert WebhookEvent.objects.filter(payload__data__object__amount_total=2500).count() == 1


def test_a_nul_character_in_an_event_does_no_harm(api, payment):
    take(api, checkout(payment, locale="a\x00b"))
    assert state(payment)[:2] == ("paid", "confirmed")
    assert last_event().payload["data"]["object"]["locale"] == "ab"


def test_a_child_who_is_in_two_bookings_gets_the_late_seat_once(api):
    child, session = ChildFactory(), SessionFactory()
    both = [PaymentFactory(booking=BookingFactory(child=child, session=session, status="expired")) for _ in range(2)]
    take(api, *(checkout(payment) for payment in both))
    assert [state(payment)[:3] for payment in both] == [("paid", "confirmed", 1), ("paid", "expired", 0)]
    assert [refunds(payment) for payment in both] == [[], [("pending", 2500)]]
