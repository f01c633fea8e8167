"""Two at once over one review and over one average, each beside a control in which nothing holds them back."""

import threading

import pytest

from bookings import reviews
from bookings.models import RatingStale, Review
from regions.models import RatingAggregate
from tests.factories import BookingFactory, ReviewFactory
from tests.meeting import Meeting

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])

WRITERS = 4


def write(booking, now):
    return reviews.write(booking=booking, rating=5, comment=None, now=now)


def test_of_writers_at_once_one_has_the_review(at_once, now):
    booking = BookingFactory(status="completed")
    given = at_once(lambda _: write(booking, now), [1] * WRITERS)
    assert sorted(type(each).__name__ for each in given) == ["AlreadyReviewed"] * (WRITERS - 1) + ["Review"]
    assert (Review.objects.count(), RatingStale.objects.count()) == (1, 1)


def test_control_looking_first_would_not_do(at_once, now, monkeypatch):
    """All look before anybody writes, and nobody finds a review: it is the database that lets one of them through."""
    booking = BookingFactory(status="completed")
    all_have_looked, create = threading.Barrier(WRITERS), Review.objects.create
    found = []

    def look_and_create(**fields):
        found.append(Review.objects.filter(booking=booking).exists())
        all_have_looked.wait(timeout=10)
        return create(**fields)

    monkeypatch.setattr(Review.objects, "create", look_and_create)
    at_once(lambda _: write(booking, now), [1] * WRITERS)
    assert found == [False] * WRITERS
    assert Review.objects.count() == 1


def push_while_another_review_comes(monkeypatch, now):
    """A push that has read the average and not written it yet when a review comes, and a push of that one."""
    first = ReviewFactory(rating=5)
    activity = first.booking.session.activity
    reviews.note_rating(first)
    late = BookingFactory(session=first.booking.session, status="completed")

    def review_and_push():
        reviews.write(booking=late, rating=2, comment=None, now=now)
        return reviews.push_rating(activity.pk)

    meeting = Meeting(monkeypatch, (reviews, "put_rating"))
    return meeting.of(lambda: reviews.push_rating(activity.pk), review_and_push)


def averages():
    return sorted(RatingAggregate.objects.values_list("subject", "count", "average"))


def test_an_older_average_never_overwrites_a_newer_one(monkeypatch, now):
    assert push_while_another_review_comes(monkeypatch, now) == (True, False)
    assert RatingStale.objects.count() == 1
    reviews.push_ratings()
    assert averages() == [("activity", 2, 3.5), ("provider", 2, 3.5)]
    assert not RatingStale.objects.exists()


def test_control_without_the_lock_it_would(monkeypatch, now):
    monkeypatch.setattr(reviews, "ONE_AT_A_TIME", "SELECT %s::text IS NOT NULL")
    assert push_while_another_review_comes(monkeypatch, now) == (True, True)
    reviews.push_ratings()
    # Nothing is noted any more, and the global layer is wrong for good.
    assert not RatingStale.objects.exists()
    assert ("activity", 1, 5) in averages()
