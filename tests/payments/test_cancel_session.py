"""POST /v1/provider/sessions/{id}/cancel, and what becomes of those who have a seat."""

from uuid import uuid4

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from bookings import services as bookings
from bookings.models import Booking, Seat
from core.errors import InvalidState, NotFound
from marketplace.models import Session
from notifications.models import Notification
from payments import session_cancellations
from payments.models import Payment, Refund
from payments.processors import processor
from payments.services import start_checkout
from payments.session_cancellations import cancel_sessions, settle
from payments.tasks import close_checkout, finish_cancelled_sessions
from tests.factories import (
    BookingFactory,
    ChildFactory,
    OfferingFactory,
    PaymentFactory,
    ProviderUserFactory,
    SessionFactory,
    UserFactory,
    in_days,
)
from tests.payments.signed import captured, checkout, post_razorpay, post_stripe

pytestmark = pytest.mark.django_db

REASON = {"reason": "The hall is flooded."}


def cancel(api, session, body=None, *, role="owner", staff=None):
    staff = staff or ProviderUserFactory(provider_account=session.activity.provider, role=role)
    return api.as_user(staff.user).post(f"/v1/provider/sessions/{session.pk}/cancel", REASON if body is None else body)


def weekly(count, *, price=1000, kind="multi_session", start=7, **fields):
    """Weekly sessions of one offering that covers three of them, in one series."""
    offering = OfferingFactory(type=kind, session_count=3, price_cents=price)
    series = uuid4()
    return [
        SessionFactory(offering=offering, starts_at=in_days(start + 7 * n), series_id=series, **fields)
        for n in range(count)
    ]


def paid(session, **fields):
    booking = BookingFactory(session=Session.objects.get(pk=session.pk), status="confirmed", **fields)
    if booking.amount_cents:
        PaymentFactory(booking=booking, status="paid")
    return booking


def owed(booking):
    return list(Refund.objects.filter(payment__booking=booking).order_by("pk").values_list("amount_cents", flat=True))


def held(booking):
    seats = Seat.objects.held().filter(booking=booking).order_by("session__starts_at")
    return list(seats.values_list("session_id", flat=True))


def status(row):
    return type(row).objects.values_list("status", flat=True).get(pk=row.pk)


def told(user):
    return list(Notification.objects.filter(user=user).order_by("pk").values_list("kind", "subject_id"))


def seats_add_up():
    return all(each.enrolled == Seat.objects.held().filter(session=each).count() for each in Session.objects.all())


def everything():
    """All that a cancellation may change."""
    return [
        list(model.objects.order_by("pk").values()) for model in (Session, Booking, Seat, Payment, Refund, Notification)
    ]


# --- The session itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "admin"])
@pytest.mark.parametrize("kind", ["single_session", "camp"])
def test_everybody_is_cancelled_refunded_and_told(api, kind, role, tasks, django_capture_on_commit_callbacks):
    session = SessionFactory(offering__type=kind, starts_at=in_days(0.1))
    one, two, free = paid(session), paid(session), paid(session, amount_cents=0)
    other = paid(SessionFactory(offering=session.offering))
    with django_capture_on_commit_callbacks(execute=True):
        answer = cancel(api, session, role=role)
    assert answer.status == 200
    assert answer.data == {
        "dryRun": False,
        "sessions": 1,
        "bookings": 3,
        "bookingsCancelled": 3,
        "children": 3,
        "refunds": [{"amountCents": 5000, "currency": "USD"}],
    }
    session.refresh_from_db()
    assert (session.status, session.cancellation_reason, session.enrolled) == ("cancelled", REASON["reason"], 0)
    assert (session.cancelled_at is not None, session.sequence) == (True, 1)
    for booking, cents in ((one, [2500]), (two, [2500]), (free, [])):
        booking.refresh_from_db()
        assert (booking.status, booking.cancellation_reason) == ("cancelled", REASON["reason"])
        assert (owed(booking), held(booking)) == (cents, [])
        assert told(booking.parent.user) == [("session_cancelled", session.pk)]
    assert (status(other), owed(other), told(other.parent.user)) == ("confirmed", [], [])
    assert sorted(tasks) == sorted(
        ("payments.tasks.send_refund", (str(pk),)) for pk in Refund.objects.values_list("pk", flat=True)
    )
    assert seats_add_up()


def test_nobody_can_book_it_any_more(api):
    session, child = SessionFactory(), ChildFactory()
    assert cancel(api, session).data["bookings"] == 0
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    answer = api.as_user(child.parent.user).post("/v1/me/bookings", body, Idempotency_Key="one")
    assert answer.code == (409, "SESSION_NOT_BOOKABLE")


def test_two_children_of_a_parent_are_one_message_and_two_refunds(api):
    session = SessionFactory()
    one = paid(session)
    two = paid(session, child=ChildFactory(parent=one.parent))
    answer = cancel(api, session)
    assert (answer.data["bookings"], answer.data["children"]) == (2, 2)
    assert (owed(one), owed(two)) == ([2500], [2500])
    assert told(one.parent.user) == [("session_cancelled", session.pk)]


def test_a_second_time_does_nothing(api):
    session = SessionFactory()
    paid(session)
    staff = ProviderUserFactory(provider_account=session.activity.provider)
    assert cancel(api, session, staff=staff).status == 200
    before = everything()
    again = cancel(api, session, {"reason": "Another reason."}, staff=staff)
    assert again.code == (409, "INVALID_STATE")
    assert again.error["message"] == "A session that is cancelled cannot be cancelled."
    finish_cancelled_sessions()
    assert everything() == before


def test_a_session_that_is_going_on_can_be_called_off_one_that_is_over_cannot(api):
    going_on = SessionFactory(starts_at=in_days(-0.01))
    over = SessionFactory(starts_at=in_days(-1))
    done = SessionFactory(starts_at=in_days(-1), status="completed")
    one, two = paid(going_on), paid(over)
    assert cancel(api, going_on).status == 200
    answers = [cancel(api, each) for each in (over, done)]
    assert [each.code for each in answers] == [(409, "INVALID_STATE")] * 2
    assert [each.error["message"] for each in answers] == [
        "This session is over.",
        "A session that is completed cannot be cancelled.",
    ]
    assert (owed(one), owed(two), status(two)) == ([2500], [], "confirmed")


def test_what_was_given_back_already_is_not_given_twice(api):
    session = SessionFactory()
    booking = paid(session)
    Refund.objects.create(
        payment=booking.payments.get(), amount_cents=500, currency="USD", reason="Goodwill.", status="succeeded"
    )
    answer = cancel(api, session)
    assert answer.data["refunds"] == [{"amountCents": 2000, "currency": "USD"}]
    assert owed(booking) == [500, 2000]


def test_bookings_that_are_over_are_left_alone(api):
    session = SessionFactory()
    gone = [BookingFactory(session=session, status=each) for each in ("cancelled", "expired")]
    kept = [BookingFactory(session=session, status=each) for each in ("completed", "no_show")]
    assert cancel(api, session).data["bookings"] == 0
    finish_cancelled_sessions()
    assert [status(each) for each in (*gone, *kept)] == ["cancelled", "expired", "completed", "no_show"]
    assert not Notification.objects.exists()


# --- Packages and terms ----------------------------------------------------------------------------------------------


def test_a_package_goes_on_with_its_share_refunded_and_can_be_cancelled_for_free(api):
    sessions = weekly(3)
    booking = paid(sessions[0], seats=sessions)
    answer = cancel(api, sessions[1])
    assert (answer.data["bookings"], answer.data["bookingsCancelled"]) == (1, 0)
    assert answer.data["refunds"] == [{"amountCents": 333, "currency": "USD"}]
    booking.refresh_from_db()
    assert (booking.status, booking.session, held(booking)) == (
        "confirmed",
        sessions[0],
        [sessions[0].pk, sessions[2].pk],
    )
    assert booking.refundable_until == sessions[0].starts_at
    assert (owed(booking), told(booking.parent.user)) == ([333], [("session_cancelled", sessions[1].pk)])
    assert seats_add_up()
    client = api.as_user(booking.parent.user)
    quoted = client.get(f"/v1/me/bookings/{booking.pk}/quote?action=cancel").data
    assert quoted["refundCents"] == 667
    assert client.post(f"/v1/me/bookings/{booking.pk}/cancel").status == 200
    assert owed(booking) == [333, 667]


@pytest.mark.parametrize("price", [1000, 1001, 2, 1])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_one_by_one_all_of_it_goes_back_and_no_cent_more(api, price, order):
    sessions = weekly(3, price=price)
    booking = paid(sessions[0], seats=sessions)
    for number, chosen in enumerate(order):
        cancel(api, sessions[chosen])
        assert status(booking) == ("confirmed" if number < 2 else "cancelled")
    parts = owed(booking)
    assert sum(parts) == price
    assert all(abs(part - price / 3) < 1 for part in parts)
    assert (held(booking), seats_add_up()) == ([], True)


def test_the_first_session_that_is_left_becomes_the_bookings_own(api):
    sessions = weekly(3)
    booking = paid(sessions[0], seats=sessions)
    cancel(api, sessions[0])
    booking.refresh_from_db()
    assert (booking.session, booking.refundable_until) == (sessions[1], sessions[1].starts_at)
    shown = api.as_user(booking.parent.user).get(f"/v1/me/bookings/{booking.pk}").data
    assert (shown["sessionId"], len(shown["sessions"])) == (str(sessions[1].pk), 2)


def test_under_way_the_parent_gets_back_what_has_not_begun_until_the_next_session(api):
    sessions = weekly(3, start=-7, price=900)
    coming = [each for each in sessions if each.starts_at > in_days(0)]
    assert len(coming) == 1
    later = SessionFactory(offering=sessions[0].offering, starts_at=in_days(14))
    booking = paid(sessions[0], seats=[sessions[0], *coming, later])
    client = api.as_user(booking.parent.user)
    path = f"/v1/me/bookings/{booking.pk}"
    assert client.post(f"{path}/cancel").code == (409, "INVALID_STATE")
    cancel(api, coming[0])
    assert owed(booking) == [300]
    booking.refresh_from_db()
    assert booking.refundable_until == later.starts_at
    # The first one was had, and is not given back.
    assert client.get(f"{path}/quote?action=cancel").data["refundCents"] == 300
    assert client.post(f"{path}/cancel").status == 200
    assert (owed(booking), held(booking)) == ([300, 300], [])


def test_with_only_past_sessions_left_the_booking_stands(api):
    sessions = weekly(2, start=-8, price=900)
    future = SessionFactory(offering=sessions[0].offering, starts_at=in_days(6))
    booking = paid(sessions[0], seats=[*sessions, future])
    answer = cancel(api, future)
    assert (answer.data["bookingsCancelled"], status(booking), owed(booking)) == (0, "confirmed", [300])
    assert held(booking) == [each.pk for each in sessions]


def test_a_term_loses_one_date(api):
    sessions = weekly(4, kind="term", price=1000)
    booking = paid(sessions[2], seats=sessions)
    cancel(api, sessions[3])
    assert (status(booking), owed(booking), len(held(booking))) == ("confirmed", [250], 3)


def test_a_booking_that_lost_a_session_cannot_move_since_its_price_is_no_longer_its_worth(api):
    sessions = weekly(6)
    booking = paid(sessions[0], seats=sessions[:3])
    cancel(api, sessions[1])
    client = api.as_user(booking.parent.user)
    path = f"/v1/me/bookings/{booking.pk}"
    answer = client.post(f"{path}/reschedule", {"sessionId": str(sessions[3].pk)})
    assert answer.code == (409, "INVALID_STATE")
    assert client.get(f"{path}/quote?action=reschedule&sessionId={sessions[3].pk}").data["code"] == "INVALID_STATE"
    assert held(booking) == [sessions[0].pk, sessions[2].pk]


def test_a_session_that_it_had_left_before_is_no_loss(api):
    sessions = weekly(6)
    booking = paid(sessions[0], seats=sessions[:3])
    client = api.as_user(booking.parent.user)
    path = f"/v1/me/bookings/{booking.pk}/reschedule"
    assert client.post(path, {"sessionId": str(sessions[1].pk)}).status == 200
    assert cancel(api, sessions[0]).data["bookings"] == 0
    assert client.post(path, {"sessionId": str(sessions[2].pk)}).status == 200
    assert owed(booking) == []


def test_a_free_package_loses_a_session_and_no_money(api):
    sessions = weekly(3, price=0)
    booking = paid(sessions[0], seats=sessions)
    assert cancel(api, sessions[0]).data["refunds"] == []
    assert (status(booking), owed(booking), len(held(booking))) == ("confirmed", [], 2)


# --- Unpaid bookings -------------------------------------------------------------------------------------------------


def test_an_unpaid_package_ends_whole(api, tasks, django_capture_on_commit_callbacks):
    sessions = weekly(3)
    booking = BookingFactory(session=sessions[0], seats=sessions)
    payment = PaymentFactory(booking=booking)
    with django_capture_on_commit_callbacks(execute=True):
        answer = cancel(api, sessions[2])
    assert (answer.data["bookingsCancelled"], answer.data["refunds"]) == (1, [])
    assert (status(booking), held(booking), owed(booking)) == ("cancelled", [], [])
    assert told(booking.parent.user) == [("booking_cancelled", booking.pk)]
    assert tasks == [("payments.tasks.close_checkout", (str(payment.pk),))]
    assert seats_add_up()


def test_its_checkout_is_closed_at_stripe(api, sandbox):
    booking = BookingFactory()
    payment = start_checkout(booking=booking, processor_name=None, now=in_days(0))
    cancel(api, booking.session)
    close_checkout(str(payment.pk))
    at_stripe = processor("stripe").client.v1.checkout.sessions.retrieve(payment.processor_checkout_id)
    assert (at_stripe.status, status(payment)) == ("expired", "failed")


def test_money_that_comes_all_the_same_goes_back(api):
    booking = BookingFactory()
    payment = PaymentFactory(booking=booking)
    cancel(api, booking.session)
    post_stripe(api, checkout(payment))
    assert (status(payment), status(booking), owed(booking), held(booking)) == ("paid", "cancelled", [2500], [])


def test_in_india_too(api, india):
    session = SessionFactory()
    one, two = paid(session), BookingFactory(session=Session.objects.get(pk=session.pk))
    late = PaymentFactory(booking=two, checkout_url="")
    assert cancel(api, session).data["refunds"] == [{"amountCents": 2500, "currency": "INR"}]
    post_razorpay(api, captured(late))
    assert (owed(one), owed(two), status(two)) == ([2500], [2500], "cancelled")


# --- Series ----------------------------------------------------------------------------------------------------------


def test_a_series_is_cancelled_from_the_session_on(api):
    sessions = weekly(5)
    before, across, after = (
        paid(sessions[0], seats=sessions[:2]),
        paid(sessions[0], seats=sessions[:3]),
        paid(sessions[2], seats=sessions[2:]),
    )
    answer = cancel(api, sessions[2], {**REASON, "series": True})
    assert answer.data == {
        "dryRun": False,
        "sessions": 3,
        "bookings": 2,
        "bookingsCancelled": 1,
        "children": 2,
        "refunds": [{"amountCents": 1333, "currency": "USD"}],
    }
    assert [status(each) for each in sessions] == ["scheduled"] * 2 + ["cancelled"] * 3
    assert set(Session.objects.filter(status="cancelled").values_list("sequence", "cancellation_reason")) == {
        (1, REASON["reason"])
    }
    assert (status(before), owed(before), told(before.parent.user)) == ("confirmed", [], [])
    assert (status(across), owed(across), len(held(across))) == ("confirmed", [333], 2)
    assert (status(after), owed(after)) == ("cancelled", [1000])
    assert told(across.parent.user) == [("session_cancelled", sessions[2].pk)]
    # All of it is gone, so one message says everything.
    assert told(after.parent.user) == [("booking_cancelled", after.pk)]
    assert seats_add_up()


def test_of_several_sessions_lost_each_is_told_and_all_are_one_refund(api):
    sessions = weekly(4, kind="term", price=1001)
    booking = paid(sessions[0], seats=sessions)
    cancel(api, sessions[2], {**REASON, "series": True})
    assert (status(booking), owed(booking)) == ("confirmed", [500])
    assert told(booking.parent.user) == [("session_cancelled", each.pk) for each in sessions[2:]]


def test_what_is_over_or_cancelled_in_a_series_is_passed_over(api):
    sessions = weekly(5, start=-8)
    sessions[3].move(Session.Status.CANCELLED)
    answer = cancel(api, sessions[0], {**REASON, "series": True})
    assert answer.data["sessions"] == 2
    assert [status(each) for each in sessions] == ["scheduled"] * 2 + ["cancelled"] * 3
    assert Session.objects.get(pk=sessions[3].pk).sequence == 0
    assert cancel(api, sessions[0], {**REASON, "series": True}).code == (409, "INVALID_STATE")


def test_a_session_without_a_series_has_none_to_cancel(api):
    session = SessionFactory()
    other = SessionFactory(offering=session.offering, starts_at=in_days(14))
    assert cancel(api, session, {**REASON, "series": True}).code == (409, "INVALID_STATE")
    assert (status(session), status(other)) == ("scheduled", "scheduled")


def test_a_list_of_sessions_can_be_cancelled_at_once(now):
    sessions = [SessionFactory() for _ in range(3)]
    bookings_there = [paid(each) for each in sessions]
    extent = cancel_sessions(session_ids=[each.pk for each in sessions[:2]], reason="Storm.", now=now)
    assert (extent.sessions, len(extent.booking_ids), extent.cents) == (2, 2, {"USD": 5000})
    assert [owed(each) for each in bookings_there] == [[2500], [2500], []]
    with pytest.raises(InvalidState):
        cancel_sessions(session_ids=[each.pk for each in sessions[:2]], reason="Storm.", now=now)
    with pytest.raises(NotFound):
        cancel_sessions(session_ids=[uuid4()], reason="Storm.", now=now)


# --- Dry run ---------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_all_of_it_and_changes_nothing(api, tasks, django_capture_on_commit_callbacks):
    sessions = weekly(4, price=1001)
    child = ChildFactory()
    paid(sessions[0], seats=sessions[:3])
    paid(sessions[1], seats=sessions[1:], child=child)
    BookingFactory(session=Session.objects.get(pk=sessions[2].pk), seats=[Session.objects.get(pk=sessions[2].pk)])
    staff = ProviderUserFactory(provider_account=sessions[0].activity.provider)
    before = everything()
    with django_capture_on_commit_callbacks(execute=True):
        answer = cancel(api, sessions[1], {"dryRun": True, "series": True}, staff=staff)
    assert answer.data == {
        "dryRun": True,
        "sessions": 3,
        "bookings": 3,
        "bookingsCancelled": 2,
        "children": 3,
        "refunds": [{"amountCents": 667 + 1001, "currency": "USD"}],
    }
    assert (everything() == before, tasks) == (True, [])
    done = cancel(api, sessions[1], {**REASON, "series": True}, staff=staff)
    assert done.data == {**answer.data, "dryRun": False}
    assert sum(Refund.objects.values_list("amount_cents", flat=True)) == 667 + 1001


def test_the_extent_takes_as_many_queries_for_three_bookings_as_for_one(api, now):
    def queries(count):
        session = SessionFactory()
        for _ in range(count):
            paid(session)
        with CaptureQueriesContext(connection) as captured:
            cancel_sessions(session_ids=[session.pk], reason="", dry_run=True, now=now)
        return len(captured)

    assert queries(1) == queries(3)


# --- Crashes ---------------------------------------------------------------------------------------------------------


def test_after_a_crash_the_sweep_settles_the_rest(api, monkeypatch):
    session = SessionFactory()
    there = [paid(session) for _ in range(3)]
    monkeypatch.setattr(session_cancellations, "settle_all", lambda ids, *, now: settle(ids[0], now=now))
    assert cancel(api, session).data["bookings"] == 3
    monkeypatch.undo()
    assert sorted(status(each) for each in there) == ["cancelled", "confirmed", "confirmed"]
    finish_cancelled_sessions()
    assert [(status(each), owed(each)) for each in there] == [("cancelled", [2500])] * 3
    before = everything()
    finish_cancelled_sessions()
    assert everything() == before


def test_what_is_too_much_for_a_request_is_left_to_the_sweep(api, monkeypatch):
    monkeypatch.setattr(session_cancellations, "AT_ONCE", 1)
    monkeypatch.setattr(session_cancellations, "BATCH", 1)
    session = SessionFactory()
    there = [paid(session) for _ in range(3)]
    assert cancel(api, session).data["bookingsCancelled"] == 3
    for done in (1, 2, 3):
        assert sum(status(each) == "cancelled" for each in there) == done
        finish_cancelled_sessions()
    assert sum(sum(owed(each)) for each in there) == 7500


def test_one_booking_that_is_stuck_does_not_keep_the_others_money(api, monkeypatch):
    session = SessionFactory()
    stuck, other = paid(session), paid(session)
    settle_really = session_cancellations.settle

    def fail(booking_id, *, now):
        if booking_id == stuck.pk:
            raise DatabaseError
        return settle_really(booking_id, now=now)

    monkeypatch.setattr(session_cancellations, "settle", fail)
    assert cancel(api, session).status == 200
    assert [(status(each), owed(each)) for each in (stuck, other)] == [("confirmed", []), ("cancelled", [2500])]
    monkeypatch.undo()
    finish_cancelled_sessions()
    assert (status(stuck), owed(stuck)) == ("cancelled", [2500])


def test_a_failed_settlement_leaves_nothing_half_done(monkeypatch, now):
    session = SessionFactory()
    booking = paid(session)
    Session.objects.filter(pk=session.pk).update(status="cancelled", cancelled_at=now)

    def fail(*_, **__):
        raise DatabaseError

    monkeypatch.setattr("payments.cancellations.owe_refund", fail)
    before = everything()
    with pytest.raises(DatabaseError):
        settle(booking.pk, now=now)
    assert everything() == before


def test_until_it_is_settled_a_booking_in_a_cancelled_session_stays_where_it_is(api, now):
    """The parent's own move at that moment would hide that a session was lost."""
    session = SessionFactory()
    booking = paid(session)
    other = SessionFactory(offering=session.offering, starts_at=in_days(9))
    Session.objects.filter(pk=session.pk).update(status="cancelled", cancelled_at=now)
    with pytest.raises(InvalidState, match="was cancelled"):
        bookings.reschedule(booking_id=booking.pk, session=other, now=now)
    finish_cancelled_sessions()
    assert (status(booking), owed(booking)) == ("cancelled", [2500])


# --- Who may, and what is refused ------------------------------------------------------------------------------------


def test_staff_may_not_and_a_stranger_finds_nothing(api):
    session = SessionFactory()
    booking = paid(session)
    assert cancel(api, session, role="staff").code == (403, "FORBIDDEN")
    stranger = ProviderUserFactory()
    assert cancel(api, session, staff=stranger).code == (404, "NOT_FOUND")
    path = f"/v1/provider/sessions/{uuid4()}/cancel"
    assert api.as_user(stranger.user).post(path, REASON).code == (404, "NOT_FOUND")
    path = f"/v1/provider/sessions/{session.pk}/cancel"
    assert api.as_user(booking.parent.user).post(path, REASON).code == (403, "FORBIDDEN")
    assert api.as_user(UserFactory(role="provider")).post(path, REASON).code == (404, "NOT_FOUND")
    assert api.post(path, REASON).code == (401, "UNAUTHORIZED")
    assert (status(session), status(booking), owed(booking)) == ("scheduled", "confirmed", [])


@pytest.mark.parametrize(
    "body",
    [
        {"dryRun": False},
        {"reason": ""},
        {"reason": None},
        {"reason": "x" * 501},
        {"reason": "x", "series": "all"},
        {"reason": "x", "series": None},
        {"reason": "x", "status": "cancelled"},
        [],
    ],
)
def test_a_body_that_is_not_allowed_is_refused(api, body):
    session = SessionFactory()
    assert cancel(api, session, body).code == (400, "VALIDATION_ERROR")
    assert status(session) == "scheduled"


def test_the_account_is_named_where_somebody_works_for_several(api):
    session = SessionFactory()
    staff = ProviderUserFactory(provider_account=session.activity.provider)
    other = ProviderUserFactory(user=staff.user)
    client, path = api.as_user(staff.user), f"/v1/provider/sessions/{session.pk}/cancel"
    assert client.post(path, REASON).code == (400, "VALIDATION_ERROR")
    wrong, right = str(other.provider_account_id), str(staff.provider_account_id)
    assert client.post(path, REASON, X_Provider_Account=wrong).code == (404, "NOT_FOUND")
    assert client.post(path, REASON, X_Provider_Account=right).status == 200


def test_the_reason_reaches_the_parent_with_the_refund(api):
    booking = paid(SessionFactory())
    cancel(api, booking.session, {"reason": "x" * 500})
    shown = api.as_user(booking.parent.user).get(f"/v1/me/bookings/{booking.pk}").data
    assert (shown["status"], shown["cancellationReason"]) == ("cancelled", "x" * 500)
    assert Refund.objects.get().reason == "x" * 500
