"""GET /v1/activities/{id}/sessions."""

import uuid
from zoneinfo import ZoneInfo

import pytest

from tests.factories import ActivityFactory, LocationFactory, OfferingFactory, SessionFactory, in_days

pytestmark = pytest.mark.django_db


@pytest.fixture
def offering():
    row = OfferingFactory()
    LocationFactory(provider=row.activity.provider)
    return row


def path(offering):
    return f"/v1/activities/{offering.activity_id}/sessions"


def test_a_session_in_full(api, offering):
    session = SessionFactory(offering=offering, capacity=10, enrolled=4)
    answer = api.get(path(offering))
    assert answer.meta == {"page": 1, "limit": 20, "total": 1}
    assert answer.data == [
        {
            "id": str(session.pk),
            "offeringId": str(offering.pk),
            "locationId": str(session.location.pk),
            "startsAt": session.starts_at.isoformat().replace("+00:00", "Z"),
            "endsAt": session.ends_at.isoformat().replace("+00:00", "Z"),
            "timezone": "America/Chicago",
            "capacity": 10,
            "enrolled": 4,
            "spotsLeft": 6,
            "status": "scheduled",
        }
    ]


def test_past_cancelled_and_withdrawn_sessions_are_not_shown(api, offering):
    SessionFactory(offering=offering, starts_at=in_days(-1))
    SessionFactory(offering=offering, status="cancelled")
    SessionFactory(offering=OfferingFactory(activity=offering.activity, status="inactive"))
    assert api.get(path(offering)).data == []


def test_soonest_first_and_full_ones_only_on_request(api, offering):
    late = SessionFactory(offering=offering, starts_at=in_days(9))
    soon = SessionFactory(offering=offering, starts_at=in_days(2), capacity=1, enrolled=1)
    assert [each["id"] for each in api.get(path(offering)).data] == [str(soon.pk), str(late.pk)]
    assert [each["id"] for each in api.get(path(offering) + "?available=true").data] == [str(late.pk)]
    day = late.starts_at.astimezone(ZoneInfo("America/Chicago")).date()
    assert [each["id"] for each in api.get(f"{path(offering)}?from={day}").data] == [str(late.pk)]
    assert api.get(f"{path(offering)}?from=2026-01-02&to=2026-01-01").code == (400, "VALIDATION_ERROR")


def test_an_unknown_or_hidden_activity_is_404(api):
    hidden = OfferingFactory(activity=ActivityFactory(status="draft"))
    assert api.get(path(hidden)).code == (404, "NOT_FOUND")
    assert api.get(f"/v1/activities/{uuid.uuid4()}/sessions").code == (404, "NOT_FOUND")


def test_seats_are_cached_for_seconds_only(api, offering):
    assert api.get(path(offering)).headers["Cache-Control"] == "public, max-age=5, stale-while-revalidate=25"
