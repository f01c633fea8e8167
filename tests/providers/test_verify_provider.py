"""What ops decide about a provider, and who hears of it. The admin's pages are in tests/admin/test_verification.py."""

import pytest

from core.errors import InvalidState
from notifications.models import Notification
from providers import services
from providers.models import ProviderAccount
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import ProviderAccountFactory, ProviderUserFactory, in_days

pytestmark = pytest.mark.django_db

DECISIONS = [
    # what is done, to whom, what they are then, and what is told
    ("verify", "pending", "verified", "provider_verified"),
    ("reject", "pending", "rejected", "provider_rejected"),
    ("suspend", "verified", "suspended", "provider_suspended"),
    ("reinstate", "suspended", "verified", "provider_reinstated"),
]


def account_that_is(status: str) -> ProviderAccount:
    account = ProviderAccountFactory(status=status, submitted_at=in_days(-1))
    for role in ("owner", "admin", "staff"):
        ProviderUserFactory(provider_account=account, role=role)
    ProviderUserFactory()
    return account


def decide(verb: str, account: ProviderAccount, now) -> None:
    reason = {"reason": "No insurance"} if verb in ("reject", "suspend") else {}
    getattr(services, verb)(account=account, now=now, **reason)


def told() -> set[tuple]:
    return {(each.user_id, each.kind, each.subject_id) for each in Notification.objects.all()}


@pytest.mark.parametrize(("verb", "before", "after", "kind"), DECISIONS)
def test_owners_and_admins_hear_of_a_decision(now, verb, before, after, kind):
    account = account_that_is(before)
    decide(verb, account, now)
    account.refresh_from_db()
    assert account.status == after
    assert account.status_reason == ("No insurance" if verb in ("reject", "suspend") else "")
    people = account.staff.filter(role__in=["owner", "admin"]).values_list("user_id", flat=True)
    assert told() == {(user_id, kind, account.pk) for user_id in people}


@pytest.mark.parametrize(("verb", "before", "after", "kind"), DECISIONS)
def test_nobody_hears_of_what_did_not_happen(now, verb, before, after, kind):
    account = account_that_is(after if verb != "reinstate" else "rejected")
    with pytest.raises(InvalidState):
        decide(verb, account, now)
    assert told() == set()


def test_a_decision_that_comes_again_is_told_again(now):
    account = account_that_is("verified")
    for day in range(2):
        services.suspend(account=account, reason="No insurance", now=in_days(day))
        services.reinstate(account=account, now=in_days(day + 0.5))
    owner = account.staff.get(role="owner").user
    assert owner.notifications.filter(kind="provider_suspended").count() == 2
    assert owner.notifications.filter(kind="provider_reinstated").count() == 2


def test_decision_and_notice_are_one(now, monkeypatch):
    account = account_that_is("pending")

    def fail(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(services, "notify", fail)
    with pytest.raises(RuntimeError):
        services.verify(account=account, now=now)
    account.refresh_from_db()
    assert account.status == "pending"


def test_the_buttons_of_the_admin_do_the_same():
    account = account_that_is("pending")
    ops = signed_in(staff(is_superuser=True))
    ops.post(f"/admin/providers/provideraccount/{account.pk}/verify/", {"apply": "yes"})
    assert {kind for _, kind, _ in told()} == {"provider_verified"}
    assert len(told()) == 2
