"""GET /v1/localities."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from geography.models import City, Country, Locality
from tests.factories import CityFactory

pytestmark = pytest.mark.django_db

LOCALITIES = "/v1/localities"


@pytest.fixture
def city():
    return CityFactory()


def add(city: City, *names: str, is_active: bool = True) -> list[Locality]:
    return [Locality.objects.create(city=city, name=name, slug=name.lower(), is_active=is_active) for name in names]


def test_the_active_localities_of_a_city_by_name(api, city):
    zilker, downtown = add(city, "Zilker", "Downtown")
    add(city, "Closed", is_active=False)
    add(CityFactory(name="Boston"), "Seaport")
    answer = api.get(f"{LOCALITIES}?city=austin")
    assert answer.data == [
        {"id": str(downtown.pk), "name": "Downtown", "slug": "downtown"},
        {"id": str(zilker.pk), "name": "Zilker", "slug": "zilker"},
    ]
    assert answer.meta == {"page": 1, "limit": 20, "total": 2}


@pytest.mark.parametrize("query", ["", "?city=", "?page=1"])
def test_the_city_must_be_named(api, query):
    answer = api.get(f"{LOCALITIES}{query}")
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in answer.error["details"]] == ["city"]


def test_an_unknown_city_has_no_localities(api):
    answer = api.get(f"{LOCALITIES}?city=atlantis")
    assert (answer.status, answer.data) == (200, [])


@pytest.mark.parametrize("model", [City, Country])
def test_where_city_or_country_is_not_served_neither_are_its_localities(api, city, model):
    add(city, "Downtown")
    model.objects.update(is_active=False)
    assert api.get(f"{LOCALITIES}?city=austin").data == []


def test_more_rows_cost_no_more_queries(api, city):
    for names in (["A"], ["B", "C"]):
        add(city, *names)
        with CaptureQueriesContext(connection) as queries:
            api.get(f"{LOCALITIES}?city=austin")
        assert len(queries) == 2
