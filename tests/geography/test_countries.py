"""GET /v1/countries."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import CountryFactory

pytestmark = pytest.mark.django_db


def test_active_countries_by_name_with_exactly_these_fields(api):
    us = CountryFactory()
    CountryFactory(code="FR", name="France", is_active=False)
    india = CountryFactory(code="IN", name="India", currency="INR", phone_prefix="+91", region="in")
    answer = api.get("/v1/countries")
    assert answer.status == 200
    assert answer.data == [
        {
            "id": str(india.pk),
            "code": "IN",
            "name": "India",
            "currency": "INR",
            "phonePrefix": "+91",
            "region": "in",
        },
        {
            "id": str(us.pk),
            "code": "US",
            "name": "United States",
            "currency": "USD",
            "phonePrefix": "+1",
            "region": "us",
        },
    ]
    assert answer.meta == {"page": 1, "limit": 20, "total": 2}


def test_with_none_the_list_is_empty(api):
    answer = api.get("/v1/countries")
    assert (answer.data, answer.meta["total"]) == ([], 0)


def test_more_rows_cost_no_more_queries(api):
    for names in (["A"], ["B", "C"]):
        for name in names:
            CountryFactory(code=name * 2, name=name)
        with CaptureQueriesContext(connection) as queries:
            api.get("/v1/countries")
        assert len(queries) == 2


def test_a_single_country_is_not_served(api):
    assert api.get(f"/v1/countries/{CountryFactory().pk}").code == (404, "NOT_FOUND")
