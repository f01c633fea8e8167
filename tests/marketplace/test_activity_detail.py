"""GET /v1/activities/{slug or id}."""

import pytest

from marketplace import upkeep
from tests.factories import ActivityFactory, LocationFactory, OfferingFactory, ProviderAccountFactory, SessionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def activity():
    row = ActivityFactory(title="Swim Starters", description="Bring a towel.")
    LocationFactory(provider=row.provider, name="Main pool", is_default=True)
    SessionFactory(offering=OfferingFactory(activity=row, name="Drop-in", price_cents=2500))
    upkeep.catch_up()
    return row


def test_by_slug_and_by_id_it_is_the_same(api, activity):
    by_slug = api.get("/v1/activities/swim-starters")
    by_id = api.get(f"/v1/activities/{activity.pk}")
    assert by_slug.status == 200
    assert by_slug.data == by_id.data


def test_it_tells_offerings_and_locations(api, activity):
    data = api.get("/v1/activities/swim-starters").data
    offering, location = activity.offerings.get(), activity.provider.locations.get()
    assert data["description"] == "Bring a towel."
    assert data["offerings"] == [
        {
            "id": str(offering.pk),
            "type": "single_session",
            "name": "Drop-in",
            "priceCents": 2500,
            "currency": "USD",
            "sessionCount": None,
            "refundWindowHours": 24,
        }
    ]
    assert data["locations"] == [
        {
            "id": str(location.pk),
            "name": "Main pool",
            "address": "1 Water Street",
            "city": {"name": "Austin", "slug": "austin"},
            "timezone": "America/Chicago",
            "latitude": None,
            "longitude": None,
        }
    ]


def test_a_slug_that_two_providers_share_needs_the_provider(api, activity):
    other = ActivityFactory(title="Swim Starters", provider=ProviderAccountFactory(slug="blue-fin"))
    LocationFactory(provider=other.provider)
    answer = api.get("/v1/activities/swim-starters")
    assert answer.code == (409, "AMBIGUOUS_SLUG")
    assert {detail["provider"] for detail in answer.error["details"]} == {"blue-fin", activity.provider.slug}
    assert api.get("/v1/activities/swim-starters?provider=blue-fin").data["id"] == str(other.pk)


@pytest.mark.parametrize("key", ["unknown", "019b76da-a815-7000-a6a5-4dd67170151d", "x" * 300, "ü", "a%20b"])
def test_what_is_not_there_is_404(api, activity, key):
    assert api.get(f"/v1/activities/{key}").code == (404, "NOT_FOUND")


def test_a_draft_is_404(api, activity):
    activity.status = "draft"
    activity.save()
    assert api.get("/v1/activities/swim-starters").code == (404, "NOT_FOUND")


def test_an_unknown_parameter_is_refused(api, activity):
    assert api.get("/v1/activities/swim-starters?colour=blue").code == (400, "VALIDATION_ERROR")
