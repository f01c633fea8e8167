"""GET /v1/me/region, and what the home region allows."""

import pytest

from tests import tokens
from tests.factories import ChildFactory, ConsentFactory, SessionFactory, UserFactory
from users.models import Child, Consent, User

pytestmark = pytest.mark.django_db

REGION = "/v1/me/region"


def test_at_home_the_region_is_right(api, settings):
    assert api.as_user(UserFactory()).get(REGION).data == {
        "userHomeRegion": "us",
        "serverRegion": "us",
        "isCorrectRegion": True,
        "correctApiUrl": settings.REGION_API_URLS["us"],
    }


def test_away_from_home_the_right_api_is_named(api, settings):
    assert api.as_user(UserFactory(home_region="in")).get(REGION).data == {
        "userHomeRegion": "in",
        "serverRegion": "us",
        "isCorrectRegion": False,
        "correctApiUrl": settings.REGION_API_URLS["in"],
    }


def test_in_india_the_regions_are_the_other_way_round(api, settings, india):
    answer = api.as_user(UserFactory(home_region="us")).get(REGION)
    assert (answer.data["serverRegion"], answer.data["isCorrectRegion"]) == ("in", False)
    assert answer.data["correctApiUrl"] == settings.REGION_API_URLS["us"]


@pytest.mark.parametrize("region", ["us", "in"])
def test_somebody_never_synced_is_told_what_the_token_knows(api, region):
    answer = api.with_token(tokens.sign(app_metadata={"home_region": region})).get(REGION)
    assert (answer.data["userHomeRegion"], answer.data["isCorrectRegion"]) == (region, region == "us")
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    "metadata", [None, {}, {"home_region": "eu"}, {"home_region": None}, {"home_region": ["us"]}, [], "us"]
)
def test_somebody_never_synced_whose_token_knows_nothing_has_to_sync(api, metadata):
    assert api.with_token(tokens.sign(app_metadata=metadata)).get(REGION).code == (401, "USER_NOT_FOUND")


def test_what_the_user_may_write_into_the_token_does_not_count(api):
    token = tokens.sign(user_metadata={"home_region": "in"})
    assert api.with_token(token).get(REGION).code == (401, "USER_NOT_FOUND")


def test_our_database_knows_better_than_the_token(api):
    token = tokens.sign(sub=UserFactory().auth_id, app_metadata={"home_region": "in"})
    assert api.with_token(token).get(REGION).data["userHomeRegion"] == "us"


def test_without_a_token_nobody_is_at_home(api):
    assert api.get(REGION).code == (401, "UNAUTHORIZED")


# --- Writes go home only --------------------------------------------------------------------------------------------


@pytest.fixture
def visitor():
    """Somebody of India whose row is on this, the American server."""
    user = UserFactory(home_region="in")
    ConsentFactory(user=user)
    return user


def test_a_visitor_may_read(api, visitor):
    child = ChildFactory(parent=visitor.parent)
    caller = api.as_user(visitor)
    assert caller.get("/v1/me").data["homeRegion"] == "in"
    assert [each["id"] for each in caller.get("/v1/me/children").data] == [str(child.pk)]
    for path in ("/v1/me/consents", "/v1/me/bookings", "/v1/countries", "/v1/categories", "/v1/activities"):
        assert caller.get(path).status == 200


def test_a_visitor_may_not_write_and_is_sent_home(api, visitor, settings):
    child = ChildFactory(parent=visitor.parent)
    session = SessionFactory()
    caller = api.as_user(visitor)
    booking = {"sessionId": str(session.pk), "childId": str(child.pk)}
    answers = [
        caller.patch("/v1/me", {"firstName": "Eve"}),
        caller.post("/v1/me/children", {"firstName": "Eve", "birthDate": "2020-01-01"}),
        caller.patch(f"/v1/me/children/{child.pk}", {"firstName": "Eve"}),
        caller.delete(f"/v1/me/children/{child.pk}"),
        caller.post("/v1/me/consents", {"kind": "terms", "version": "1", "granted": True}),
        caller.post("/v1/me/bookings", booking, Idempotency_Key="one"),
    ]
    for answer in answers:
        assert answer.code == (403, "REGION_MISMATCH")
        assert settings.REGION_API_URLS["in"] in answer.error["message"]
        assert [detail["correctApiUrl"] for detail in answer.error["details"]] == [settings.REGION_API_URLS["in"]]
    assert Child.objects.get().first_name == "Mia"
    assert Consent.objects.count() == 1
    session.refresh_from_db()
    assert session.enrolled == 0


def test_a_visitor_who_syncs_stays_a_visitor(api, visitor):
    answer = api.as_user(visitor).post("/v1/auth/sync", {"homeRegion": "us"})
    assert (answer.status, answer.data["homeRegion"]) == (200, "in")


# --- Roles ----------------------------------------------------------------------------------------------------------


def test_a_provider_keeps_a_parents_abilities(api):
    user = UserFactory(role="provider")
    ConsentFactory(user=user)
    answer = api.as_user(user).post("/v1/me/children", {"firstName": "Mia", "birthDate": "2020-01-01"})
    assert answer.status == 201


def test_an_admin_is_no_parent(api):
    user = UserFactory(role="admin")
    ConsentFactory(user=user)
    caller = api.as_user(user)
    body = {"firstName": "Mia", "birthDate": "2020-01-01"}
    assert caller.get("/v1/me/children").code == (403, "FORBIDDEN")
    assert caller.post("/v1/me/children", body).code == (403, "FORBIDDEN")
    assert caller.get("/v1/me").status == 200
    assert Child.objects.count() == 0
