"""GET /v1/provider/reviews and POST /v1/provider/reviews/{id}/response: one response to each, for everybody to read."""

import uuid

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings import reviews
from bookings.models import Review
from core.errors import InvalidState
from core.models import Lifecycle
from notifications.models import Notification
from tests.factories import BookingFactory, OfferingFactory, ProviderUserFactory, ReviewFactory, SessionFactory
from tests.meeting import Meeting

pytestmark = pytest.mark.django_db(databases=["default", "global"])

REVIEWS = "/v1/provider/reviews"


@pytest.fixture
def member():
    return ProviderUserFactory(role="staff")


@pytest.fixture
def desk(api, member):
    return api.as_user(member.user)


@pytest.fixture
def offering(member):
    return OfferingFactory(activity__provider=member.provider_account)


def reviewed(offering, **fields):
    return ReviewFactory(
        booking=BookingFactory(session=SessionFactory(offering=offering), status="completed"), **fields
    )


def respond(desk, review, text="Thank you!"):
    return desk.post(f"{REVIEWS}/{review.pk}/response", {"response": text})


def ids(answer):
    return [row["id"] for row in answer.data]


# --- The list --------------------------------------------------------------------------------------------------------


def test_it_lists_the_reviews_of_the_account_latest_first(desk, offering):
    first, second = reviewed(offering, comment="Lovely"), reviewed(offering)
    ReviewFactory()
    reviewed(offering, status="hidden")
    answer = desk.get(REVIEWS)
    assert (ids(answer), answer.meta) == ([str(second.pk), str(first.pk)], {"page": 1, "limit": 20, "total": 2})
    row = answer.data[1]
    assert row == {
        "id": str(first.pk),
        "activityId": str(offering.activity_id),
        "activityTitle": offering.activity.title,
        "rating": 4,
        "comment": "Lovely",
        "response": None,
        "respondedAt": None,
        "editedAt": None,
        "createdAt": row["createdAt"],
    }


def test_nobody_learns_who_wrote_it(desk, offering):
    review = reviewed(offering)
    content = desk.get(REVIEWS).content.decode()
    for secret in (str(review.parent_id), str(review.booking_id), str(review.booking.child_id), "Lopez"):
        assert secret not in content


def test_of_one_activity_and_with_or_without_a_response(desk, member, offering):
    open_one, done = reviewed(offering), reviewed(offering, response="Thanks", responded_at=timezone.now())
    other = reviewed(OfferingFactory(activity__provider=member.provider_account))
    assert ids(desk.get(f"{REVIEWS}?activity={offering.activity_id}")) == [str(done.pk), str(open_one.pk)]
    assert ids(desk.get(f"{REVIEWS}?responded=true")) == [str(done.pk)]
    assert ids(desk.get(f"{REVIEWS}?responded=false")) == [str(other.pk), str(open_one.pk)]


@pytest.mark.parametrize("query", ["activity=x", "responded=maybe", "rating=5", "limit=0"])
def test_bad_filters_are_refused(desk, query):
    assert desk.get(f"{REVIEWS}?{query}").code == (400, "VALIDATION_ERROR")


def test_a_list_takes_the_same_queries_for_one_row_and_for_three(desk, offering):
    counts = []
    for more in (1, 2):
        for _ in range(more):
            reviewed(offering)
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(REVIEWS).status == 200
        counts.append(len(queries))
    # User; membership; count; reviews.
    assert counts == [4, 4]


# --- The response ----------------------------------------------------------------------------------------------------


def test_staff_respond_and_the_parent_is_told(api, desk, offering):
    review = reviewed(offering)
    answer = respond(desk, review, "  Thank you!\nSee you soon.  ")
    assert (answer.status, answer.data["response"]) == (200, "Thank you!\nSee you soon.")
    row = Review.objects.get()
    assert (row.response, row.responded_at is not None, row.rating) == ("Thank you!\nSee you soon.", True, 4)
    told = Notification.objects.get()
    assert (told.kind, told.user, told.subject_id) == ("response_received", review.parent.user, review.pk)


def test_there_is_one_response_and_no_second(desk, offering):
    review = reviewed(offering)
    respond(desk, review)
    answer = respond(desk, review, "On second thoughts")
    assert answer.code == (409, "INVALID_STATE")
    assert Review.objects.get().response == "Thank you!"
    assert Notification.objects.count() == 1


def test_what_is_anothers_or_hidden_does_not_exist(api, desk, offering):
    for review in (ReviewFactory(), reviewed(offering, status="hidden")):
        assert respond(desk, review).code == (404, "NOT_FOUND")
    assert desk.post(f"{REVIEWS}/{uuid.uuid4()}/response", {"response": "x"}).code == (404, "NOT_FOUND")
    mine = reviewed(offering)
    assert respond(api.as_user(ProviderUserFactory().user), mine).code == (404, "NOT_FOUND")
    assert respond(api.as_user(mine.parent.user), mine).code == (403, "FORBIDDEN")
    assert not Review.objects.exclude(response=None).exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "response"),
        ({"response": ""}, "response"),
        ({"response": "   "}, "response"),
        ({"response": None}, "response"),
        ({"response": ["Thanks"]}, "response"),
        ({"response": "x" * 2001}, "response"),
        ({"response": "Thanks", "rating": 5}, "rating"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(desk, offering, body, field):
    review = reviewed(offering)
    answer = desk.post(f"{REVIEWS}/{review.pk}/response", body)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]
    assert Review.objects.get().response is None


# --- Two at once -----------------------------------------------------------------------------------------------------


@pytest.fixture
def unlocked(monkeypatch):
    """Every statement without its FOR UPDATE."""
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
class TestTwoAtOnce:
    def told(self, api, offering, monkeypatch):
        """What two members of staff are told who answer in the same moment."""
        review = reviewed(offering)
        meeting = Meeting(monkeypatch, (Review, "save"))
        staff = [ProviderUserFactory(provider_account=offering.activity.provider, role="staff").user for _ in range(2)]
        first, second = (
            lambda user=user, text=text: respond(api.as_user(user), review, text)
            for user, text in zip(staff, ("One", "Two"), strict=True)
        )
        return [answer.status for answer in meeting.of(first, second)]

    def test_one_response_stands_and_the_other_is_refused(self, api, offering, monkeypatch):
        assert self.told(api, offering, monkeypatch) == [200, 409]
        assert Review.objects.get().response == "One"

    def test_control_without_the_lock_one_overwrites_the_other(self, api, offering, monkeypatch, unlocked):
        assert self.told(api, offering, monkeypatch) == [200, 200]
        # The one that came in between was told that it stands.
        assert Review.objects.get().response == "One"

    def test_ops_hide_it_while_staff_respond(self, offering, monkeypatch):
        review = reviewed(offering)
        told = Meeting(monkeypatch, (Lifecycle, "move")).of(
            lambda: reviews.hide(review_id=review.pk, reason="Names a child"),
            lambda: reviews.respond(review_id=review.pk, response="Thanks", now=timezone.now()),
        )
        assert (told[0].status, type(told[1])) == ("hidden", InvalidState)
        assert Review.objects.get().response is None
