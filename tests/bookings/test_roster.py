"""GET /v1/provider/sessions/{id}/roster: details of children in their time only, and every look written down."""

import csv
import io
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import roster
from bookings.models import RosterView, Seat
from tests.factories import (
    BookingFactory,
    ChildFactory,
    ConsentFactory,
    ProviderUserFactory,
    SessionFactory,
    UserFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

CHILD = {"first_name": "Mia", "last_name": "Lopez"}


def family(child=None, **fields):
    """A child of eight whose parent has a phone and has agreed to the storing of its data."""
    child = ChildFactory(**{**CHILD, **fields}, parent__phone="+15125550123")
    ConsentFactory(user=child.parent.user)
    return child


def booked(session, **fields):
    return BookingFactory(
        session=session, child=fields.pop("child", None) or family(), **{"status": "confirmed", **fields}
    )


def staff_of(session, role="staff"):
    return ProviderUserFactory(provider_account=session.activity.provider, role=role).user


def at(session):
    return f"/v1/provider/sessions/{session.pk}/roster"


@pytest.fixture
def soon():
    """A session in two hours: children's details may be seen."""
    return SessionFactory(starts_at=in_days(2 / 24))


@pytest.fixture
def reader(api, soon):
    return api.as_user(staff_of(soon))


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_a_roster_shows_who_comes_and_whom_to_call(reader, soon):
    booking = booked(soon)
    BookingFactory(session=soon)  # a hold
    answer = reader.get(at(soon))
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    data = answer.data
    session = data.pop("session")
    assert (session["id"], session["activityTitle"], session["locationName"]) == (
        str(soon.pk),
        soon.activity.title,
        "Main pool",
    )
    assert (session["timezone"], session["capacity"], session["enrolled"]) == ("America/Chicago", 10, 2)
    iso = "%Y-%m-%dT%H:%M:%SZ"
    assert data == {
        "detailsShown": True,
        "detailsFrom": (soon.starts_at - timedelta(hours=24)).strftime(iso),
        "detailsUntil": (soon.ends_at + timedelta(hours=24)).strftime(iso),
        "onHold": 1,
        "seats": [
            {
                "bookingId": str(booking.pk),
                "status": "confirmed",
                "attendance": None,
                "attendanceAt": None,
                "initials": "M. L.",
                "child": {"firstName": "Mia", "lastName": "Lopez", "age": 8, "parentPhone": "+15125550123"},
                "hidden": None,
            }
        ],
    }


def test_children_stand_in_the_order_of_their_names(reader, soon):
    for first, last in (("Zoe", "adams"), ("Ben", "Lopez"), ("Ann", "Lopez")):
        booked(soon, child=family(first_name=first, last_name=last))
    names = [seat["child"]["firstName"] for seat in reader.get(at(soon)).data["seats"]]
    assert names == ["Zoe", "Ann", "Ben"]


@pytest.mark.parametrize("status", ["cancelled", "expired", "pending_payment"])
def test_who_does_not_come_is_not_on_it(reader, soon, status):
    booked(soon, status=status)
    assert reader.get(at(soon)).data["seats"] == []
    assert not RosterView.objects.exists()


def test_the_age_is_that_of_the_sessions_day_where_it_takes_place():
    # 03:00 in UTC is still the evening before in Texas, and that is the day before the birthday.
    starts_at = datetime(2026, 3, 10, 3, tzinfo=UTC)
    session = SessionFactory(starts_at=starts_at, activity__provider__verified_at=starts_at)
    booked(session, child=family(birth_date=starts_at.date().replace(year=2018)))
    found = roster.read(session=session, viewer=staff_of(session), format="json", request_id="x", now=starts_at)
    assert found.seats[0].child.age == 7


# --- The time and the people -----------------------------------------------------------------------------------------

DAY, TICK = timedelta(hours=24), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (lambda s: s.starts_at - DAY - TICK, False),
        (lambda s: s.starts_at - DAY, True),
        (lambda s: s.ends_at, True),
        (lambda s: s.ends_at + DAY, True),
        (lambda s: s.ends_at + DAY + TICK, False),
    ],
    ids=["too early", "a day before", "at its end", "a day after", "too late"],
)
def test_details_are_shown_from_a_day_before_to_a_day_after(moment, shown):
    session = SessionFactory()
    booking = booked(session)
    found = roster.read(session=session, viewer=staff_of(session), format="json", request_id="x", now=moment(session))
    (seat,) = found.seats
    assert found.details_shown is shown
    assert (seat.booking_id, seat.initials) == (booking.pk, "M. L.")
    assert (seat.child is not None, seat.hidden) == (shown, None if shown else "not_now")
    assert RosterView.objects.count() == shown


@pytest.mark.parametrize("format", ["json", "csv", "html"])
def test_at_another_time_nothing_of_a_child_but_initials_leaves_in_any_format(api, format):
    session = SessionFactory(starts_at=in_days(1.1))
    booking = booked(session)
    content = api.as_user(staff_of(session)).get(f"{at(session)}?format={format}").content.decode()
    assert "M. L." in content
    assert str(booking.pk) in content
    for secret in ("Mia", "Lopez", "5550123", str(booking.child_id), str(booking.parent_id)):
        assert secret not in content
    assert not RosterView.objects.exists()


def test_without_names_the_order_does_not_tell_them(api):
    session = SessionFactory(starts_at=in_days(5))
    bookings = [booked(session, child=family(last_name=name)) for name in ("Zorn", "Adams")]
    seats = api.as_user(staff_of(session)).get(at(session)).data["seats"]
    assert [seat["bookingId"] for seat in seats] == [str(each.pk) for each in bookings]


@pytest.mark.parametrize("role", ["owner", "admin", "staff"])
def test_all_staff_of_the_account_may_look(api, soon, role):
    booked(soon)
    assert api.as_user(staff_of(soon, role)).get(at(soon)).data["seats"][0]["child"]["firstName"] == "Mia"


def test_nobody_else_may(api, soon):
    booked(soon)
    stranger = ProviderUserFactory().user
    assert api.as_user(stranger).get(at(soon)).code == (404, "NOT_FOUND")
    assert api.as_user(UserFactory()).get(at(soon)).code == (403, "FORBIDDEN")
    assert api.get(at(soon)).code == (401, "UNAUTHORIZED")
    assert api.as_user(staff_of(soon)).get(f"/v1/provider/sessions/{uuid.uuid4()}/roster").code == (404, "NOT_FOUND")
    assert not RosterView.objects.exists()


def test_who_leaves_the_staff_sees_nothing_any_more(api, soon):
    booked(soon)
    user = staff_of(soon)
    user.provider_users.all().delete()
    assert api.as_user(user).get(at(soon)).code == (404, "NOT_FOUND")


@pytest.mark.parametrize("format", ["json", "csv", "html"])
def test_a_removed_child_is_hidden(reader, soon, format):
    booking = booked(soon)
    type(booking.child).objects.update(first_name="", last_name="", birth_date=None, removed_at=in_days(0))
    content = reader.get(f"{at(soon)}?format={format}").content.decode()
    assert str(booking.pk) in content
    assert "5550123" not in content
    if format == "json":
        (seat,) = reader.get(at(soon)).data["seats"]
        assert (seat["child"], seat["initials"], seat["hidden"]) == (None, None, "removed")
    assert not RosterView.objects.exists()


@pytest.mark.parametrize("format", ["json", "csv", "html"])
def test_withdrawn_consent_hides_the_child_at_once(reader, soon, format):
    booking, other = booked(soon), booked(soon, child=family(first_name="Ann"))
    ConsentFactory(user=booking.parent.user, granted=False)
    content = reader.get(f"{at(soon)}?format={format}").content.decode()
    assert (str(booking.pk) in content, "Mia" in content, "M. L." in content) == (True, False, False)
    assert (str(other.pk) in content, "Ann" in content) == (True, True)
    assert RosterView.objects.get().children == 1
    # The latest word counts.
    ConsentFactory(user=booking.parent.user)
    assert "Mia" in reader.get(at(soon)).content.decode()


def test_without_any_word_of_consent_nothing_is_shown(reader, soon):
    booked(soon, child=ChildFactory())
    (seat,) = reader.get(at(soon)).data["seats"]
    assert (seat["child"], seat["initials"], seat["hidden"]) == (None, None, "no_consent")


# --- The record ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["json", "csv", "html"])
def test_every_look_at_details_is_written_down(api, soon, format):
    for _ in range(2):
        booked(soon)
    user = staff_of(soon)
    before = datetime.now(UTC)
    answer = api.as_user(user).get(f"{at(soon)}?format={format}", X_Request_ID="look-at-roster-1")
    assert answer.status == 200
    row = RosterView.objects.get()
    assert (row.user, row.session, row.format, row.children) == (user, soon, format, 2)
    assert row.request_id == answer.headers["X-Request-ID"] == "look-at-roster-1"
    assert before <= row.created_at <= datetime.now(UTC)
    api.as_user(user).get(f"{at(soon)}?format={format}")
    assert RosterView.objects.count() == 2


def test_the_record_holds_nothing_of_a_child():
    columns = {field.column for field in RosterView._meta.concrete_fields}
    assert columns == {"id", "created_at", "updated_at", "user_id", "session_id", "format", "children", "request_id"}


def test_no_record_no_details(reader, soon):
    booked(soon)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE bookings_rosterview ADD CONSTRAINT closed CHECK (children = 0)")
    answer = reader.get(at(soon))
    assert answer.code == (500, "INTERNAL_ERROR")
    assert "Mia" not in answer.content.decode()


# --- CSV and the page to print ---------------------------------------------------------------------------------------


def table(answer):
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_the_csv_has_a_line_for_each_seat(reader, soon):
    booking = booked(soon)
    noted = datetime(2026, 1, 2, 16, 30, tzinfo=UTC)
    Seat.objects.update(attendance="present", attendance_at=noted)
    answer = reader.get(f"{at(soon)}?format=csv")
    assert table(answer) == [
        {
            "Booking": str(booking.pk),
            "Status": "confirmed",
            "First name": "Mia",
            "Last name": "Lopez",
            "Age": "8",
            "Parent's phone": "'+15125550123",
            "Initials": "M. L.",
            "Attendance": "present",
            "Noted at": "2026-01-02 10:30",
        }
    ]
    assert re.fullmatch(
        rf'attachment; filename="roster-\d{{4}}-\d\d-\d\d-{soon.pk}\.csv"', answer.headers["Content-Disposition"]
    )
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_accept_may_ask_for_csv_too(reader, soon):
    booked(soon)
    assert len(table(reader.get(at(soon), Accept="text/csv"))) == 1
    assert len(table(reader.get(at(soon), Accept="text/csv; charset=utf-8, */*;q=0.1"))) == 1
    for accept in ("application/json", "text/html", "*/*", "text/csv;q=0.5, application/json"):
        assert reader.get(at(soon), Accept=accept).data["onHold"] == 0
    # What the address says goes first.
    assert reader.get(f"{at(soon)}?format=json", Accept="text/csv").data["onHold"] == 0


def test_names_cannot_be_formulas(reader, soon):
    booked(soon, child=family(first_name="=1+1", last_name='@cmd|"/c calc"!A1'))
    (line,) = table(reader.get(f"{at(soon)}?format=csv"))
    assert (line["First name"], line["Last name"]) == ("'=1+1", '\'@cmd|"/c calc"!A1')
    assert line["Initials"] == "'=. @."


def test_the_page_is_whole_in_itself(reader, soon):
    booking = booked(soon)
    answer = reader.get(f"{at(soon)}?format=html")
    page = answer.content.decode()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for text in ("Mia Lopez", "+15125550123", str(booking.pk), soon.activity.title, "Main pool", "1 of 10 seats"):
        assert text in page
    assert re.findall(r"(?:src|href|action)=|url\(|<script|<link|@import", page) == []
    assert "@media print" in page


def test_the_page_runs_nothing_that_a_parent_typed(reader, soon):
    booked(soon, child=family(first_name="<script>alert(1)</script>", last_name='"><img src=x>'))
    page = reader.get(f"{at(soon)}?format=html").content.decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_the_page_tells_the_time_on_the_wall_there(api):
    session = SessionFactory(starts_at=datetime(2030, 7, 1, 15, tzinfo=UTC))
    page = api.as_user(staff_of(session)).get(f"{at(session)}?format=html").content.decode()
    assert "Monday, 1 July 2030, 10:00 to 10:45" in page
    assert "shown from 30 June 2030, 10:00 to 2 July 2030, 10:45" in page
    assert "Nobody has booked yet." in page


@pytest.mark.parametrize("query", ["format=pdf", "format=CSV", "fromat=csv", "page=2"])
def test_another_format_or_parameter_is_refused(reader, soon, query):
    assert reader.get(f"{at(soon)}?{query}").code == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("format", ["json", "csv", "html"])
def test_a_roster_takes_the_same_queries_for_one_child_and_for_three(reader, soon, format):
    counts = []
    for more in (1, 2):
        for _ in range(more):
            booked(soon)
        with CaptureQueriesContext(connection) as queries:
            assert reader.get(f"{at(soon)}?format={format}").status == 200
        counts.append(len(queries))
    # User; membership; session; seats with child, parent and consent; the record.
    assert counts == [5, 5]
