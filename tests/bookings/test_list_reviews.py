"""GET /v1/activities/{id}/reviews."""

import pytest

from marketplace import upkeep
from tests.factories import BookingFactory, LocationFactory, OfferingFactory, ReviewFactory, SessionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def session():
    offering = OfferingFactory()
    LocationFactory(provider=offering.activity.provider)
    row = SessionFactory(offering=offering)
    upkeep.catch_up()
    return row


def review(session, **fields):
    return ReviewFactory(booking=BookingFactory(session=session, status="completed"), **fields)


def path(session):
    return f"/v1/activities/{session.activity_id}/reviews"


def test_latest_first_and_without_the_author(api, session):
    review(session, rating=5, comment="Lovely")
    last = review(session, rating=2, response="Sorry to hear that")
    answer = api.get(path(session))
    assert [each["rating"] for each in answer.data] == [2, 5]
    assert answer.data[0] == {
        "id": str(last.pk),
        "rating": 2,
        "comment": None,
        "response": "Sorry to hear that",
        "respondedAt": None,
        "createdAt": answer.data[0]["createdAt"],
    }
    assert b"Ana" not in answer.content


def test_the_card_and_the_detail_follow_at_once(api, session):
    review(session, rating=5)
    last = review(session, rating=2)
    assert api.get("/v1/activities").data[0]["rating"] == {"average": 3.5, "count": 2}
    detail = api.get(f"/v1/activities/{session.activity_id}").data
    assert detail["ratingBreakdown"] == {"1": 0, "2": 1, "3": 0, "4": 0, "5": 1}
    assert [each["id"] for each in detail["nextSessions"]] == [str(session.pk)]
    last.delete()
    assert api.get("/v1/activities?minRating=5").data[0]["rating"] == {"average": 5.0, "count": 1}
    assert api.get(f"/v1/providers/{session.activity.provider.slug}").data["rating"] == {"average": 5.0, "count": 1}


def test_ratings_by_age_are_shown_from_three_reviews_on(api, session):
    for rating in (5, 4):
        review(session, rating=rating)
    assert api.get(f"/v1/activities/{session.activity_id}").data["ratingByAge"] == []
    review(session, rating=4)
    assert api.get(f"/v1/activities/{session.activity_id}").data["ratingByAge"] == [
        {"min": 6, "max": 8, "average": 4.33, "count": 3}
    ]


def test_a_hidden_activity_has_no_reviews(api, session):
    session.activity.status = "draft"
    session.activity.save()
    assert api.get(path(session)).code == (404, "NOT_FOUND")


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_takes_the_same_queries_at_any_length(api, session, number, django_assert_num_queries):
    for _ in range(number):
        review(session)
    with django_assert_num_queries(3):
        assert len(api.get(path(session)).data) == number
