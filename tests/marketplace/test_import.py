"""POST /v1/provider/import."""

import csv
import io
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from marketplace import catalogue, upkeep
from marketplace.models import Activity, Offering, SearchRow, Session
from tests.factories import (
    ActivityFactory,
    CategoryFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
    UserFactory,
    in_days,
)
from tests.meeting import Meeting

pytestmark = pytest.mark.django_db

PATH = "/v1/provider/import"
CHICAGO = ZoneInfo("America/Chicago")


class School:
    """An account with one place, and a member of staff who imports into it."""

    def __init__(self, api, role="owner"):
        self.member = ProviderUserFactory(role=role)
        self.account = self.member.provider_account
        self.location = LocationFactory(provider=self.account)
        CategoryFactory()
        self.client = api.as_user(self.member.user)
        self.today = in_days(0).astimezone(CHICAGO).date()

    def day(self, ahead):
        return str(self.today + timedelta(days=ahead))

    def row(self, ahead=7, **cells):
        """A row in full; a cell of None is empty."""
        row = {
            "activity": "Swim Starters",
            "category": "swimming",
            "offering": "Drop-in",
            "offeringType": "single_session",
            "price": "25.00",
            "date": self.day(ahead),
            "startTime": "16:30",
            "durationMinutes": "45",
            "capacity": "8",
        }
        return {name: value for name, value in (row | cells).items() if value is not None}

    def send(self, *rows, query="", encoding="utf-8", delimiter=","):
        return self.post(sheet(*rows, delimiter=delimiter).encode(encoding), query=query)

    def post(self, raw, *, query="", content_type="text/csv"):
        return self.client.request("POST", PATH + query, raw=raw, Content_Type=content_type)


def sheet(*rows, delimiter=","):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    lines = csv.DictWriter(text, columns, delimiter=delimiter)
    lines.writeheader()
    lines.writerows(rows)
    return text.getvalue()


def counts():
    return Activity.objects.count(), Offering.objects.count(), Session.objects.count()


def errors(answer):
    assert answer.code == (400, "VALIDATION_ERROR"), answer.body
    return [(each["row"], each["field"], each["message"]) for each in answer.error["details"]]


@pytest.fixture
def school(api):
    return School(api)


# --- What comes of a file -----------------------------------------------------------------------------------------


def test_a_timetable_in_full(school):
    details = {
        "summary": "Water, gently",
        "description": "Blowing bubbles, floating, first strokes.",
        "ageMin": "4",
        "ageMax": "6",
        "refundWindowHours": "48",
    }
    answer = school.send(
        school.row(7, **details),
        school.row(14, category=None, price=None),
        school.row(
            9,
            offering=None,
            offeringType="Multi-session",
            price="0",
            sessionCount="4",
            endTime="17:30",
            durationMinutes=None,
        ),
    )
    assert answer.status == 201
    activity = Activity.objects.get()
    assert answer.data == {
        "dryRun": False,
        "rows": 3,
        "created": {"activities": 1, "offerings": 2, "sessions": 3},
        "unchanged": 0,
        "activities": [{"id": str(activity.pk), "title": "Swim Starters", "slug": "swim-starters"}],
        "warnings": [],
    }
    assert (activity.provider, activity.category.slug, activity.status) == (school.account, "swimming", "draft")
    assert (activity.summary, activity.age_min, activity.age_max) == ("Water, gently", 4, 6)
    assert activity.description == "Blowing bubbles, floating, first strokes."
    drop_in, package = activity.offerings.order_by("-price_cents")
    assert (drop_in.name, drop_in.type, drop_in.price_cents, drop_in.currency) == (
        "Drop-in",
        "single_session",
        2500,
        "USD",
    )
    assert (drop_in.refund_window_hours, drop_in.session_count) == (48, None)
    assert (package.name, package.type, package.price_cents, package.session_count) == (None, "multi_session", 0, 4)
    shown = [
        (f"{each.starts_at.astimezone(CHICAGO):%Y-%m-%d %H:%M}", each.ends_at - each.starts_at, each.capacity)
        for each in Session.objects.order_by("starts_at")
    ]
    minutes = timedelta(minutes=1)
    assert shown == [
        (f"{school.day(7)} 16:30", 45 * minutes, 8),
        (f"{school.day(9)} 16:30", 60 * minutes, 8),
        (f"{school.day(14)} 16:30", 45 * minutes, 8),
    ]
    assert set(Session.objects.values_list("location", "activity")) == {(school.location.pk, activity.pk)}


def test_india_imports_in_rupees_on_its_own_clock(api, india):
    school = School(api)
    assert school.send(school.row(startTime="6:15 am", price="450.50")).status == 201
    assert Offering.objects.get().currency == "INR"
    assert Offering.objects.get().price_cents == 45050
    assert f"{Session.objects.get().starts_at:%Y-%m-%d %H:%M}" == f"{school.day(7)} 00:45"


def test_a_camp_ends_on_another_day(school):
    camp = {"offeringType": "camp", "durationMinutes": None, "startTime": "9:00", "endTime": "15:00"}
    assert school.send(school.row(7, **camp, endDate=school.day(11))).status == 201
    session = Session.objects.get()
    assert f"{session.ends_at.astimezone(CHICAGO):%Y-%m-%d %H:%M}" == f"{school.day(11)} 15:00"


def test_it_adds_to_what_is_there_already(school):
    activity = ActivityFactory(provider=school.account, title="Swim Starters")
    offering = OfferingFactory(activity=activity, name="Drop-in")
    answer = school.send(
        school.row(7, activity="swim  STARTERS", offering="drop-in"), school.row(8, activity=activity.slug)
    )
    assert answer.data["created"] == {"activities": 0, "offerings": 0, "sessions": 2}
    assert counts() == (1, 1, 2)
    assert set(Session.objects.values_list("offering", flat=True)) == {offering.pk}


def test_parents_see_it_at_once(school):
    activity = ActivityFactory(provider=school.account, title="Swim Starters")
    OfferingFactory(activity=activity, name="Drop-in")
    upkeep.catch_up()
    school.send(school.row(7), school.row(8))
    row = SearchRow.objects.get(activity=activity)
    assert row.next_session_at == Session.objects.earliest("starts_at").starts_at
    assert upkeep.drift() == []
    # What is written after it is noted again.
    SessionFactory(offering=activity.offerings.get())
    assert upkeep.catch_up() == 1


def test_the_place_is_named_or_the_default_one(school):
    small = LocationFactory(provider=school.account, name="Small pool")
    assert errors(school.send(school.row())) == [(2, "location", "Name one of your locations.")]
    school.send(school.row(location="small POOL"))
    school.location.is_default = True
    school.location.save()
    school.send(school.row(location=None))
    assert set(Session.objects.values_list("location", flat=True)) == {small.pk, school.location.pk}


# --- Dry run ------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_same_and_writes_nothing(school):
    rows = [school.row(7), school.row(7, offering="Other"), school.row(8)]
    dry = school.send(*rows, query="?dryRun=true")
    assert (dry.status, dry.data["dryRun"]) == (200, True)
    assert counts() == (0, 0, 0)
    real = school.send(*rows).data
    assert real["created"] == {"activities": 1, "offerings": 2, "sessions": 3}
    assert dry.data["activities"] == [{"id": None, "title": "Swim Starters", "slug": "swim-starters"}]
    for name in ("rows", "created", "unchanged", "warnings"):
        assert dry.data[name] == real[name]
    assert [each["message"] for each in real["warnings"]] == ["Overlaps 1 other session there."] * 2


@pytest.mark.parametrize("query", ["?dryRun=1", "?dryrun=true", "?preview=true"])
def test_a_misspelt_dry_run_is_refused(school, query):
    assert school.send(school.row(), query=query).code == (400, "VALIDATION_ERROR")
    assert counts() == (0, 0, 0)


# --- Twice --------------------------------------------------------------------------------------------------------


def test_the_same_file_twice_does_no_more_than_once(school):
    rows = [school.row(7), school.row(8), school.row(8, offering=None, offeringType="term")]
    school.send(*rows)
    before = list(Session.objects.order_by("pk").values())
    again = school.send(*rows, school.row(9))
    assert (again.data["created"], again.data["unchanged"]) == ({"activities": 0, "offerings": 0, "sessions": 1}, 3)
    assert list(Session.objects.order_by("pk").values())[:3] == before
    assert counts() == (1, 2, 4)


def test_what_is_there_stays_as_it_is_and_the_difference_is_told(school):
    school.send(school.row(description="Old"))
    answer = school.send(school.row(description="New", price="30", capacity="12", durationMinutes="60"))
    assert answer.data["created"] == {"activities": 0, "offerings": 0, "sessions": 0}
    message = "It is there already with another value, and stays as it is."
    assert answer.data["warnings"] == [
        {"row": 2, "field": name, "message": message} for name in ("description", "price", "capacity", "endTime")
    ]
    assert Activity.objects.get().description == "Old"
    assert Offering.objects.get().price_cents == 2500
    assert Session.objects.get().capacity == 8


def test_a_cancelled_session_does_not_come_back(school):
    school.send(school.row())
    Session.objects.get().move("cancelled")
    assert school.send(school.row()).data["unchanged"] == 1
    assert [each.status for each in Session.objects.all()] == ["cancelled"]


def test_what_has_begun_since_the_first_import_is_no_error(school):
    activity = ActivityFactory(provider=school.account, title="Swim Starters")
    offering = OfferingFactory(activity=activity, name="Drop-in")
    begun = in_days(-1).astimezone(CHICAGO).replace(hour=16, minute=30, second=0)
    SessionFactory(offering=offering, starts_at=begun, capacity=8)
    answer = school.send(school.row(date=str(begun.date())))
    assert (answer.status, answer.data["unchanged"]) == (201, 1)


# --- Errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "field", "message"),
    [
        ({"activity": None}, "activity", "This cell must not be empty."),
        ({"category": None}, "category", "This field is required."),
        ({"category": "Diving"}, "category", "There is no such category to choose."),
        ({"ageMin": "four"}, "ageMin", "Must be a whole number."),
        ({"ageMin": "8", "ageMax": "5"}, "ageMax", "Must not be below ageMin."),
        ({"offeringType": "class"}, "offeringType", "Must be one of single_session, multi_session, camp, term."),
        ({"offeringType": "multi_session"}, "sessionCount", "Say how many sessions the package has."),
        ({"price": "$25"}, "price", "Must be an amount such as 25 or 25.50, without a currency."),
        ({"price": "25,50"}, "price", "Must be an amount such as 25 or 25.50, without a currency."),
        ({"price": None}, "price", "This field is required. Counted in cents."),
        ({"price": "0.10"}, "price", None),
        ({"location": "Lake"}, "location", "You have no location of this name."),
        ({"date": None}, "date", "This cell must not be empty."),
        ({"date": "31/12/2026"}, "date", "Must be a date such as 2027-03-31."),
        ({"date": "2020-01-01"}, "date", "This session would begin in the past."),
        ({"date": "2099-01-01"}, "date", "Sessions are planned at most two years ahead."),
        ({"date": "9999-12-31"}, "date", "Must lie in this century."),
        ({"date": "0001-01-01"}, "date", "Must lie in this century."),
        ({"startTime": "25:00"}, "startTime", "Must be a time such as 16:30."),
        ({"durationMinutes": None}, "durationMinutes", "Give either durationMinutes or endTime."),
        ({"endTime": "17:00"}, "durationMinutes", "Give either durationMinutes or endTime."),
        ({"durationMinutes": "0"}, "durationMinutes", "Must be from a minute to 92 days."),
        ({"endDate": "2099-01-01"}, "endDate", "durationMinutes says when it ends."),
        ({"durationMinutes": None, "endTime": "16:30"}, "endTime", None),
        ({"capacity": "0"}, "capacity", "Must be from 1 to 10000."),
        ({"capacity": "-8"}, "capacity", "Must be a whole number."),
        ({"activity": "x" * 201}, "activity", "Ensure this field has no more than 200 characters."),
    ],
)
def test_a_wrong_cell_is_named_with_its_row_and_stops_all(school, cells, field, message):
    found = errors(school.send(school.row(20, activity="Other"), school.row(**cells)))
    assert [(row, column) for row, column, _ in found] == [(3, field)]
    assert message is None or found[0][2] == message
    assert counts() == (0, 0, 0)


def test_every_error_of_every_row_is_named_in_order(school):
    found = errors(
        school.send(
            school.row(capacity="many", startTime="noon"),
            school.row(8),
            school.row(9, date="soon", price="free"),
            school.row(10, location="Lake", capacity="0"),
        )
    )
    assert [(row, column) for row, column, _ in found] == [
        (2, "startTime"),
        (2, "capacity"),
        (4, "price"),
        (4, "date"),
        (5, "location"),
        (5, "capacity"),
    ]


def test_one_wrong_cell_makes_no_other_row_wrong(school):
    # What the first row says of the activity and its price counts for the second, which leaves it out.
    rows = [school.row(7, capacity="many"), school.row(8, category=None, price=None)]
    assert [each[:2] for each in errors(school.send(*rows))] == [(2, "capacity")]
    rows = [school.row(7, price="free"), school.row(8, category=None, price=None)]
    assert [each[:2] for each in errors(school.send(*rows))] == [(2, "price")]


def test_a_hundred_errors_are_enough(school):
    found = errors(school.send(*(school.row(ahead, capacity="x") for ahead in range(1, 151))))
    assert len(found) == 101
    assert found[-1] == (None, "", "And 50 more.")


def test_rows_of_one_thing_do_not_contradict_each_other(school):
    found = errors(school.send(school.row(7), school.row(8, price="30"), school.row(9, category="Diving")))
    assert found == [(3, "price", "Row 2 says something else."), (4, "category", "Row 2 says something else.")]


def test_one_session_stands_in_one_row(school):
    assert errors(school.send(school.row(7), school.row(7, capacity="9"))) == [
        (3, "startTime", "This is the same session as in row 2.")
    ]


def test_names_that_fit_several_are_refused(school):
    one = ActivityFactory(provider=school.account, title="Swim Starters", slug="one")
    ActivityFactory(provider=school.account, title="Swim starters", slug="two")
    assert errors(school.send(school.row())) == [
        (2, "activity", "Several of your activities are called so. Name its slug.")
    ]
    OfferingFactory.create_batch(2, activity=one, name="Drop-in")
    assert errors(school.send(school.row(activity="one"))) == [
        (2, "offering", "Several of its offerings are called so. Give them names.")
    ]


def test_the_archive_and_what_is_no_longer_sold_stay_as_they_are(school):
    archived = ActivityFactory(provider=school.account, status="archived")
    assert errors(school.send(school.row(activity=archived.slug)))[0][1] == "activity"
    activity = ActivityFactory(provider=school.account)
    OfferingFactory(activity=activity, name="Drop-in", status="inactive")
    assert errors(school.send(school.row(activity=activity.slug))) == [
        (2, "offering", "This offering is no longer sold.")
    ]


def test_what_belongs_to_others_is_not_found(school):
    ActivityFactory(title="Swim Starters")
    LocationFactory(name="Lake")
    school.send(school.row())
    assert Activity.objects.filter(provider=school.account).count() == 1
    assert errors(school.send(school.row(8, location="Lake")))[0][1] == "location"


def test_without_a_place_there_is_nothing_to_import_to(school):
    school.location.delete()
    assert errors(school.send(school.row())) == [(2, "location", "Add a location to your account first.")]


def test_a_clock_change_is_told(school, time_machine):
    time_machine.move_to(in_days(0).replace(year=2026, month=2, day=20), tick=False)
    school.client = school.client.as_user(school.member.user)
    answer = school.send(school.row(date="2026-03-08", startTime="2:30"))
    assert [each["message"] for each in answer.data["warnings"]] == [
        "Clocks go forward: 02:30 does not exist on this day, so it begins at 03:30."
    ]


# --- Files as spreadsheets write them -----------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(school, encoding, delimiter):
    row = school.row(activity="Natación für Kinder तैराकी", summary='Say "hi", swim; splash\tand rest')
    assert school.send(row, encoding=encoding, delimiter=delimiter).status == 201
    activity = Activity.objects.get()
    assert activity.title == "Natación für Kinder तैराकी"
    assert activity.summary.startswith('Say "hi", swim; splash')


def test_headers_as_people_write_them(school):
    text = sheet(school.row()).replace("startTime", "Start time").replace("offeringType", " OFFERING_TYPE ")
    assert school.post(text.encode()).status == 201


def test_blank_rows_and_empty_columns_are_nothing_and_still_count(school):
    head, row = sheet(school.row()).splitlines()
    bad = row.replace(",8", ",x")
    text = f"{head},,\r\n\r\n{row},,\r\n,,,\r\n{bad}\r\n"
    assert errors(school.post(text.encode())) == [(5, "capacity", "Must be a whole number.")]
    assert school.post(f"{head},,\r\n\r\n{row},,\r\n,,,\r\n".encode()).data["rows"] == 1


def test_lines_within_a_cell_are_one_row(school):
    answer = school.send(school.row(7, description="First\nsecond"), school.row(8, capacity="x"))
    assert [row for row, _, _ in errors(answer)] == [3]


def test_excels_own_first_line_is_skipped(school):
    text = "sep=;\r\n" + sheet(school.row(), delimiter=";")
    assert school.post(text.encode()).status == 201


@pytest.mark.parametrize(("region", "written"), [("us", "%-m/%-d/%Y"), ("in", "%-d/%-m/%Y"), ("in", "%d-%m-%Y")])
def test_dates_as_spreadsheets_there_write_them(request, api, region, written):
    if region == "in":
        request.getfixturevalue("india")
    school = School(api)
    day = school.today + timedelta(days=20)
    zone = ZoneInfo(school.location.city.timezone)
    assert school.send(school.row(date=f"{day:{written}}", startTime="4:30 PM")).status == 201
    assert f"{Session.objects.get().starts_at.astimezone(zone):%Y-%m-%d %H:%M}" == f"{day} 16:30"


@pytest.mark.parametrize(
    ("raw", "row", "field", "message"),
    [
        (b"", 1, "", "The file is empty."),
        (b"\xef\xbb\xbf \r\n", 1, "", "The file is empty."),
        ("activity,größe".encode("cp1252"), 1, "", None),
        ("activity".encode("utf-16-le"), 1, "", None),
        (b"\xff\xfea", 1, "", None),
        (b"activity,\x00", 1, "", None),
        (b"PK\x03\x04\x14\x00\x06\x00", 1, "", None),
        (b"activity,price,colour\n", 1, "colour", None),
        (b"activity,price,Price\n", 1, "price", "This column is there twice."),
        (b"activity,price\n", 1, "offeringType", None),
        (b"activity,offeringType,date,startTime,capacity\n", 2, "", "The file has no row below its header."),
        (b'activity,offeringType,date,startTime,capacity\na,"b', 2, "", None),
        (b'activity,offeringType,date,startTime,capacity\n"a"b,c', 2, "", None),
        (b"activity,offeringType,date,startTime,capacity\n" + b"x" * 200_000, 2, "", None),
    ],
)
def test_what_is_no_timetable_is_refused_clearly(school, raw, row, field, message):
    found = errors(school.post(raw))
    assert [(number, column) for number, column, _ in found] == [(row, field)]
    assert message is None or found[0][2] == message


def test_cells_beyond_the_header_are_refused(school):
    text = sheet(school.row()).rstrip() + ",and more\r\n"
    assert errors(school.post(text.encode())) == [(2, "", "This cell has no column in the header.")]


def test_a_thousand_rows_are_the_most(school):
    rows = [school.row(1 + ahead, startTime=f"{hour}:00") for ahead in range(100) for hour in range(8, 19)]
    found = errors(school.send(*rows))
    assert found == [(1002, "", "A file has at most 1000 rows. Split it.")]


# --- Forms and sizes ----------------------------------------------------------------------------------------------


def form(*parts):
    """A multipart body of (name, file name, bytes), and its content type."""
    lines = []
    for name, file_name, raw in parts:
        told = f'; filename="{file_name}"' if file_name else ""
        lines += [b"--frontier", f'Content-Disposition: form-data; name="{name}"{told}'.encode(), b"", raw]
    return b"\r\n".join([*lines, b"--frontier--", b""]), "multipart/form-data; boundary=frontier"


def test_a_browser_sends_a_form(school):
    raw, content_type = form(("file", "timetable.csv", sheet(school.row()).encode()))
    assert school.post(raw, content_type=content_type).data["created"]["sessions"] == 1


def test_a_form_has_one_file_and_nothing_else(school):
    raw = sheet(school.row()).encode()
    for parts in (
        [("timetable", "timetable.csv", raw)],
        [("file", "", raw)],
        [("file", "a.csv", raw), ("file", "b.csv", raw)],
        [("file", "a.csv", raw), ("dryRun", "", b"true")],
    ):
        body, content_type = form(*parts)
        assert school.post(body, content_type=content_type).code == (400, "VALIDATION_ERROR")
    assert school.post(b"--frontier", content_type="multipart/form-data").code == (400, "MALFORMED_REQUEST")
    many = form(*((f"f{number}", "a.csv", b"x") for number in range(101)))
    assert school.post(many[0], content_type=many[1]).code == (400, "MALFORMED_REQUEST")
    assert counts() == (0, 0, 0)


def test_a_megabyte_is_the_most(school):
    raw = sheet(school.row(description="x" * 100)).encode()
    too_much = raw + b"\r\n" * (1024 * 1024)
    assert school.post(too_much).code == (413, "PAYLOAD_TOO_LARGE")
    body, content_type = form(("file", "timetable.csv", too_much))
    assert school.post(body, content_type=content_type).code == (413, "PAYLOAD_TOO_LARGE")


def test_only_csv_is_taken(school):
    answer = school.client.post(PATH, {"rows": []})
    assert answer.code == (415, "UNSUPPORTED_MEDIA_TYPE")


# --- Much ---------------------------------------------------------------------------------------------------------


def test_five_hundred_rows_take_as_many_queries_as_five(school):
    school.send(school.row(1))
    taken = []
    for rows in (5, 500):
        with CaptureQueriesContext(connection) as queries:
            answer = school.send(
                *(
                    school.row(1 + number % 250, startTime=f"{8 + number // 250}:{rows % 60:02}")
                    for number in range(rows)
                )
            )
        assert answer.data["created"] == {"activities": 0, "offerings": 0, "sessions": rows}
        taken.append(len(queries))
    assert taken[0] == taken[1]


def test_five_hundred_activities_take_as_many_queries_as_five(school):
    taken = []
    for rows in (5, 500):
        with CaptureQueriesContext(connection) as queries:
            answer = school.send(*(school.row(1, activity=f"Class {number} of {rows}") for number in range(rows)))
        assert answer.data["created"] == {"activities": rows, "offerings": rows, "sessions": rows}
        taken.append(len(queries))
    assert taken[0] == taken[1]
    assert Activity.objects.values("slug").distinct().count() == 505


# --- At the same time, and who may --------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_do_no_more_than_one(school, monkeypatch):
    meeting = Meeting(monkeypatch, (catalogue, "add_activities"))
    answers = meeting.of(lambda: school.send(school.row()), lambda: school.send(school.row()))
    assert [(each.status, each.data["unchanged"]) for each in answers] == [(201, 0), (201, 1)]
    assert counts() == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_everything_is_there_twice(school, monkeypatch):
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())
    meeting = Meeting(monkeypatch, (catalogue, "add_activities"))
    answers = meeting.of(lambda: school.send(school.row()), lambda: school.send(school.row()))
    assert [each.data["created"]["sessions"] for each in answers] == [1, 1]
    assert counts() == (2, 2, 2)


def test_admins_import_and_staff_do_not(api):
    admin, staff = School(api, role="admin"), School(api, role="staff")
    assert admin.send(admin.row()).status == 201
    assert staff.send(staff.row()).code == (403, "FORBIDDEN")
    assert staff.send(staff.row(), query="?dryRun=true").code == (403, "FORBIDDEN")
    assert counts() == (1, 1, 1)


def test_parents_and_passers_by_are_refused(api, school):
    school.client = api.as_user(UserFactory())
    assert school.send(school.row()).code == (403, "FORBIDDEN")
    school.client = api
    assert school.send(school.row()).code == (401, "UNAUTHORIZED")
    assert counts() == (0, 0, 0)


def test_an_import_may_be_repeated_after_an_error_elsewhere(school, monkeypatch):
    def fail(ids):
        raise RuntimeError("the search is down")

    with monkeypatch.context() as broken:
        broken.setattr(upkeep, "refresh", fail)
        assert school.send(school.row()).code == (500, "INTERNAL_ERROR")
    assert counts() == (0, 0, 0)
    assert school.send(school.row()).status == 201
