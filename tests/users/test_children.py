"""/v1/me/children."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from bookings.models import Booking, Seat
from bookings.services import remove_child
from marketplace.models import ParentInterest
from tests.factories import (
    BookingFactory,
    CategoryFactory,
    ChildFactory,
    ConsentFactory,
    SessionFactory,
    UserFactory,
    in_days,
)
from users.models import Child

pytestmark = pytest.mark.django_db

CHILDREN = "/v1/me/children"
MIA = {"firstName": "Mia", "lastName": "Lopez", "birthDate": "2018-05-01"}


@pytest.fixture
def parent():
    return ConsentFactory().user.parent


@pytest.fixture
def caller(api, parent):
    return api.as_user(parent.user)


def test_a_child_is_added(caller, parent):
    answer = caller.post(CHILDREN, MIA)
    assert answer.status == 201
    child = Child.objects.get()
    assert answer.data == {
        "id": str(child.pk),
        "firstName": "Mia",
        "lastName": "Lopez",
        "birthDate": "2018-05-01",
        "createdAt": child.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert (child.parent, child.removed_at) == (parent, None)


def test_snake_case_is_understood(caller):
    assert caller.post(CHILDREN, {"first_name": "Mia", "birth_date": "2018-05-01"}).status == 201


@pytest.mark.parametrize("consents", [[], [False], [True, False], ["privacy"]], ids=repr)
def test_without_consent_no_child_is_stored(api, consents):
    user = UserFactory()
    for granted in consents:
        ConsentFactory(user=user, kind="child_data" if granted != "privacy" else "privacy", granted=bool(granted))
    assert api.as_user(user).post(CHILDREN, MIA).code == (403, "CONSENT_REQUIRED")
    assert Child.objects.count() == 0


def test_a_strangers_consent_does_not_count(api):
    ConsentFactory()
    assert api.as_user(UserFactory()).post(CHILDREN, MIA).code == (403, "CONSENT_REQUIRED")


def test_a_consent_given_again_counts_again(api):
    user = UserFactory()
    for granted in (True, False, True):
        ConsentFactory(user=user, granted=granted)
    assert api.as_user(user).post(CHILDREN, MIA).status == 201


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"firstName": None}, "firstName"),
        ({"firstName": ""}, "firstName"),
        ({"firstName": "   "}, "firstName"),
        ({"firstName": "x" * 101}, "firstName"),
        ({"lastName": "x" * 101}, "lastName"),
        ({"birthDate": None}, "birthDate"),
        ({"birthDate": ""}, "birthDate"),
        ({"birthDate": "yesterday"}, "birthDate"),
        ({"birthDate": "2018-02-30"}, "birthDate"),
        ({"birthDate": "01/05/2018"}, "birthDate"),
        ({"birthDate": "2999-01-01"}, "birthDate"),
        ({"birthDate": "1950-01-01"}, "birthDate"),
        ({"birthDate": "0001-01-01"}, "birthDate"),
        ({"birthDate": 20180501}, "birthDate"),
        ({"birthDate": "2018-05-01T00:00:00Z"}, "birthDate"),
        ({"parentId": "019b76da-a815-7000-a6a5-4dd67170151d"}, "parentId"),
        ({"removedAt": None}, "removedAt"),
        ({"id": "019b76da-a815-7000-a6a5-4dd67170151d"}, "id"),
    ],
    ids=repr,
)
def test_a_bad_child_is_refused(caller, changes, field):
    answer = caller.post(CHILDREN, MIA | changes)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in answer.error["details"]] == [field]
    assert Child.objects.count() == 0


@pytest.mark.parametrize("missing", ["firstName", "birthDate"])
def test_a_missing_field_is_named(caller, missing):
    answer = caller.post(CHILDREN, {key: value for key, value in MIA.items() if key != missing})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [{"field": missing, "message": "This field is required."}]


def test_a_child_born_today_is_young_but_welcome(caller):
    assert caller.post(CHILDREN, MIA | {"birthDate": datetime.now(UTC).date().isoformat()}).status == 201


# --- Lists ----------------------------------------------------------------------------------------------------------


def test_the_list_has_the_callers_present_children_only(caller, parent, now):
    ChildFactory()
    ChildFactory(parent=parent, first_name="", birth_date=None, removed_at=now)
    mine = [ChildFactory(parent=parent, first_name=name) for name in ("Mia", "Leo")]
    answer = caller.get(CHILDREN)
    assert [each["id"] for each in answer.data] == [str(child.pk) for child in mine]
    assert answer.meta == {"page": 1, "limit": 20, "total": 2}


def test_the_list_costs_three_queries_however_long(caller, parent):
    for number in (1, 2):
        ChildFactory.create_batch(number, parent=parent)
        with CaptureQueriesContext(connection) as queries:
            caller.get(CHILDREN)
        assert len(queries) == 3


# --- Changes --------------------------------------------------------------------------------------------------------


def test_a_child_is_changed_field_by_field(caller, parent):
    child = ChildFactory(parent=parent)
    answer = caller.patch(f"{CHILDREN}/{child.pk}", {"birthDate": "2017-01-02"})
    assert (answer.status, answer.data["birthDate"], answer.data["firstName"]) == (200, "2017-01-02", "Mia")
    child.refresh_from_db()
    assert (child.birth_date.isoformat(), child.first_name) == ("2017-01-02", "Mia")


@pytest.mark.parametrize(
    "body", [{"parentId": "x"}, {"removedAt": "2020-01-01"}, {"birthDate": None}, {"firstName": ""}]
)
def test_a_bad_change_is_refused(caller, parent, body):
    child = ChildFactory(parent=parent)
    assert caller.patch(f"{CHILDREN}/{child.pk}", body | {"lastName": "Eve"}).code == (400, "VALIDATION_ERROR")
    child.refresh_from_db()
    assert (child.last_name, child.parent, child.removed_at) == ("Lopez", parent, None)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_strangers_child_does_not_exist(caller, method):
    child = ChildFactory()
    answer = caller.request(method, f"{CHILDREN}/{child.pk}", {"firstName": "Eve"})
    assert answer.code == (404, "NOT_FOUND")
    assert answer.body == caller.request(method, f"{CHILDREN}/{uuid.uuid4()}", {"firstName": "Eve"}).body
    child.refresh_from_db()
    assert child.first_name == "Mia"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_removed_child_does_not_exist(caller, parent, now, method):
    child = ChildFactory(parent=parent, first_name="", birth_date=None, removed_at=now)
    assert caller.request(method, f"{CHILDREN}/{child.pk}", {"firstName": "Eve"}).code == (404, "NOT_FOUND")
    child.refresh_from_db()
    assert child.first_name == ""


def test_an_id_that_is_no_uuid_is_not_found(caller):
    assert caller.patch(f"{CHILDREN}/1", {}).code == (404, "NOT_FOUND")


def test_a_single_child_and_put_are_not_served(caller, parent):
    child = ChildFactory(parent=parent)
    for method in ("GET", "PUT", "POST"):
        answer = caller.request(method, f"{CHILDREN}/{child.pk}", MIA)
        assert answer.code == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["Allow"] == "PATCH, DELETE, OPTIONS"


# --- Removal --------------------------------------------------------------------------------------------------------


def test_a_child_who_was_never_booked_leaves_no_row(caller, parent):
    child = ChildFactory(parent=parent)
    ParentInterest.objects.create(parent=parent, category=CategoryFactory(), child=child)
    answer = caller.delete(f"{CHILDREN}/{child.pk}")
    assert (answer.status, answer.body) == (200, {"success": True, "data": None})
    assert (Child.objects.count(), ParentInterest.objects.count()) == (0, 0)


@pytest.mark.parametrize("status", ["pending_payment", "confirmed"])
def test_a_child_with_an_upcoming_booking_stays(caller, parent, status):
    booking = BookingFactory(child=ChildFactory(parent=parent), status=status)
    assert caller.delete(f"{CHILDREN}/{booking.child_id}").code == (409, "INVALID_STATE")
    child = Child.objects.get()
    assert (child.first_name, child.removed_at) == ("Mia", None)
    assert Seat.objects.held().count() == 1


@pytest.mark.parametrize("status", ["completed", "no_show"])
def test_after_past_bookings_only_the_books_remember_the_child(caller, parent, status):
    child = ChildFactory(parent=parent)
    ParentInterest.objects.create(parent=parent, category=CategoryFactory(), child=child)
    session = SessionFactory(starts_at=in_days(-7))
    booking = BookingFactory(child=child, session=session, status=status)
    assert caller.delete(f"{CHILDREN}/{child.pk}").status == 200
    child.refresh_from_db()
    assert (child.first_name, child.last_name, child.birth_date) == ("", "", None)
    assert child.removed_at is not None
    assert ParentInterest.objects.count() == 0
    assert Booking.objects.get() == booking
    assert caller.get(CHILDREN).data == []


def test_a_cancelled_booking_of_the_future_does_not_keep_the_child(caller, parent):
    booking = BookingFactory(child=ChildFactory(parent=parent), status="cancelled")
    assert caller.delete(f"{CHILDREN}/{booking.child_id}").status == 200
    assert Child.objects.get().removed_at is not None


def test_a_session_that_is_under_way_keeps_the_child(caller, parent, now):
    session = SessionFactory(starts_at=now - timedelta(minutes=10))
    booking = BookingFactory(child=ChildFactory(parent=parent), session=session, status="confirmed")
    assert caller.delete(f"{CHILDREN}/{booking.child_id}").code == (409, "INVALID_STATE")


@pytest.mark.django_db(transaction=True)
def test_a_change_during_a_removal_does_not_bring_the_child_back(caller, parent, now):
    child = ChildFactory(parent=parent)
    BookingFactory(child=child, status="cancelled")
    removed, changed = threading.Event(), []

    def change() -> None:
        removed.wait(5)
        changed.append(caller.patch(f"{CHILDREN}/{child.pk}", {"firstName": "Mia"}))
        connections.close_all()

    thread = threading.Thread(target=change)
    thread.start()
    with transaction.atomic():
        remove_child(child=child, now=now)
        removed.set()
        thread.join(0.4)
        assert thread.is_alive()  # it waits for us
    thread.join(5)
    assert changed[0].code == (404, "NOT_FOUND")
    assert Child.objects.get().first_name == ""
