"""POST /v1/reviews, PATCH /v1/reviews/{id}, POST /v1/reviews/{id}/report, GET /v1/me/reviews, and moderation."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from bookings import reviews
from bookings.models import RatingStale, Review, ReviewReport
from core.errors import InvalidState
from notifications.models import Notification
from regions.models import RatingAggregate
from tests.conftest import free_port
from tests.factories import BookingFactory, ProviderUserFactory, ReviewFactory, SessionFactory, UserFactory

pytestmark = pytest.mark.django_db(databases=["default", "global"])

REVIEWS = "/v1/reviews"


@pytest.fixture
def booking():
    return BookingFactory(status="completed")


def write(api, booking, **fields):
    body = {"bookingId": str(booking.pk), "rating": 5, "comment": "Lovely", **fields}
    return api.as_user(booking.parent.user).post(REVIEWS, body)


def test_a_parent_reviews_a_completed_booking(api, booking):
    activity = booking.session.activity
    owner = ProviderUserFactory(provider_account=activity.provider).user
    answer = write(api, booking)
    assert answer.status == 201
    row = Review.objects.get()
    assert answer.data == {
        "id": str(row.pk),
        "bookingId": str(booking.pk),
        "activityId": str(activity.pk),
        "activityTitle": activity.title,
        "rating": 5,
        "comment": "Lovely",
        "status": "published",
        "hiddenReason": "",
        "response": None,
        "respondedAt": None,
        "editedAt": None,
        "editableUntil": answer.data["editableUntil"],
        "createdAt": answer.data["createdAt"],
    }
    assert (row.parent, row.rating, row.comment) == (booking.parent, 5, "Lovely")
    told = Notification.objects.get(kind="review_received")
    assert (told.user, told.subject_id) == (owner, row.pk)


@pytest.mark.parametrize("status", ["pending_payment", "confirmed", "cancelled", "no_show", "expired"])
def test_only_completed_bookings_are_reviewed(api, status):
    assert write(api, BookingFactory(status=status)).code == (409, "REVIEW_NOT_ALLOWED")
    assert not Review.objects.exists()


def test_a_booking_is_reviewed_once(api, booking):
    write(api, booking)
    assert write(api, booking, rating=1).code == (409, "ALREADY_REVIEWED")
    assert Review.objects.get().rating == 5


def test_a_strangers_booking_does_not_exist(api, booking):
    for target in (booking.pk, uuid.uuid4()):
        answer = api.as_user(UserFactory()).post(REVIEWS, {"bookingId": str(target), "rating": 5})
        assert answer.code == (404, "NOT_FOUND")
    assert not Review.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rating": 0}, "rating"),
        ({"rating": 6}, "rating"),
        ({"rating": 4.5}, "rating"),
        ({"rating": None}, "rating"),
        ({"comment": "x" * 2001}, "comment"),
        ({"bookingId": "mine"}, "bookingId"),
        ({"status": "published"}, "status"),
        ({"response": "Thanks"}, "response"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(api, booking, body, field):
    answer = write(api, booking, **body)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]
    assert not Review.objects.exists()


def test_a_comment_is_optional(api, booking):
    assert write(api, booking, comment="  ").data["comment"] is None


def test_a_review_can_be_changed_for_seven_days(api, booking):
    caller = api.as_user(booking.parent.user)
    path = f"{REVIEWS}/{write(api, booking).data['id']}"
    answer = caller.patch(path, {"rating": 3})
    assert (answer.status, answer.data["rating"], answer.data["comment"]) == (200, 3, "Lovely")
    assert answer.data["editedAt"] is not None
    Review.objects.update(created_at=Review.objects.get().created_at - timedelta(days=7, seconds=1))
    assert caller.patch(path, {"rating": 1}).code == (409, "REVIEW_NOT_ALLOWED")
    assert Review.objects.get().rating == 3
    stranger = api.as_user(UserFactory())
    assert stranger.patch(path, {"rating": 1}).code == (404, "NOT_FOUND")


def test_ones_own_reviews_are_listed_hidden_ones_with_the_reason(api, booking):
    write(api, booking)
    reviews.hide(review_id=Review.objects.get().pk, reason="Names a child")
    ReviewFactory()
    caller = api.as_user(booking.parent.user)
    [row] = caller.get("/v1/me/reviews").data
    assert (row["status"], row["hiddenReason"]) == ("hidden", "Names a child")
    assert caller.patch(f"{REVIEWS}/{row['id']}", {"rating": 1}).code == (409, "INVALID_STATE")


def test_the_list_takes_the_same_queries_for_one_and_for_three(api, booking):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            assert api.as_user(booking.parent.user).get("/v1/me/reviews").status == 200
        return len(seen)

    ReviewFactory(booking=booking)
    one = queries()
    for _ in range(2):
        ReviewFactory(booking=BookingFactory(child=booking.child, status="completed"))
    assert queries() == one


def test_a_hidden_review_leaves_list_averages_and_detail_at_once(api, booking):
    good = ReviewFactory(booking=booking, rating=5)
    bad = ReviewFactory(booking=BookingFactory(session=booking.session, status="completed"), rating=2)
    activity = booking.session.activity
    path = f"/v1/activities/{activity.pk}"
    assert api.get(path).data["rating"] == {"average": 3.5, "count": 2}
    reviews.hide(review_id=bad.pk, reason="Rude")
    assert [each["id"] for each in api.get(f"{path}/reviews").data] == [str(good.pk)]
    assert api.get(path).data["rating"] == {"average": 5.0, "count": 1}
    assert api.get(path).data["ratingBreakdown"]["2"] == 0
    assert api.get(f"/v1/providers/{activity.provider.slug}").data["rating"] == {"average": 5.0, "count": 1}
    reviews.show(review_id=bad.pk)
    assert api.get(path).data["rating"] == {"average": 3.5, "count": 2}
    with pytest.raises(InvalidState):
        reviews.show(review_id=bad.pk)


def test_anybody_may_report_a_review_once_and_ops_decide(api):
    review, reader = ReviewFactory(), UserFactory()
    path = f"{REVIEWS}/{review.pk}/report"
    assert api.as_user(reader).post(path, {"reason": "Names my child"}).status == 201
    assert api.as_user(reader).post(path, {"reason": "Again"}).code == (409, "INVALID_STATE")
    assert api.post(path, {"reason": "x"}).code == (401, "UNAUTHORIZED")
    assert Review.objects.get().status == "published"
    reviews.dismiss_reports(review_id=review.pk)
    assert ReviewReport.objects.get().status == "dismissed"
    api.as_user(UserFactory()).post(path, {"reason": "Rude"})
    reviews.hide(review_id=review.pk, reason="Rude")
    assert set(ReviewReport.objects.values_list("status", flat=True)) == {"dismissed", "upheld"}
    assert api.as_user(UserFactory()).post(path, {"reason": "x"}).code == (404, "NOT_FOUND")


def test_averages_are_pushed_to_the_global_layer_without_a_trace_of_a_person(api, booking, tasks):
    write(api, booking)
    activity = booking.session.activity
    assert ("bookings.tasks.push_rating", (str(activity.pk),)) in tasks or not tasks
    ReviewFactory(booking=BookingFactory(session=booking.session, status="completed"), rating=2)
    assert reviews.push_ratings() == 1
    rows = RatingAggregate.objects.order_by("subject")
    assert [(row.region, row.subject, row.subject_id, row.count, row.average) for row in rows] == [
        ("us", "activity", activity.pk, 2, Decimal("3.50")),
        ("us", "provider", activity.provider_id, 2, Decimal("3.50")),
    ]
    assert not RatingStale.objects.exists()
    assert reviews.push_ratings() == 0


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_a_review_outlives_an_outage_of_the_global_layer(api, booking):
    database = connections["global"]
    port = database.settings_dict["PORT"]
    database.close()
    database.settings_dict["PORT"] = free_port()
    try:
        assert write(api, booking).status == 201
        assert reviews.push_ratings() == 0
        assert RatingStale.objects.count() == 1
    finally:
        database.close()
        database.settings_dict["PORT"] = port
    assert reviews.push_ratings() == 1
    assert RatingAggregate.objects.get(subject="activity").count == 1


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_of_two_reviews_of_one_booking_at_once_one_is_kept(api, booking, at_once):
    answers = at_once(lambda rating: write(api, booking, rating=rating).status, [1, 2, 3, 4])
    assert sorted(answers) == [201, 409, 409, 409]
    assert Review.objects.count() == 1
    assert RatingStale.objects.count() == 1


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_reviews_written_at_once_all_count_in_the_average(api, at_once):
    session = SessionFactory(capacity=20)
    bookings = [BookingFactory(session=session, status="completed") for _ in range(8)]
    answers = at_once(lambda pair: write(api, pair[1], rating=pair[0] % 5 + 1).status, list(enumerate(bookings)))
    assert answers == [201] * 8
    # 1 2 3 4 5 1 2 3
    assert api.get(f"/v1/activities/{session.activity_id}").data["rating"] == {"average": 2.63, "count": 8}
    at_once(lambda _: reviews.push_ratings(), [1, 2, 3])
    reviews.push_ratings()
    assert {row.count for row in RatingAggregate.objects.all()} == {8}
    assert {row.average for row in RatingAggregate.objects.all()} == {Decimal("2.63")}
