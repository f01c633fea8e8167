"""Seeing who somebody is: one record, one time, with a reason; and what ops start for people who wrote in."""

import pytest
import structlog
from django.contrib.admin.models import LogEntry

from payments.models import Refund
from privacy.models import ErasureRequest, ExportRequest
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import BookingFactory, ChildFactory, PaymentFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "global"])

REASON = {"apply": "yes", "reason": "She called about the pick-up."}
VIEW = ["users.view_user", "users.view_parent", "users.view_child"]


def page(row, verb="change"):
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{verb}/"


def words(row):
    return list(LogEntry.objects.filter(object_id=str(row.pk)).values_list("user__email", "change_message"))


@pytest.fixture
def child():
    child = ChildFactory(first_name="Mirabel", last_name="Okonkwo", birth_date="2018-03-04")
    child.parent.first_name, child.parent.last_name, child.parent.phone = "Adaeze", "Okonkwo", "+15125550123"
    child.parent.save()
    child.parent.user.email = "adaeze@example.com"
    child.parent.user.save()
    return child


@pytest.fixture
def support():
    return staff(email="support@juniro.example", rights=[*VIEW, "users.reveal_pii"])


def people(child):
    return {
        "child": (child, ["Mirabel Okonkwo", "2018-03-04"]),
        "parent": (child.parent, ["Adaeze Okonkwo", "+15125550123", "adaeze@example.com"]),
        "user": (child.parent.user, ["adaeze@example.com", child.parent.user.auth_id]),
    }


@pytest.mark.parametrize("who", ["child", "parent", "user"])
def test_a_record_is_revealed_once_with_a_reason_that_stays(child, support, who):
    row, secrets = people(child)[who]
    client = signed_in(support)
    for path in (page(row), page(row, "reveal")):
        masked = client.get(path).content.decode()
        assert "Okonkwo" not in masked
        assert "adaeze@" not in masked
    with structlog.testing.capture_logs() as logs:
        response = client.post(page(row, "reveal"), REASON)
    shown = response.content.decode()
    assert [each for each in secrets if each not in shown] == []
    assert "no-store" in response.headers["Cache-Control"]
    assert words(row) == [("support@juniro.example", "Revealed: She called about the pick-up.")]
    assert [each["event"] for each in logs if each["event"] == "personal data revealed"] == ["personal data revealed"]
    assert not [secret for secret in ("Okonkwo", "adaeze@", "+1512", "pick-up") if secret in str(logs)]
    assert "Okonkwo" not in client.get(page(row)).content.decode()
    assert "Revealed: She called about the pick-up." in client.get(page(row, "history")).content.decode()


def test_without_a_reason_nothing_is_revealed(child, support):
    client = signed_in(support)
    for body in ({"apply": "yes", "reason": "  "}, {"reason": "Because."}, {}):
        shown = client.post(page(child, "reveal"), body).content.decode()
        assert "Mirabel" not in shown
    assert words(child) == []


def test_no_page_of_another_site_can_reveal(child, support):
    client = signed_in(support)
    client.handler.enforce_csrf_checks = True
    assert client.post(page(child, "reveal"), REASON).status_code == 403
    assert words(child) == []


def test_who_may_only_look_reveals_nothing(child):
    client = signed_in(staff(rights=VIEW))
    assert "Reveal" not in client.get(page(child)).content.decode()
    for row in (child, child.parent, child.parent.user):
        assert client.post(page(row, "reveal"), REASON).status_code == 403
        assert words(row) == []


def test_staff_have_nothing_to_reveal(support, messages_of):
    response = signed_in(support).post(page(staff(), "reveal"), REASON, follow=True)
    assert messages_of(response) == ["There is nothing to reveal here."]


def test_a_suspension_shuts_a_living_token_out_at_once_and_ends_as_fast(api):
    user = UserFactory()
    me, client = api.as_user(user), signed_in(staff(rights=["users.view_user", "users.suspend_user"]))
    assert me.get("/v1/me").status == 200
    client.post(page(user, "suspend"), {"apply": "yes", "reason": "Fraud."})
    assert me.get("/v1/me").code == (403, "ACCOUNT_SUSPENDED")
    client.post(page(user, "reinstate"), {"apply": "yes"})
    assert me.get("/v1/me").status == 200


# --- For people who wrote in -----------------------------------------------------------------------------------------


@pytest.fixture
def clerk():
    return signed_in(staff(rights=["users.view_user", "privacy.request_export", "privacy.request_erasure",
                                   "privacy.view_exportrequest", "privacy.view_erasurerequest"]))  # fmt: skip


def test_an_archive_is_asked_for_and_its_progress_shown(clerk, tasks, django_capture_on_commit_callbacks):
    user = UserFactory()
    assert "Nobody here can open it" in clerk.get(page(user, "make_export")).content.decode()
    assert ExportRequest.objects.count() == 0
    with django_capture_on_commit_callbacks(execute=True):
        clerk.post(page(user, "make_export"), REASON)
    made = ExportRequest.objects.get(user=user)
    assert (made.status, tasks) == ("queued", [("privacy.tasks.make_export", (str(made.pk),))])
    ExportRequest.objects.filter(pk=made.pk).update(progress=45, attempts=2, file="exports/secret.zip")
    for path in (page(user), page(made), "/admin/privacy/exportrequest/"):
        shown = clerk.get(path).content.decode()
        assert "45" in shown
        assert "secret.zip" not in shown


def test_a_failed_archive_is_tried_again_unless_another_is_on_its_way(clerk, tasks, messages_of, now):
    user = UserFactory()
    failed = ExportRequest.objects.create(user=user, status="failed", attempts=6, progress=45, next_attempt_at=now)
    other = ExportRequest.objects.create(user=user, next_attempt_at=now)
    response = clerk.post(page(failed, "retry"), {"apply": "yes"}, follow=True)
    assert messages_of(response) == [f"{failed}: Another archive of this person is being made."]
    other.delete()
    clerk.post(page(failed, "retry"), {"apply": "yes"})
    failed.refresh_from_db()
    assert (failed.status, failed.attempts, failed.progress) == ("queued", 0, 0)


def test_an_erasure_is_started_and_taken_back(clerk, settings):
    settings.ERASURE_GRACE_DAYS = 30
    user = UserFactory()
    clerk.post(page(user, "erase"), REASON)
    made = ErasureRequest.objects.get(user=user)
    assert made.status == "requested"
    assert [text for _, text in words(user)] == [
        f"Will be erased on {made.next_step_at:%Y-%m-%d}: She called about the pick-up."
    ]
    clerk.post(page(made, "keep"), REASON)
    made.refresh_from_db()
    assert made.status == "cancelled"


def test_money_on_its_way_holds_an_erasure_up_in_plain_words(clerk, messages_of):
    booking = BookingFactory(status="confirmed")
    Refund.objects.create(
        payment=PaymentFactory(booking=booking, status="paid"), amount_cents=100, currency="USD", reason="x"
    )
    response = clerk.post(page(booking.parent.user, "erase"), REASON, follow=True)
    (told,) = messages_of(response)
    assert told.endswith("A refund is on its way. Delete the account once it has arrived.")
    assert ErasureRequest.objects.count() == 0
    assert words(booking.parent.user) == []


def test_what_is_stuck_can_be_hurried(clerk, tasks, now, django_capture_on_commit_callbacks):
    stuck = ErasureRequest.objects.create(user=UserFactory(), status="erased", next_step_at=now, error="Supabase: 503")
    with django_capture_on_commit_callbacks(execute=True):
        clerk.post(page(stuck, "hurry"), {"apply": "yes"})
    assert tasks == [("privacy.tasks.erase", (str(stuck.pk),))]


@pytest.mark.parametrize("verb", ["make_export", "erase"])
def test_who_may_only_look_starts_nothing(verb):
    user = UserFactory()
    assert signed_in(staff(rights=["users.view_user"])).post(page(user, verb), REASON).status_code == 403
    assert (ExportRequest.objects.count(), ErasureRequest.objects.count()) == (0, 0)
