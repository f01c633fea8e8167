"""GET and POST /v1/provider/activities/{id}/sessions."""

import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from core.models import IdempotencyKey
from marketplace import sessions, upkeep
from marketplace.models import SearchRow, SearchStale, Session
from tests.factories import (
    ActivityFactory,
    CityFactory,
    LocationFactory,
    OfferingFactory,
    ProviderUserFactory,
    SessionFactory,
    UserFactory,
    in_days,
)
from tests.meeting import Meeting

pytestmark = pytest.mark.django_db

CHICAGO = ZoneInfo("America/Chicago")


class School:
    """A provider with one member of staff, one activity, offering and place, and the member's client."""

    def __init__(self, api, role="owner"):
        member = ProviderUserFactory(role=role)
        self.location = LocationFactory(provider=member.provider_account)
        self.activity = ActivityFactory(provider=member.provider_account)
        self.offering = OfferingFactory(activity=self.activity)
        self.path = f"/v1/provider/activities/{self.activity.pk}/sessions"
        self.client = api.as_user(member.user)
        self.monday = next_monday()

    def body(self, **changes):
        """A body for POST; a change to None leaves the field out."""
        body = {"offeringId": str(self.offering.pk), "locationId": str(self.location.pk), "capacity": 8} | changes
        return {name: value for name, value in body.items() if value is not None}

    def single(self, **changes):
        return self.body(**{"startsAt": text(in_days(7)), "durationMinutes": 45, **changes})

    def weekly(self, more=None, **changes):
        """Mondays and Wednesdays at half past four, four times, from the first Monday that is a week away."""
        recurrence = {
            "startDate": str(self.monday),
            "startTime": "16:30",
            "durationMinutes": 45,
            "weekdays": ["mon", "wed"],
            "count": 4,
            **changes,
        }
        recurrence = {name: value for name, value in recurrence.items() if value is not None}
        return self.body(recurrence=recurrence, **(more or {}))

    def post(self, body, **headers):
        return self.client.post(self.path, body, **headers)


@pytest.fixture
def school(api):
    return School(api)


@pytest.fixture
def february(time_machine):
    """Two weeks before clocks go forward in the United States, on 8 March 2026."""
    time_machine.move_to(datetime(2026, 2, 20, 12, tzinfo=UTC), tick=False)


def text(moment):
    return moment.isoformat().replace("+00:00", "Z")


def next_monday():
    day = in_days(7).astimezone(CHICAGO).date()
    return day + timedelta(days=7 - day.weekday())


def local(session, zone=CHICAGO):
    return datetime.fromisoformat(session["startsAt"]).astimezone(zone)


# --- Creating -----------------------------------------------------------------------------------------------------


def test_a_single_session_in_full(school):
    starts_at = in_days(7)
    answer = school.post(school.single(startsAt=text(starts_at)))
    assert answer.status == 201
    session = Session.objects.get()
    assert answer.data == {
        "count": 1,
        "seriesId": None,
        "sessions": [
            {
                "id": str(session.pk),
                "offeringId": str(school.offering.pk),
                "locationId": str(school.location.pk),
                "startsAt": text(starts_at),
                "endsAt": text(starts_at + timedelta(minutes=45)),
                "timezone": "America/Chicago",
                "capacity": 8,
                "enrolled": 0,
                "spotsLeft": 8,
                "status": "scheduled",
                "activityId": str(school.activity.pk),
                "seriesId": None,
                "sequence": 0,
                "cancelledAt": None,
                "cancellationReason": "",
            }
        ],
        "skipped": [],
        "warnings": [],
    }
    assert (session.activity, session.offering, session.location) == (school.activity, school.offering, school.location)
    assert (session.starts_at, session.ends_at) == (starts_at, starts_at + timedelta(minutes=45))


def test_a_session_by_its_end_and_with_any_offset(school):
    day = in_days(7).date()
    answer = school.post(
        school.single(startsAt=f"{day}T10:00:00-05:00", endsAt=f"{day}T16:00:00Z", durationMinutes=None)
    )
    assert answer.status == 201
    session = Session.objects.get()
    assert (session.starts_at, session.ends_at) == (
        datetime(day.year, day.month, day.day, 15, tzinfo=UTC),
        datetime(day.year, day.month, day.day, 16, tzinfo=UTC),
    )


@pytest.mark.parametrize("type_", ["single_session", "multi_session", "camp", "term"])
def test_every_type_of_offering_has_sessions_and_a_camp_spans_days(school, type_):
    offering = OfferingFactory(activity=school.activity, type=type_, session_count=4)
    starts_at = in_days(7)
    body = school.single(
        offeringId=str(offering.pk),
        startsAt=text(starts_at),
        endsAt=text(starts_at + timedelta(days=5)),
        durationMinutes=None,
    )
    assert school.post(body).status == 201
    session = Session.objects.get()
    assert (session.offering, session.ends_at - session.starts_at) == (offering, timedelta(days=5))


def test_a_recurrence_is_one_series_on_the_wall_clock_of_its_place(school):
    monday = school.monday
    answer = school.post(school.weekly())
    assert (answer.status, answer.data["count"]) == (201, 4)
    shown = [f"{local(each):%Y-%m-%d %H:%M}" for each in answer.data["sessions"]]
    assert shown == [f"{monday + timedelta(days=ahead)} 16:30" for ahead in (0, 2, 7, 9)]
    rows = Session.objects.order_by("starts_at")
    assert {str(each.series_id) for each in rows} == {answer.data["seriesId"]}
    assert [str(each.pk) for each in rows] == [each["id"] for each in answer.data["sessions"]]
    assert {(each.capacity, each.ends_at - each.starts_at) for each in rows} == {(8, timedelta(minutes=45))}


def test_it_keeps_the_wall_time_over_a_clock_change(february, school):
    answer = school.post(school.weekly(startDate="2026-03-02", weekdays=["mon"], count=2))
    assert [each["startsAt"] for each in answer.data["sessions"]] == ["2026-03-02T22:30:00Z", "2026-03-09T21:30:00Z"]


def test_india_plans_on_its_own_clock(api, india):
    school = School(api)
    answer = school.post(school.weekly(startTime="06:15", count=1, weekdays=["mon"]))
    assert answer.status == 201
    assert answer.data["sessions"][0]["timezone"] == "Asia/Kolkata"
    assert answer.data["sessions"][0]["startsAt"] == f"{school.monday}T00:45:00Z"


def test_two_requests_make_two_series(school):
    first, second = school.post(school.weekly()).data, school.post(school.weekly()).data
    assert first["seriesId"] != second["seriesId"]
    assert Session.objects.count() == 8


def test_a_draft_can_be_planned_and_an_archived_activity_not(school):
    school.activity.move("draft")
    assert school.post(school.single()).status == 201
    school.activity.move("archived")
    answer = school.post(school.single())
    assert answer.code == (409, "INVALID_STATE")
    assert Session.objects.count() == 1


# --- Preview ------------------------------------------------------------------------------------------------------


def test_a_preview_tells_everything_and_writes_nothing(february, school):
    taken = SessionFactory(
        offering=school.offering,
        location=school.location,
        starts_at=datetime(2026, 3, 1, 8, 45, tzinfo=UTC),
    )
    body = school.weekly(
        {"preview": True},
        startDate="2026-03-01",
        startTime="02:30",
        weekdays=["sun"],
        count=2,
        skipDates=["2026-03-15", "2026-03-16"],
    )
    answer = school.post(body)
    assert answer.status == 200
    assert answer.data == {
        "count": 2,
        "timezone": "America/Chicago",
        "sessions": [
            {
                "date": "2026-03-01",
                "startTime": "02:30",
                "endTime": "03:15",
                "startsAt": "2026-03-01T08:30:00Z",
                "endsAt": "2026-03-01T09:15:00Z",
                "notes": [],
            },
            {
                "date": "2026-03-08",
                "startTime": "03:30",
                "endTime": "04:15",
                "startsAt": "2026-03-08T08:30:00Z",
                "endsAt": "2026-03-08T09:15:00Z",
                "notes": ["Clocks go forward: 02:30 does not exist on this day, so it begins at 03:30."],
            },
        ],
        "skipped": [],
        "warnings": [
            {
                "code": "PLACE_OVERLAP",
                "message": "Overlaps 1 other session at Main pool.",
                "startsAt": "2026-03-01T08:30:00Z",
                "sessionIds": [str(taken.pk)],
            },
            {"code": "SKIP_DATE_UNUSED", "message": "2026-03-15 was to be skipped, but is no day of this timetable."},
            {"code": "SKIP_DATE_UNUSED", "message": "2026-03-16 was to be skipped, but is no day of this timetable."},
        ],
    }
    assert list(Session.objects.all()) == [taken]


def test_what_was_previewed_is_what_comes(school):
    body = school.weekly(count=20, skipHolidays=True, skipDates=[str(school.monday)])
    preview = school.post({**body, "preview": True}).data
    created = school.post(body).data
    for name in ("count", "skipped", "warnings"):
        assert preview[name] == created[name]
    assert preview["skipped"][0] == {"date": str(school.monday), "reason": "Skipped as asked."}
    assert [each["startsAt"] for each in preview["sessions"]] == [each["startsAt"] for each in created["sessions"]]
    assert Session.objects.count() == 20


def test_a_preview_refuses_what_creating_refuses(school):
    assert school.post(school.weekly({"preview": True}, startDate="2020-01-01")).code == (400, "VALIDATION_ERROR")
    stranger = LocationFactory()
    assert school.post(school.single(preview=True, locationId=str(stranger.pk))).code == (404, "NOT_FOUND")


# --- Overlaps -----------------------------------------------------------------------------------------------------


def test_overlaps_at_the_same_place_are_told_and_stop_nothing(school):
    starts_at = in_days(7)
    school.post(school.single(startsAt=text(starts_at)))
    answer = school.post(school.single(startsAt=text(starts_at + timedelta(minutes=44))))
    assert answer.status == 201
    assert [each["code"] for each in answer.data["warnings"]] == ["PLACE_OVERLAP"]
    elsewhere = LocationFactory(provider=school.activity.provider)
    for harmless in (
        {"startsAt": text(starts_at), "locationId": str(elsewhere.pk)},
        {"startsAt": text(starts_at - timedelta(minutes=45))},
    ):
        assert school.post(school.single(**harmless)).data["warnings"] == []


def test_cancelled_sessions_are_not_in_the_way(school):
    SessionFactory(offering=school.offering, location=school.location, status="cancelled", starts_at=in_days(7))
    assert school.post(school.single()).data["warnings"] == []


def test_sessions_of_one_timetable_overlap_each_other_too(school):
    answer = school.post(school.weekly(durationMinutes=3 * 24 * 60, count=2))
    assert [each["message"] for each in answer.data["warnings"]] == ["Overlaps 1 other session at Main pool."] * 2
    assert [each["sessionIds"] for each in answer.data["warnings"]] == [[], []]


def test_a_crowd_of_overlaps_is_counted_and_few_are_named(school):
    SessionFactory.create_batch(
        9, offering=school.offering, location=school.location, starts_at=in_days(7), ends_at=in_days(8)
    )
    (warning,) = school.post(school.single()).data["warnings"]
    assert warning["message"] == "Overlaps 9 other sessions at Main pool."
    assert len(warning["sessionIds"]) == 5


# --- Five hundred -------------------------------------------------------------------------------------------------


def test_five_hundred_sessions_take_as_many_queries_as_one(school):
    counts = []
    for count in (1, 500):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = school.post(school.weekly(weekdays=["mon", "tue", "wed", "thu", "fri", "sat", "sun"], count=count))
        assert (answer.status, len(answer.data["sessions"])) == (201, count)
        counts.append(len(queries))
    # Caller, membership, activity; savepoint, account, activity, offering, place, overlaps, insert, savepoint.
    assert counts == [11, 11]
    assert Session.objects.count() == 501
    # One note for each insert, whatever its size: search is refreshed once.
    assert SearchStale.objects.count() == 2


def test_parents_see_them_once_search_has_caught_up(school):
    school.post(school.weekly(count=30))
    assert upkeep.catch_up() == 1
    row = SearchRow.objects.get(activity=school.activity)
    assert row.next_session_at == Session.objects.earliest("starts_at").starts_at
    assert len(row.slots) == 30


# --- Twice --------------------------------------------------------------------------------------------------------


def test_a_double_click_with_a_key_creates_once(school):
    first = school.post(school.weekly(), Idempotency_Key="plan")
    second = school.post(school.weekly(), Idempotency_Key="plan")
    assert (first.status, second.status, second.content) == (201, 201, first.content)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert Session.objects.count() == 4
    assert school.post(school.weekly(count=5), Idempotency_Key="plan").code == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a_preview_does_not_use_the_key_up(school):
    school.post(school.weekly({"preview": True}), Idempotency_Key="plan")
    assert not IdempotencyKey.objects.exists()
    assert school.post(school.weekly(), Idempotency_Key="plan").status == 201


def test_a_key_that_is_none_is_refused(school):
    assert school.post(school.weekly(), Idempotency_Key="").code == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_twins_at_once_create_once(school, at_once):
    body = school.weekly()
    answers = at_once(lambda _: school.post(body, Idempotency_Key="plan"), [1, 2, 3, 4])
    assert {each.content for each in answers} == {answers[0].content}
    assert Session.objects.count() == 4


def delete_place(school):
    return school.client.delete(f"/v1/provider/locations/{school.location.pk}")


@pytest.mark.django_db(transaction=True)
def test_a_place_that_is_planned_for_is_not_deleted_meanwhile(school, monkeypatch):
    meeting = Meeting(monkeypatch, (sessions, "overlap_warnings"))
    created, deleted = meeting.of(lambda: school.post(school.single()), lambda: delete_place(school))
    # Who deletes it waited, and found it in use.
    assert (created.status, deleted.code) == (201, (409, "LOCATION_IN_USE"))
    assert Session.objects.get().location == school.location


@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_the_plan_comes_to_nothing(school, monkeypatch):
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self._chain())
    meeting = Meeting(monkeypatch, (sessions, "overlap_warnings"))
    created, deleted = meeting.of(lambda: school.post(school.single()), lambda: delete_place(school))
    assert (created.code, deleted.status) == ((500, "INTERNAL_ERROR"), 200)
    assert not Session.objects.exists()


# --- Refusals -----------------------------------------------------------------------------------------------------


def refused(answer):
    """The fields and messages of a validation error."""
    assert answer.code == (400, "VALIDATION_ERROR"), answer.body
    return [(each["field"], each["message"]) for each in answer.error["details"]]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"capacity": 0}, "capacity", "Ensure this value is greater than or equal to 1."),
        ({"capacity": 10001}, "capacity", "Ensure this value is less than or equal to 10000."),
        ({"capacity": None}, "capacity", "This field is required."),
        ({"offeringId": "swim"}, "offeringId", "Must be a valid UUID."),
        ({"startsAt": None}, "startsAt", "Give either startsAt or a recurrence."),
        ({"startsAt": None, "durationMinutes": None}, "startsAt", "Give either startsAt or a recurrence."),
        ({"durationMinutes": None}, "endsAt", "Give either endsAt or durationMinutes."),
        ({"endsAt": "2030-01-01T10:00:00Z"}, "endsAt", "Give either endsAt or durationMinutes."),
        ({"startsAt": "2030-01-01T10:00:00"}, "startsAt", "Add the offset from UTC, such as Z or -05:00."),
        ({"startsAt": "2020-01-01T10:00:00Z"}, "startsAt", "Must lie in the future."),
        ({"startsAt": "2999-01-01T10:00:00Z"}, "startsAt", "Sessions are planned at most two years ahead."),
        ({"durationMinutes": 0}, "durationMinutes", "Ensure this value is greater than or equal to 1."),
        ({"durationMinutes": 132481}, "durationMinutes", "Ensure this value is less than or equal to 132480."),
        ({"status": "cancelled"}, "status", "This field cannot be set here."),
        ({"enrolled": 3}, "enrolled", "This field cannot be set here."),
    ],
)
def test_a_single_session_refuses(school, changes, field, message):
    assert (field, message) in refused(school.post(school.single(**changes)))
    assert not Session.objects.exists()


def test_a_session_ends_after_it_begins_and_before_long(school):
    starts_at = in_days(7)
    for end in (starts_at, starts_at - timedelta(hours=1), starts_at + timedelta(days=93)):
        body = school.single(startsAt=text(starts_at), endsAt=text(end), durationMinutes=None)
        assert refused(school.post(body)) == [("endsAt", "Must come after startsAt, by at most 92 days.")]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"])
def test_the_ends_of_time_are_refused_like_any_other(school, zone, moment):
    school.location.city.timezone = zone
    school.location.city.save()
    end = {"endsAt": moment, "durationMinutes": None}
    for body in (
        school.single(startsAt=moment),
        school.single(startsAt=moment, **end),
        school.single(**end),
        school.weekly(startDate=moment[:10]),
        school.weekly(count=None, until="9999-12-31", skipHolidays=True),
    ):
        refused(school.post(body))
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"weekdays": []}, "recurrence.weekdays", "This list may not be empty."),
        ({"weekdays": ["mon", "funday"]}, "recurrence.weekdays", "This is not one of the choices."),
        ({"startTime": "25:00"}, "recurrence.startTime", None),
        ({"startTime": "10:00Z"}, "recurrence.startTime", None),
        ({"startDate": "tomorrow"}, "recurrence.startDate", None),
        ({"interval": 0}, "recurrence.interval", "Ensure this value is greater than or equal to 1."),
        ({"count": 501}, "recurrence.count", "Ensure this value is less than or equal to 500."),
        ({"count": None}, "recurrence.until", "Give either until or count."),
        ({"until": "2030-01-01"}, "recurrence.until", "Give either until or count."),
        ({"count": None, "until": "2020-01-01"}, "recurrence.until", "The timetable ends before it begins."),
        ({"startDate": "2020-01-01"}, "recurrence.startDate", "Must lie between today and two years ahead."),
        ({"skipDates": ["x"]}, "recurrence.skipDates", None),
        ({"timezone": "UTC"}, "recurrence.timezone", "This field cannot be set here."),
    ],
)
def test_a_recurrence_refuses(school, changes, field, message):
    found = refused(school.post(school.weekly(**changes)))
    assert [name.removesuffix(".0").removesuffix(".1") for name, _ in found] == [field]
    assert message is None or found[0][1] == message
    assert not Session.objects.exists()


@pytest.mark.parametrize("value", [[], "weekly", 7, None, True])
def test_a_recurrence_is_an_object(school, value):
    assert school.post({**school.body(), "recurrence": value}).code == (400, "VALIDATION_ERROR")


def test_a_recurrence_and_a_single_time_do_not_go_together(school):
    answer = school.post({**school.weekly(), "startsAt": text(in_days(7)), "durationMinutes": 45})
    assert refused(answer) == [
        ("durationMinutes", "The recurrence says this."),
        ("startsAt", "The recurrence says this."),
    ]


def test_offering_and_place_are_the_providers_own(school):
    other = OfferingFactory()
    answer = school.post(school.single(offeringId=str(other.pk)))
    assert (answer.code, answer.error["details"][0]["field"]) == ((404, "NOT_FOUND"), "offeringId")
    answer = school.post(school.single(locationId=str(LocationFactory().pk)))
    assert (answer.code, answer.error["details"][0]["field"]) == ((404, "NOT_FOUND"), "locationId")
    sibling = OfferingFactory(activity=ActivityFactory(provider=school.activity.provider))
    assert school.post(school.single(offeringId=str(sibling.pk))).code == (404, "NOT_FOUND")
    assert not Session.objects.exists()


def test_an_inactive_offering_gets_no_sessions(school):
    inactive = OfferingFactory(activity=school.activity, status="inactive")
    assert school.post(school.single(offeringId=str(inactive.pk))).code == (409, "INVALID_STATE")
    assert not Session.objects.exists()


# --- Who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "admin", "staff"])
def test_all_staff_plan_sessions_and_see_them(api, role):
    school = School(api, role=role)
    assert school.post(school.single()).status == 201
    assert school.client.get(school.path).meta["total"] == 1


def test_a_strangers_activity_does_not_exist(api, school):
    stranger = api.as_user(ProviderUserFactory().user)
    assert stranger.get(school.path).code == (404, "NOT_FOUND")
    assert stranger.post(school.path, school.single()).code == (404, "NOT_FOUND")
    assert stranger.post(school.path, school.weekly({"preview": True})).code == (404, "NOT_FOUND")
    assert school.client.get(f"/v1/provider/activities/{uuid.uuid4()}/sessions").code == (404, "NOT_FOUND")


def test_parents_and_passers_by_are_refused(api, school):
    assert api.as_user(UserFactory()).post(school.path, school.single()).code == (403, "FORBIDDEN")
    assert api.post(school.path, school.single()).code == (401, "UNAUTHORIZED")
    assert api.get(school.path).code == (401, "UNAUTHORIZED")


def test_nothing_is_planned_from_the_other_region(api, school, settings):
    settings.REGION = "in"
    assert school.post(school.single()).code == (403, "REGION_MISMATCH")


# --- Looking ------------------------------------------------------------------------------------------------------


def ids(answer):
    return [each["id"] for each in answer.data]


def test_all_sessions_are_listed_soonest_first_past_and_cancelled_ones_too(school):
    past = SessionFactory(offering=school.offering, starts_at=in_days(-3))
    later = SessionFactory(offering=school.offering, starts_at=in_days(9))
    soon = SessionFactory(offering=school.offering, starts_at=in_days(2), status="cancelled")
    SessionFactory()
    answer = school.client.get(school.path)
    assert ids(answer) == [str(each.pk) for each in (past, soon, later)]
    assert answer.meta == {"page": 1, "limit": 20, "total": 3}
    assert ids(school.client.get(school.path + "?limit=1&page=2")) == [str(soon.pk)]


def test_filters(school):
    other = OfferingFactory(activity=school.activity)
    series = uuid.uuid4()
    one = SessionFactory(offering=school.offering, starts_at=in_days(2), status="cancelled")
    two = SessionFactory(offering=other, starts_at=in_days(5), series_id=series)
    for filter_, expected in (
        ("status=cancelled", [one]),
        ("status=scheduled", [two]),
        (f"offering={other.pk}", [two]),
        (f"offering={uuid.uuid4()}", []),
        (f"series={series}", [two]),
        (f"status=cancelled&offering={other.pk}", []),
    ):
        assert ids(school.client.get(f"{school.path}?{filter_}")) == [str(each.pk) for each in expected], filter_


def test_days_are_those_of_the_places_calendar(school):
    # Eleven in the evening in Chicago, when it is the next day in UTC, and in Kolkata already morning.
    day = in_days(7).astimezone(CHICAGO).date()
    late = datetime(day.year, day.month, day.day, 23, tzinfo=CHICAGO)
    here = SessionFactory(offering=school.offering, location=school.location, starts_at=late)
    east = LocationFactory(
        provider=school.activity.provider,
        city=CityFactory(name="Boston", slug="boston", timezone="America/New_York"),
    )
    there = SessionFactory(offering=school.offering, location=east, starts_at=late)
    next_day = day + timedelta(days=1)
    assert ids(school.client.get(f"{school.path}?from={day}&to={day}")) == [str(here.pk)]
    assert ids(school.client.get(f"{school.path}?from={next_day}")) == [str(there.pk)]
    assert ids(school.client.get(f"{school.path}?to={day - timedelta(days=1)}")) == []


@pytest.mark.parametrize(
    "filter_", ["from=x", "status=open", "offering=x", "series=1", "weekday=mon", "from=2026-02-02&to=2026-02-01"]
)
def test_what_cannot_be_filtered_by_is_refused(school, filter_):
    assert school.client.get(f"{school.path}?{filter_}").code == (400, "VALIDATION_ERROR")


def test_the_list_takes_the_same_queries_for_one_and_three(school):
    for rows in (1, 3):
        SessionFactory.create_batch(rows - Session.objects.count(), offering=school.offering)
        with CaptureQueriesContext(connection) as queries:
            assert school.client.get(school.path).meta["total"] == rows
        # Caller, membership, activity, count, page.
        assert len(queries) == 5
