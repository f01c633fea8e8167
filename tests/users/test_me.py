"""GET and PATCH /v1/me."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplace.models import ParentInterest
from tests.factories import CategoryFactory, ChildFactory, CountryFactory, UserFactory
from users.models import User
from users.serializers import UserSerializer

pytestmark = pytest.mark.django_db

ME = "/v1/me"


@pytest.fixture
def user() -> User:
    return UserFactory(email="ana@example.com")


@pytest.fixture
def caller(api, user):
    return api.as_user(user)


def test_a_profile_has_exactly_these_fields(caller, user):
    data = caller.get(ME).data
    assert data | {"createdAt": None} == {
        "id": str(user.pk),
        "email": "ana@example.com",
        "homeRegion": "us",
        "role": "parent",
        "firstName": "Ana",
        "lastName": "Lopez",
        "phone": "",
        "countryId": None,
        "lastSeenAt": None,
        "createdAt": None,
        "interests": [],
    }
    assert data["createdAt"].endswith("Z")


def test_names_and_country_are_changed_and_the_rest_stays(caller, user):
    country = CountryFactory()
    answer = caller.patch(ME, {"firstName": "Zoë", "countryId": str(country.pk)})
    assert answer.status == 200
    assert (answer.data["firstName"], answer.data["lastName"]) == ("Zoë", "Lopez")
    assert answer.data["countryId"] == str(country.pk)
    assert caller.get(ME).data == answer.data


def test_snake_case_is_understood_and_camel_case_answered(caller):
    answer = caller.patch(ME, {"first_name": "Eva", "last_name": "Ng"})
    assert (answer.data["firstName"], answer.data["lastName"]) == ("Eva", "Ng")
    assert "first_name" not in answer.data


def test_an_empty_patch_changes_nothing(caller):
    before = caller.get(ME).data
    assert caller.patch(ME, {}).data == before


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("+15125550123", "+15125550123"),
        ("+1 (512) 555-0123", "+15125550123"),
        ("+91 98765 43210", "+919876543210"),
        ("", ""),
    ],
)
def test_a_phone_is_kept_as_e164(caller, user, given, kept):
    assert caller.patch(ME, {"phone": given}).data["phone"] == kept
    user.parent.refresh_from_db()
    assert user.parent.phone == kept


@pytest.mark.parametrize(
    "phone",
    [
        "5125550123",
        "+1512",
        "+49123",  # possible only within one town
        "+49 123456789012345",  # possible in Germany, and two digits too long for E.164
        "+999123456789",
        "+0123456789",
        "phone",
        "+",
        "+1" * 20,
        15125550123,
        None,
        ["+15125550123"],
        {"a": 1},
        True,
    ],
)
def test_what_is_no_phone_number_is_refused(caller, user, phone):
    answer = caller.patch(ME, {"phone": phone, "firstName": "Eve"})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert {detail["field"] for detail in answer.error["details"]} == {"phone"}
    user.parent.refresh_from_db()
    assert (user.parent.phone, user.parent.first_name) == ("", "Ana")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "admin"),
        ("homeRegion", "in"),
        ("home_region", "in"),
        ("email", "eve@example.com"),
        ("id", "019b76da-a815-7000-a6a5-4dd67170151d"),
        ("authId", "x"),
        ("isStaff", True),
        ("is_superuser", True),
        ("isActive", False),
        ("createdAt", "2020-01-01T00:00:00Z"),
        ("lastSeenAt", None),
        ("password", "x"),
        ("parent", {"firstName": "Eve"}),
        ("country", None),
        ("__proto__", {}),
        ("", 1),
    ],
)
def test_a_field_that_is_not_the_callers_to_set_is_refused(caller, user, field, value):
    before = User.objects.values().get()
    answer = caller.patch(ME, {field: value, "firstName": "Eve"})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert User.objects.values().get() == before
    user.parent.refresh_from_db()
    assert user.parent.first_name == "Ana"


@pytest.mark.parametrize("value", ["x" * 101, None, 5.5, [], {}, False])
def test_a_bad_name_is_refused(caller, value):
    answer = caller.patch(ME, {"firstName": value})
    if value == 5.5:  # DRF takes numbers for texts
        assert answer.data["firstName"] == "5.5"
        return
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in answer.error["details"]] == ["firstName"]


def test_a_country_that_is_inactive_or_unknown_is_refused(caller, user):
    inactive = CountryFactory(code="FR", name="France", is_active=False)
    for value in (str(inactive.pk), str(uuid.uuid4()), "US", 1, [], {}):
        answer = caller.patch(ME, {"countryId": value})
        assert answer.code == (400, "VALIDATION_ERROR")
    user.refresh_from_db()
    assert user.country is None


def test_a_country_can_be_taken_away(api):
    user = UserFactory(country=CountryFactory())
    assert api.as_user(user).patch(ME, {"countryId": None}).data["countryId"] is None


# --- Interests ------------------------------------------------------------------------------------------------------


def test_interests_are_replaced_as_a_whole(caller, user):
    swimming, dance = CategoryFactory(name="Swimming"), CategoryFactory(name="Dance")
    child = ChildFactory(parent=user.parent)
    first = [{"categoryId": str(swimming.pk)}, {"categoryId": str(dance.pk), "childId": str(child.pk)}]
    assert caller.patch(ME, {"interests": first}).status == 200
    answer = caller.patch(ME, {"interests": [{"category_id": str(dance.pk), "child_id": None}]})
    assert answer.data["interests"] == [{"categoryId": str(dance.pk), "childId": None}]
    assert list(ParentInterest.objects.values_list("category", "child")) == [(dance.pk, None)]
    assert caller.patch(ME, {"firstName": "Eva"}).data["interests"] == answer.data["interests"]
    assert caller.patch(ME, {"interests": []}).data["interests"] == []


def test_the_same_interest_twice_is_kept_once(caller):
    row = {"categoryId": str(CategoryFactory().pk)}
    assert caller.patch(ME, {"interests": [row, row]}).status == 200
    assert ParentInterest.objects.count() == 1


def test_interests_of_a_strangers_or_a_removed_child_are_refused(caller, user, now):
    category = str(CategoryFactory().pk)
    mine = ChildFactory(parent=user.parent)
    assert caller.patch(ME, {"interests": [{"categoryId": category, "childId": str(mine.pk)}]}).status == 200
    removed = ChildFactory(parent=user.parent, removed_at=now, birth_date=None)
    for child in (ChildFactory(), removed):
        answer = caller.patch(ME, {"interests": [{"categoryId": category, "childId": str(child.pk)}]})
        assert answer.code == (400, "VALIDATION_ERROR")
    assert list(ParentInterest.objects.values_list("child", flat=True)) == [mine.pk]


@pytest.mark.parametrize(
    "interests",
    [None, {}, "swimming", [None], ["x"], [{}], [{"categoryId": "x"}], [{"categoryId": None}], [{"category": 1}], [[]]],
    ids=repr,
)
def test_bad_interests_are_refused(caller, interests):
    assert caller.patch(ME, {"interests": interests}).code == (400, "VALIDATION_ERROR")


def test_an_unknown_field_of_an_interest_and_an_inactive_category_are_refused(caller):
    category = CategoryFactory()
    odd = {"categoryId": str(category.pk), "parentId": str(uuid.uuid4())}
    assert caller.patch(ME, {"interests": [odd]}).code == (400, "VALIDATION_ERROR")
    hidden = CategoryFactory(name="Medical", is_active=False)
    assert caller.patch(ME, {"interests": [{"categoryId": str(hidden.pk)}]}).code == (400, "VALIDATION_ERROR")
    assert ParentInterest.objects.count() == 0


def test_too_many_interests_are_refused(caller):
    row = {"categoryId": str(CategoryFactory().pk)}
    assert caller.patch(ME, {"interests": [row] * 101}).code == (400, "VALIDATION_ERROR")


def test_interests_cost_no_more_queries_when_there_are_more(caller, user):
    counts = []
    for number in (1, 3):
        for index in range(number):
            category = CategoryFactory(name=f"Category {number} {index}")
            ParentInterest.objects.create(parent=user.parent, category=category)
        with CaptureQueriesContext(connection) as queries:
            caller.get(ME)
        counts.append(len(queries))
    assert counts == [2, 2]


# --- Not only by this request ---------------------------------------------------------------------------------------


def test_a_change_of_role_or_a_suspension_in_the_meantime_stands(user):
    stale = User.objects.get(pk=user.pk)
    User.objects.filter(pk=user.pk).update(role="provider", is_active=False, email="new@example.com")
    UserSerializer().update(stale, {"country": CountryFactory(), "parent": {"first_name": "Eva"}})
    user.refresh_from_db()
    assert (user.role, user.is_active, user.email) == ("provider", False, "new@example.com")
    assert (user.country.code, user.parent.first_name) == ("US", "Eva")


def test_other_verbs_are_not_allowed(caller):
    for method in ("POST", "PUT", "DELETE"):
        answer = caller.request(method, ME, {})
        assert answer.code == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["Allow"] == "GET, PATCH, HEAD, OPTIONS"
