"""POST and DELETE /v1/me/calendar and /v1/provider/calendar: addresses that are secret, and can be taken back."""

import hashlib
import re
import uuid
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.models import CalendarFeed
from tests.factories import BookingFactory, LocationFactory, ProviderUserFactory, SessionFactory, UserFactory

pytestmark = pytest.mark.django_db

MINE, OURS = "/v1/me/calendar", "/v1/provider/calendar"


@pytest.fixture
def parent(api):
    return api.as_user(UserFactory())


@pytest.fixture
def member():
    return ProviderUserFactory(role="staff")


@pytest.fixture
def desk(api, member):
    return api.as_user(member.user)


def path_of(answer):
    assert answer.status == 201
    return urlsplit(answer.data["url"]).path


def statuses(api, *paths):
    return [api.get(path).status for path in paths]


def test_the_address_is_long_random_and_at_this_region(parent, settings):
    settings.REGION_API_URLS = {"us": "https://api.us.example", "in": "https://api.in.example"}
    url = parent.post(MINE).data["url"]
    assert re.fullmatch(r"https://api\.us\.example/v1/calendars/[A-Za-z0-9_-]{43}\.ics", url)


def test_only_its_hash_is_kept(api, parent):
    path = path_of(parent.post(MINE))
    token = path.removeprefix("/v1/calendars/").removesuffix(".ics")
    row = CalendarFeed.objects.get()
    assert row.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert token not in {str(getattr(row, field.attname)) for field in row._meta.concrete_fields}
    assert statuses(api, path, f"/v1/calendars/{row.token_sha256}.ics", f"/v1/calendars/{row.pk}.ics") == [
        200,
        404,
        404,
    ]


def test_a_new_address_ends_the_old_one(api, parent):
    old, new = path_of(parent.post(MINE)), path_of(parent.post(MINE))
    assert old != new
    assert statuses(api, old, new) == [404, 200]
    assert CalendarFeed.objects.count() == 1


def test_an_address_can_be_taken_back_and_made_anew(api, parent):
    path = path_of(parent.post(MINE))
    for _ in range(2):
        answer = parent.delete(MINE)
        assert (answer.status, answer.data) == (200, None)
        assert statuses(api, path) == [404]
    assert statuses(api, path_of(parent.post(MINE))) == [200]


def test_everybody_has_an_address_of_their_own(api, parent):
    mine, theirs = path_of(parent.post(MINE)), path_of(api.as_user(UserFactory()).post(MINE))
    parent.delete(MINE)
    assert statuses(api, mine, theirs) == [404, 200]


def test_staff_have_addresses_for_the_account_and_for_each_place(api, desk, member):
    pool, lake = (LocationFactory(provider=member.provider_account) for _ in range(2))
    own = path_of(desk.post(MINE))
    whole = path_of(desk.post(OURS))
    at_pool, at_lake = (path_of(desk.post(OURS, {"locationId": str(place.pk)})) for place in (pool, lake))
    assert statuses(api, own, whole, at_pool, at_lake) == [200] * 4
    assert desk.delete(f"{OURS}?locationId={pool.pk}").data is None
    assert statuses(api, own, whole, at_pool, at_lake) == [200, 200, 404, 200]
    desk.delete(OURS)
    assert statuses(api, own, whole, at_pool, at_lake) == [200, 404, 404, 200]
    desk.delete(MINE)
    assert statuses(api, own, whole, at_pool, at_lake) == [404, 404, 404, 200]
    assert path_of(desk.post(OURS, {"locationId": None})) != whole


def test_colleagues_do_not_end_each_others_addresses(api, desk, member):
    colleague = api.as_user(ProviderUserFactory(provider_account=member.provider_account).user)
    mine, theirs = path_of(desk.post(OURS)), path_of(colleague.post(OURS))
    desk.delete(OURS)
    assert statuses(api, mine, theirs) == [404, 200]


def test_who_leaves_the_staff_loses_the_feed_at_once(api, desk, member):
    place = LocationFactory(provider=member.provider_account)
    paths = [path_of(desk.post(OURS)), path_of(desk.post(OURS, {"locationId": str(place.pk)}))]
    own = path_of(desk.post(MINE))
    member.delete()
    assert statuses(api, *paths, own) == [404, 404, 200]


def test_staff_of_another_account_now_see_nothing_of_the_old_one(api, desk, member):
    path = path_of(desk.post(OURS))
    member.provider_account = ProviderUserFactory().provider_account
    member.save()
    assert statuses(api, path) == [404]


def test_a_suspended_user_loses_all_feeds(api, desk, member):
    paths = [path_of(desk.post(MINE)), path_of(desk.post(OURS))]
    member.user.is_active = False
    member.user.save()
    assert statuses(api, *paths) == [404, 404]


def test_the_feed_of_a_place_goes_with_it(api, desk, member):
    place = LocationFactory(provider=member.provider_account)
    path = path_of(desk.post(OURS, {"locationId": str(place.pk)}))
    place.delete()
    assert statuses(api, path) == [404]


def test_a_strangers_place_does_not_exist(desk):
    for place in (LocationFactory().pk, uuid.uuid4()):
        assert desk.post(OURS, {"locationId": str(place)}).code == (404, "NOT_FOUND")
        assert desk.delete(f"{OURS}?locationId={place}").code == (404, "NOT_FOUND")
    assert not CalendarFeed.objects.exists()


def test_who_may_have_one(api, parent):
    assert parent.post(OURS).code == (403, "FORBIDDEN")
    assert api.post(OURS).code == (401, "UNAUTHORIZED")
    assert api.post(MINE).code == (401, "UNAUTHORIZED")
    assert api.delete(MINE).code == (401, "UNAUTHORIZED")
    elsewhere = UserFactory(home_region="in")
    assert api.as_user(elsewhere).post(MINE).code == (403, "REGION_MISMATCH")
    assert not CalendarFeed.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", MINE, {"url": "https://mine.example"}),
        ("POST", MINE, []),
        ("POST", OURS, {"location": "x"}),
        ("POST", OURS, {"locationId": "pool"}),
        ("POST", OURS, {"locationId": ["x"]}),
        ("DELETE", f"{MINE}?all=true", None),
        ("DELETE", f"{OURS}?locationId=pool", None),
        ("DELETE", f"{OURS}?location=x", None),
    ],
)
def test_bad_input_is_refused(desk, method, path, body):
    assert desk.request(method, path, body).code == (400, "VALIDATION_ERROR")
    assert not CalendarFeed.objects.exists()


def test_unknown_addresses_are_all_alike(api, parent):
    path = path_of(parent.post(MINE))
    for wrong in ("x", "a" * 43, "a" * 5000, "%00", "..%2F", "é"):
        answer = api.get(f"/v1/calendars/{wrong}.ics")
        assert answer.status in (400, 404)
        assert answer.body["success"] is False
    assert api.get(f"{path}?token=x").code == (400, "VALIDATION_ERROR")
    assert api.get(path.removesuffix(".ics")).status == 404
    assert api.post(path, {}).status == 405


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_address(api, at_once):
    user = UserFactory()
    answers = at_once(lambda _: api.as_user(user).post(MINE), list(range(4)))
    assert [answer.status for answer in answers] == [201] * 4
    assert CalendarFeed.objects.count() == 1
    # The last one stands.
    assert sorted(statuses(api, *map(path_of, answers))) == [200, 404, 404, 404]


# --- The answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MINE, OURS])
def test_it_is_a_calendar_that_its_reader_alone_may_keep(api, desk, member, kind):
    session = SessionFactory(offering__activity__provider=member.provider_account)
    BookingFactory(session=session, child__parent=member.user.parent, status="confirmed")
    path = path_of(desk.post(kind))
    answer = api.get(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer.headers["Cache-Control"].startswith("private")
    assert answer.content.startswith(b"BEGIN:VCALENDAR\r\n")
    etag = answer.headers["ETag"]
    again = api.get(path, If_None_Match=etag)
    assert (again.status, again.content, again.headers["ETag"]) == (304, b"", etag)
    assert again.headers["Cache-Control"].startswith("private")
    # Another seat is another calendar.
    BookingFactory(session=session, child__parent=member.user.parent, status="confirmed")
    assert api.get(path, If_None_Match=etag).status == 200


@pytest.mark.parametrize("kind", [MINE, OURS])
def test_a_feed_takes_two_queries_however_long_it_is(api, desk, member, kind):
    path = path_of(desk.post(kind))
    counts = []
    for more in (1, 2):
        for _ in range(more):
            session = SessionFactory(offering__activity__provider=member.provider_account)
            BookingFactory(session=session, child__parent=member.user.parent, status="confirmed")
        with CaptureQueriesContext(connection) as queries:
            assert api.get(path).content.count(b"BEGIN:VEVENT") in (1, 3)
        counts.append(len(queries))
    assert counts == [2, 2]
