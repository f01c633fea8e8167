"""Verifying providers, one by one and from the queue."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings.models import Booking
from marketplace.models import Activity
from notifications.models import Notification
from providers.models import ProviderAccount
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import (
    ActivityFactory,
    BookingFactory,
    CityFactory,
    LocationFactory,
    OfferingFactory,
    ProviderAccountFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)
from tests.meeting import Meeting

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
    assert messages_of(response) == [f"Approved: {account}."]
    account.refresh_from_db()
    assert (account.status, account.status_reason) == ("verified", "")
    assert account.verified_at is not None
    assert entries(account) == ["Approved."]
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
    assert messages_of(response) == [f"Approve is not possible for {account} ({status})."]
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
        "pending": ["Approve", "Reject"],
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


# --- The case ------------------------------------------------------------------------------------------------------


def text_of(response) -> str:
    """What the page says, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split())


def test_the_page_says_what_is_missing_where_what_who_and_what_was_decided(ops, superuser):
    account = pending(description="We swim.", email="pool@example.com")
    austin = CityFactory(latitude=30.27, longitude=-97.74)
    LocationFactory(provider=account, name="Pool", address="1 Main St", city=austin, latitude=30.28, longitude=-97.74)
    LocationFactory(provider=account, name="Lake", address="2 Far St", city=austin, latitude=40.0, longitude=-97.74)
    activity = ActivityFactory(provider=account, title="Little Fish", status="draft", age_min=3, age_max=5)
    OfferingFactory(activity=activity, price_cents=2500, name="One class")
    member = ProviderUserFactory(provider_account=account, role="owner", user__email="ana@example.com")
    other = ProviderAccountFactory(business_name="Old Pool", status="suspended")
    ProviderUserFactory(provider_account=other, user=member.user)
    ops.post(page(account, "reject"), {"apply": "yes", "reason": "No insurance"})
    page_text = text_of(ops.get(page(account)))
    assert "Plan a session is missing" in page_text
    assert "Describe your business is missing" not in page_text
    assert "1 Main St" in page_text
    assert "30.2800, -97.7400, 1 km from the centre of Austin" in page_text
    assert "1,082 km from the centre of Austin" in page_text
    assert "Little Fish Draft" in page_text
    assert "Ages 3 to 5" in page_text
    assert "One class: 25.00 USD" in page_text
    assert "No session to come" in page_text
    assert "a…@example.com , owner since" in page_text
    assert "ana@example.com" not in page_text
    assert "also in Old Pool (suspended)" in page_text
    assert "Rejected: No insurance" in page_text
    assert superuser.email in page_text


def test_an_empty_case_says_so(ops):
    page_text = text_of(ops.get(page(pending(submitted_at=None))))
    for said in ("Nobody has decided anything yet.", "Has not asked for verification.", "No place yet.", "Nobody."):
        assert said in page_text
    assert "No activity yet." in page_text


def test_the_page_takes_as_many_queries_for_three_of_everything_as_for_one(ops):
    account = pending()

    def add() -> None:
        activity = ActivityFactory(provider=account, status="draft")
        SessionFactory(offering=OfferingFactory(activity=activity))
        LocationFactory(provider=account)
        ProviderUserFactory(provider_account=account)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert ops.get(page(account)).status_code == 200
        return len(captured)

    add()
    ops.get(page(account))
    with_one = queries()
    add()
    add()
    assert queries() == with_one <= 25


def test_suspending_says_first_what_it_does(ops):
    account = ProviderUserFactory(role="owner").provider_account
    activity = ActivityFactory(provider=account)
    session = SessionFactory(offering=OfferingFactory(activity=activity))
    BookingFactory(session=session, status="confirmed")
    BookingFactory(session=session)
    BookingFactory(session=session, status="cancelled")
    BookingFactory(status="confirmed")  # of somebody else
    asked = ops.get(page(account, "suspend")).context["consequences"]
    assert asked == [
        "1 activity leaves the catalogue at once; nobody can book them.",
        "1 confirmed booking to come, and 1 seat that is being paid for.",
        f"They stay as they are, the first on {session.starts_at:%Y-%m-%d %H:%M} UTC: children may come, parents may"
        " cancel by the usual terms, and no money goes back by itself.",
        "Should they not take place, cancel the sessions: that refunds every parent in full.",
        "Their team can still sign in, see rosters, cancel and write to parents.",
        "1 person (owners and admins) will be told by e-mail.",
    ]
    before = list(Booking.objects.order_by("pk").values())
    ops.post(page(account, "suspend"), {"apply": "yes", "reason": "No insurance"})
    assert list(Booking.objects.order_by("pk").values()) == before
    assert not Activity.objects.public().filter(provider=account).exists()


def test_approving_says_what_is_missing_and_what_becomes_public(ops):
    account = pending(submitted_at=None)
    ActivityFactory(provider=account)
    asked = ops.get(page(account, "verify")).context["consequences"]
    assert asked[0].startswith(f"{account}: still to do is Describe your business, Add a location")
    assert asked[1:3] == [
        f"{account} has not asked for verification yet.",
        "1 published activity appears in the catalogue at once.",
    ]


@pytest.mark.parametrize(
    ("verb", "kind"), [("verify", "provider_verified"), ("reject", "provider_rejected")], ids=["verify", "reject"]
)
def test_owners_and_admins_are_told_of_a_decision_once(ops, verb, kind):
    account = pending()
    told = [ProviderUserFactory(provider_account=account, role=role).user_id for role in ("owner", "admin")]
    ProviderUserFactory(provider_account=account, role="staff")
    for _ in range(2):
        ops.post(page(account, verb), {"apply": "yes", "reason": "No insurance"})
    notices = Notification.objects.filter(kind=kind, subject_id=account.pk)
    assert sorted(notices.values_list("user_id", flat=True)) == sorted(told)


# --- Two at once ---------------------------------------------------------------------------------------------------


def decide_at_once(monkeypatch, account):
    """One approves and another rejects; the first has looked and not yet written when the second comes."""
    first, second = (signed_in(staff(is_superuser=True)) for _ in range(2))
    return Meeting(monkeypatch, (ProviderAccount, "move")).of(
        lambda: first.post(page(account, "verify"), {"apply": "yes"}, follow=True),
        lambda: second.post(page(account, "reject"), {"apply": "yes", "reason": "No insurance"}, follow=True),
    )


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told(monkeypatch, messages_of):
    account = pending()
    ProviderUserFactory(provider_account=account, role="owner")
    first, second = decide_at_once(monkeypatch, account)
    assert messages_of(first) == [f"{account}: This provider account was changed by someone else in the meantime."]
    assert messages_of(second) == [f"Rejected: {account}."]
    account.refresh_from_db()
    assert (account.status, account.status_reason, account.verified_at) == ("rejected", "No insurance", None)
    assert entries(account) == ["Rejected: No insurance"]
    assert list(Notification.objects.values_list("kind", flat=True)) == ["provider_rejected"]


@pytest.mark.django_db(transaction=True)
def test_without_compare_and_swap_both_would_win(monkeypatch):
    account = pending()
    ProviderUserFactory(provider_account=account, role="owner")

    def move(self, to, **changes):
        ProviderAccount.objects.filter(pk=self.pk).update(status=to, **changes)

    monkeypatch.setattr(ProviderAccount, "move", move)
    decide_at_once(monkeypatch, account)
    assert sorted(entries(account)) == ["Approved.", "Rejected: No insurance"]
    assert Notification.objects.count() == 2
