"""/v1/provider/staff: who works for an account, as what, and who may change it."""

import threading

import pytest

from providers import staff
from providers.models import ProviderUser
from tests.factories import ProviderAccountFactory, ProviderUserFactory

pytestmark = pytest.mark.django_db

STAFF = "/v1/provider/staff"
PROFILE = "/v1/provider/profile"


@pytest.fixture
def account():
    return ProviderAccountFactory()


def member(account, role="owner", **fields) -> ProviderUser:
    return ProviderUserFactory(provider_account=account, role=role, **fields)


def roles(account) -> list[str]:
    return sorted(account.staff.values_list("role", flat=True))


def test_the_list_shows_everybody_and_nobody_else(api, account):
    owner, helper = member(account), member(account, "staff")
    ProviderUserFactory()
    answer = api.as_user(owner.user).get(STAFF)
    assert answer.meta == {"page": 1, "limit": 20, "total": 2}
    assert [each["id"] for each in answer.data] == [str(owner.pk), str(helper.pk)]
    assert answer.data[1] == {
        "id": str(helper.pk), "userId": str(helper.user_id), "email": helper.user.email, "firstName": "Ana",
        "lastName": "Lopez", "role": "staff", "createdAt": answer.data[1]["createdAt"],
    }  # fmt: skip


@pytest.mark.parametrize("others", [0, 2])
def test_the_list_takes_the_same_queries_for_one_and_for_three(api, account, others, django_assert_num_queries):
    caller = api.as_user(member(account).user)
    for _ in range(others):
        member(account, "staff")
    with django_assert_num_queries(4):  # user, membership, count, staff
        assert len(caller.get(STAFF).data) == 1 + others


@pytest.mark.parametrize("others", [0, 2])
def test_own_accounts_take_the_same_queries_for_one_and_for_three(api, account, others, django_assert_num_queries):
    mine = member(account)
    for _ in range(others):
        ProviderUserFactory(user=mine.user, role="staff")
    with django_assert_num_queries(3):  # user, count, accounts
        answer = api.as_user(mine.user).get("/v1/provider/accounts")
    assert len(answer.data) == 1 + others
    assert answer.data[0] == {
        "id": str(account.pk), "businessName": account.business_name, "slug": account.slug, "status": "verified",
        "role": "owner",
    }  # fmt: skip


def test_unknown_parameters_are_refused(api, account):
    assert api.as_user(member(account).user).get(f"{STAFF}?role=owner").code == (400, "VALIDATION_ERROR")


def test_everybody_sees_their_own_place(api, account):
    helper = member(account, "staff")
    answer = api.as_user(helper.user).get(f"{STAFF}/me")
    assert (answer.status, answer.data["id"], answer.data["role"]) == (200, str(helper.pk), "staff")


# --- Roles ----------------------------------------------------------------------------------------------------------


def test_an_admin_makes_staff_admin_and_back(api, account):
    member(account)
    boss, helper = member(account, "admin"), member(account, "staff")
    caller = api.as_user(boss.user)
    assert caller.patch(f"{STAFF}/{helper.pk}", {"role": "admin"}).data["role"] == "admin"
    assert caller.patch(f"{STAFF}/{helper.pk}", {"role": "staff"}).data["role"] == "staff"
    assert roles(account) == ["admin", "owner", "staff"]


def test_an_admin_touches_no_owner_and_makes_none(api, account):
    owner, boss, helper = member(account), member(account, "admin"), member(account, "staff")
    caller = api.as_user(boss.user)
    assert caller.patch(f"{STAFF}/{owner.pk}", {"role": "staff"}).code == (403, "FORBIDDEN")
    assert caller.patch(f"{STAFF}/{helper.pk}", {"role": "owner"}).code == (403, "FORBIDDEN")
    assert caller.patch(f"{STAFF}/{boss.pk}", {"role": "owner"}).code == (403, "FORBIDDEN")
    assert caller.delete(f"{STAFF}/{owner.pk}").code == (403, "FORBIDDEN")
    # Leaving an owner as they are touches nothing.
    assert caller.patch(f"{STAFF}/{owner.pk}", {"role": "owner"}).status == 200
    assert roles(account) == ["admin", "owner", "staff"]


def test_an_owner_makes_another_owner_and_may_then_step_back(api, account):
    owner, helper = member(account), member(account, "staff")
    caller = api.as_user(owner.user)
    assert caller.patch(f"{STAFF}/{owner.pk}", {"role": "admin"}).code == (409, "LAST_OWNER")
    assert caller.patch(f"{STAFF}/{helper.pk}", {"role": "owner"}).status == 200
    assert caller.patch(f"{STAFF}/{owner.pk}", {"role": "staff"}).status == 200
    assert roles(account) == ["owner", "staff"]
    assert caller.get(STAFF).code == (403, "FORBIDDEN")


@pytest.mark.parametrize("body", [{}, {"role": "boss"}, {"role": None}, {"role": "staff", "userId": "x"}, []])
def test_only_a_role_can_be_changed(api, account, body):
    owner, helper = member(account), member(account, "admin")
    assert api.as_user(owner.user).patch(f"{STAFF}/{helper.pk}", body).code == (400, "VALIDATION_ERROR")
    assert roles(account) == ["admin", "owner"]


# --- Ownership ------------------------------------------------------------------------------------------------------


def test_the_ownership_is_handed_over(api, account):
    owner, helper = member(account), member(account, "staff")
    answer = api.as_user(owner.user).post(f"{STAFF}/transfer-ownership", {"staffId": str(helper.pk)})
    assert (answer.status, answer.data["id"], answer.data["role"]) == (200, str(helper.pk), "owner")
    owner.refresh_from_db()
    assert owner.role == "admin"
    again = api.as_user(owner.user).post(f"{STAFF}/transfer-ownership", {"staffId": str(owner.pk)})
    assert again.code == (403, "FORBIDDEN")


def test_the_ownership_goes_to_nobody_else(api, account):
    owner, stranger = member(account), ProviderUserFactory()
    transfer = api.as_user(owner.user)
    assert transfer.post(f"{STAFF}/transfer-ownership", {"staffId": str(stranger.pk)}).code == (404, "NOT_FOUND")
    assert transfer.post(f"{STAFF}/transfer-ownership", {"staffId": str(owner.pk)}).code == (409, "INVALID_STATE")
    assert transfer.post(f"{STAFF}/transfer-ownership", {}).code == (400, "VALIDATION_ERROR")
    assert roles(account) == ["owner"]


def test_the_ownership_goes_to_nobody_who_is_suspended(api, account):
    owner, helper = member(account), member(account, "staff")
    helper.user.is_active = False
    helper.user.save()
    answer = api.as_user(owner.user).post(f"{STAFF}/transfer-ownership", {"staffId": str(helper.pk)})
    assert answer.code == (409, "INVALID_STATE")
    assert roles(account) == ["owner", "staff"]


# --- Leaving and removing -------------------------------------------------------------------------------------------


def test_removing_somebody_takes_effect_at_once(api, account):
    owner, helper = member(account), member(account, "staff")
    caller = api.as_user(helper.user)
    assert caller.get(PROFILE).status == 200
    answer = api.as_user(owner.user).delete(f"{STAFF}/{helper.pk}")
    assert (answer.status, answer.body) == (200, {"success": True, "data": None})
    assert caller.get(PROFILE).code == (404, "NOT_FOUND")
    # Somebody who was a provider once may open an account of their own.
    helper.user.refresh_from_db()
    assert helper.user.role == "provider"


@pytest.mark.parametrize("role", ["admin", "staff"])
def test_anybody_may_leave(api, account, role):
    member(account)
    helper = member(account, role)
    assert api.as_user(helper.user).delete(f"{STAFF}/me").status == 200
    assert roles(account) == ["owner"]


def test_the_last_owner_may_not(api, account):
    owner = member(account)
    member(account, "admin")
    assert api.as_user(owner.user).delete(f"{STAFF}/me").code == (409, "LAST_OWNER")
    assert api.as_user(owner.user).delete(f"{STAFF}/{owner.pk}").code == (409, "LAST_OWNER")
    assert roles(account) == ["admin", "owner"]


def test_staff_of_another_account_do_not_exist(api, account):
    owner, stranger = member(account), ProviderUserFactory(role="staff")
    caller = api.as_user(owner.user)
    assert caller.patch(f"{STAFF}/{stranger.pk}", {"role": "admin"}).code == (404, "NOT_FOUND")
    assert caller.delete(f"{STAFF}/{stranger.pk}").code == (404, "NOT_FOUND")
    stranger.refresh_from_db()
    assert stranger.role == "staff"


def test_a_suspended_user_does_nothing_here(api, account):
    owner = member(account)
    owner.user.is_active = False
    owner.user.save()
    assert api.as_user(owner.user).get(STAFF).code == (403, "ACCOUNT_SUSPENDED")


# --- Two at once ----------------------------------------------------------------------------------------------------

REAL = pytest.mark.django_db(transaction=True)


@REAL
def test_of_two_owners_who_leave_at_once_one_stays(api, at_once, account):
    owners = [member(account), member(account)]
    answers = at_once(lambda each: api.as_user(each.user).delete(f"{STAFF}/me"), owners)
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert [answer.error["code"] for answer in answers if answer.status == 409] == ["LAST_OWNER"]
    assert roles(account) == ["owner"]


@REAL
def test_control_without_the_lock_both_leave(api, at_once, account, monkeypatch):
    both_looked = threading.Barrier(2)
    look = staff.check_not_last

    def check(owner):
        look(owner)
        both_looked.wait(timeout=10)

    monkeypatch.setattr(staff, "check_not_last", check)
    monkeypatch.setattr(staff, "lock_account", lambda account_id: None)
    answers = at_once(lambda each: api.as_user(each.user).delete(f"{STAFF}/me"), [member(account), member(account)])
    assert [answer.status for answer in answers] == [200, 200]
    assert roles(account) == []


@REAL
def test_of_two_owners_who_demote_each_other_at_once_one_stays(api, at_once, account):
    first, second = member(account), member(account)
    pairs = [(first, second), (second, first)]
    answers = at_once(lambda pair: api.as_user(pair[0].user).patch(f"{STAFF}/{pair[1].pk}", {"role": "staff"}), pairs)
    # Whoever came second was no owner any more.
    assert sorted(answer.status for answer in answers) == [200, 403]
    assert roles(account) == ["owner", "staff"]


@REAL
def test_of_two_who_remove_each_other_at_once_one_stays(api, at_once, account):
    member(account)
    first, second = member(account, "admin"), member(account, "admin")
    pairs = [(first, second), (second, first)]
    answers = at_once(lambda pair: api.as_user(pair[0].user).delete(f"{STAFF}/{pair[1].pk}"), pairs)
    assert sorted(answer.status for answer in answers) == [200, 404]
    assert roles(account) == ["admin", "owner"]
