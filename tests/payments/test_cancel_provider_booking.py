"""POST /v1/provider/bookings/{id}/cancel."""

from uuid import uuid4

import pytest

from bookings.models import Booking, Seat
from marketplace.models import Session
from notifications.models import Notification
from payments.models import Refund
from tests.factories import (
    BookingFactory,
    OfferingFactory,
    PaymentFactory,
    ProviderUserFactory,
    SessionFactory,
    UserFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

REASON = {"reason": "The pool is closed."}


def cancel(api, booking, body=None, *, role="owner", staff=None):
    account = booking.session.activity.provider
    staff = staff or ProviderUserFactory(provider_account=account, role=role)
    return api.as_user(staff.user).post(f"/v1/provider/bookings/{booking.pk}/cancel", REASON if body is None else body)


def paid_booking(**fields):
    booking = BookingFactory(status="confirmed", **fields)
    return booking, PaymentFactory(booking=booking, status="paid")


def owed():
    return list(Refund.objects.order_by("pk").values_list("status", "amount_cents"))


def enrolled(*sessions):
    return [Session.objects.values_list("enrolled", flat=True).get(pk=each.pk) for each in sessions]


def untouched(booking):
    booking.refresh_from_db()
    held = Seat.objects.held().filter(booking=booking).count()
    return (booking.status, held, owed(), Notification.objects.count()) == ("confirmed", 1, [], 0)


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_everything_goes_back_whatever_the_window_and_the_parent_is_told(
    api, role, tasks, django_capture_on_commit_callbacks
):
    booking, payment = paid_booking(session__starts_at=in_days(0.1))
    with django_capture_on_commit_callbacks(execute=True):
        answer = cancel(api, booking, role=role)
    assert answer.status == 200
    assert answer.data == {
        "dryRun": False,
        "sessions": 0,
        "bookings": 1,
        "bookingsCancelled": 1,
        "children": 1,
        "refunds": [{"amountCents": 2500, "currency": "USD"}],
    }
    booking.refresh_from_db()
    assert (booking.status, booking.cancellation_reason) == ("cancelled", "The pool is closed.")
    assert (owed(), enrolled(booking.session)) == ([("pending", 2500)], [0])
    assert tasks == [("payments.tasks.send_refund", (str(payment.refunds.get().pk),))]
    told = Notification.objects.get()
    assert (told.user, told.kind, told.subject_id) == (booking.parent.user, "booking_cancelled", booking.pk)
    # The session takes place without this child.
    assert Session.objects.get().status == "scheduled"


def test_a_booking_under_way_is_refunded_in_full(api):
    offering = OfferingFactory(type="multi_session", session_count=2)
    sessions = [SessionFactory(offering=offering, starts_at=in_days(n)) for n in (-7, 7)]
    booking, _ = paid_booking(session=sessions[0], seats=sessions)
    assert cancel(api, booking).data["refunds"] == [{"amountCents": 2500, "currency": "USD"}]
    assert (owed(), enrolled(*sessions)) == ([("pending", 2500)], [0, 0])


def test_a_hold_ends_and_its_page_is_closed(api, tasks, django_capture_on_commit_callbacks):
    booking = BookingFactory()
    payment = PaymentFactory(booking=booking)
    with django_capture_on_commit_callbacks(execute=True):
        answer = cancel(api, booking)
    assert (answer.data["bookingsCancelled"], answer.data["refunds"]) == (1, [])
    assert (owed(), enrolled(booking.session)) == ([], [0])
    assert tasks == [("payments.tasks.close_checkout", (str(payment.pk),))]


def test_a_dry_run_tells_the_same_and_changes_nothing(api, tasks, django_capture_on_commit_callbacks):
    booking, _ = paid_booking()
    staff = ProviderUserFactory(provider_account=booking.session.activity.provider)
    with django_capture_on_commit_callbacks(execute=True):
        told = cancel(api, booking, {"dryRun": True}, staff=staff)
    assert (told.status, told.data["dryRun"], tasks) == (200, True, [])
    assert untouched(booking)
    done = cancel(api, booking, staff=staff)
    assert done.data == {**told.data, "dryRun": False}


def test_a_second_time_gives_back_nothing_more(api):
    booking, _ = paid_booking()
    staff = ProviderUserFactory(provider_account=booking.session.activity.provider)
    assert [cancel(api, booking, staff=staff).status for _ in range(2)] == [200, 409]
    assert cancel(api, booking, {"dryRun": True}, staff=staff).code == (409, "INVALID_STATE")
    assert (owed(), enrolled(booking.session), Notification.objects.count()) == ([("pending", 2500)], [0], 1)


@pytest.mark.parametrize("status", ["completed", "no_show", "expired"])
def test_what_is_over_cannot_be_cancelled(api, status):
    booking = BookingFactory(status=status)
    assert cancel(api, booking).code == (409, "INVALID_STATE")
    assert Booking.objects.get().status == status


def test_staff_may_not(api):
    booking, _ = paid_booking()
    assert cancel(api, booking, role="staff").code == (403, "FORBIDDEN")
    assert cancel(api, booking, {"dryRun": True}, role="staff").code == (403, "FORBIDDEN")
    assert untouched(booking)


def test_another_providers_booking_does_not_exist(api):
    booking, _ = paid_booking()
    stranger = ProviderUserFactory()
    assert cancel(api, booking, staff=stranger).code == (404, "NOT_FOUND")
    unknown = api.as_user(stranger.user).post(f"/v1/provider/bookings/{uuid4()}/cancel", REASON)
    assert unknown.code == (404, "NOT_FOUND")
    assert untouched(booking)


def test_a_parent_may_not_even_for_their_own(api):
    booking, _ = paid_booking()
    path = f"/v1/provider/bookings/{booking.pk}/cancel"
    assert api.as_user(booking.parent.user).post(path, REASON).code == (403, "FORBIDDEN")
    assert api.as_user(UserFactory(role="provider")).post(path, REASON).code == (404, "NOT_FOUND")
    assert api.post(path, REASON).code == (401, "UNAUTHORIZED")
    assert untouched(booking)


@pytest.mark.parametrize(
    "body",
    [
        {"dryRun": False},
        {"reason": ""},
        {"reason": "  "},
        {"reason": None},
        {"reason": "x" * 501},
        {"reason": "x", "dryRun": "perhaps"},
        {"reason": "x", "series": True},
        {"reason": "x", "refundCents": 1},
        [],
        "x",
    ],
)
def test_a_body_that_is_not_allowed_is_refused(api, body):
    booking, _ = paid_booking()
    assert cancel(api, booking, body).code == (400, "VALIDATION_ERROR")
    assert untouched(booking)


def test_a_provider_of_the_other_region_is_sent_there(api):
    booking, _ = paid_booking()
    staff = ProviderUserFactory(provider_account=booking.session.activity.provider, user__home_region="in")
    assert cancel(api, booking, staff=staff).code == (403, "REGION_MISMATCH")
    assert untouched(booking)
