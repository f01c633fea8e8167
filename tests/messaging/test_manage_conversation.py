"""POST /v1/conversations/{id}/read, archive, block and messages/{number}/report."""

import pytest

from messaging.models import Message, MessageReport
from tests.factories import ProviderUserFactory
from tests.messaging.conftest import CONVERSATIONS

pytestmark = pytest.mark.django_db(databases=["default", "global"])


@pytest.fixture
def path(conversation):
    return f"{CONVERSATIONS}/{conversation.pk}"


def test_reading_marks_what_the_other_side_wrote(two, path, conversation):
    two.ana.post(f"{path}/messages", {"content": "Hello?"})
    answer = two.owner.post(f"{path}/read", {"upTo": 1})
    assert (answer.status, answer.data["unread"]) == (200, 1)
    answer = two.owner.post(f"{path}/read", {})
    assert answer.data["unread"] == 0
    assert answer.data["providerReadAt"] is not None
    assert answer.data["parentReadAt"] is None
    assert all(each["readAt"] for each in two.ana.get(f"{path}/messages").data)


def test_reading_does_not_mark_ones_own_messages(two, path):
    two.ana.post(f"{path}/read", {})
    assert Message.objects.get().read_at is None
    assert two.owner.get(path).data["unread"] == 1


def test_archiving_twice_does_no_harm(two, path):
    assert two.ana.post(f"{path}/archive").data["status"] == "archived"
    assert two.owner.post(f"{path}/archive").data["status"] == "archived"
    assert two.ana.delete(f"{path}/archive").data["status"] == "active"
    assert two.ana.delete(f"{path}/archive").data["status"] == "active"


@pytest.mark.parametrize(("blocker", "other"), [("ana", "owner"), ("owner", "ana")])
def test_a_block_holds_in_both_directions_until_the_blocker_lifts_it(two, path, conversation, blocker, other):
    blocker, other = getattr(two, blocker), getattr(two, other)
    answer = blocker.post(f"{path}/block")
    assert (answer.data["status"], answer.data["blockedByMe"]) == ("blocked", True)
    assert blocker.post(f"{path}/block").status == 200
    for side in (blocker, other):
        assert side.post(f"{path}/messages", {"content": "Hi"}).code == (409, "INVALID_STATE")
    begin = {"providerId": str(two.provider.pk), "content": "Hi"}
    assert two.ana.post(CONVERSATIONS, begin).code == (409, "INVALID_STATE")
    assert other.post(f"{path}/archive").code == (409, "INVALID_STATE")
    assert other.delete(f"{path}/archive").code == (409, "INVALID_STATE")
    assert other.post(f"{path}/block").code == (409, "INVALID_STATE")
    assert other.delete(f"{path}/block").code == (409, "INVALID_STATE")
    assert other.get(path).data["blockedByMe"] is False
    assert Message.objects.count() == 1
    assert blocker.delete(f"{path}/block").data["status"] == "active"
    assert other.post(f"{path}/messages", {"content": "Hi"}).status == 201


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("admin", 200), ("staff", 403)])
def test_staff_write_but_do_not_block(two, path, api, role, status):
    member = api.as_user(ProviderUserFactory(provider_account=two.provider, role=role).user)
    assert member.get(f"{path}/messages").status == 200
    assert member.post(f"{path}/messages", {"content": "Hi"}).status == 201
    assert member.post(f"{path}/read", {}).status == 200
    assert member.post(f"{path}/block").status == status


def test_a_message_of_the_other_side_can_be_reported_once(two, path):
    two.owner.post(f"{path}/messages", {"content": "Pay me in cash"})
    answer = two.ana.post(f"{path}/messages/2/report", {"reason": "Asks for cash"})
    assert (answer.status, answer.data["status"]) == (201, "open")
    row = MessageReport.objects.get()
    assert (row.message.number, row.reporter, row.reason, row.status) == (2, two.ana_user, "Asks for cash", "open")
    again = two.ana.post(f"{path}/messages/2/report", {"reason": "Really"})
    assert again.code == (409, "INVALID_STATE")
    assert MessageReport.objects.get().reason == "Asks for cash"


@pytest.mark.parametrize("number", [1, 7, 2147483648])
def test_only_what_the_other_side_wrote_can_be_reported(two, path, number):
    assert two.ana.post(f"{path}/messages/{number}/report", {"reason": "x"}).code == (404, "NOT_FOUND")
    assert not MessageReport.objects.exists()


def test_a_message_neither_stands_in_the_log_nor_in_the_notification(two, path, capfd):
    two.ana.post(f"{path}/messages", {"content": "canary-5551"})
    out = capfd.readouterr()
    assert "canary-5551" not in out.out + out.err
