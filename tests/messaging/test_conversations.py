"""GET and POST /v1/conversations, GET /v1/conversations/{id}."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.models import Conversation, Message
from notifications import delivery
from notifications.models import Notification
from regions import flags
from tests.factories import BookingFactory, ProviderUserFactory, UserFactory
from tests.messaging.conftest import CONVERSATIONS

pytestmark = pytest.mark.django_db(databases=["default", "global"])


def begin(two, **fields):
    return two.ana.post(CONVERSATIONS, {"providerId": str(two.provider.pk), "content": "Is there parking?", **fields})


def test_a_parent_begins_a_conversation_with_a_provider(two):
    answer = begin(two, subject="Parking")
    assert answer.status == 201
    row = Conversation.objects.get()
    assert answer.data == {
        "id": str(row.pk),
        "side": "parent",
        "status": "active",
        "providerId": str(two.provider.pk),
        "bookingId": None,
        "partner": {"id": str(two.provider.pk), "name": two.provider.business_name},
        "subject": "Parking",
        "unread": 0,
        "lastMessage": "Is there parking?",
        "lastMessageAt": answer.data["lastMessageAt"],
        "parentReadAt": None,
        "providerReadAt": None,
        "blockedByMe": False,
        "createdAt": answer.data["createdAt"],
    }
    message = Message.objects.get()
    assert (message.number, message.sender, message.sender_type) == (1, two.ana_user, "parent")


def test_a_second_first_message_goes_into_the_same_conversation(two):
    first, second = begin(two), begin(two, content="And showers?", subject="Something else")
    assert (first.status, second.status) == (201, 201)
    assert first.data["id"] == second.data["id"]
    assert second.data["subject"] is None
    assert list(Message.objects.order_by("number").values_list("number", "content")) == [
        (1, "Is there parking?"),
        (2, "And showers?"),
    ]


def test_it_may_be_about_a_booking_with_this_provider(two):
    booking = BookingFactory(
        child__parent=two.ana_user.parent, session__offering__activity__provider=two.provider, status="confirmed"
    )
    assert begin(two, bookingId=str(booking.pk)).data["bookingId"] == str(booking.pk)


def test_a_booking_with_somebody_else_does_not_exist(two):
    mine = BookingFactory(child__parent=two.ana_user.parent)
    strangers = BookingFactory(session__offering__activity__provider=two.provider)
    for booking in (mine, strangers):
        answer = begin(two, bookingId=str(booking.pk))
        assert answer.code == (404, "NOT_FOUND")
        assert answer.error["details"][0]["field"] == "bookingId"
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("status", ["pending", "rejected", "suspended"])
def test_a_provider_who_is_not_public_cannot_be_written_to(two, status):
    two.provider.status = status
    two.provider.save()
    assert begin(two).code == (404, "NOT_FOUND")
    assert two.ana.post(CONVERSATIONS, {"providerId": str(uuid.uuid4()), "content": "Hi"}).code == (404, "NOT_FOUND")
    assert not Conversation.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": ""}, "content"),
        ({"content": "   "}, "content"),
        ({"content": "x" * 5001}, "content"),
        ({"content": ["a"]}, "content"),
        ({"providerId": "school"}, "providerId"),
        ({"subject": "x" * 201}, "subject"),
        ({"status": "blocked"}, "status"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(two, body, field):
    answer = begin(two, **body)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]
    assert not Conversation.objects.exists()


def test_without_the_flag_messaging_is_not_there(two, conversation):
    flags.switch("MESSAGING_ENABLED", False)
    assert begin(two).code == (403, "FEATURE_DISABLED")
    assert two.ana.get(CONVERSATIONS).code == (403, "FEATURE_DISABLED")
    assert two.owner.get(f"{CONVERSATIONS}/{conversation.pk}/messages").code == (403, "FEATURE_DISABLED")
    assert Message.objects.count() == 1


def test_both_sides_see_it_in_their_own_inbox_and_strangers_in_none(two, conversation, api):
    [mine], [theirs] = two.ana.get(CONVERSATIONS).data, two.owner.get(CONVERSATIONS).data
    assert (mine["id"], mine["side"], mine["unread"]) == (str(conversation.pk), "parent", 0)
    assert (theirs["id"], theirs["side"], theirs["unread"]) == (str(conversation.pk), "provider", 1)
    assert theirs["partner"] == {"id": str(conversation.parent_id), "name": "Ana"}
    for stranger in (api.as_user(UserFactory()), api.as_user(ProviderUserFactory().user)):
        assert stranger.get(CONVERSATIONS).data == []
        assert stranger.get(f"{CONVERSATIONS}/{conversation.pk}").code == (404, "NOT_FOUND")
    assert api.get(CONVERSATIONS).code == (401, "UNAUTHORIZED")


def test_an_account_that_is_named_shows_its_inbox_alone(two, conversation, api):
    # The owner is a parent elsewhere, too, and works for a second school.
    second = ProviderUserFactory(user=two.owner_user, role="staff")
    other = ProviderUserFactory().provider_account
    two.owner.post(CONVERSATIONS, {"providerId": str(other.pk), "content": "A place for my son?"})
    assert len(two.owner.get(CONVERSATIONS).data) == 2
    named = two.owner.get(CONVERSATIONS, X_Provider_Account=str(two.provider.pk))
    assert [each["id"] for each in named.data] == [str(conversation.pk)]
    assert two.owner.get(CONVERSATIONS, X_Provider_Account=str(second.provider_account.pk)).data == []
    assert two.owner.get(CONVERSATIONS, X_Provider_Account=str(other.pk)).code == (404, "NOT_FOUND")


def test_the_inbox_is_ordered_by_the_last_message_and_can_be_narrowed(two, conversation):
    other = ProviderUserFactory().provider_account
    two.ana.post(CONVERSATIONS, {"providerId": str(other.pk), "content": "Hello"})
    two.owner.post(f"{CONVERSATIONS}/{conversation.pk}/messages", {"content": "Yes, behind the hall."})
    answer = two.ana.get(CONVERSATIONS)
    assert [each["providerId"] for each in answer.data] == [str(two.provider.pk), str(other.pk)]
    assert answer.meta == {"page": 1, "limit": 20, "total": 2}
    unread = two.ana.get(f"{CONVERSATIONS}?unread=true")
    assert [each["id"] for each in unread.data] == [str(conversation.pk)]
    assert (unread.data[0]["unread"], unread.data[0]["lastMessage"]) == (1, "Yes, behind the hall.")
    two.ana.post(f"{CONVERSATIONS}/{conversation.pk}/archive")
    assert [each["id"] for each in two.ana.get(f"{CONVERSATIONS}?status=archived").data] == [str(conversation.pk)]
    assert two.ana.get(f"{CONVERSATIONS}?status=gone").code == (400, "VALIDATION_ERROR")
    assert two.ana.get(f"{CONVERSATIONS}?sort=x").code == (400, "VALIDATION_ERROR")


def test_the_inbox_takes_the_same_queries_for_one_and_for_three(two):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            assert two.ana.get(CONVERSATIONS).status == 200
        return len(seen)

    two.ana.post(CONVERSATIONS, {"providerId": str(two.provider.pk), "content": "Hello"})
    one = queries()
    for _ in range(2):
        provider = ProviderUserFactory().provider_account
        two.ana.post(CONVERSATIONS, {"providerId": str(provider.pk), "content": "Hello"})
    assert (len(two.ana.get(CONVERSATIONS).data), queries()) == (3, one)
    assert one <= 5


def test_the_provider_is_told_once_until_somebody_there_has_read_it(two, conversation):
    staff = ProviderUserFactory(provider_account=two.provider, role="staff").user
    thread = f"{CONVERSATIONS}/{conversation.pk}"

    def told(user):
        return Notification.objects.filter(user=user, kind="message_received", subject_id=conversation.pk).count()

    assert (told(two.owner_user), told(staff), told(two.ana_user)) == (1, 0, 0)
    two.ana.post(f"{thread}/messages", {"content": "Hello?"})
    assert told(two.owner_user) == 1
    two.owner.post(f"{thread}/read", {})
    two.ana.post(f"{thread}/messages", {"content": "One more thing"})
    assert (told(two.owner_user), told(staff)) == (2, 1)
    two.owner.post(f"{thread}/messages", {"content": "Yes?"})
    assert told(two.ana_user) == 1


def test_the_mail_waits_for_what_else_comes_and_goes_unsent_once_they_have_read(two, conversation, mailserver, now):
    def deliver_at(moment):
        while delivery.deliver_next(now=moment):
            pass

    thread = f"{CONVERSATIONS}/{conversation.pk}"
    two.ana.post(f"{thread}/messages", {"content": "canary-5551"})
    deliver_at(now + timedelta(minutes=1))
    assert mailserver.mails == []
    deliver_at(now + timedelta(minutes=3))
    [mail] = mailserver.mails
    assert mail["Subject"] == "You have 2 new messages from a parent"
    assert "canary-5551" not in mail.as_string() and "parking" not in mail.as_string()
    two.owner.post(f"{thread}/read", {})
    two.ana.post(f"{thread}/messages", {"content": "One more"})
    two.owner.post(f"{thread}/read", {})
    deliver_at(now + timedelta(minutes=6))
    assert len(mailserver.mails) == 1
    assert sorted(Notification.objects.values_list("status", flat=True)) == ["dropped", "sent"]


def test_a_user_of_the_other_region_cannot_write(two, api):
    guest = api.as_user(UserFactory(home_region="in"))
    answer = guest.post(CONVERSATIONS, {"providerId": str(two.provider.pk), "content": "Hi"})
    assert answer.code == (403, "REGION_MISMATCH")
    assert not Conversation.objects.exists()
