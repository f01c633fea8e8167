"""Verifying providers, one by one and from the queue."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from providers.models import ProviderAccount
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import ProviderAccountFactory, in_days

pytestmark = pytest.mark.django_db
LIST = "/admin/providers/provideraccount/"


def pending(**fields) -> ProviderAccount:
    return ProviderAccountFactory(
        **{"status": "pending", "verified_at": None, "submitted_at": in_days(-2), **fields},
    )


def page(account: ProviderAccount, verb: str = "change") -> str:
    return f"{LIST}{account.pk}/{verb}/"


def entries(account: ProviderAccount) -> list[str]:
    return list(
        LogEntry.objects.filter(object_id=str(account.pk)).order_by("id").values_list("change_message", flat=True)
    )


def test_the_queue_shows_pending_providers_first_by_how_long_they_have_waited(ops):
    live = ProviderAccountFactory()
    unsubmitted = pending(submitted_at=None)
    young = pending(submitted_at=in_days(-1))
    old = pending(submitted_at=in_days(-9))
    response = ops.get(LIST)
    assert list(response.context["cl"].result_list) == [old, young, unsubmitted, live]
    text = response.content.decode()
    assert "1\u00a0week" in text
    assert "not submitted" in text
    assert list(ops.get(LIST, {"status__exact": "pending"}).context["cl"].result_list) == [old, young, unsubmitted]


def test_the_sidebar_counts_who_waits(ops):
    pending()
    pending(submitted_at=None)
    badges = [item["badge"] for group in ops.get("/admin/").context["sidebar_navigation"] for item in group["items"]]
    assert [badge for badge in badges if badge] == [1]


def test_looking_at_the_question_changes_nothing(ops):
    account = pending()
    response = ops.get(page(account, "verify"))
    assert response.status_code == 200
    assert "this provider account?" in response.content.decode()
    account.refresh_from_db()
    assert account.status == "pending"
    assert entries(account) == []


def test_verifying_makes_the_provider_live_and_is_logged(ops, superuser, messages_of):
    account = pending(status_reason="Send us your licence")
    response = ops.post(page(account, "verify"), {"apply": "yes"}, follow=True)
    assert response.redirect_chain == [(page(account), 302)]
    assert messages_of(response) == [f"Verified: {account}."]
    account.refresh_from_db()
    assert (account.status, account.status_reason) == ("verified", "")
    assert account.verified_at is not None
    assert entries(account) == ["Verified."]
    assert LogEntry.objects.get().user == superuser


@pytest.mark.parametrize(
    ("verb", "before", "after", "past"),
    [("reject", "pending", "rejected", "Rejected"), ("suspend", "verified", "suspended", "Suspended")],
)
def test_rejecting_and_suspending_need_a_reason_that_the_provider_gets(ops, verb, before, after, past):
    account = pending() if before == "pending" else ProviderAccountFactory()
    for reason in ("", "   "):
        response = ops.post(page(account, verb), {"apply": "yes", "reason": reason})
        assert response.status_code == 200
        assert response.context["form"].errors == {"reason": ["This field is required."]}
    account.refresh_from_db()
    assert account.status == before
    assert entries(account) == []

    ops.post(page(account, verb), {"apply": "yes", "reason": "No insurance"})
    account.refresh_from_db()
    assert (account.status, account.status_reason) == (after, "No insurance")
    assert entries(account) == [f"{past}: No insurance"]


def test_a_suspended_provider_can_be_reinstated(ops):
    account = ProviderAccountFactory(status="suspended", status_reason="No insurance")
    ops.post(page(account, "reinstate"), {"apply": "yes"})
    account.refresh_from_db()
    assert (account.status, account.status_reason) == ("verified", "")
    assert entries(account) == ["Reinstated."]


@pytest.mark.parametrize("status", ["verified", "suspended", "rejected"])
def test_what_the_state_does_not_allow_is_a_message(ops, messages_of, status):
    account = ProviderAccountFactory(status=status)
    response = ops.post(page(account, "verify"), {"apply": "yes"}, follow=True)
    assert messages_of(response) == [f"Verify is not possible for {account} ({status})."]
    account.refresh_from_db()
    assert account.status == status
    assert entries(account) == []


def test_who_loses_a_race_gets_a_message(ops, messages_of, monkeypatch):
    account = pending()
    move = ProviderAccount.move

    def overtaken(self, to, **changes):
        ProviderAccount.objects.filter(pk=self.pk).update(status="rejected")
        return move(self, to, **changes)

    monkeypatch.setattr(ProviderAccount, "move", overtaken)
    response = ops.post(page(account, "verify"), {"apply": "yes"}, follow=True)
    assert messages_of(response) == [
        f"{account}: This provider account was changed by someone else in the meantime.",
    ]
    assert entries(account) == []


def test_the_page_of_a_provider_offers_only_what_its_state_allows(ops):
    offered = {
        status: [each["title"] for each in ops.get(page(account)).context["actions_detail"]]
        for status in ("pending", "verified", "suspended", "rejected")
        if (account := ProviderAccountFactory(status=status))
    }
    assert offered == {
        "pending": ["Verify", "Reject"],
        "verified": ["Suspend"],
        "suspended": ["Reinstate"],
        "rejected": [],
    }


def test_several_are_rejected_from_the_list_with_one_reason_and_the_others_are_named(ops, messages_of):
    first, second, live = pending(submitted_at=in_days(-3)), pending(), ProviderAccountFactory()
    chosen = {"action": "reject", "_selected_action": [str(row.pk) for row in (first, second, live)]}

    question = ops.post(LIST, {**chosen, "index": "0"})
    assert question.status_code == 200
    assert list(question.context["rows"]) == [first, second]
    assert 'name="action" value="reject"' in question.content.decode()
    assert ProviderAccount.objects.filter(status="rejected").count() == 0

    response = ops.post(LIST, {**chosen, "apply": "yes", "reason": "No insurance"}, follow=True)
    assert set(messages_of(response)) == {
        f"Reject is not possible for {live} (verified).",
        f"Rejected: {first}.",
        f"Rejected: {second}.",
    }
    assert set(ProviderAccount.objects.filter(status="rejected")) == {first, second}
    assert entries(first) == entries(second) == ["Rejected: No insurance"]
    assert entries(live) == []


def test_a_profile_can_be_mended_but_not_its_state_or_slug(ops):
    account = pending(slug="swim-school")
    form = {
        "business_name": "Swim School",
        "type": "business",
        "status": "verified",
        "slug": "other",
        "staff-TOTAL_FORMS": 0,
        "staff-INITIAL_FORMS": 0,
        "locations-TOTAL_FORMS": 0,
        "locations-INITIAL_FORMS": 0,
    }
    assert ops.post(page(account), form).status_code == 302
    account.refresh_from_db()
    assert (account.business_name, account.status, account.slug) == ("Swim School", "pending", "swim-school")


def test_an_unknown_provider_is_404(ops):
    for pk in ("01a1fbf9-4878-7649-8bf6-6dcf95dc5ee4", "no-id"):
        assert ops.get(f"{LIST}{pk}/verify/").status_code == 404


def test_staff_who_may_only_look_cannot_verify(db):
    from django.contrib.auth.models import Permission

    onlooker = staff()
    onlooker.user_permissions.add(Permission.objects.get(codename="view_provideraccount"))
    client, account = signed_in(onlooker), pending()
    assert client.get(page(account)).status_code == 200
    assert client.get(page(account)).context["actions_detail"] == []
    assert client.post(page(account, "verify"), {"apply": "yes"}).status_code == 403
    account.refresh_from_db()
    assert account.status == "pending"


def test_a_verb_needs_the_csrf_token(superuser):
    client, account = signed_in(superuser, enforce_csrf_checks=True), pending()
    assert client.post(page(account, "verify"), {"apply": "yes"}).status_code == 403
    account.refresh_from_db()
    assert account.status == "pending"


def test_the_addresses_of_the_verbs_are_named():
    account = ProviderAccount(business_name="x")
    assert reverse("admin:providers_provideraccount_verify", args=[account.pk]) == page(account, "verify")
