"""GET /v1/me/export, and the archives of /v1/me/exports."""

import io
import zipfile
from datetime import timedelta

import orjson
import pytest
from django.apps import apps
from django.core.files.storage import default_storage
from django.db import models

from privacy import export
from privacy.models import ExportRequest
from tests.conftest import ROOT
from tests.factories import (
    BookingFactory,
    ChildFactory,
    ConsentFactory,
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
        "messageReports",
        "notifications",
        "notificationPreferences",
        "bounces",
        "calendarFeeds",
        "businesses",
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


def points_at_a_person(model: type[models.Model]) -> bool:
    people = {User, Parent, Child}
    return any(field.is_relation and field.related_model in people for field in model._meta.concrete_fields)


def test_no_table_about_people_is_forgotten():
    people = [each for each in apps.get_models() if (ROOT / each._meta.app_label).is_dir() and points_at_a_person(each)]
    known = {section.model for section in export.SECTIONS} | set(export.LEFT_OUT)
    assert len(people) > 12
    assert [model._meta.label for model in people if model not in known] == []


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


def test_a_link_that_was_tampered_with_or_is_old_opens_nothing(api, booking):
    caller = api.as_user(booking.parent.user)
    caller.post(EXPORTS)
    export.make_archive(ExportRequest.objects.get().pk, now=ExportRequest.objects.get().next_attempt_at)
    url = caller.get(EXPORTS).data[0]["downloadUrl"]
    assert api.get(url[:-1] + ("a" if url[-1] != "a" else "b")).code == (404, "NOT_FOUND")
    assert api.get("/v1/exports/nonsense").code == (404, "NOT_FOUND")
    ExportRequest.objects.update(expires_at=ExportRequest.objects.get().created_at)
    assert api.get(url).code == (404, "NOT_FOUND")


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
    [row] = api.as_user(member.user).get(EXPORT).data["businesses"]
    assert (row["providerAccountBusinessName"], row["role"]) == (member.provider_account.business_name, "admin")
