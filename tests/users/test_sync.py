"""POST /v1/auth/sync."""

import pytest

from tests import tokens
from tests.factories import UserFactory
from users.models import AccountTombstone, User

pytestmark = pytest.mark.django_db

SYNC = "/v1/auth/sync"


def test_a_new_user_is_created_as_a_parent_of_this_region(api):
    token = tokens.sign(sub="7b1f6a86-9e5c-4b7a-9d5e-0f4a3f6f0c11", email="ana@example.com")
    answer = api.with_token(token).post(SYNC, {"home_region": "us"})
    assert answer.status == 201
    assert answer.data | {"id": None, "createdAt": None, "lastSeenAt": None} == {
        "id": None,
        "email": "ana@example.com",
        "homeRegion": "us",
        "role": "parent",
        "firstName": "",
        "lastName": "",
        "phone": "",
        "countryId": None,
        "lastSeenAt": None,
        "createdAt": None,
    }
    user = User.objects.get()
    assert (user.auth_id, user.home_region, user.parent.first_name) == (
        "7b1f6a86-9e5c-4b7a-9d5e-0f4a3f6f0c11",
        "us",
        "",
    )


def test_a_known_user_keeps_their_region_whatever_the_body_says(api):
    user = UserFactory(email="old@example.com", last_seen_at=None)
    token = tokens.sign(sub=user.auth_id, email="new@example.com")
    answer = api.with_token(token).post(SYNC, {"homeRegion": "in"})
    assert answer.status == 200
    user.refresh_from_db()
    assert (answer.data["homeRegion"], user.home_region, user.email) == ("us", "us", "new@example.com")
    assert user.last_seen_at is not None


def test_a_new_user_of_the_other_region_is_sent_there_and_leaves_no_trace(api, settings):
    answer = api.with_token(tokens.sign()).post(SYNC, {"home_region": "in"})
    assert answer.code == (403, "REGION_MISMATCH")
    assert settings.REGION_API_URLS["in"] in answer.error["message"]
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    "body", [{}, {"home_region": "eu"}, {"home_region": None}, {"home_region": "us", "role": "admin"}]
)
def test_a_bad_body_is_refused(api, body):
    assert api.with_token(tokens.sign()).post(SYNC, body).code == (400, "VALIDATION_ERROR")
    assert User.objects.count() == 0


def test_user_metadata_is_never_believed(api):
    token = tokens.sign(user_metadata={"home_region": "in", "role": "admin"})
    answer = api.with_token(token).post(SYNC, {"home_region": "us"})
    assert (answer.data["homeRegion"], answer.data["role"]) == ("us", "parent")


def test_a_deleted_accounts_token_cannot_recreate_it(api, now):
    AccountTombstone.bury("7b1f6a86-9e5c-4b7a-9d5e-0f4a3f6f0c11", now=now)
    token = tokens.sign(sub="7b1f6a86-9e5c-4b7a-9d5e-0f4a3f6f0c11")
    assert api.with_token(token).post(SYNC, {"home_region": "us"}).code == (401, "INVALID_TOKEN")
    assert User.objects.count() == 0


def test_a_suspended_user_is_told_so(api):
    user = UserFactory(is_active=False)
    assert api.as_user(user).post(SYNC, {"home_region": "us"}).code == (403, "ACCOUNT_SUSPENDED")


@pytest.mark.django_db(transaction=True)
def test_two_first_calls_at_once_make_one_user(api, at_once):
    token = tokens.sign()
    answers = at_once(lambda _: api.with_token(token).post(SYNC, {"home_region": "us"}), list(range(6)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 200, 200, 201]
    assert User.objects.count() == 1


@pytest.mark.parametrize("email", ["", None, 7, "x" * 255, "a\x00b@example.com", "\ud800@example.com"], ids=repr)
def test_an_email_that_is_none_leaves_the_known_one(api, email):
    user = UserFactory(email="ana@example.com")
    answer = api.with_token(tokens.sign(sub=user.auth_id, email=email)).post(SYNC, {"home_region": "us"})
    assert (answer.status, answer.data["email"]) == (200, "ana@example.com")


def test_a_suspended_user_is_not_touched(api):
    user = UserFactory(is_active=False, email="old@example.com")
    api.with_token(tokens.sign(sub=user.auth_id, email="new@example.com")).post(SYNC, {"home_region": "us"})
    user.refresh_from_db()
    assert (user.email, user.last_seen_at) == ("old@example.com", None)


def test_two_people_may_share_an_email(api):
    for _ in range(2):
        assert api.with_token(tokens.sign(email="family@example.com")).post(SYNC, {"home_region": "us"}).status == 201
    assert User.objects.filter(email="family@example.com").count() == 2


def test_without_a_token_nobody_syncs(api):
    assert api.post(SYNC, {"home_region": "us"}).code == (401, "UNAUTHORIZED")
    assert api.post(SYNC, {"home_region": "us"}, Authorization="Bearer x").code == (401, "INVALID_TOKEN")
    assert User.objects.count() == 0
