"""GET and PATCH /v1/provider/profile."""

import pytest

from providers.models import StaffRole
from tests.factories import ProviderUserFactory, UserFactory

pytestmark = pytest.mark.django_db

PROFILE = "/v1/provider/profile"


@pytest.mark.parametrize("role", StaffRole.values)
def test_all_staff_see_the_profile(api, role):
    member = ProviderUserFactory(role=role)
    answer = api.as_user(member.user).get(PROFILE)
    assert (answer.status, answer.data["id"]) == (200, str(member.provider_account.pk))


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_owners_and_admins_edit_the_profile(api, role):
    member = ProviderUserFactory(role=role)
    answer = api.as_user(member.user).patch(PROFILE, {"businessName": "Blue Fin", "phone": "+1 512 555 0123"})
    assert (answer.status, answer.data["businessName"], answer.data["phone"]) == (200, "Blue Fin", "+15125550123")
    member.provider_account.refresh_from_db()
    assert member.provider_account.business_name == "Blue Fin"


def test_staff_do_not_edit_the_profile(api):
    member = ProviderUserFactory(role="staff")
    name = member.provider_account.business_name
    assert api.as_user(member.user).patch(PROFILE, {"businessName": "Blue Fin"}).code == (403, "FORBIDDEN")
    member.provider_account.refresh_from_db()
    assert member.provider_account.business_name == name


@pytest.mark.parametrize("field", ["status", "slug", "verifiedAt", "id"])
def test_what_ops_decide_cannot_be_set(api, field):
    member = ProviderUserFactory()
    answer = api.as_user(member.user).patch(PROFILE, {field: "verified"})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [{"field": field, "message": "This field cannot be set here."}]


def test_a_parent_is_refused(api):
    assert api.as_user(UserFactory()).get(PROFILE).code == (403, "FORBIDDEN")


def test_a_strangers_account_does_not_exist(api):
    mine, other = ProviderUserFactory(), ProviderUserFactory()
    answer = api.as_user(mine.user).get(PROFILE, X_Provider_Account=str(other.provider_account.pk))
    assert answer.code == (404, "NOT_FOUND")
    assert api.as_user(mine.user).get(PROFILE, X_Provider_Account="no-uuid").code == (404, "NOT_FOUND")


def test_with_several_accounts_one_must_be_named(api):
    member = ProviderUserFactory()
    second = ProviderUserFactory(user=member.user, role="staff")
    caller = api.as_user(member.user)
    assert caller.get(PROFILE).code == (400, "VALIDATION_ERROR")
    answer = caller.get(PROFILE, X_Provider_Account=str(second.provider_account.pk))
    assert (answer.status, answer.data["id"]) == (200, str(second.provider_account.pk))
    # The role is the account's own: owner of one is staff of the other.
    refused = caller.patch(PROFILE, {"businessName": "X"}, X_Provider_Account=str(second.provider_account.pk))
    assert refused.code == (403, "FORBIDDEN")


def test_an_account_of_the_other_region_cannot_be_edited_here(api):
    member = ProviderUserFactory(user__home_region="in")
    answer = api.as_user(member.user).patch(PROFILE, {"businessName": "X"})
    assert answer.code == (403, "REGION_MISMATCH")


def test_the_profile_takes_the_same_queries_whoever_asks(api, django_assert_num_queries):
    member = ProviderUserFactory()
    caller = api.as_user(member.user)
    with django_assert_num_queries(2):
        caller.get(PROFILE)


def test_other_methods_are_not_allowed(api):
    answer = api.as_user(ProviderUserFactory().user).delete(PROFILE)
    assert answer.code == (405, "METHOD_NOT_ALLOWED")
