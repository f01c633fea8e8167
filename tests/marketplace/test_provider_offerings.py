"""/v1/provider/activities/{id}/offerings and /v1/provider/offerings/{id}: what things cost."""

import threading

import pytest
from django.db import transaction

from marketplace.models import Offering, Session
from tests.factories import (
    ActivityFactory,
    BookingFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
    in_days,
)
from tests.payments.conftest import somebody_waits_for_us, wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return ProviderUserFactory()


@pytest.fixture
def caller(api, owner):
    return api.as_user(owner.user)


@pytest.fixture
def activity(owner):
    return ActivityFactory(provider=owner.provider_account, status="draft")


@pytest.fixture
def offerings(activity):
    return f"/v1/provider/activities/{activity.pk}/offerings"


def path(offering) -> str:
    return f"/v1/provider/offerings/{offering.pk}"


# --- Adding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "count"), [("single_session", None), ("multi_session", 4), ("camp", None), ("term", None)]
)
def test_all_four_types(caller, activity, offerings, type_, count):
    given = {"type": type_, "name": "Try it", "priceCents": 2500, "sessionCount": count, "refundWindowHours": 48}
    answer = caller.post(offerings, given)
    assert answer.status == 201
    row = Offering.objects.get()
    assert answer.data == {
        **given, "id": str(row.pk), "activityId": str(activity.pk), "currency": "USD", "status": "active",
        "createdAt": answer.data["createdAt"],
    }  # fmt: skip
    assert caller.get(path(row)).data == answer.data


def test_type_and_price_are_enough(caller, offerings):
    data = caller.post(offerings, {"type": "camp", "priceCents": 0}).data
    assert (data["name"], data["priceCents"], data["refundWindowHours"], data["sessionCount"]) == (None, 0, 24, None)


def test_in_india_prices_are_in_rupees(india, api):
    owner = ProviderUserFactory()
    activity = ActivityFactory(provider=owner.provider_account)
    caller, address = api.as_user(owner.user), f"/v1/provider/activities/{activity.pk}/offerings"
    assert caller.post(address, {"type": "camp", "priceCents": 50_000}).data["currency"] == "INR"
    assert caller.post(address, {"type": "camp", "priceCents": 99}).code == (400, "VALIDATION_ERROR")
    refused = caller.post(address, {"type": "camp", "priceCents": 50_000, "currency": "USD"})
    assert refused.error["details"] == [{"field": "currency", "message": "Prices in this region are in INR."}]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": None}, "type"),
        ({"type": "lifetime"}, "type"),
        ({"priceCents": -1}, "priceCents"),
        ({"priceCents": 49}, "priceCents"),
        ({"priceCents": 100_000_000}, "priceCents"),
        ({"priceCents": 25.5}, "priceCents"),
        ({"priceCents": None}, "priceCents"),
        ({"currency": "INR"}, "currency"),
        ({"currency": "EUR"}, "currency"),
        ({"sessionCount": 4}, "sessionCount"),
        ({"type": "multi_session"}, "sessionCount"),
        ({"type": "multi_session", "sessionCount": 0}, "sessionCount"),
        ({"type": "multi_session", "sessionCount": 501}, "sessionCount"),
        ({"refundWindowHours": -1}, "refundWindowHours"),
        ({"refundWindowHours": 8761}, "refundWindowHours"),
        ({"status": "sold"}, "status"),
        ({"name": "x" * 201}, "name"),
        ({"activityId": "01a1fbf9-4878-7649-8bf6-6dcf95dc5ee4"}, "activityId"),
    ],
)
def test_what_is_wrong_is_named(caller, offerings, changes, field):
    answer = caller.post(offerings, {"type": "camp", "priceCents": 2500} | changes)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]
    assert Offering.objects.count() == 0


# --- The list -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_and_for_three(
    caller, activity, offerings, rows, django_assert_num_queries
):
    OfferingFactory.create_batch(rows, activity=activity)
    OfferingFactory()
    with django_assert_num_queries(5):  # user, membership, activity, count, offerings
        answer = caller.get(offerings)
    assert len(answer.data) == answer.meta["total"] == rows


def test_the_list_shows_inactive_ones_too(caller, activity, offerings):
    OfferingFactory(activity=activity, status="inactive")
    assert [each["status"] for each in caller.get(offerings).data] == ["inactive"]


# --- Changing -------------------------------------------------------------------------------------------------------


def test_a_new_price_counts_from_then_on(caller, activity):
    booking = BookingFactory(session=SessionFactory(offering__activity=activity), status="confirmed")
    answer = caller.patch(path(booking.offering), {"priceCents": 9900, "refundWindowHours": 0, "name": "New"})
    assert (answer.status, answer.data["priceCents"], answer.data["refundWindowHours"]) == (200, 9900, 0)
    booking.refresh_from_db()
    assert booking.amount_cents == 2500


@pytest.mark.parametrize("field", ["type", "currency", "activityId", "id"])
def test_some_things_stay(caller, activity, field):
    offering = OfferingFactory(activity=activity)
    answer = caller.patch(path(offering), {field: "camp"})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [{"field": field, "message": "This field cannot be set here."}]


def test_the_number_of_a_package_stays_while_children_are_coming(caller, activity):
    offering = OfferingFactory(activity=activity, type="multi_session", session_count=4)
    assert caller.patch(path(offering), {"sessionCount": None}).code == (400, "VALIDATION_ERROR")
    assert caller.patch(path(offering), {"sessionCount": 5}).data["sessionCount"] == 5
    BookingFactory(session=SessionFactory(offering=offering))
    Session.objects.update(enrolled=1)
    assert caller.patch(path(offering), {"sessionCount": 6}).code == (409, "INVALID_STATE")
    assert caller.patch(path(offering), {"sessionCount": 5, "priceCents": 100}).status == 200
    Session.objects.update(starts_at=in_days(-1), ends_at=in_days(-0.9))
    assert caller.patch(path(offering), {"sessionCount": 6}).data["sessionCount"] == 6


def test_a_published_activity_keeps_an_active_offering(caller, activity):
    activity.status = "published"
    activity.save()
    first, second = OfferingFactory.create_batch(2, activity=activity)
    assert caller.patch(path(first), {"status": "inactive"}).status == 200
    assert caller.patch(path(second), {"status": "inactive"}).code == (409, "INVALID_STATE")
    assert caller.delete(path(second)).code == (409, "INVALID_STATE")
    assert caller.patch(path(first), {"status": "active"}).status == 200
    assert caller.delete(path(second)).status == 200
    assert list(activity.offerings.values_list("pk", "status")) == [(first.pk, "active")]


# --- Deleting -------------------------------------------------------------------------------------------------------


def test_what_nobody_ever_booked_is_deleted_with_its_sessions(caller, activity):
    session = SessionFactory(offering__activity=activity)
    assert caller.delete(path(session.offering)).body == {"success": True, "data": None}
    assert (Offering.objects.count(), Session.objects.count()) == (0, 0)


@pytest.mark.parametrize("status", ["confirmed", "cancelled"])
def test_what_was_ever_booked_becomes_inactive(caller, activity, status):
    booking = BookingFactory(session=SessionFactory(offering__activity=activity), status=status)
    assert caller.delete(path(booking.offering)).status == 200
    booking.refresh_from_db()
    assert (booking.offering.status, booking.status, Session.objects.count()) == ("inactive", status, 1)


def test_a_strangers_offering_does_not_exist(caller):
    offering = OfferingFactory()
    for answer in (
        caller.get(path(offering)),
        caller.patch(path(offering), {"priceCents": 0}),
        caller.delete(path(offering)),
    ):
        assert answer.code == (404, "NOT_FOUND")
    offering.refresh_from_db()
    assert offering.price_cents == 2500


@pytest.mark.django_db(transaction=True)
def test_an_offering_that_is_booked_in_this_very_moment_stays(api, at_once):
    owner = ProviderUserFactory()
    activity = ActivityFactory(provider=owner.provider_account, status="draft")
    LocationFactory(provider=owner.provider_account)
    session = SessionFactory(offering__activity=activity)

    def act(what):
        if what == "book":
            return BookingFactory(session=session, status="confirmed").pk
        return api.as_user(owner.user).delete(path(session.offering))

    booked, answer = at_once(act, ["book", "delete"])
    assert answer.status == 200
    left = Offering.objects.filter(pk=session.offering_id).values_list("status", flat=True)
    # Either it went first and the booking never came, or the booking keeps it.
    assert list(left) == ([] if isinstance(booked, Exception) else ["inactive"])


@pytest.mark.django_db(transaction=True)
def test_a_booking_whose_commit_the_deletion_waits_for_keeps_the_offering(api, at_once):
    owner = ProviderUserFactory()
    session = SessionFactory(offering__activity=ActivityFactory(provider=owner.provider_account, status="draft"))
    booked = threading.Event()

    def book():
        with transaction.atomic():
            BookingFactory(session=session, status="confirmed")
            booked.set()
            wait_until(somebody_waits_for_us)

    def delete():
        booked.wait(10)
        return api.as_user(owner.user).delete(path(session.offering))

    _, answer = at_once(lambda run: run(), [book, delete])
    assert answer.status == 200
    assert Offering.objects.get().status == "inactive"
