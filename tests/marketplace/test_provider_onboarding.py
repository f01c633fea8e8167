"""GET /v1/provider/onboarding and POST /v1/provider/profile/submit: what is missing, and asking for verification."""

import pytest

from marketplace import upkeep
from notifications.models import Notification
from providers import services
from providers.models import ProviderAccount
from tests.factories import (
    ActivityFactory,
    BookingFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

ONBOARDING = "/v1/provider/onboarding"
SUBMIT = "/v1/provider/profile/submit"
STEPS = ["profile", "location", "activity", "offering", "schedule", "submitted", "verified", "published"]


@pytest.fixture
def owner():
    return ProviderUserFactory(provider_account__status="pending", provider_account__verified_at=None)


@pytest.fixture
def account(owner):
    return owner.provider_account


@pytest.fixture
def caller(api, owner):
    return api.as_user(owner.user)


def complete(account) -> None:
    """All that is needed before an account can be submitted."""
    ProviderAccount.objects.filter(pk=account.pk).update(description="Since 1999.", email="office@example.com")
    SessionFactory(offering=OfferingFactory(activity__provider=account, activity__status="draft"))


def done(caller) -> list[str]:
    return [step["key"] for step in caller.get(ONBOARDING).data["steps"] if step["done"]]


def told() -> list[tuple]:
    return sorted((each.kind, each.user_id) for each in Notification.objects.all())


# --- What is missing ------------------------------------------------------------------------------------------------


def test_at_first_all_is_to_do(caller):
    data = caller.get(ONBOARDING).data
    assert [step["key"] for step in data["steps"]] == STEPS
    assert [step["done"] for step in data["steps"]] == [False] * 8
    assert (data["status"], data["statusReason"], data["canSubmit"], data["isLive"]) == ("pending", "", False, False)
    assert data["steps"][0] == {
        "key": "profile", "title": "Describe your business", "done": False,
        "hint": "Add a description, and an e-mail address or a phone number.",
    }  # fmt: skip


def test_step_by_step(caller, account):
    caller.patch("/v1/provider/profile", {"description": "Since 1999."})
    assert done(caller) == []
    caller.patch("/v1/provider/profile", {"phone": "+15125550123"})
    assert done(caller) == ["profile"]
    LocationFactory(provider=account)
    assert done(caller) == ["profile", "location"]
    activity = ActivityFactory(provider=account, status="draft")
    assert done(caller) == ["profile", "location", "activity"]
    offering = OfferingFactory(activity=activity)
    assert done(caller) == ["profile", "location", "activity", "offering"]
    assert caller.get(ONBOARDING).data["canSubmit"] is False
    SessionFactory(offering=offering)
    assert done(caller) == STEPS[:5]
    assert caller.get(ONBOARDING).data["canSubmit"] is True
    caller.post(SUBMIT)
    assert done(caller) == STEPS[:6]
    assert caller.get(ONBOARDING).data["canSubmit"] is False
    account.refresh_from_db()
    services.verify(account=account, now=in_days(0))
    assert done(caller) == STEPS[:7]
    assert caller.get(ONBOARDING).data["isLive"] is False
    activity.move("published", published_at=in_days(0))
    assert done(caller) == STEPS
    assert caller.get(ONBOARDING).data["isLive"] is True


def test_what_lies_in_the_archive_in_the_past_or_elsewhere_does_not_count(caller, account):
    SessionFactory(offering=OfferingFactory(activity__provider=account, activity__status="archived"))
    SessionFactory()
    assert done(caller) == ["location"]
    offering = OfferingFactory(activity=ActivityFactory(provider=account), status="inactive")
    SessionFactory(offering=offering)
    assert done(caller) == ["location", "activity", "published"]
    offering = OfferingFactory(activity__provider=account)
    SessionFactory(offering=offering, starts_at=in_days(-1))
    SessionFactory(offering=offering, status="cancelled")
    assert done(caller) == ["location", "activity", "offering", "published"]


@pytest.mark.parametrize("rows", [1, 3])
def test_it_is_read_in_one_query(caller, account, rows, django_assert_num_queries):
    for _ in range(rows):
        complete(account)
    with django_assert_num_queries(3):  # user, membership, all steps
        caller.get(ONBOARDING)


# --- Submitting -----------------------------------------------------------------------------------------------------


def test_it_is_submitted_once_and_the_owner_hears_of_it(caller, owner, account):
    ProviderUserFactory(provider_account=account, role="admin")
    complete(account)
    answer = caller.post(SUBMIT)
    assert (answer.status, answer.data["status"]) == (200, "pending")
    assert answer.data["submittedAt"] is not None
    assert told() == [("provider_submitted", owner.user_id)]
    again = caller.post(SUBMIT)
    assert again.code == (409, "INVALID_STATE")
    assert len(told()) == 1


def test_what_is_missing_is_named(caller, account):
    LocationFactory(provider=account)
    answer = caller.post(SUBMIT)
    assert answer.code == (409, "INVALID_STATE")
    assert [each["field"] for each in answer.error["details"]] == ["profile", "activity", "offering", "schedule"]
    account.refresh_from_db()
    assert account.submitted_at is None
    assert told() == []


@pytest.mark.parametrize("status", ["verified", "suspended"])
def test_who_was_looked_at_already_is_not_submitted(caller, account, status):
    complete(account)
    ProviderAccount.objects.update(status=status, verified_at=in_days(-1))
    assert caller.post(SUBMIT).code == (409, "INVALID_STATE")
    account.refresh_from_db()
    assert (account.status, account.submitted_at) == (status, None)


def test_rejected_corrected_submitted_again(caller, owner, account, now):
    complete(account)
    caller.post(SUBMIT)
    account.refresh_from_db()
    services.reject(account=account, reason="Tell us about your insurance", now=now)
    data = caller.get(ONBOARDING).data
    assert (data["status"], data["statusReason"]) == ("rejected", "Tell us about your insurance")
    assert data["steps"][5]["done"] is False
    assert "Tell us about your insurance" in data["steps"][5]["hint"]
    assert data["canSubmit"] is True

    caller.patch("/v1/provider/profile", {"description": "Insured since 1999."})
    answer = caller.post(SUBMIT)
    assert (answer.status, answer.data["status"], answer.data["statusReason"]) == (200, "pending", "")
    kinds = [kind for kind, _ in told()]
    assert kinds == ["provider_rejected", "provider_submitted", "provider_submitted"]
    account.refresh_from_db()
    services.verify(account=account, now=now)
    assert caller.get(ONBOARDING).data["status"] == "verified"


@pytest.mark.django_db(transaction=True)
def test_a_double_click_submits_once(api, at_once):
    owner = ProviderUserFactory(provider_account__status="pending", provider_account__verified_at=None)
    complete(owner.provider_account)
    answers = at_once(lambda _: api.as_user(owner.user).post(SUBMIT), [1, 2, 3])
    assert sorted(answer.status for answer in answers) == [200, 409, 409]
    assert len(told()) == 1


# --- Suspended ------------------------------------------------------------------------------------------------------


def test_a_suspended_provider_is_gone_at_once_and_its_bookings_stay(api, now):
    owner = ProviderUserFactory(provider_account__slug="blue-fin")
    account, caller = owner.provider_account, api.as_user(owner.user)
    session = SessionFactory(offering__activity__provider=account)
    booking = BookingFactory(session=session, status="confirmed")
    upkeep.catch_up()
    public = ["/v1/providers/blue-fin", f"/v1/activities/{session.activity.slug}",
              f"/v1/activities/{session.activity_id}/sessions"]  # fmt: skip
    assert [api.get(path).status for path in public] == [200] * 3
    assert api.get("/v1/activities").meta["total"] == 1

    services.suspend(account=account, reason="No insurance", now=now)

    # No worker ran in between.
    assert api.get("/v1/activities").meta["total"] == 0
    assert [api.get(path).status for path in public] == [404] * 3
    booking.refresh_from_db()
    assert booking.status == "confirmed"
    parent = api.as_user(booking.parent.user)
    assert parent.get(f"/v1/me/bookings/{booking.pk}").data["status"] == "confirmed"
    # Its staff still see what they have to handle.
    data = caller.get(ONBOARDING).data
    assert (data["status"], data["isLive"]) == ("suspended", False)
    assert "No insurance" in data["steps"][6]["hint"]
    assert caller.get("/v1/provider/activities").meta["total"] == 1
    assert caller.get(f"/v1/provider/activities/{session.activity_id}/sessions").meta["total"] == 1

    services.reinstate(account=account, now=now)
    assert [api.get(path).status for path in public] == [200] * 3
