"""/v1/provider/locations: a provider's places, one of them the default."""

import threading

import pytest

from geography.models import Locality
from providers import locations
from providers.models import Location
from tests.factories import (
    CityFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
)

pytestmark = pytest.mark.django_db

LOCATIONS = "/v1/provider/locations"


@pytest.fixture
def owner():
    return ProviderUserFactory()


@pytest.fixture
def caller(api, owner):
    return api.as_user(owner.user)


def body(**changes):
    return {"name": "Main pool", "address": "1 Water Street", "cityId": str(CityFactory().pk)} | changes


def locality(city, slug="downtown", **fields) -> Locality:
    return Locality.objects.create(city=city, name=slug.title(), slug=slug, **{"is_active": True, **fields})


def defaults(owner) -> list[str]:
    rows = Location.objects.filter(provider=owner.provider_account, is_default=True)
    return list(rows.values_list("name", flat=True))


# --- Adding ---------------------------------------------------------------------------------------------------------


def test_a_place_with_all_that_can_be_said(caller, owner):
    city = CityFactory()
    quarter = locality(city)
    answer = caller.post(
        LOCATIONS,
        body(name=" Main  pool\n", localityId=str(quarter.pk), latitude=30.27, longitude=-97.74),
    )
    assert answer.status == 201
    row = Location.objects.get()
    assert row.provider == owner.provider_account
    assert answer.data == {
        "id": str(row.pk), "name": "Main pool", "address": "1 Water Street", "cityId": str(city.pk),
        "localityId": str(quarter.pk), "city": {"id": str(city.pk), "name": "Austin", "slug": "austin"},
        "locality": {"id": str(quarter.pk), "name": "Downtown", "slug": "downtown"}, "timezone": "America/Chicago",
        "latitude": 30.27, "longitude": -97.74, "isDefault": True, "createdAt": answer.data["createdAt"],
    }  # fmt: skip
    assert caller.get(f"{LOCATIONS}/{row.pk}").data == answer.data


def test_in_india_a_place_is_in_an_indian_city(india, api):
    owner = ProviderUserFactory()
    answer = api.as_user(owner.user).post(LOCATIONS, body())
    assert (answer.status, answer.data["timezone"]) == (201, "Asia/Kolkata")
    abroad = CityFactory(country__region="us")
    refused = api.as_user(owner.user).post(LOCATIONS, body(cityId=str(abroad.pk)))
    assert refused.code == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"address": None}, "address"),
        ({"cityId": "no-id"}, "cityId"),
        ({"cityId": "01a1fbf9-4878-7649-8bf6-6dcf95dc5ee4"}, "cityId"),
        ({"cityId": ["x"]}, "cityId"),
        ({"latitude": 91, "longitude": 0}, "latitude"),
        ({"latitude": 0, "longitude": -180.5}, "longitude"),
        ({"latitude": "NaN", "longitude": 0}, "latitude"),
        ({"latitude": "Infinity", "longitude": 0}, "latitude"),
        ({"latitude": 1}, "longitude"),
        ({"isDefault": "perhaps"}, "isDefault"),
        ({"providerId": "01a1fbf9-4878-7649-8bf6-6dcf95dc5ee4"}, "providerId"),
        ({"timezone": "UTC"}, "timezone"),
    ],
)
def test_what_is_wrong_is_named(caller, changes, field):
    answer = caller.post(LOCATIONS, body(**changes))
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]
    assert Location.objects.count() == 0


def test_closed_cities_and_localities_are_not_offered(caller):
    closed = CityFactory(name="Dallas", is_active=False)
    assert caller.post(LOCATIONS, body(cityId=str(closed.pk))).status == 400
    quarter = locality(CityFactory(), is_active=False)
    assert caller.post(LOCATIONS, body(localityId=str(quarter.pk))).status == 400
    assert Location.objects.count() == 0


def test_a_locality_belongs_to_the_city(caller):
    elsewhere = locality(CityFactory(name="Dallas"))
    answer = caller.post(LOCATIONS, body(localityId=str(elsewhere.pk)))
    assert answer.error["details"] == [{"field": "localityId", "message": "This locality belongs to another city."}]


# --- The list -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_and_for_three(caller, owner, rows, django_assert_num_queries):
    for number in range(rows):
        city = CityFactory(name=f"City {number}", slug=f"city-{number}")
        LocationFactory(provider=owner.provider_account, city=city, locality=locality(city))
    LocationFactory()
    with django_assert_num_queries(4):  # user, membership, count, locations
        answer = caller.get(LOCATIONS)
    assert len(answer.data) == answer.meta["total"] == rows


def test_the_default_comes_first(caller, owner):
    LocationFactory(provider=owner.provider_account, name="Small")
    LocationFactory(provider=owner.provider_account, name="Main", is_default=True)
    assert [each["name"] for each in caller.get(LOCATIONS).data] == ["Main", "Small"]


# --- The default ----------------------------------------------------------------------------------------------------


def test_the_first_is_the_default_whatever_it_says(caller, owner):
    assert caller.post(LOCATIONS, body(isDefault=False)).data["isDefault"] is True
    assert caller.post(LOCATIONS, body(name="Small")).data["isDefault"] is False
    assert defaults(owner) == ["Main pool"]


def test_a_new_default_takes_over(caller, owner):
    LocationFactory(provider=owner.provider_account, is_default=True)
    other = LocationFactory(is_default=True)
    assert caller.post(LOCATIONS, body(name="Big", isDefault=True)).data["isDefault"] is True
    assert defaults(owner) == ["Big"]
    small = LocationFactory(provider=owner.provider_account, name="Small")
    assert caller.patch(f"{LOCATIONS}/{small.pk}", {"isDefault": True}).data["isDefault"] is True
    assert defaults(owner) == ["Small"]
    other.refresh_from_db()
    assert other.is_default is True


def test_the_default_cannot_be_given_up_without_another(caller, owner):
    main = LocationFactory(provider=owner.provider_account, name="Main", is_default=True)
    answer = caller.patch(f"{LOCATIONS}/{main.pk}", {"isDefault": False, "name": "New"})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert defaults(owner) == ["Main"]


def test_the_oldest_of_the_others_becomes_the_default(caller, owner):
    rows = [LocationFactory(provider=owner.provider_account, name=name) for name in ("Old", "New", "Main")]
    Location.objects.filter(pk=rows[2].pk).update(is_default=True)
    assert caller.delete(f"{LOCATIONS}/{rows[2].pk}").body == {"success": True, "data": None}
    assert defaults(owner) == ["Old"]
    caller.delete(f"{LOCATIONS}/{rows[1].pk}")
    assert defaults(owner) == ["Old"]
    caller.delete(f"{LOCATIONS}/{rows[0].pk}")
    assert Location.objects.count() == 0


# --- Changing and deleting ------------------------------------------------------------------------------------------


def test_a_change_touches_what_it_names(caller, owner):
    row = LocationFactory(provider=owner.provider_account, latitude=30, longitude=-97)
    answer = caller.patch(f"{LOCATIONS}/{row.pk}", {"address": "2 Water Street"})
    assert (answer.status, answer.data["address"], answer.data["latitude"]) == (200, "2 Water Street", 30)
    answer = caller.patch(f"{LOCATIONS}/{row.pk}", {"latitude": None, "longitude": None})
    assert (answer.data["latitude"], answer.data["longitude"]) == (None, None)
    assert caller.patch(f"{LOCATIONS}/{row.pk}", {"slug": "x"}).code == (400, "VALIDATION_ERROR")


def test_the_neighbourhood_stays_behind_when_a_place_moves(caller, owner):
    city = CityFactory()
    row = LocationFactory(provider=owner.provider_account, city=city, locality=locality(city))
    dallas = CityFactory(name="Dallas")
    answer = caller.patch(f"{LOCATIONS}/{row.pk}", {"cityId": str(dallas.pk)})
    assert (answer.data["city"]["name"], answer.data["locality"]) == ("Dallas", None)
    quarter = locality(dallas, "deep-ellum")
    assert (
        caller.patch(f"{LOCATIONS}/{row.pk}", {"localityId": str(quarter.pk)}).data["locality"]["slug"] == "deep-ellum"
    )


def test_with_sessions_a_place_stays_in_its_city_and_stays(caller, owner):
    session = SessionFactory(offering=OfferingFactory(activity__provider=owner.provider_account))
    path = f"{LOCATIONS}/{session.location_id}"
    moved = caller.patch(path, {"cityId": str(CityFactory(name="Dallas").pk)})
    assert moved.code == (409, "LOCATION_IN_USE")
    assert caller.delete(path).code == (409, "LOCATION_IN_USE")
    assert caller.patch(path, {"name": "Big pool", "cityId": str(session.location.city_id)}).status == 200
    session.location.refresh_from_db()
    assert (session.location.name, session.location.city.name) == ("Big pool", "Austin")


def test_a_strangers_place_does_not_exist(caller):
    row = LocationFactory()
    for answer in (
        caller.get(f"{LOCATIONS}/{row.pk}"),
        caller.patch(f"{LOCATIONS}/{row.pk}", {"name": "Mine"}),
        caller.delete(f"{LOCATIONS}/{row.pk}"),
    ):
        assert answer.code == (404, "NOT_FOUND")
    row.refresh_from_db()
    assert row.name == "Main pool"


# --- Two at once ----------------------------------------------------------------------------------------------------

REAL = pytest.mark.django_db(transaction=True)


@REAL
def test_four_first_places_at_once_leave_one_default(api, at_once):
    owner, city = ProviderUserFactory(), str(CityFactory().pk)
    answers = at_once(
        lambda n: api.as_user(owner.user).post(LOCATIONS, body(name=f"Pool {n}", cityId=city, isDefault=True)),
        [1, 2, 3, 4],
    )
    assert [answer.status for answer in answers] == [201] * 4
    assert len(defaults(owner)) == 1


@REAL
def test_control_without_the_lock_the_index_refuses_the_others(api, at_once, monkeypatch):
    owner, city = ProviderUserFactory(), str(CityFactory().pk)
    everybody_looked = threading.Barrier(4)
    monkeypatch.setattr(locations, "lock_account", lambda account_id: everybody_looked.wait(timeout=10))
    answers = at_once(
        lambda n: api.as_user(owner.user).post(LOCATIONS, body(name=f"Pool {n}", cityId=city, isDefault=True)),
        [1, 2, 3, 4],
    )
    assert 500 in [answer.status for answer in answers]
    assert len(defaults(owner)) == 1


@REAL
def test_a_place_that_gets_a_session_in_this_very_moment_stays(api, at_once):
    owner = ProviderUserFactory()
    place = LocationFactory(provider=owner.provider_account)
    offering = OfferingFactory(activity__provider=owner.provider_account)

    def act(what):
        if what == "plan":
            return SessionFactory(offering=offering, location=place).pk
        return api.as_user(owner.user).delete(f"{LOCATIONS}/{place.pk}")

    _, answer = at_once(act, ["plan", "delete"])
    # Either the place went first and the session never came, or the session keeps it.
    assert answer.status == 200 or answer.code == (409, "LOCATION_IN_USE")
    assert Location.objects.filter(pk=place.pk).exists() == (answer.status == 409)
