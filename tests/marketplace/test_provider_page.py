"""GET /v1/providers/{slug}."""

import pytest

from tests.factories import ActivityFactory, LocationFactory, OfferingFactory, ProviderAccountFactory, SessionFactory

pytestmark = pytest.mark.django_db


def test_a_verified_provider_with_activities_and_rating(api):
    provider = ProviderAccountFactory(slug="blue-fin", business_name="Blue Fin", description="Since 1999.")
    LocationFactory(provider=provider)
    SessionFactory(offering=OfferingFactory(activity=ActivityFactory(provider=provider, title="Swim Starters")))
    ActivityFactory(provider=provider, title="Draft", status="draft")
    data = api.get("/v1/providers/blue-fin").data
    assert (data["businessName"], data["type"], data["description"]) == ("Blue Fin", "business", "Since 1999.")
    assert [each["title"] for each in data["activities"]] == ["Swim Starters"]
    assert data["rating"] == {"average": None, "count": 0}


def test_contact_data_is_not_public(api):
    ProviderAccountFactory(slug="blue-fin", email="owner@example.com", phone="+15125550123")
    answer = api.get("/v1/providers/blue-fin")
    assert b"owner@example.com" not in answer.content
    assert b"5125550123" not in answer.content


@pytest.mark.parametrize("status", ["pending", "suspended", "rejected"])
def test_others_are_404(api, status):
    ProviderAccountFactory(slug="blue-fin", status=status)
    assert api.get("/v1/providers/blue-fin").code == (404, "NOT_FOUND")
