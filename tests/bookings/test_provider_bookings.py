"""GET /v1/provider/bookings and /v1/provider/bookings/{id}: everything of a booking but the child."""

import csv
import io
import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import provider_views
from bookings.models import RosterView, Seat
from payments.models import Refund
from tests.bookings.test_roster import family
from tests.factories import (
    ActivityFactory,
    BookingFactory,
    CityFactory,
    ConsentFactory,
    LocationFactory,
    OfferingFactory,
    PaymentFactory,
    ProviderUserFactory,
    SessionFactory,
    UserFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

BOOKINGS = "/v1/provider/bookings"


@pytest.fixture
def member():
    return ProviderUserFactory(role="staff")


@pytest.fixture
def desk(api, member):
    return api.as_user(member.user)


@pytest.fixture
def offering(member):
    return OfferingFactory(activity__provider=member.provider_account)


def booked(offering, status="confirmed", **session):
    return BookingFactory(session=SessionFactory(offering=offering, **session), child=family(), status=status)


def ids(answer):
    return [row["id"] for row in answer.data]


def test_it_lists_the_bookings_of_the_account_latest_first(desk, offering):
    mine = [booked(offering, status) for status in ("confirmed", "cancelled", "pending_payment")]
    BookingFactory()
    answer = desk.get(BOOKINGS)
    assert answer.status == 200
    assert ids(answer) == [str(each.pk) for each in reversed(mine)]
    assert answer.meta == {"page": 1, "limit": 20, "total": 3}


def test_a_booking_tells_what_was_bought_and_paid(desk, offering):
    booking = booked(offering)
    payment = PaymentFactory(booking=booking, status="paid")
    Refund.objects.create(payment=payment, amount_cents=500, currency="USD", reason="x", status="sent")
    (row,) = desk.get(BOOKINGS).data
    session = booking.session
    assert row == {
        "id": str(booking.pk),
        "status": "confirmed",
        "session": {
            "id": str(session.pk),
            "activityId": str(session.activity_id),
            "activityTitle": session.activity.title,
            "locationName": "Main pool",
            "startsAt": row["session"]["startsAt"],
            "endsAt": row["session"]["endsAt"],
            "timezone": "America/Chicago",
            "capacity": 10,
            "enrolled": 1,
            "status": "scheduled",
        },
        "offeringId": str(offering.pk),
        "offeringName": "Single Session",
        "initials": "M. L.",
        "amountCents": 2500,
        "currency": "USD",
        "payment": {
            "id": str(payment.pk),
            "status": "paid",
            "processor": "stripe",
            "amountCents": 2500,
            "currency": "USD",
            "refundedCents": 500,
        },
        "expiresAt": None,
        "confirmedAt": row["confirmedAt"],
        "cancelledAt": None,
        "createdAt": row["createdAt"],
    }


@pytest.mark.parametrize("address", [BOOKINGS, f"{BOOKINGS}?format=csv", f"{BOOKINGS}/{{id}}"])
@pytest.mark.parametrize("days", [-3, -0.1, 0.1, 3])
def test_nothing_of_a_child_but_initials_leaves_at_any_time(desk, offering, address, days):
    booking = booked(offering, starts_at=in_days(days))
    booking.cancellation_reason = "Mia has the flu"
    booking.save()
    content = desk.get(address.replace("{id}", str(booking.pk))).content.decode()
    assert "M. L." in content
    for secret in ("Mia", "Lopez", "5550123", "Ana", str(booking.child_id), str(booking.parent_id)):
        assert secret not in content
    assert not RosterView.objects.exists()


@pytest.mark.parametrize("address", [BOOKINGS, f"{BOOKINGS}?format=csv", f"{BOOKINGS}/{{id}}"])
def test_removed_children_and_withdrawn_consent_have_no_initials(desk, offering, address):
    booking, removed = booked(offering), booked(offering)
    ConsentFactory(user=booking.parent.user, granted=False)
    type(removed.child).objects.filter(pk=removed.child_id).update(removed_at=in_days(0))
    for each in (booking, removed):
        assert "M. L." not in desk.get(address.replace("{id}", str(each.pk))).content.decode()
    assert [row["initials"] for row in desk.get(BOOKINGS).data] == [None, None]


# --- Filters ---------------------------------------------------------------------------------------------------------


def test_of_one_activity(desk, member, offering):
    other = OfferingFactory(activity__provider=member.provider_account)
    wanted, _ = booked(offering), booked(other)
    assert ids(desk.get(f"{BOOKINGS}?activity={offering.activity_id}")) == [str(wanted.pk)]


def test_of_one_session_packages_included(desk, offering):
    first, second = SessionFactory(offering=offering), SessionFactory(offering=offering, starts_at=in_days(9))
    package = BookingFactory(session=first, seats=[first, second], status="confirmed")
    single = BookingFactory(session=second, status="confirmed")
    gone = BookingFactory(session=second, status="cancelled")
    assert ids(desk.get(f"{BOOKINGS}?session={second.pk}")) == [str(each.pk) for each in (gone, single, package)]
    assert ids(desk.get(f"{BOOKINGS}?session={first.pk}")) == [str(package.pk)]


def test_not_of_a_session_that_it_was_moved_away_from(desk, offering):
    old, new = SessionFactory(offering=offering), SessionFactory(offering=offering)
    booking = BookingFactory(session=new, seats=[old, new], status="confirmed")
    Seat.objects.filter(session=old).update(released_at=in_days(0))
    assert ids(desk.get(f"{BOOKINGS}?session={old.pk}")) == []
    assert ids(desk.get(f"{BOOKINGS}?session={new.pk}")) == [str(booking.pk)]


def test_of_one_status_or_several(desk, offering):
    found = {status: booked(offering, status) for status in ("confirmed", "cancelled", "completed", "no_show")}
    assert ids(desk.get(f"{BOOKINGS}?status=cancelled")) == [str(found["cancelled"].pk)]
    assert ids(desk.get(f"{BOOKINGS}?status=no_show,completed")) == [
        str(found["no_show"].pk),
        str(found["completed"].pk),
    ]


def test_of_some_days_on_the_calendar_of_the_place(desk, offering):
    # 02:00 in UTC on the 10th is the evening of the 9th in Texas, and the morning of the 10th in Mumbai.
    moment = datetime(2030, 3, 10, 2, tzinfo=UTC)
    texas = booked(offering, starts_at=moment)
    mumbai = LocationFactory(
        provider=offering.activity.provider, city=CityFactory(name="Mumbai", timezone="Asia/Kolkata")
    )
    india = booked(offering, starts_at=moment, location=mumbai)
    assert ids(desk.get(f"{BOOKINGS}?from=2030-03-09&to=2030-03-09")) == [str(texas.pk)]
    assert ids(desk.get(f"{BOOKINGS}?from=2030-03-10")) == [str(india.pk)]
    assert ids(desk.get(f"{BOOKINGS}?to=2030-03-10")) == [str(india.pk), str(texas.pk)]
    assert ids(desk.get(f"{BOOKINGS}?to=2030-03-08")) == []


def test_filters_work_together_and_with_pages(desk, offering):
    mine = [booked(offering) for _ in range(3)]
    booked(offering, "cancelled")
    answer = desk.get(f"{BOOKINGS}?activity={offering.activity_id}&status=confirmed&limit=2&page=2")
    assert (ids(answer), answer.meta) == ([str(mine[0].pk)], {"page": 2, "limit": 2, "total": 3})


def test_a_filter_for_what_is_anothers_finds_nothing(desk, offering):
    stranger = BookingFactory()
    booked(offering)
    assert ids(desk.get(f"{BOOKINGS}?activity={stranger.session.activity_id}")) == []
    assert ids(desk.get(f"{BOOKINGS}?session={stranger.session_id}")) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("activity=swim", "activity"),
        ("session=1", "session"),
        ("status=paid", "status"),
        ("status=confirmed,paid", "status"),
        ("from=tomorrow", "from"),
        ("from=2030-02-30", "from"),
        ("from=2030-03-02&to=2030-03-01", "to"),
        ("format=html", "format"),
        ("format=csv&page=2", "page"),
        ("format=csv&limit=5", "page"),
        ("child=Mia", "child"),
        ("limit=101", "limit"),
        ("page=0", "page"),
    ],
)
def test_bad_filters_are_named(desk, query, field):
    answer = desk.get(f"{BOOKINGS}?{query}")
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == [field]


@pytest.mark.parametrize("format", ["json", "csv"])
def test_a_list_takes_the_same_queries_for_one_row_and_for_three(desk, offering, format):
    counts = []
    for more in (1, 2):
        for _ in range(more):
            payment = PaymentFactory(booking=booked(offering), status="paid")
            Refund.objects.create(payment=payment, amount_cents=1, currency="USD", reason="x")
        with CaptureQueriesContext(connection) as queries:
            assert desk.get(f"{BOOKINGS}?format={format}").status == 200
        counts.append(len(queries))
    # User; membership; count; bookings with all that stands on one row; payments; refunds.
    assert counts == [6, 6]


# --- CSV -------------------------------------------------------------------------------------------------------------


def table(answer):
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_the_csv_has_all_pages_in_one_file(desk, offering):
    session = SessionFactory(offering=offering, starts_at=datetime(2030, 7, 1, 15, tzinfo=UTC))
    booking = BookingFactory(
        session=session,
        child=family(),
        status="cancelled",
        created_at=datetime(2030, 6, 1, 12, tzinfo=UTC),
        cancelled_at=datetime(2030, 6, 2, 4, tzinfo=UTC),
    )
    payment = PaymentFactory(booking=booking, status="paid")
    Refund.objects.create(payment=payment, amount_cents=505, currency="USD", reason="x", status="succeeded")
    Refund.objects.create(payment=payment, amount_cents=700, currency="USD", reason="x", status="failed")
    PaymentFactory(booking=booking, status="failed")
    for _ in range(24):
        booked(offering)
    answer = desk.get(f"{BOOKINGS}?format=csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="bookings.csv"'
    assert answer.headers["Cache-Control"] == "private, no-store"
    rows = table(answer)
    assert len(rows) == 25
    assert rows[-1] == {
        "Booking": str(booking.pk),
        "Status": "cancelled",
        "Activity": session.activity.title,
        "Offering": "Single Session",
        "Location": "Main pool",
        "Starts": "2030-07-01 10:00",
        "Ends": "2030-07-01 10:45",
        "Time zone": "America/Chicago",
        "Child": "M. L.",
        "Currency": "USD",
        "Price": "25.00",
        "Paid": "25.00",
        "Refunded": "5.05",
        "Booked": "2030-06-01 07:00",
        "Cancelled": "2030-06-01 23:00",
    }
    assert (rows[0]["Paid"], rows[0]["Refunded"], rows[0]["Cancelled"]) == ("0.00", "0.00", "")


def test_the_csv_takes_filters_and_accept(desk, offering):
    booked(offering), booked(offering, "cancelled")
    assert len(table(desk.get(f"{BOOKINGS}?status=cancelled", Accept="text/csv"))) == 1


def test_titles_cannot_be_formulas(desk, member):
    activity = ActivityFactory(provider=member.provider_account, title='=HYPERLINK("http://x.example")', slug="x")
    booked(OfferingFactory(activity=activity, name="@now"))
    (row,) = table(desk.get(f"{BOOKINGS}?format=csv"))
    assert (row["Activity"], row["Offering"]) == ('\'=HYPERLINK("http://x.example")', "'@now")


def test_a_file_is_whole_or_refused(desk, offering, monkeypatch):
    monkeypatch.setattr(provider_views, "MOST_ROWS", 2)
    booked(offering), booked(offering)
    assert len(table(desk.get(f"{BOOKINGS}?format=csv"))) == 2
    booked(offering)
    answer = desk.get(f"{BOOKINGS}?format=csv")
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == ["from"]


# --- One -------------------------------------------------------------------------------------------------------------


def test_one_booking_shows_all_of_its_sessions_and_who_came(desk, offering):
    first, second = SessionFactory(offering=offering), SessionFactory(offering=offering, starts_at=in_days(9))
    booking = BookingFactory(session=first, seats=[second, first], child=family(), status="confirmed")
    Seat.objects.filter(session=first).update(attendance="absent", attendance_at=in_days(0))
    data = desk.get(f"{BOOKINGS}/{booking.pk}").data
    assert (data["id"], data["initials"], data["session"]["id"]) == (str(booking.pk), "M. L.", str(first.pk))
    assert [(each["id"], each["attendance"]) for each in data["sessions"]] == [
        (str(first.pk), "absent"),
        (str(second.pk), None),
    ]


def test_anothers_booking_does_not_exist(api, desk, offering):
    booking = booked(offering)
    assert desk.get(f"{BOOKINGS}/{BookingFactory().pk}").code == (404, "NOT_FOUND")
    assert desk.get(f"{BOOKINGS}/{uuid.uuid4()}").code == (404, "NOT_FOUND")
    assert api.as_user(ProviderUserFactory().user).get(f"{BOOKINGS}/{booking.pk}").code == (404, "NOT_FOUND")
    assert api.as_user(booking.parent.user).get(f"{BOOKINGS}/{booking.pk}").code == (403, "FORBIDDEN")
    assert api.as_user(UserFactory()).get(BOOKINGS).code == (403, "FORBIDDEN")
    assert desk.get(f"{BOOKINGS}/{booking.pk}?full=true").code == (400, "VALIDATION_ERROR")


def test_of_several_accounts_one_is_named(api, offering, member):
    ProviderUserFactory(user=member.user)
    booked(offering)
    desk = api.as_user(member.user)
    assert desk.get(BOOKINGS).code == (400, "VALIDATION_ERROR")
    assert len(desk.get(BOOKINGS, X_Provider_Account=str(member.provider_account_id)).data) == 1
