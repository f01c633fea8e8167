"""GET and POST /v1/conversations/{id}/messages, and what hides contacts."""

import threading
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.masking import mask
from messaging.models import Conversation, Message
from tests.factories import BookingFactory, ProviderUserFactory, UserFactory
from tests.messaging.conftest import CONVERSATIONS

pytestmark = pytest.mark.django_db(databases=["default", "global"])


@pytest.fixture
def path(conversation):
    return f"{CONVERSATIONS}/{conversation.pk}/messages"


def numbers(answer):
    return [each["number"] for each in answer.data]


def test_both_sides_write_into_one_order(two, path, conversation):
    answer = two.owner.post(path, {"content": "Yes, behind the hall."})
    assert answer.status == 201
    assert answer.data == {
        "id": str(Message.objects.get(number=2).pk),
        "number": 2,
        "conversationId": str(conversation.pk),
        "senderType": "provider",
        "isMine": True,
        "isHidden": False,
        "content": "Yes, behind the hall.",
        "attachments": None,
        "readAt": None,
        "createdAt": answer.data["createdAt"],
    }
    seen = two.ana.get(path)
    assert [(each["number"], each["isMine"], each["content"]) for each in seen.data] == [
        (1, True, "Is there parking?"),
        (2, False, "Yes, behind the hall."),
    ]
    assert seen.meta == {"page": 1, "limit": 20, "total": 2, "before": None}


def test_pages_begin_at_the_end_and_go_on_from_a_number(two, path, conversation):
    for number in range(2, 8):
        two.ana.post(path, {"content": f"message {number}"})
    latest = two.ana.get(f"{path}?limit=3")
    assert (numbers(latest), latest.meta["before"], latest.meta["total"]) == ([5, 6, 7], 5, 7)
    earlier = two.ana.get(f"{path}?limit=3&before=5")
    assert (numbers(earlier), earlier.meta["before"]) == ([2, 3, 4], 2)
    assert numbers(two.ana.get(f"{path}?limit=3&before=2")) == [1]
    assert numbers(two.ana.get(f"{path}?limit=3&page=2")) == [2, 3, 4]
    assert numbers(two.ana.get(f"{path}?limit=3&page=3")) == [1]
    assert numbers(two.ana.get(f"{path}?limit=3&page=4")) == []
    assert numbers(two.ana.get(f"{path}?after=5")) == [6, 7]
    assert numbers(two.ana.get(f"{path}?after=0&limit=2")) == [1, 2]
    assert numbers(two.ana.get(f"{path}?after=7")) == []
    assert numbers(two.ana.get(f"{path}?after=99")) == []
    assert numbers(two.ana.get(f"{path}?before=99")) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "before=0", "after=1&before=3", "page=0", "limit=101", "a=1"])
def test_bad_cursors_are_refused(two, path, query):
    assert two.ana.get(f"{path}?{query}").code == (400, "VALIDATION_ERROR")


def test_polling_without_news_gets_304_and_nobody_else_may_keep_it(two, path):
    first = two.ana.get(f"{path}?after=1")
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = two.ana.get(f"{path}?after=1", If_None_Match=first.headers["ETag"])
    assert (again.status, again.content) == (304, b"")
    two.owner.post(path, {"content": "Yes"})
    news = two.ana.get(f"{path}?after=1", If_None_Match=first.headers["ETag"])
    assert (news.status, numbers(news)) == (200, [2])


def test_a_page_takes_the_same_queries_for_one_and_for_three(two, path):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            two.ana.get(path)
        return len(seen)

    one = queries()
    for _ in range(2):
        two.ana.post(path, {"content": "more"})
    assert queries() == one
    assert one <= 6


def test_a_stranger_neither_reads_nor_writes(two, path, api):
    for stranger in (api.as_user(UserFactory()), api.as_user(ProviderUserFactory().user)):
        assert stranger.get(path).code == (404, "NOT_FOUND")
        assert stranger.post(path, {"content": "Hi"}).code == (404, "NOT_FOUND")
    assert Message.objects.count() == 1


def test_who_left_the_staff_reads_no_more(two, path):
    two.owner_user.provider_users.all().delete()
    assert two.owner.get(path).code == (404, "NOT_FOUND")


def test_writing_brings_an_archived_conversation_back(two, path, conversation):
    two.ana.post(f"{CONVERSATIONS}/{conversation.pk}/archive")
    assert two.owner.post(path, {"content": "Still there?"}).status == 201
    conversation.refresh_from_db()
    assert conversation.status == "active"


def test_contacts_stay_hidden_until_a_booking_is_confirmed(two, path, conversation):
    two.ana.post(path, {"content": "Call +1 (512) 555-0123 or ana@example.com"})
    hidden = "Call ••• or •••"
    assert two.owner.get(path).data[-1]["content"] == hidden
    assert two.ana.get(path).data[-1]["content"] == hidden
    assert two.owner.get(CONVERSATIONS).data[0]["lastMessage"] == hidden
    booking = BookingFactory(child__parent=two.ana_user.parent, session__offering__activity__provider=two.provider)
    assert two.owner.get(path).data[-1]["content"] == hidden
    booking.status, booking.expires_at = "confirmed", None
    booking.save()
    shown = "Call +1 (512) 555-0123 or ana@example.com"
    assert two.owner.get(path).data[-1]["content"] == shown
    assert two.owner.get(CONVERSATIONS).data[0]["lastMessage"] == shown


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ana.lopez+kids@mail.example.co.uk", "•••"),
        ("write to ana (at) example (dot) com please", "write to ••• please"),
        ("ana at example dot com", "•••"),
        ("98765 43210", "•••"),
        ("+91-98765-43210 anytime", "••• anytime"),
        ("512.555.0123", "•••"),
        ("5125550123", "•••"),
        (
            "We start on 2026-03-07 at 10:00, $1,250 for 12 weeks",
            "We start on 2026-03-07 at 10:00, $1,250 for 12 weeks",
        ),
        ("07/03/2026 or 7.3.2026", "07/03/2026 or 7.3.2026"),
        ("He is 7 and a half", "He is 7 and a half"),
        ("Meet at noon. Bring goggles", "Meet at noon. Bring goggles"),
    ],
)
def test_what_counts_as_a_contact(text, masked):
    assert mask(text) == masked


ODD = ["1 ", "0-", "+1", "a@", "a at ", ".", "a", "a.", "-", " ", "(at)", "a (at) ", "a dot ", "a.1.", "aaaa   "]


@pytest.mark.parametrize("text", ODD)
def test_hiding_takes_no_time_over_odd_texts(text):
    begun = time.perf_counter()
    for start in ("", "x@", "x@a", "1"):
        mask(start + text * (5000 // len(text)))
    # Some milliseconds; a pattern that tries everything takes several seconds.
    assert time.perf_counter() - begun < 0.5


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_messages_written_at_once_get_numbers_without_gaps(two, path, at_once):
    answers = at_once(
        lambda n: (two.ana if n % 2 else two.owner).post(path, {"content": f"{n}"}).status, list(range(8))
    )
    assert answers == [201] * 8
    assert sorted(Message.objects.values_list("number", flat=True)) == list(range(1, 10))


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_two_first_messages_at_once_make_one_conversation(two, at_once):
    body = {"providerId": str(two.provider.pk), "content": "Hello"}
    answers = at_once(lambda _: two.ana.post(CONVERSATIONS, body).status, list(range(6)))
    assert answers == [201] * 6
    assert Conversation.objects.count() == 1
    assert sorted(Message.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_control_looking_first_would_not_do(two, at_once, monkeypatch):
    """All look before anybody writes, and find no conversation: it is the database that lets one of them begin it."""
    all_have_looked = threading.Barrier(4)

    def look_and_create(*, parent, provider_id, defaults):
        found = Conversation.objects.filter(parent=parent, provider_id=provider_id).first()
        all_have_looked.wait(timeout=10)
        return found or Conversation.objects.create(parent=parent, provider_id=provider_id, **defaults), not found

    monkeypatch.setattr(Conversation.objects, "get_or_create", look_and_create)
    body = {"providerId": str(two.provider.pk), "content": "Hello"}
    answers = at_once(lambda _: two.ana.post(CONVERSATIONS, body).status, list(range(4)))
    assert sorted(answers) == [201, 500, 500, 500]
    assert (Conversation.objects.count(), Message.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_without_the_lock_numbers_would_collide(two, path, at_once, monkeypatch):
    """The control of the test before: the race is real."""
    from django.db.models.query import QuerySet

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self.all())
    answers = at_once(lambda n: two.ana.post(path, {"content": f"{n}"}).status, list(range(8)))
    assert 500 in answers


def test_a_repeated_message_with_a_key_is_written_once(two, path):
    first, again = (two.ana.post(path, {"content": "Hello?"}, Idempotency_Key="one") for _ in range(2))
    assert (first.status, again.status, first.data["id"]) == (201, 201, again.data["id"])
    assert again.headers["Idempotency-Replayed"] == "true"
    assert two.ana.post(path, {"content": "Other"}, Idempotency_Key="one").code == (422, "IDEMPOTENCY_KEY_REUSED")
    assert two.ana.post(path, {"content": "Hello?"}).status == 201
    assert Message.objects.count() == 3


def test_writing_is_limited_and_reading_is_not(two, path, conversation, settings):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"message": 2}
    begin = {"providerId": str(two.provider.pk), "content": "Hi"}
    assert two.owner.post(path, {"content": "One"}).status == 201
    assert two.owner.post(path, {"content": "Two"}).status == 201
    limited = two.owner.post(path, {"content": "Three"})
    assert limited.code == (429, "RATE_LIMITED")
    assert int(limited.headers["Retry-After"]) >= 1
    assert two.owner.post(CONVERSATIONS, begin).code == (429, "RATE_LIMITED")
    assert two.owner.get(path).status == 200
    assert two.owner.post(f"{CONVERSATIONS}/{conversation.pk}/read", {}).status == 200
    assert Message.objects.count() == 3
