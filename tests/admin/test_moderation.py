"""Reviews and messages: what is reported is hidden or dismissed, and messages are read only for a report."""

import pytest
from django.contrib.admin.models import LogEntry

from bookings.models import Review, ReviewReport
from messaging.models import Message, MessageReport
from regions import flags
from tests.admin.conftest import signed_in
from tests.admin.rows import conversation, staff
from tests.factories import ReviewFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "global"])

REASON = {"apply": "yes", "reason": "Names a child."}
READ = ["messaging.view_messagereport", "messaging.read_reported_message"]


def page(row, verb="change"):
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{verb}/"


def words(row):
    return list(LogEntry.objects.filter(object_id=str(row.pk)).values_list("change_message", flat=True))


# --- Reviews ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def content():
    return signed_in(staff(rights=["bookings.view_review", "bookings.moderate_review", "bookings.view_reviewreport"]))


def test_many_reviews_are_hidden_at_once_with_one_reason(content):
    reviews = [ReviewFactory(), ReviewFactory()]
    report = ReviewReport.objects.create(review=reviews[0], reporter=UserFactory(), reason="Names my child")
    waiting = "/admin/bookings/review/?reports=open"
    assert list(content.get(waiting).context["cl"].result_list) == [reviews[0]]
    chosen = {"action": "hide", "_selected_action": [str(each.pk) for each in reviews], "index": "0"}
    content.post("/admin/bookings/review/", chosen)
    assert Review.objects.filter(status="hidden").count() == 0
    content.post("/admin/bookings/review/", chosen | REASON)
    for each in reviews:
        each.refresh_from_db()
        assert (each.status, each.hidden_reason, words(each)) == (
            "hidden", "Names a child.", ["Hidden: Names a child."],
        )  # fmt: skip
    report.refresh_from_db()
    assert report.status == "upheld"
    assert list(content.get(waiting).context["cl"].result_list) == []


def test_reports_are_dismissed_and_a_review_shown_again_with_a_reason(content):
    review = ReviewFactory()
    ReviewReport.objects.create(review=review, reporter=UserFactory(), reason="I do not like it")
    content.post(page(review, "dismiss"), {"apply": "yes", "reason": ""})
    assert review.reports.get().status == "open"
    content.post(page(review, "dismiss"), REASON)
    assert review.reports.get().status == "dismissed"
    content.post(page(review, "hide"), REASON)
    content.post(page(review, "show"), REASON)
    review.refresh_from_db()
    assert (review.status, len(words(review))) == ("published", 3)


@pytest.mark.parametrize("verb", ["hide", "show", "dismiss"])
def test_who_may_only_look_moderates_nothing(verb):
    review = ReviewFactory()
    client = signed_in(staff(rights=["bookings.view_review"]))
    assert client.post(page(review, verb), REASON).status_code == 403
    review.refresh_from_db()
    assert review.status == "published"


# --- Messages --------------------------------------------------------------------------------------------------------


@pytest.fixture
def thread():
    thread = conversation(0)
    texts = ["First", "Where is the pool", "Go away", "Pardon", "Bye", "Last"]
    for number, text in enumerate(texts, start=1):
        Message.objects.create(
            conversation=thread,
            number=number,
            sender=thread.parent.user,
            sender_type="provider" if number == 3 else "parent",
            content=text,
        )
    return thread


@pytest.fixture
def report(thread):
    return MessageReport.objects.create(
        message=thread.messages.get(number=3), reporter=thread.parent.user, reason="Rude"
    )


def test_a_reported_message_is_read_with_a_little_around_it_and_each_look_is_kept(report):
    client = signed_in(staff(rights=READ))
    assert "Go away" not in client.get(page(report)).content.decode()
    assert "Go away" not in client.get(page(report, "read")).content.decode()
    for _ in range(2):
        response = client.post(page(report, "read"), {"apply": "yes", "reason": "Is it rude?"})
        shown = response.content.decode()
        for text in ("Where is the pool", "Reported: Provider, message 3", "Go away", "Pardon"):
            assert text in shown, text
        assert "Last" not in shown
        assert "no-store" in response.headers["Cache-Control"]
    assert words(report) == ["Revealed: Is it rude?"] * 2


def test_without_an_open_report_nobody_reads_a_message(report, messages_of):
    client = signed_in(staff(is_superuser=True))
    other = report.message.conversation.messages.get(number=2)
    assert "Where is the pool" not in client.get(page(other)).content.decode()
    client.post(page(report, "dismiss"), {"apply": "yes", "reason": "It is not."})
    response = client.post(page(report, "read"), {"apply": "yes", "reason": "Is it rude?"}, follow=True)
    assert "Go away" not in response.content.decode()
    assert messages_of(response)[-1] == "There is nothing to reveal here."
    assert words(report) == ["Dismissed: It is not."]


def test_who_may_see_reports_may_not_read_messages_for_that(report):
    client = signed_in(staff(rights=["messaging.view_messagereport"]))
    assert client.post(page(report, "read"), {"apply": "yes", "reason": "x"}).status_code == 403
    for verb in ("hide", "uphold", "dismiss"):
        assert client.post(page(report, verb), {"apply": "yes", "reason": "x"}).status_code == 403
    report.refresh_from_db()
    assert (report.status, words(report)) == ("open", [])


@pytest.fixture
def moderator():
    return signed_in(staff(rights=[*READ, "messaging.moderate_message"]))


def test_a_hidden_message_is_gone_for_both_sides(moderator, report, api):
    flags.switch("MESSAGING_ENABLED", True)
    parent = api.as_user(report.message.conversation.parent.user)
    path = f"/v1/conversations/{report.message.conversation_id}/messages"
    assert "Go away" in str(parent.get(path).body)
    second = MessageReport.objects.create(message=report.message, reporter=UserFactory(), reason="Very rude")
    moderator.post(page(report, "hide"), REASON)
    for each in (report, second):
        each.refresh_from_db()
        assert (each.status, each.resolution) == ("upheld", "Names a child.")
    seen = next(each for each in parent.get(path).data if each["number"] == 3)
    assert (seen["isHidden"], seen["content"], seen["attachments"]) == (True, "", None)
    assert "Go away" not in str(parent.get("/v1/conversations").body)
    assert Message.objects.get(pk=report.message_id).content == "Go away"


@pytest.mark.parametrize(("verb", "status"), [("uphold", "upheld"), ("dismiss", "dismissed")])
def test_a_report_is_settled_without_touching_the_message(moderator, report, verb, status):
    moderator.post(page(report, verb), {"apply": "yes", "reason": " "})
    report.refresh_from_db()
    assert report.status == "open"
    moderator.post(page(report, verb), REASON)
    report.refresh_from_db()
    assert (report.status, report.resolution, report.message.hidden_at) == (status, "Names a child.", None)
