"""GET /v1/me/export, and the archives of /v1/me/exports."""

import io
import zipfile
from datetime import timedelta

import orjson
import pytest
import time_machine
from django.apps import apps
from django.core import signing
from django.core.files.storage import default_storage
from django.db import models

from bookings.models import Seat
from messaging.models import Message
from payments.models import Refund
from privacy import export
from privacy import views as privacy_views
from privacy.models import ExportRequest
from tests.conftest import ROOT
from tests.factories import (
    BookingFactory,
    ChildFactory,
    ConsentFactory,
    LocationFactory,
    PaymentFactory,
    ProviderUserFactory,
    ReviewFactory,
    UserFactory,
)
from users.models import Child, Parent, User

pytestmark = pytest.mark.django_db

EXPORT, EXPORTS = "/v1/me/export", "/v1/me/exports"


@pytest.fixture
def booking():
    booking = BookingFactory(status="completed")
    PaymentFactory(booking=booking, status="paid")
    ConsentFactory(user=booking.parent.user)
    ReviewFactory(booking=booking, comment="Lovely")
    return booking


def test_everything_about_the_caller_and_nothing_about_others(api, booking):
    BookingFactory(child__first_name="Stranger")
    user = booking.parent.user
    answer = api.as_user(user).get(EXPORT)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "private, no-store"
    data = answer.data
    assert list(data) == [
        "residency",
        "account",
        "profile",
        "children",
        "interests",
        "consents",
        "bookings",
        "seats",
        "payments",
        "refunds",
        "reviews",
        "reviewReports",
        "conversations",
        "messages",
        "attachments",
        "messageReports",
        "notifications",
        "notificationPreferences",
        "bounces",
        "calendarFeeds",
        "businesses",
        "businessProfiles",
        "businessPlaces",
        "exports",
        "erasureRequests",
    ]
    assert data["residency"]["region"] == "us"
    [account] = data["account"]
    assert (account["id"], account["email"], account["homeRegion"]) == (str(user.pk), user.email, "us")
    assert data["profile"] == [{"firstName": "Ana", "lastName": "Lopez", "phone": ""}]
    [child] = data["children"]
    assert (child["firstName"], child["birthDate"]) == ("Mia", booking.child.birth_date.isoformat())
    [consent] = data["consents"]
    assert (consent["kind"], consent["granted"]) == ("child_data", True)
    [row] = data["bookings"]
    assert (row["id"], row["amountCents"], row["status"]) == (str(booking.pk), 2500, "completed")
    assert data["payments"][0]["status"] == "paid"
    assert data["reviews"][0]["comment"] == "Lovely"
    assert b"Stranger" not in answer.content


def test_a_stranger_gets_nothing(api):
    assert api.get(EXPORT).code == (401, "UNAUTHORIZED")
    assert api.get(EXPORTS).code == (401, "UNAUTHORIZED")


PEOPLE = {User, Parent, Child}


def is_about_a_person(model: type[models.Model], seen: frozenset = frozenset()) -> bool:
    """Whether a row leads to a person, over however many tables: a refund belongs to whoever made the booking."""
    if model in PEOPLE:
        return True
    ahead = {each.related_model for each in model._meta.concrete_fields if each.is_relation} - seen - {model}
    return any(is_about_a_person(each, seen | {model}) for each in ahead)


def test_no_table_about_people_is_forgotten():
    people = [each for each in apps.get_models() if (ROOT / each._meta.app_label).is_dir() and is_about_a_person(each)]
    known = {section.model for section in export.SECTIONS} | set(export.LEFT_OUT)
    assert {Refund, Seat, Message} <= set(people)
    assert [model._meta.label for model in people if model not in known] == []


def test_the_guard_finds_a_table_that_leads_to_a_person_by_a_detour(monkeypatch):
    sections = [each for each in export.SECTIONS if each.model is not Refund]
    monkeypatch.setattr(export, "SECTIONS", sections)
    with pytest.raises(AssertionError, match=r"payments\.Refund"):
        test_no_table_about_people_is_forgotten()


@pytest.mark.parametrize("section", export.SECTIONS, ids=lambda section: section.name)
def test_no_column_of_an_exported_table_is_forgotten(section):
    """Whoever adds a column says whether its person gets to see it."""
    told = {name.split("__")[0] for name in section.columns.split()}
    # Every row has these, and it is the caller's own.
    told |= {"id", "created_at", "updated_at", section.of.split("__")[0]}
    fields = [each for each in section.model._meta.concrete_fields if not {each.name, each.attname} & told]
    assert {each.name for each in fields} == set(section.without.split())


# --- Archives --------------------------------------------------------------------------------------------------------


def test_an_archive_is_made_by_a_worker_and_fetched_by_a_short_lived_link(api, booking):
    caller = api.as_user(booking.parent.user)
    answer = caller.post(EXPORTS)
    assert (answer.status, answer.data["status"], answer.data["downloadUrl"]) == (202, "queued", None)
    assert caller.post(EXPORTS).data["id"] == answer.data["id"]
    export.make_archive(ExportRequest.objects.get().pk, now=ExportRequest.objects.get().next_attempt_at)
    [row] = caller.get(EXPORTS).data
    assert (row["status"], row["progress"]) == ("ready", 100)
    archive = api.client.get(row["downloadUrl"])
    assert archive.status_code == 200
    assert archive["Content-Disposition"] == 'attachment; filename="juniro-export.zip"'
    assert archive["Cache-Control"] == "private, no-store"
    with zipfile.ZipFile(io.BytesIO(b"".join(archive.streaming_content))) as files:
        data = orjson.loads(files.read("juniro.json"))
    assert data["children"][0]["firstName"] == "Mia"


@pytest.fixture
def link(api, booking) -> str:
    """The address of an archive that is ready."""
    caller = api.as_user(booking.parent.user)
    caller.post(EXPORTS)
    make_all()
    return caller.get(EXPORTS).data[0]["downloadUrl"]


def make_all() -> None:
    for made in ExportRequest.objects.filter(status="queued"):
        export.make_archive(made.pk, now=made.next_attempt_at)


def test_a_link_that_was_tampered_with_opens_nothing(api, link):
    assert api.client.get(link).status_code == 200
    assert api.get(link[:-1] + ("a" if link[-1] != "a" else "b")).code == (404, "NOT_FOUND")
    assert api.get("/v1/exports/nonsense").code == (404, "NOT_FOUND")
    made = ExportRequest.objects.get()
    assert api.get(f"/v1/exports/{made.pk}").code == (404, "NOT_FOUND")
    # Signed by us, and for something else.
    assert api.get(f"/v1/exports/{signing.TimestampSigner().sign(str(made.pk))}").code == (404, "NOT_FOUND")


def test_a_link_works_for_a_quarter_of_an_hour_and_a_fresh_one_after_that(api, booking, link, now):
    with time_machine.travel(now + timedelta(minutes=14), tick=False):
        assert api.client.get(link).status_code == 200
    with time_machine.travel(now + timedelta(minutes=16), tick=False):
        assert api.get(link).code == (404, "NOT_FOUND")
        fresh = api.as_user(booking.parent.user).get(EXPORTS).data[0]["downloadUrl"]
        assert api.client.get(fresh).status_code == 200
    with time_machine.travel(now + timedelta(days=3, minutes=1), tick=False):
        fresh = privacy_views.SIGNER.sign(str(ExportRequest.objects.get().pk))
        assert api.get(f"/v1/exports/{fresh}").code == (404, "NOT_FOUND")


def test_a_link_is_in_no_log(api, link, caplog):
    with caplog.at_level("DEBUG"):
        api.client.get(link)
        api.get(link + "x")
    assert len(caplog.records) >= 2
    assert link.rpartition("/")[2] not in caplog.text
    assert link.rpartition(":")[2] not in caplog.text


def test_a_new_archive_takes_the_old_ones_place(api, booking, link):
    first = ExportRequest.objects.get()
    api.as_user(booking.parent.user).post(EXPORTS)
    assert default_storage.exists(first.file)
    make_all()
    assert not default_storage.exists(first.file)
    assert list(ExportRequest.objects.order_by("id").values_list("status", flat=True)) == ["expired", "ready"]
    assert api.get(link).code == (404, "NOT_FOUND")


def test_asking_for_ones_data_over_and_over_is_limited_and_watching_the_progress_is_not(api, booking, settings):
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"export": 2}
    caller = api.as_user(booking.parent.user)
    assert [caller.get(EXPORT).status, caller.post(EXPORTS).status] == [200, 202]
    assert caller.get(EXPORT).code == (429, "RATE_LIMITED")
    assert caller.post(EXPORTS).code == (429, "RATE_LIMITED")
    assert [caller.get(EXPORTS).status for _ in range(5)] == [200] * 5


def test_an_archive_of_somebody_else_does_not_exist(api, booking):
    api.as_user(booking.parent.user).post(EXPORTS)
    made = ExportRequest.objects.get()
    stranger = api.as_user(UserFactory())
    assert stranger.get(f"{EXPORTS}/{made.pk}").code == (404, "NOT_FOUND")
    assert stranger.get(EXPORTS).data == []
    assert api.as_user(booking.parent.user).get(f"{EXPORTS}/{made.pk}").data["progress"] == 0


def test_archives_go_after_three_days(booking, now):
    made = export.request_export(user=booking.parent.user, now=now)
    export.make_archive(made.pk, now=now)
    file = ExportRequest.objects.get().file
    assert default_storage.exists(file)
    assert export.expire_archives(now=now + timedelta(days=2.9)) == 0
    assert export.expire_archives(now=now + timedelta(days=3)) == 1
    assert not default_storage.exists(file)
    assert ExportRequest.objects.get().status == "expired"


def test_an_archive_that_the_storage_does_not_let_go_holds_up_no_other(booking, now, monkeypatch):
    for user in (booking.parent.user, UserFactory()):
        export.make_archive(export.request_export(user=user, now=now).pk, now=now)
    stuck, other = ExportRequest.objects.order_by("id")
    delete = default_storage.delete

    def refuse(name):
        if name == stuck.file:
            raise OSError("busy")
        delete(name)

    with monkeypatch.context() as patched:
        patched.setattr(default_storage, "delete", refuse)
        assert export.expire_archives(now=now + timedelta(days=4)) == 1
    assert [default_storage.exists(each.file) for each in (stuck, other)] == [True, False]
    assert export.expire_archives(now=now + timedelta(days=4)) == 1
    assert not default_storage.exists(stuck.file)


def test_progress_is_told_while_the_archive_is_made(api, booking, now, monkeypatch):
    caller = api.as_user(booking.parent.user)
    made = export.request_export(user=booking.parent.user, now=now)
    seen, rows = [], export.Section.rows

    def watched(section, user):
        seen.append(caller.get(f"{EXPORTS}/{made.pk}").data["progress"])
        return rows(section, user)

    monkeypatch.setattr(export.Section, "rows", watched)
    export.make_archive(made.pk, now=now)
    assert seen == sorted(set(seen))
    assert (seen[0], 80 < seen[-1] < 100) == (0, True)


def test_an_archive_that_cannot_be_made_is_tried_again_and_given_up_in_the_end(booking, now, monkeypatch):
    made = export.request_export(user=booking.parent.user, now=now)

    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(default_storage, "save", full)
    for _ in range(export.MAX_ATTEMPTS):
        now += timedelta(hours=1)
        with pytest.raises(OSError, match="no space"):
            export.make_archive(made.pk, now=now)
        assert export.make_archive(made.pk, now=now) is None
    assert export.make_archive(made.pk, now=now + timedelta(hours=1)).status == "failed"


def test_the_export_takes_as_many_queries_for_three_children_as_for_one(api, django_assert_max_num_queries):
    child = ChildFactory()
    caller = api.as_user(child.parent.user)
    with django_assert_max_num_queries(len(export.SECTIONS) + 2):
        caller.get(EXPORT)
    ChildFactory.create_batch(2, parent=child.parent)
    with django_assert_max_num_queries(len(export.SECTIONS) + 2):
        assert len(caller.get(EXPORT).data["children"]) == 3


def test_staff_find_their_businesses_in_it(api):
    member = ProviderUserFactory(role="admin")
    data = api.as_user(member.user).get(EXPORT).data
    [row] = data["businesses"]
    assert (row["providerAccountBusinessName"], row["role"]) == (member.provider_account.business_name, "admin")
    assert (data["businessProfiles"], data["businessPlaces"]) == ([], [])


def test_owners_find_what_their_business_says_of_them(api):
    owner = ProviderUserFactory(provider_account__phone="+15125550100", provider_account__type="individual")
    place = LocationFactory(provider=owner.provider_account, address="7 Home Street")
    data = api.as_user(owner.user).get(EXPORT).data
    [profile], [where] = data["businessProfiles"], data["businessPlaces"]
    assert (profile["businessName"], profile["phone"]) == (owner.provider_account.business_name, "+15125550100")
    assert (where["address"], where["cityName"]) == ("7 Home Street", place.city.name)
