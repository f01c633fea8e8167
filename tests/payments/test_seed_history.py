"""`manage.py seed_history`: invented bookings that keep the books true."""

from collections import Counter

import pytest

from bookings.models import Booking, ReviewReport
from marketplace.models import Session
from notifications.models import Notification
from payments.management.commands.seed_history import seed
from payments.models import Payment, Refund, WebhookEvent
from tests.books import wrong_when_quiet
from tests.factories import ActivityFactory, LocationFactory, OfferingFactory, ProviderAccountFactory
from users.models import User

pytestmark = pytest.mark.django_db


def catalogue() -> None:
    for _ in range(3):
        provider = ProviderAccountFactory()
        LocationFactory(provider=provider)
        OfferingFactory(activity=ActivityFactory(provider=provider), type="single_session")


def test_the_history_is_over_and_its_books_balance(now, tasks):
    catalogue()
    assert seed(now=now) == Booking.objects.count() > 200
    assert set(Booking.objects.values_list("status", flat=True)) == {"completed", "cancelled"}
    assert not Session.objects.filter(starts_at__gte=now).exists()
    assert Payment.objects.count() == Booking.objects.count()
    assert wrong_when_quiet() == {}
    assert (Notification.objects.count(), tasks) == (0, [])


def test_there_is_some_trouble_for_ops_to_mend(now):
    catalogue()
    seed(now=now)
    assert Payment.objects.filter(needs_review=True).count() == 4
    assert Counter(Refund.objects.values_list("status", flat=True))["failed"] == 1
    assert WebhookEvent.objects.filter(status="failed").count() == 1
    assert ReviewReport.objects.filter(status="open").count() == 2


def test_a_second_time_adds_nothing_and_without_a_catalogue_there_is_none(now):
    assert seed(now=now) == 0
    assert User.objects.count() == 0
    catalogue()
    bookings = seed(now=now)
    assert seed(now=now) == 0
    assert Booking.objects.count() == bookings
