"""GET, PATCH and DELETE /v1/provider/sessions/{id}."""

import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from bookings import changes
from bookings.models import Booking, Seat
from marketplace import upkeep
from marketplace.models import SearchRow, SearchStale, Session
from notifications.models import Notification
from tests.factories import (
    BookingFactory,
    ChildFactory,
    CityFactory,
    LocationFactory,
    OfferingFactory,
    ParentFactory,
    PaymentFactory,
    ProviderUserFactory,
    SessionFactory,
    UserFactory,
    in_days,
)
from tests.meeting import Meeting, unlock

pytestmark = pytest.mark.django_db

CHICAGO = ZoneInfo("America/Chicago")
HOUR = timedelta(hours=1)


class Scene:
    """A session a week from now with a provider's member of staff who looks after it."""

    def __init__(self, api, role="owner"):
        member = ProviderUserFactory(role=role)
        self.location = LocationFactory(provider=member.provider_account)
        self.offering = OfferingFactory(activity__provider=member.provider_account, refund_window_hours=48)
        self.session = self.add()
        self.client = api.as_user(member.user)

    def add(self, **fields):
        return SessionFactory(offering=self.offering, location=self.location, **fields)

    def path(self, session=None):
        return f"/v1/provider/sessions/{(session or self.session).pk}"

    def patch(self, body=None, *, session=None, **fields):
        return self.client.patch(self.path(session), {**(body or {}), **fields})

    def delete(self, query="", *, session=None):
        return self.client.delete(self.path(session) + query)

    def series(self, *, days, hour=16, first=None, **fields):
        """Sessions of one series at `hour` on the wall clock, so many days after today."""
        series_id, today = uuid.uuid4(), (first or in_days(0)).astimezone(CHICAGO).date()
        return [
            self.add(
                series_id=series_id,
                starts_at=datetime(today.year, today.month, today.day, hour, tzinfo=CHICAGO) + timedelta(days=ahead),
                **fields,
            )
            for ahead in days
        ]


@pytest.fixture
def february(time_machine):
    """Two weeks before clocks go forward in the United States, on 8 March 2026."""
    time_machine.move_to(datetime(2026, 2, 20, 12, tzinfo=UTC), tick=False)


@pytest.fixture
def scene(api):
    return Scene(api)


def text(moment):
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def shown(sessions, zone=CHICAGO):
    """What the clock there shows when they begin."""
    moments = Session.objects.filter(pk__in=[each.pk for each in sessions]).order_by("pk")
    return [f"{each.starts_at.astimezone(zone):%Y-%m-%d %H:%M}" for each in moments]


def told():
    """Who was told that a session changed: user, session and how often it had changed by then."""
    rows = Notification.objects.filter(kind="session_changed").order_by("user_id", "id")
    return [(each.user_id, each.subject_id, each.dedupe_key.rpartition(":")[2]) for each in rows]


# --- Looking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "admin", "staff"])
def test_all_staff_see_a_session(api, role, django_assert_num_queries):
    scene = Scene(api, role=role)
    # Caller, membership, session.
    with django_assert_num_queries(3):
        answer = scene.client.get(scene.path())
    assert answer.data == {
        "id": str(scene.session.pk),
        "offeringId": str(scene.offering.pk),
        "locationId": str(scene.location.pk),
        "startsAt": text(scene.session.starts_at),
        "endsAt": text(scene.session.ends_at),
        "timezone": "America/Chicago",
        "capacity": 10,
        "enrolled": 0,
        "spotsLeft": 10,
        "status": "scheduled",
        "activityId": str(scene.offering.activity_id),
        "seriesId": None,
        "sequence": 0,
        "cancelledAt": None,
        "cancellationReason": "",
    }


# --- Moving one ---------------------------------------------------------------------------------------------------


def test_another_time_keeps_how_long_it_lasts(scene):
    starts_at = in_days(9)
    answer = scene.patch(startsAt=text(starts_at))
    assert answer.status == 200
    scene.session.refresh_from_db()
    assert (scene.session.starts_at, scene.session.ends_at) == (starts_at, starts_at + timedelta(minutes=45))
    assert scene.session.sequence == 1
    (session,) = answer.data.pop("sessions")
    assert (session["id"], session["startsAt"], session["sequence"]) == (str(scene.session.pk), text(starts_at), 1)
    assert answer.data == {
        "dryRun": False,
        "moved": 1,
        "parentsNotified": 0,
        "bookingsRefundable": 0,
        "warnings": [],
    }
    assert told() == []


def test_another_end_alone(scene):
    before = scene.session.starts_at
    ends_at = scene.session.ends_at + HOUR
    assert scene.patch(endsAt=text(ends_at)).data["moved"] == 1
    scene.session.refresh_from_db()
    assert (scene.session.starts_at, scene.session.ends_at, scene.session.sequence) == (before, ends_at, 1)


def test_another_place(scene):
    place = LocationFactory(provider=scene.location.provider, name="Small pool")
    before = scene.session.starts_at
    assert scene.patch(locationId=str(place.pk)).status == 200
    scene.session.refresh_from_db()
    assert (scene.session.location, scene.session.starts_at, scene.session.sequence) == (place, before, 1)


def test_a_place_in_another_zone_keeps_the_time_on_the_wall(scene):
    denver = CityFactory(name="Denver", slug="denver", timezone="America/Denver")
    place = LocationFactory(provider=scene.location.provider, city=denver)
    (session,) = scene.series(days=[7])
    before = session.starts_at
    scene.patch(session=session, locationId=str(place.pk))
    session.refresh_from_db()
    assert session.starts_at == before + HOUR
    assert session.ends_at - session.starts_at == timedelta(minutes=45)


def test_nothing_new_changes_nothing(scene):
    BookingFactory(session=scene.session, status="confirmed")
    stamp = Session.objects.get().updated_at
    for body in ({}, {"startsAt": text(scene.session.starts_at)}, {"locationId": str(scene.location.pk)}):
        answer = scene.patch(body)
        assert (answer.status, answer.data["moved"], answer.data["parentsNotified"]) == (200, 0, 0)
    scene.session.refresh_from_db()
    assert (scene.session.sequence, scene.session.updated_at) == (0, stamp)
    assert told() == []


def test_an_overlap_is_told_and_stops_nothing(scene):
    other = scene.add(starts_at=in_days(9))
    answer = scene.patch(startsAt=text(other.starts_at))
    assert [(each["code"], each["sessionIds"]) for each in answer.data["warnings"]] == [
        ("PLACE_OVERLAP", [str(other.pk)])
    ]
    # Its own old time is not in the way.
    free = in_days(20)
    scene.patch(startsAt=text(free))
    assert scene.patch(startsAt=text(free + HOUR / 2)).data["warnings"] == []


def test_search_follows(scene):
    upkeep.catch_up()
    starts_at = in_days(9)
    scene.patch(startsAt=text(starts_at))
    assert SearchStale.objects.count() == 1
    upkeep.catch_up()
    assert SearchRow.objects.get().next_session_at == starts_at


# --- Parents ------------------------------------------------------------------------------------------------------


def test_parents_with_a_seat_are_told_and_may_cancel_for_free(scene):
    held = BookingFactory(session=scene.session)
    confirmed = BookingFactory(session=scene.session, status="confirmed")
    second_child = BookingFactory(
        session=scene.session, status="confirmed", child=ChildFactory(parent=confirmed.parent)
    )
    gone = BookingFactory(session=scene.session, status="cancelled")
    elsewhere = BookingFactory(session=scene.add(), status="confirmed")
    deadlines = {each.pk: each.refundable_until for each in (gone, elsewhere)}
    starts_at = in_days(1)
    answer = scene.patch(startsAt=text(starts_at))
    assert (answer.data["parentsNotified"], answer.data["bookingsRefundable"]) == (2, 3)
    users = sorted([held.parent.user_id, confirmed.parent.user_id])
    assert told() == [(user, scene.session.pk, "1") for user in users]
    for booking in (held, confirmed, second_child):
        booking.refresh_from_db()
        assert booking.refundable_until == starts_at
    for booking in (gone, elsewhere):
        booking.refresh_from_db()
        assert booking.refundable_until == deadlines[booking.pk]


def test_a_second_move_is_told_again(scene):
    booking = BookingFactory(session=scene.session, status="confirmed")
    scene.patch(startsAt=text(in_days(9)))
    starts_at = in_days(10)
    scene.patch(startsAt=text(starts_at))
    user = booking.parent.user_id
    assert told() == [(user, scene.session.pk, "1"), (user, scene.session.pk, "2")]
    booking.refresh_from_db()
    assert booking.refundable_until == starts_at


def test_the_way_out_is_open_until_the_first_session_that_is_left(scene):
    past, soon, later = scene.add(starts_at=in_days(-1)), scene.add(starts_at=in_days(3)), scene.session
    booking = BookingFactory(session=past, status="confirmed", seats=[past, soon, later])
    scene.patch(startsAt=text(in_days(20)))
    booking.refresh_from_db()
    assert booking.refundable_until == soon.starts_at


def test_a_parent_gets_everything_back_after_the_window_had_closed(api, scene):
    # Two days' notice are asked for, and the session is moved to tomorrow.
    booking = BookingFactory(session=scene.session, status="confirmed")
    PaymentFactory(booking=booking, status="paid")
    parent = api.as_user(booking.parent.user)
    scene.patch(startsAt=text(in_days(1)))
    quote = parent.get(f"/v1/me/bookings/{booking.pk}/quote?action=cancel")
    assert quote.data["refundCents"] == 2500


def test_more_or_fewer_seats_are_nobodys_news(scene):
    booking = BookingFactory(session=scene.session, status="confirmed")
    deadline = booking.refundable_until
    answer = scene.patch(capacity=12)
    assert (answer.data["moved"], answer.data["parentsNotified"]) == (0, 0)
    scene.session.refresh_from_db()
    booking.refresh_from_db()
    assert (scene.session.capacity, scene.session.sequence, booking.refundable_until) == (12, 0, deadline)
    assert told() == []


def test_a_child_may_come_to_hold_seats_at_the_same_time(scene):
    other = scene.add(starts_at=in_days(9))
    child = ChildFactory()
    for session in (scene.session, other):
        BookingFactory(session=session, child=child, status="confirmed")
    assert scene.patch(startsAt=text(other.starts_at)).status == 200
    assert Seat.objects.held().filter(child=child).count() == 2


# --- Dry run ------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_all_and_writes_nothing(scene):
    sessions = scene.series(days=[5, 12, 19])
    parent = ParentFactory()
    for session in sessions:
        BookingFactory(session=session, child=ChildFactory(parent=parent), status="confirmed")
    before = {name: list(model.objects.order_by("pk").values()) for name, model in MODELS.items()}
    body = {"startsAt": text(sessions[1].starts_at + HOUR), "capacity": 3, "series": True}
    dry = scene.patch(body, session=sessions[1], dryRun=True)
    assert (dry.status, dry.data["dryRun"]) == (200, True)
    assert (dry.data["moved"], dry.data["parentsNotified"], dry.data["bookingsRefundable"]) == (2, 1, 2)
    assert {name: list(model.objects.order_by("pk").values()) for name, model in MODELS.items()} == before
    real = scene.patch(body, session=sessions[1])
    assert {**real.data, "dryRun": True} == dry.data


MODELS = {"session": Session, "booking": Booking, "seat": Seat, "notification": Notification, "note": SearchStale}


# --- A series -----------------------------------------------------------------------------------------------------


def test_this_and_the_following_move_by_as_much(scene):
    sessions = scene.series(days=[3, 10, 17, 24])
    stranger = scene.series(days=[17])[0]
    days = [each.starts_at.astimezone(CHICAGO).date() for each in sessions]
    # On the clock of the place, whatever happens to it meanwhile.
    starts_at = sessions[1].starts_at.astimezone(CHICAGO) + timedelta(days=1, minutes=90)
    answer = scene.patch(session=sessions[1], series=True, startsAt=text(starts_at))
    assert [each["id"] for each in answer.data["sessions"]] == [str(each.pk) for each in sessions[1:]]
    assert shown(sessions) == [f"{days[0]} 16:00"] + [f"{day + timedelta(days=1)} 17:30" for day in days[1:]]
    assert [each.sequence for each in Session.objects.filter(series_id=sessions[0].series_id).order_by("pk")] == [
        *(0, 1, 1, 1)
    ]
    stranger.refresh_from_db()
    assert stranger.sequence == 0


def test_the_shift_is_one_of_the_wall_clock(february, scene):
    # The clocks go forward between the first and the second; the third had been moved by hand before.
    sessions = scene.series(days=[0, 7, 14], first=datetime(2026, 3, 2, 12, tzinfo=CHICAGO))
    Session.objects.filter(pk=sessions[2].pk).update(starts_at=sessions[2].starts_at - 2 * HOUR)
    scene.patch(session=sessions[0], series=True, startsAt="2026-03-02T23:00:00Z")
    assert shown(sessions) == ["2026-03-02 17:00", "2026-03-09 17:00", "2026-03-16 15:00"]
    rows = Session.objects.filter(pk__in=[each.pk for each in sessions]).order_by("pk")
    assert [f"{each.starts_at:%H:%M}" for each in rows] == ["23:00", "22:00", "20:00"]


def test_what_does_not_move_keeps_its_very_moment(february, scene):
    # The second half past one of the night in which clocks go back.
    starts_at = datetime(2026, 11, 1, 7, 30, tzinfo=UTC)
    session = scene.add(starts_at=starts_at)
    place = LocationFactory(provider=scene.location.provider)
    scene.patch(session=session, locationId=str(place.pk), capacity=12)
    session.refresh_from_db()
    assert (session.starts_at, session.ends_at) == (starts_at, starts_at + timedelta(minutes=45))


def test_a_longer_lesson_is_longer_for_all(scene):
    sessions = scene.series(days=[3, 10])
    scene.patch(session=sessions[0], series=True, endsAt=text(sessions[0].ends_at + HOUR))
    rows = Session.objects.filter(pk__in=[each.pk for each in sessions])
    assert {each.ends_at - each.starts_at for each in rows} == {timedelta(minutes=105)}


def test_a_series_moves_to_another_place_and_gets_other_seats(scene):
    sessions = scene.series(days=[3, 10])
    place = LocationFactory(provider=scene.location.provider)
    before = shown(sessions)
    scene.patch(session=sessions[0], series=True, locationId=str(place.pk), capacity=4)
    assert shown(sessions) == before
    rows = Session.objects.filter(pk__in=[each.pk for each in sessions])
    assert {(each.location_id, each.capacity, each.sequence) for each in rows} == {(place.pk, 4, 1)}


def test_cancelled_sessions_of_a_series_stay_as_they_are(scene):
    first, cancelled, last = scene.series(days=[3, 10, 17])
    cancelled.move("cancelled")
    before = cancelled.starts_at
    answer = scene.patch(session=first, series=True, startsAt=text(first.starts_at + HOUR))
    assert [each["id"] for each in answer.data["sessions"]] == [str(first.pk), str(last.pk)]
    cancelled.refresh_from_db()
    assert (cancelled.starts_at, cancelled.sequence) == (before, 0)


def test_a_parent_of_a_whole_term_is_told_once(scene):
    sessions = scene.series(days=[3, 10, 17])
    term = BookingFactory(session=sessions[0], status="confirmed", seats=sessions)
    last = BookingFactory(session=sessions[2], status="confirmed")
    answer = scene.patch(session=sessions[0], series=True, startsAt=text(sessions[0].starts_at + HOUR))
    assert (answer.data["parentsNotified"], answer.data["bookingsRefundable"]) == (2, 2)
    assert set(told()) == {
        (term.parent.user_id, sessions[0].pk, "1"),
        (last.parent.user_id, sessions[2].pk, "1"),
    }
    term.refresh_from_db()
    last.refresh_from_db()
    assert term.refundable_until == sessions[0].starts_at + HOUR
    assert f"{last.refundable_until.astimezone(CHICAGO):%H:%M}" == "17:00"


def test_a_session_alone_is_no_series(scene):
    assert scene.patch(series=True, capacity=5).code == (409, "INVALID_STATE")


def test_one_session_of_a_series_changes_alone_unless_told(scene):
    sessions = scene.series(days=[3, 10])
    scene.patch(session=sessions[0], startsAt=text(sessions[0].starts_at + HOUR))
    assert [each[-5:] for each in shown(sessions)] == ["17:00", "16:00"]


def test_a_series_changes_in_as_many_queries_however_long_it_is(scene):
    counts = []
    for days in ([3], range(3, 33)):
        sessions = scene.series(days=days)
        BookingFactory(session=sessions[0], status="confirmed", seats=sessions)
        with CaptureQueriesContext(connection) as queries:
            answer = scene.patch(session=sessions[0], series=True, startsAt=text(sessions[0].starts_at + HOUR))
        assert answer.data["moved"] == len(sessions)
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- Capacity -----------------------------------------------------------------------------------------------------


def test_capacity_never_goes_below_the_seats_held(scene):
    for _ in range(3):
        BookingFactory(session=scene.session, status="confirmed")
    answer = scene.patch(capacity=2)
    assert answer.code == (409, "INVALID_STATE")
    assert answer.error["message"] == "3 seats are held, so the capacity cannot be 2."
    assert answer.error["details"] == [
        {
            "field": "capacity",
            "message": "3 seats are held.",
            "sessionId": str(scene.session.pk),
            "startsAt": text(scene.session.starts_at),
            "enrolled": 3,
        }
    ]
    scene.session.refresh_from_db()
    assert scene.session.capacity == 10
    assert scene.patch(capacity=3).status == 200


def test_one_full_session_of_a_series_keeps_all_as_they_are(scene):
    sessions = scene.series(days=[3, 10])
    for _ in range(2):
        BookingFactory(session=sessions[1])
    answer = scene.patch(session=sessions[0], series=True, capacity=1, startsAt=text(sessions[0].starts_at + HOUR))
    assert answer.code == (409, "INVALID_STATE")
    assert [each["sessionId"] for each in answer.error["details"]] == [str(sessions[1].pk)]
    assert set(Session.objects.values_list("capacity", "sequence")) == {(10, 0)}
    assert told() == []


# --- Refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["cancelled", "completed"])
def test_what_is_over_cannot_change(scene, status):
    scene.session.move(status)
    assert scene.patch(capacity=12).code == (409, "INVALID_STATE")


def test_what_has_begun_cannot_change(scene):
    begun = scene.add(starts_at=in_days(0) - HOUR / 6)
    assert scene.patch(session=begun, capacity=12).code == (409, "INVALID_STATE")
    assert scene.patch(session=begun, startsAt=text(in_days(3))).code == (409, "INVALID_STATE")


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"startsAt": "2020-01-01T10:00:00Z"}, "startsAt", "Must lie in the future."),
        ({"startsAt": "2999-01-01T10:00:00Z"}, "startsAt", "Sessions are planned at most two years ahead."),
        ({"startsAt": "2027-01-01T10:00:00"}, "startsAt", "Add the offset from UTC, such as Z or -05:00."),
        ({"startsAt": None}, "startsAt", "This field may not be null."),
        ({"endsAt": "2020-01-01T10:00:00Z"}, "endsAt", "Must come after startsAt, by at most 92 days."),
        ({"endsAt": "2999-01-01T10:00:00Z"}, "endsAt", "Must come after startsAt, by at most 92 days."),
        ({"capacity": 0}, "capacity", "Ensure this value is greater than or equal to 1."),
        ({"capacity": "many"}, "capacity", "A valid integer is required."),
        ({"locationId": "here"}, "locationId", "Must be a valid UUID."),
        ({"enrolled": 0}, "enrolled", "This field cannot be set here."),
        ({"status": "cancelled"}, "status", "This field cannot be set here."),
        ({"offeringId": str(uuid.UUID(int=1))}, "offeringId", "This field cannot be set here."),
    ],
)
def test_it_refuses(scene, body, field, message):
    answer = scene.patch(body)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [{"field": field, "message": message}]
    assert list(Session.objects.values_list("sequence", "capacity")) == [(0, 10)]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Kolkata"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("series", [False, True])
def test_the_ends_of_time_are_refused_like_any_other(scene, zone, moment, series):
    sessions = scene.series(days=[10, 17])
    scene.location.city.timezone = zone
    scene.location.city.save()
    for body in ({"startsAt": moment}, {"endsAt": moment}, {"startsAt": moment, "endsAt": moment}):
        assert scene.patch(body, session=sessions[0], series=series).code == (400, "VALIDATION_ERROR")
    assert set(Session.objects.values_list("sequence", flat=True)) == {0}


def test_the_place_is_the_providers_own(scene):
    answer = scene.patch(locationId=str(LocationFactory().pk))
    assert (answer.code, answer.error["details"][0]["field"]) == ((404, "NOT_FOUND"), "locationId")


# --- Deleting -----------------------------------------------------------------------------------------------------


def test_a_session_that_nobody_ever_booked_is_deleted(scene):
    answer = scene.delete()
    assert (answer.status, answer.data) == (200, None)
    assert not Session.objects.exists()
    assert scene.delete().code == (404, "NOT_FOUND")


@pytest.mark.parametrize("status", ["confirmed", "pending_payment", "cancelled", "expired"])
def test_one_that_somebody_booked_once_is_cancelled_instead(scene, status):
    BookingFactory(session=scene.session, status=status)
    assert scene.delete().code == (409, "INVALID_STATE")
    assert Session.objects.exists()


def test_a_seat_of_a_package_counts_too(scene):
    BookingFactory(session=scene.add(), seats=[scene.session])
    assert scene.delete().code == (409, "INVALID_STATE")


def test_the_rest_of_a_series_goes_whole_or_not_at_all(scene):
    sessions = scene.series(days=[3, 10, 17])
    booking = BookingFactory(session=sessions[2])
    answer = scene.delete("?series=true", session=sessions[1])
    assert answer.code == (409, "INVALID_STATE")
    assert answer.error["message"] == "1 of the sessions have been booked. Cancel instead of deleting."
    booking.seats.all().delete()
    booking.delete()
    assert scene.delete("?series=true", session=sessions[1]).status == 200
    assert set(Session.objects.all()) == {scene.session, sessions[0]}


@pytest.mark.parametrize("query", ["?series=yes", "?all=true"])
def test_an_unknown_way_of_deleting_is_refused(scene, query):
    assert scene.delete(query).code == (400, "VALIDATION_ERROR")
    assert Session.objects.exists()


# --- Who may ------------------------------------------------------------------------------------------------------


def test_admins_change_and_delete(api):
    scene = Scene(api, role="admin")
    assert scene.patch(capacity=12).status == 200
    assert scene.delete().status == 200


def test_staff_neither_change_nor_delete(api):
    scene = Scene(api, role="staff")
    assert scene.patch(capacity=12).code == (403, "FORBIDDEN")
    assert scene.patch(capacity=12, dryRun=True).code == (403, "FORBIDDEN")
    assert scene.delete().code == (403, "FORBIDDEN")
    assert list(Session.objects.values_list("capacity", flat=True)) == [10]


def test_a_strangers_session_does_not_exist(api, scene):
    stranger = api.as_user(ProviderUserFactory().user)
    for answer in (
        stranger.get(scene.path()),
        stranger.patch(scene.path(), {"capacity": 12}),
        stranger.delete(scene.path()),
    ):
        assert answer.code == (404, "NOT_FOUND")
    assert list(Session.objects.values_list("capacity", flat=True)) == [10]


def test_parents_and_passers_by_are_refused(api, scene):
    assert api.as_user(UserFactory()).get(scene.path()).code == (403, "FORBIDDEN")
    assert api.get(scene.path()).code == (401, "UNAUTHORIZED")


def test_india_has_the_same(api, india):
    scene = Scene(api)
    booking = BookingFactory(session=scene.session, status="confirmed")
    starts_at = in_days(9)
    assert scene.patch(startsAt=text(starts_at)).data["parentsNotified"] == 1
    booking.refresh_from_db()
    assert booking.refundable_until == starts_at


# --- Races --------------------------------------------------------------------------------------------------------


def book(api, child, session):
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    return api.as_user(child.parent.user).post("/v1/me/bookings", body, Idempotency_Key="one")


@pytest.fixture
def unlocked(monkeypatch):
    """Every statement without its FOR UPDATE."""
    unlock(monkeypatch)


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    """Somebody books while the session is being changed: after the look, before the write."""

    def smaller(self, api, monkeypatch):
        scene, child = Scene(api), ChildFactory()
        BookingFactory(session=scene.session)
        meeting = Meeting(monkeypatch, (changes, "save"))
        answers = meeting.of(lambda: scene.patch(capacity=1), lambda: book(api, child, scene.session))
        scene.session.refresh_from_db()
        return answers, (scene.session.enrolled, scene.session.capacity)

    def test_the_last_seat_goes_before_it_is_booked(self, api, monkeypatch):
        (changed, booked), seats = self.smaller(api, monkeypatch)
        assert (changed.status, booked.code) == (200, (409, "SESSION_FULL"))
        assert seats == (1, 1)

    def test_control_without_the_lock_only_the_check_keeps_it_from_overselling(self, api, monkeypatch, unlocked):
        (changed, booked), seats = self.smaller(api, monkeypatch)
        assert (changed.code, booked.status) == ((500, "INTERNAL_ERROR"), 201)
        assert seats == (2, 10)

    def moved(self, api, monkeypatch):
        scene, child = Scene(api), ChildFactory()
        starts_at = scene.session.starts_at + timedelta(days=2)
        meeting = Meeting(monkeypatch, (changes, "concern"))
        answers = meeting.of(lambda: scene.patch(startsAt=text(starts_at)), lambda: book(api, child, scene.session))
        assert [each.status for each in answers] == [200, 201]
        assert told() == []
        return starts_at - timedelta(hours=48), Booking.objects.get().refundable_until

    def test_who_is_not_told_has_booked_the_new_time(self, api, monkeypatch):
        expected, deadline = self.moved(api, monkeypatch)
        assert deadline == expected

    def test_control_without_the_lock_somebody_booked_the_old_time_and_is_not_told(self, api, monkeypatch, unlocked):
        expected, deadline = self.moved(api, monkeypatch)
        assert deadline == expected - timedelta(days=2)

    def deleted(self, api, monkeypatch):
        scene, child = Scene(api), ChildFactory()
        meeting = Meeting(monkeypatch, (QuerySet, "delete"))
        return meeting.of(scene.delete, lambda: book(api, child, scene.session))

    def test_what_is_deleted_is_not_booked(self, api, monkeypatch):
        deleted, booked = self.deleted(api, monkeypatch)
        assert (deleted.status, booked.code) == (200, (404, "NOT_FOUND"))
        assert not Booking.objects.exists()

    def test_control_without_the_lock_only_the_foreign_key_keeps_the_booking(self, api, monkeypatch, unlocked):
        deleted, booked = self.deleted(api, monkeypatch)
        assert (deleted.status, booked.status) == (500, 201)
        assert Session.objects.count() == 1
