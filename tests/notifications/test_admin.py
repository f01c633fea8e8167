"""Ops see what was not sent and send it again, and look at every mail."""

import html

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.urls import reverse

from core.admin import navigation
from notifications.models import Bounce, Notification, NotificationKind
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import BookingFactory

pytestmark = pytest.mark.django_db(databases=["default", "global"])

LIST = "admin:notifications_notification_changelist"
PREVIEWS = "/admin/notifications/notification/previews/"


@pytest.fixture
def ops():
    return signed_in(staff(email="boss@juniro.example", is_superuser=True))


def clerk(*codenames: str):
    """Staff with these rights over notifications and no others."""
    user = staff()
    found = Permission.objects.filter(codename__in=codenames, content_type__app_label="notifications")
    assert found.count() == len(codenames)
    user.user_permissions.set(found)
    return signed_in(user)


@pytest.fixture
def failed(tell):
    booking = BookingFactory(status="confirmed")
    row = tell(booking.parent.user, "booking_confirmed", booking)
    Notification.objects.update(
        status="failed", attempts=12, error="The mail server refuses the address.", next_attempt_at=None
    )
    return row


def test_what_failed_is_found_with_its_reason(ops, failed):
    page = ops.get(reverse(LIST), {"status__exact": "failed"})
    assert list(page.context["cl"].result_list) == [failed]
    [item] = [
        each for group in navigation(page.wsgi_request) for each in group["items"] if each["title"] == "Notifications"
    ]
    assert item["badge"] == 1
    page = ops.get(reverse("admin:notifications_notification_change", args=[failed.pk])).content.decode()
    assert "The mail server refuses the address." in page
    assert failed.user.email not in page


def test_it_is_sent_again_after_asking(ops, failed, deliveries, django_capture_on_commit_callbacks):
    given = {"action": "retry", "_selected_action": [str(failed.pk)]}
    with django_capture_on_commit_callbacks(execute=True):
        assert "Send again" in ops.post(reverse(LIST), given).content.decode()
    failed.refresh_from_db()
    assert (failed.status, deliveries) == ("failed", [])
    with django_capture_on_commit_callbacks(execute=True):
        ops.post(reverse(LIST), given | {"apply": "yes"})
    failed.refresh_from_db()
    assert (failed.status, failed.attempts, failed.error) == ("pending", 0, "")
    assert deliveries == [(str(failed.pk),)]
    assert LogEntry.objects.get().get_change_message() == "Queued to be sent again."


@pytest.mark.parametrize("status", ["pending", "sent", "muted", "dropped"])
def test_only_what_failed_can_be_sent_again(ops, failed, deliveries, status):
    Notification.objects.update(status=status)
    ops.post(reverse(LIST), {"action": "retry", "_selected_action": [str(failed.pk)], "apply": "yes"})
    failed.refresh_from_db()
    assert (failed.status, deliveries) == (status, [])


def test_who_may_only_look_sends_nothing(failed, deliveries):
    given = {"action": "retry", "_selected_action": [str(failed.pk)], "apply": "yes"}
    clerk("view_notification").post(reverse(LIST), given)
    failed.refresh_from_db()
    assert (failed.status, deliveries) == ("failed", [])


def test_a_bounce_can_be_forgiven_and_not_made_up(ops, failed, now):
    bounce = Bounce.objects.create(user=failed.user, email_sha256="a" * 64, reason="hard_bounce", happened_at=now)
    url = reverse("admin:notifications_bounce_change", args=[bounce.pk])
    assert ops.post(url, {"reason": "complaint"}).status_code == 403
    assert ops.post(reverse("admin:notifications_bounce_add"), {}).status_code == 403
    ops.post(reverse("admin:notifications_bounce_delete", args=[bounce.pk]), {"post": "yes"})
    assert not Bounce.objects.exists()


# --- Previews --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind.value for kind in NotificationKind])
def test_every_kind_is_shown_for_both_regions_in_html_and_text(ops, kind, django_assert_max_num_queries):
    with django_assert_max_num_queries(7):
        page = ops.get(PREVIEWS, {"kind": kind})
    assert page.status_code == 200
    assert [each["region"] for each in page.context["previews"]] == ["United States", "India"]
    shown = page.content.decode()
    for each in page.context["previews"]:
        assert all(html.escape(each[part]) in shown for part in ("html", "text"))
    assert shown.count("<iframe") == shown.count(" sandbox srcdoc=") == 2


def test_money_and_days_are_each_regions_own(ops):
    us, india = ops.get(PREVIEWS).context["previews"]
    assert "$45.00" in us["text"] and "Sat, Mar 7, 10:00 AM to 10:45 AM CST" in us["text"]
    assert "₹12,500.00" in india["text"] and "Sat 7 Mar, 10:00 am to 11:00 am IST" in india["text"]


def test_an_unknown_kind_shows_the_first(ops):
    assert ops.get(PREVIEWS, {"kind": "<script>"}).context["kind"] == "booking_confirmed"


def test_the_list_leads_there_and_the_list_of_kinds_is_whole(ops):
    assert PREVIEWS in ops.get(reverse(LIST)).content.decode()
    page = ops.get(PREVIEWS).content.decode()
    assert all(f'href="?kind={kind.value}&amp;' in page for kind in NotificationKind)


def test_only_staff_who_may_see_notifications_see_them(client):
    assert clerk("view_notification").get(PREVIEWS).status_code == 200
    assert clerk("view_bounce").get(PREVIEWS).status_code == 403
    assert client.get(PREVIEWS).status_code == 302
