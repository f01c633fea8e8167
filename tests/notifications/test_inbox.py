"""GET /v1/me/notifications and marking as read: what one was told, in the words of today."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, Review, Seat
from messaging.models import Conversation, Message
from notifications.models import Notification, NotificationKind
from payments.models import Refund
from tests.factories import (
    BookingFactory,
    ChildFactory,
    ConsentFactory,
    PaymentFactory,
    ProviderUserFactory,
    ReviewFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

INBOX = "/v1/me/notifications"


@pytest.fixture
def booking():
    return BookingFactory(status="confirmed", session__offering__activity__title="Swim Starters")


@pytest.fixture
def parent(booking):
    return booking.parent.user


def test_a_notification_is_told_in_words(api, booking, parent, tell, now):
    row = tell(parent, "booking_confirmed", booking)
    answer = api.as_user(parent).get(INBOX)
    assert answer.status == 200
    assert answer.meta == {"page": 1, "limit": 20, "total": 1, "unread": 1}
    [found] = answer.data
    assert found.pop("text").startswith("Swim Starters on ")
    assert found == {
        "id": str(row.pk),
        "kind": "booking_confirmed",
        "title": "Your booking is confirmed",
        "path": f"/bookings/{booking.pk}",
        "subjectId": str(booking.pk),
        "readAt": None,
        "createdAt": row.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def test_it_names_what_the_booking_is_now(api, booking, parent, tell):
    tell(parent, "booking_confirmed", booking)
    booking.session.activity.title = "Swim Aces"
    booking.session.activity.save()
    assert api.as_user(parent).get(INBOX).data[0]["text"].startswith("Swim Aces on ")


def test_the_latest_comes_first_and_pages_go_on(api, booking, parent, tell):
    rows = [tell(parent, kind, booking) for kind in ("booking_confirmed", "booking_rescheduled", "review_prompt")]
    first = api.as_user(parent).get(f"{INBOX}?limit=2")
    second = api.as_user(parent).get(f"{INBOX}?limit=2&page=2")
    assert [each["id"] for each in first.data + second.data] == [str(row.pk) for row in reversed(rows)]
    assert (first.meta["total"], second.meta["total"], second.meta["unread"]) == (3, 3, 3)


def test_only_the_unread_ones_where_asked(api, booking, parent, tell, now):
    read = tell(parent, "booking_confirmed", booking)
    Notification.objects.update(read_at=now)
    unread = tell(parent, "review_prompt", booking)
    caller = api.as_user(parent)
    assert [each["id"] for each in caller.get(f"{INBOX}?unread=true").data] == [str(unread.pk)]
    assert [each["id"] for each in caller.get(f"{INBOX}?unread=false").data] == [str(unread.pk), str(read.pk)]


def test_what_was_not_mailed_is_here_and_what_was_no_longer_true_is_not(api, booking, parent, tell):
    for kind, status in [("booking_confirmed", "sent"), ("review_prompt", "muted"), ("hold_ending", "dropped")]:
        tell(parent, kind, booking)
        Notification.objects.filter(kind=kind).update(status=status)
    tell(parent, "booking_rescheduled", booking)
    Notification.objects.filter(kind="booking_rescheduled").update(status="failed")
    answer = api.as_user(parent).get(INBOX)
    assert [each["kind"] for each in answer.data] == ["booking_rescheduled", "review_prompt", "booking_confirmed"]
    assert (answer.meta["total"], answer.meta["unread"]) == (3, 3)


def test_what_it_told_of_may_be_gone(api, parent, tell):
    notification = Notification.objects.create(
        user=parent, kind="refund_sent", subject_id=uuid.uuid4(), dedupe_key="one"
    )
    [found] = api.as_user(parent).get(INBOX).data
    assert (found["id"], found["title"], found["text"], found["path"]) == (
        str(notification.pk), "Refund sent", "", None,
    )  # fmt: skip


def test_nobody_sees_what_others_were_told(api, booking, parent, tell):
    row = tell(parent, "booking_confirmed", booking)
    stranger = api.as_user(UserFactory())
    assert stranger.get(INBOX).data == []
    assert stranger.post(f"{INBOX}/{row.pk}/read").code == (404, "NOT_FOUND")
    assert stranger.post(f"{INBOX}/read").data == {"unread": 0}
    row.refresh_from_db()
    assert row.read_at is None
    assert api.get(INBOX).code == (401, "UNAUTHORIZED")


def test_staff_who_left_no_longer_read_of_the_account(api, booking, tell):
    member = ProviderUserFactory(provider_account=booking.session.activity.provider)
    tell(member.user, "booking_received", booking)
    assert "Swim Starters" in api.as_user(member.user).get(INBOX).data[0]["text"]
    member.delete()
    assert api.as_user(member.user).get(INBOX).data[0]["text"] == ""


@pytest.mark.parametrize("address", [f"{INBOX}?unread=1", f"{INBOX}?kind=x", f"{INBOX}?page=0", f"{INBOX}?limit=101"])
def test_a_question_that_is_not_understood_is_refused(api, parent, address):
    assert api.as_user(parent).get(address).code == (400, "VALIDATION_ERROR")


# --- Marking as read -------------------------------------------------------------------------------------------------


def test_reading_one_marks_one(api, booking, parent, tell):
    first, second = tell(parent, "booking_confirmed", booking), tell(parent, "review_prompt", booking)
    caller = api.as_user(parent)
    answer = caller.post(f"{INBOX}/{first.pk}/read")
    assert (answer.status, answer.data["id"], answer.data["title"]) == (200, str(first.pk), "Your booking is confirmed")
    read_at = answer.data["readAt"]
    assert read_at is not None
    assert caller.get(INBOX).meta["unread"] == 1
    # Twice does no harm, and the first time counts.
    assert caller.post(f"{INBOX}/{first.pk}/read").data["readAt"] == read_at
    second.refresh_from_db()
    assert second.read_at is None


def test_a_dropped_one_cannot_be_read(api, booking, parent, tell):
    row = tell(parent, "hold_ending", booking)
    Notification.objects.update(status="dropped")
    assert api.as_user(parent).post(f"{INBOX}/{row.pk}/read").code == (404, "NOT_FOUND")


def test_all_are_read_at_once(api, booking, parent, tell):
    for kind in ("booking_confirmed", "review_prompt"):
        tell(parent, kind, booking)
    assert api.as_user(parent).post(f"{INBOX}/read").data == {"unread": 0}
    assert api.as_user(parent).get(f"{INBOX}?unread=true").data == []


def test_what_came_after_the_newest_seen_stays_unread(api, booking, parent, tell):
    seen = tell(parent, "booking_confirmed", booking)
    later = tell(parent, "review_prompt", booking)
    assert api.as_user(parent).post(f"{INBOX}/read", {"upTo": str(seen.pk)}).data == {"unread": 1}
    assert [each["id"] for each in api.as_user(parent).get(f"{INBOX}?unread=true").data] == [str(later.pk)]


@pytest.mark.parametrize("body", [{"upTo": "yesterday"}, {"upTo": []}, {"until": None}, [], "x"])
def test_a_wrong_body_is_refused(api, booking, parent, tell, body):
    tell(parent, "booking_confirmed", booking)
    assert api.as_user(parent).post(f"{INBOX}/read", body).code == (400, "VALIDATION_ERROR")
    assert Notification.objects.get().read_at is None


def test_a_user_of_the_other_region_cannot_write_here(api, booking, tell):
    stranger = UserFactory(home_region="in")
    row = tell(stranger, "booking_confirmed", booking)
    assert api.as_user(stranger).post(f"{INBOX}/{row.pk}/read").code == (403, "REGION_MISMATCH")


# --- Queries ---------------------------------------------------------------------------------------------------------


def one_of_each(user, number: int) -> list[tuple[str, object]]:
    """A subject of each kind that `user`, who is a parent and a provider's owner, may hear of."""
    booking = BookingFactory(status="confirmed", child=ChildFactory(parent=user.parent))
    provider = booking.session.activity.provider
    ProviderUserFactory(provider_account=provider, user=user)
    payment = PaymentFactory(booking=booking, status="failed")
    refund = Refund.objects.create(payment=payment, amount_cents=1, currency="USD", reason="x")
    review = ReviewFactory(booking=BookingFactory(status="completed", child=ChildFactory(parent=user.parent)))
    thread = Conversation.objects.create(parent=user.parent, provider=provider)
    Message.objects.create(conversation=thread, number=1, sender=user, sender_type="provider", content="Hello")
    subjects = {"payment_failed": payment, "refund_sent": refund, "message_received": thread}
    subjects |= dict.fromkeys(("review_received", "response_received"), review)
    subjects |= {kind: provider for kind in NotificationKind if kind.startswith("provider_")}
    subjects |= {kind: booking.session for kind in NotificationKind if kind.startswith("session_")}
    subjects["consent_receipt"] = ConsentFactory(user=user)
    kinds = [kind for kind in NotificationKind if kind not in ("invitation", "erasure_receipt")]
    return [(kind, subjects.get(kind, booking)) for kind in kinds]


def queries_of(api, user) -> tuple[int, list]:
    with CaptureQueriesContext(connection) as queries:
        answer = api.as_user(user).get(f"{INBOX}?limit=100")
    return len(queries), answer.data


@pytest.mark.parametrize("kind", [kind.value for kind in NotificationKind])
def test_three_of_a_kind_take_as_many_queries_as_one(api, tell, kind):
    user = UserFactory(role="provider")

    def add(number):
        for each, subject in one_of_each(user, number):
            if each == kind:
                tell(user, each, subject)

    add(0)
    one, _ = queries_of(api, user)
    add(1)
    add(2)
    three, _ = queries_of(api, user)
    assert three == one <= 8


def test_all_kinds_at_once_take_a_few_queries_each(api, tell):
    user = UserFactory(role="provider")
    for kind, subject in one_of_each(user, 0):
        tell(user, kind, subject)
    queries, found = queries_of(api, user)
    assert {each["kind"] for each in found} == set(NotificationKind) - {"invitation", "erasure_receipt"}
    assert all(each["text"] for each in found)
    assert queries <= 4 + 2 * len(found)


def test_providers_read_nothing_of_children_and_parents(api, booking, tell):
    member = ProviderUserFactory(provider_account=booking.session.activity.provider)
    for kind in ("booking_received", "booking_cancelled", "booking_rescheduled"):
        tell(member.user, kind, booking)
    answer = api.as_user(member.user).get(INBOX)
    assert len(answer.data) == 3
    assert not any(name in answer.content.decode() for name in ("Mia", "Ana", "Lopez"))
    assert Booking.objects.count() == Seat.objects.count() == 1 and not Review.objects.exists()
