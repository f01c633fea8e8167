"""The audit trail: what triggers write down, whose doing it was, and what it must not cost."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, connections, transaction
from django.utils import timezone

from bookings import places
from bookings.models import Booking
from core import audit
from core.acting import acting, audited, may_be_noted
from core.classification import personal_columns
from core.models import AuditEntry
from core.tasks import purge_audit_trail
from geography.models import City
from payments.models import Payment
from payments.tasks import expire_holds
from regions.models import FeatureFlag, SharedAuditEntry
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.factories import (
    BookingFactory,
    ChildFactory,
    CityFactory,
    ConsentFactory,
    ParentFactory,
    PaymentFactory,
    SessionFactory,
    UserFactory,
    in_days,
)
from users.models import User

pytestmark = pytest.mark.django_db(databases=["default", "global"])
committing = pytest.mark.django_db(transaction=True, databases=["default", "global"])

# Models of the admin that the trail leaves out, and why.
LEFT_OUT = {
    "admin.LogEntry": "is a trail itself",
    "bookings.CalendarFeed": "made and taken back by its user",
    "bookings.RosterView": "is a trail itself",
    "bookings.Seat": "follows its booking",
    "core.AuditEntry": "is the trail",
    "core.IdempotencyKey": "passes",
    "marketplace.ParentInterest": "its user's own",
    "messaging.Attachment": "becomes part of a message, and is never changed",
    "messaging.Conversation": "moves with each message",
    "messaging.Message": "is never changed",
    "notifications.Bounce": "is never changed",
    "notifications.Notification": "passes",
    "notifications.NotificationPreference": "its user's own",
    "payments.Reconciliation": "moves every minute",
    "payments.WebhookEvent": "is a trail itself",
    "privacy.ErasureRequest": "says itself when it did what",
    "privacy.ExportRequest": "passes",
    "providers.Invitation": "becomes a provider user, which is followed",
    "regions.RatingAggregate": "follows the reviews",
    "regions.SharedAuditEntry": "is the trail",
    "regions.SlugReservation": "follows the provider account",
    "users.AccountTombstone": "is never changed",
    "users.Consent": "is never changed",
}


def trail(row, entries=AuditEntry) -> list[dict]:
    return list(entries.objects.filter(object_id=str(row.pk)).order_by("pk").values())


def latest(row, entries=AuditEntry) -> dict:
    return trail(row, entries)[-1]


# --- What is written down ---------------------------------------------------------------------------------------------


def test_every_model_of_the_admin_is_followed_or_left_out_for_a_reason():
    shown = {model._meta.label for model in admin.site._registry}
    assert shown - set(audited()) == set(LEFT_OUT)
    assert not set(audited()) & set(LEFT_OUT)


@pytest.mark.parametrize("alias", ["default", "global"])
def test_the_triggers_are_those_of_the_table(alias):
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT tgname, tgrelid::regclass::text, encode(tgargs, 'escape') FROM pg_trigger"
            " WHERE tgname LIKE 'zz\\_audit\\_%'"
        )
        found = {
            (table, name.removeprefix("zz_audit_")): args.split("\\000") for name, table, args in cursor.fetchall()
        }
    wanted = set()
    for label, how in audited().items():
        if label.startswith("regions.") == (alias == "global"):
            model = apps.get_model(label)
            events = ["update", "delete"] + (["insert"] if "created" in how else [])
            for event in events:
                key = (model._meta.db_table, event)
                wanted.add(key)
                assert found[key][0] == label
                named = {field.column for field in model._meta.concrete_fields if field.name in personal_columns(model)}
                assert set(filter(None, found[key][2].strip("{}").split(","))) == named, label
    assert set(found) == wanted, "After a change of juniro/audited.py or of a personal column: InstallAudit()."


def test_a_change_by_sql_alone_is_noted_with_old_and_new():
    city = CityFactory()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE geography_city SET is_active = FALSE, population = 5 WHERE id = %s", [city.pk])
    entry = latest(city)
    assert (entry["model"], entry["action"]) == ("geography.City", "changed")
    assert entry["changes"] == {"is_active": [True, False], "population": [None, 5]}
    assert (entry["actor_id"], entry["source"], entry["request_id"]) == (None, "", "")


def test_making_and_deleting_a_row_is_noted_with_what_it_held():
    city = City.objects.create(country=CityFactory().country, name="Reno", slug="reno", timezone="America/Los_Angeles")
    pk = str(city.pk)
    City.objects.filter(pk=city.pk).delete()
    made, gone = AuditEntry.objects.filter(object_id=pk).order_by("pk")
    assert (made.action, made.changes["slug"]) == ("created", [None, "reno"])
    assert (gone.action, gone.changes["slug"]) == ("deleted", ["reno", None])


def test_an_update_that_changes_nothing_is_not_noted():
    city = CityFactory()
    before = len(trail(city))
    city.save()
    City.objects.filter(pk=city.pk).update(name=city.name)
    assert len(trail(city)) == before


def test_of_personal_columns_only_the_fact_is_kept():
    parent = ParentFactory(first_name="Anabel", last_name="Lopezova")
    child = ChildFactory(parent=parent, first_name="Miriam")
    parent.first_name, parent.phone = "Anna", "+15125550123"
    parent.save()
    User.objects.filter(pk=parent.user_id).update(email="anabel@example.com", role="provider")
    child.delete()
    assert latest(parent)["changes"] == {"first_name": None, "phone": None}
    assert latest(parent.user)["changes"] == {"email": None, "role": ["parent", "provider"]}
    gone = AuditEntry.objects.get(model="users.Child", action="deleted").changes
    assert (gone["first_name"], gone["birth_date"], gone["parent_id"]) == (None, None, [str(parent.pk), None])
    text = str(list(AuditEntry.objects.values_list("changes")))
    assert not [word for word in ("Anabel", "Anna", "Miriam", "Lopez", "5550123", "anabel@") if word in text]


def test_passwords_tokens_and_addresses_of_checkouts_are_nowhere():
    user = staff(email="ops@juniro.example")
    user.set_password("a long walk by the sea")
    user.last_login = user.last_seen_at = timezone.now()
    user.save()
    assert latest(user)["changes"] == {"password": None}
    payment = PaymentFactory()
    payment.checkout_url, payment.looked_up_at = "https://checkout.example/secret", timezone.now()
    payment.save()
    assert trail(payment) == []


def test_rights_are_noted_with_the_member_of_staff_and_the_group():
    user, group = staff(), Group.objects.create(name="night shift")
    user.groups.add(group)
    assert latest(user)["model"] == "users.User_groups"
    assert latest(user)["changes"] == {"group_id": [None, group.pk]}
    user.groups.remove(group)
    assert latest(user)["action"] == "deleted"


# --- Whose doing it was -----------------------------------------------------------------------------------------------


def test_a_verb_of_the_admin_is_noted_with_who_which_request_and_from_where():
    boss, user = staff(is_superuser=True), UserFactory()
    client = signed_in(boss)
    path = f"/admin/users/user/{user.pk}/suspend/"
    client.post(path, {"apply": "yes", "reason": "Chargebacks"}, headers={"X-Request-ID": "request-0001"})
    entry = latest(user)
    assert entry["changes"] == {"is_active": [True, False]}
    assert (entry["actor_id"], entry["request_id"], entry["region"]) == (boss.pk, "request-0001", "us")
    assert entry["source"] == "POST /admin/users/user/<path:object_id>/suspend/"


def test_a_change_by_the_api_is_noted_with_the_users_id_and_the_route(api):
    child = ChildFactory()
    user = child.parent.user
    ConsentFactory(user=user)
    answer = api.as_user(user).patch(f"/v1/me/children/{child.pk}", {"firstName": "Mona"}, X_Request_ID="request-0002")
    assert answer.status == 200
    entry = latest(child)
    assert (entry["actor_id"], entry["request_id"], entry["changes"]) == (user.pk, "request-0002", {"first_name": None})
    assert entry["source"] == "PATCH /v1/me/children/<uuid:pk>"
    assert user.email not in str(entry)


def test_a_task_is_noted_by_its_name():
    booking = BookingFactory(expires_at=in_days(-1))
    expire_holds()
    entry = latest(booking)
    assert (entry["changes"]["status"], entry["source"]) == (
        ["pending_payment", "expired"],
        "payments.tasks.expire_holds",
    )
    assert entry["actor_id"] is None


def test_a_flag_is_noted_in_the_global_database_and_nowhere_else():
    boss = staff(is_superuser=True)
    flag = FeatureFlag.objects.create(key="CHAT", description="Messages")
    with acting(lambda: {"actor": str(boss.pk), "request": "request-0003", "source": "POST /admin/"}):
        FeatureFlag.objects.filter(pk=flag.pk).update(value=True)
    entry = latest(flag, SharedAuditEntry)
    assert entry["changes"] == {"value": [False, True]}
    assert (entry["actor_id"], entry["region"], entry["request_id"]) == (boss.pk, "us", "request-0003")
    assert trail(flag) == []


@committing
def test_who_acted_is_forgotten_with_the_transaction():
    city, actor = CityFactory(), UUID(int=1)
    with acting(lambda: {"actor": str(actor)}):
        City.objects.filter(pk=city.pk).update(population=1)  # in no transaction of ours
        with transaction.atomic():
            City.objects.filter(pk=city.pk).update(population=2)
            City.objects.filter(pk=city.pk).update(population=3)
        with transaction.atomic():
            City.objects.filter(pk=city.pk).update(population=4)
    City.objects.filter(pk=city.pk).update(population=5)
    assert [entry["actor_id"] for entry in trail(city)][-5:] == [actor, actor, actor, actor, None]


@committing
def test_a_savepoint_that_is_rolled_back_does_not_take_who_acted_along():
    city, actor = CityFactory(), UUID(int=1)
    with acting(lambda: {"actor": str(actor)}), transaction.atomic():
        with pytest.raises(IntegrityError), transaction.atomic():
            City.objects.filter(pk=city.pk).update(population=1)
            City.objects.create(country=city.country, name="Again", slug=city.slug, timezone="UTC")
        City.objects.filter(pk=city.pk).update(population=2)
    assert [(entry["actor_id"], entry["changes"]) for entry in trail(city)][1:] == [(actor, {"population": [None, 2]})]


@committing
def test_what_is_rolled_back_leaves_no_trace():
    city = CityFactory()
    with pytest.raises(RuntimeError), transaction.atomic():
        City.objects.filter(pk=city.pk).update(population=1)
        raise RuntimeError
    assert len(trail(city)) == 1


@committing
def test_many_at_once_are_not_mistaken_for_each_other(at_once):
    cities = [
        City.objects.create(country=CityFactory().country, name=f"C {n}", slug=f"c-{n}", timezone="UTC")
        for n in range(6)
    ]

    def change(n: int) -> None:
        with acting(lambda: {"actor": str(UUID(int=n + 1))}):
            for population in range(1, 6):
                City.objects.filter(pk=cities[n].pk).update(population=population)

    at_once(change, list(range(6)))
    for n, city in enumerate(cities):
        assert {entry["actor_id"] for entry in trail(city)[1:]} == {UUID(int=n + 1)}


# --- What it must not cost --------------------------------------------------------------------------------------------


def test_neither_reads_nor_a_booking_make_a_statement_or_an_entry(api):
    assert not may_be_noted(places.WRITE)
    assert not may_be_noted(places.LOOK)
    assert not may_be_noted(str(Booking.objects.filter(status="confirmed").query))
    assert not may_be_noted('UPDATE "marketplace_session" SET "enrolled" = ("enrolled" - 1)')
    assert may_be_noted('UPDATE "payments_payment" SET "status" = %s')
    assert may_be_noted('UPDATE "marketplace_session" SET "capacity" = %s')

    session, child = SessionFactory(), ChildFactory()
    ConsentFactory(user=child.parent.user)
    AuditEntry.objects.all().delete()
    body = {"sessionId": str(session.pk), "childId": str(child.pk)}
    assert api.as_user(child.parent.user).post("/v1/me/bookings", body, Idempotency_Key="one").status == 201
    session.refresh_from_db()
    assert session.enrolled == 1
    assert list(AuditEntry.objects.all()) == []


def test_another_capacity_is_noted_without_the_seats():
    session = SessionFactory(enrolled=3)
    session.capacity = 12
    session.save()
    assert latest(session)["changes"] == {"capacity": [10, 12]}


# --- Keeping it -------------------------------------------------------------------------------------------------------


def test_old_entries_are_deleted_when_their_time_is_over(settings):
    settings.AUDIT_RETENTION_DAYS = 30
    city, flag = CityFactory(), FeatureFlag.objects.create(key="CHAT")
    for entries in (AuditEntry, SharedAuditEntry):
        entries.objects.update(at=timezone.now() - timedelta(days=31))
    City.objects.filter(pk=city.pk).update(population=1)
    old = AuditEntry.objects.count() - 1 + SharedAuditEntry.objects.count()
    assert purge_audit_trail() == old
    assert [entry["action"] for entry in trail(city)] == ["changed"]
    assert trail(flag, SharedAuditEntry) == []
    assert purge_audit_trail() == 0


def test_a_person_is_taken_out_of_the_trail():
    payment, other = PaymentFactory(), PaymentFactory()
    user = payment.booking.parent.user
    city = CityFactory()
    for each in (payment, other):
        Payment.objects.filter(pk=each.pk).update(status="paid", paid_at=timezone.now())
    with acting(lambda: {"actor": str(user.pk)}):
        City.objects.filter(pk=city.pk).update(population=1)
    audit.forget([payment.pk], actor=user.pk)
    assert trail(payment) == []
    assert len(trail(other)) == 1
    assert latest(city)["actor_id"] is None


# --- In the admin -----------------------------------------------------------------------------------------------------


def test_the_page_of_a_row_tells_its_history(client):
    boss, city = staff(email="boss@juniro.example", is_superuser=True), CityFactory()
    client = signed_in(boss)
    form = {"country": str(city.country_id), "name": "Austin", "slug": "austin", "timezone": "America/Chicago"}
    path = f"/admin/geography/city/{city.pk}"
    client.post(f"{path}/change/", form | {"population": "7"}, headers={"X-Request-ID": "request-0004"})
    page = client.get(f"{path}/history/").content.decode()
    for shown in ("boss@juniro.example", "request-0004", "population</span> – → 7", "POST /admin/geography/city/"):
        assert shown in page, shown


def test_the_trail_is_found_by_row_request_member_of_staff_and_model():
    boss, other = staff(email="boss@juniro.example", is_superuser=True), CityFactory()
    client = signed_in(boss)
    child = ChildFactory()
    client.post(
        f"/admin/users/user/{child.parent.user_id}/suspend/",
        {"apply": "yes", "reason": "x"},
        headers={"X-Request-ID": "request-0005"},
    )
    wanted = latest(child.parent.user)["id"]
    for query in (
        {"q": str(child.parent.user_id)},
        {"q": "request-0005"},
        {"q": "Boss@juniro.example"},
        {"q": str(boss.pk)},
    ):
        found = client.get("/admin/core/auditentry/", query).context["cl"].result_list
        assert wanted in [entry.pk for entry in found], query
        assert str(other.pk) not in [entry.object_id for entry in found], query
    by_model = client.get("/admin/core/auditentry/", {"model": "geography.City"}).context["cl"].result_list
    assert {entry.model for entry in by_model} == {"geography.City"}
    assert list(client.get("/admin/core/auditentry/", {"q": "nothing"}).context["cl"].result_list) == []


def test_nobody_changes_the_trail():
    client, city = signed_in(staff(is_superuser=True)), CityFactory()
    entry = AuditEntry.objects.get(object_id=str(city.pk))
    for verb in ("change", "delete"):
        assert client.post(f"/admin/core/auditentry/{entry.pk}/{verb}/", {"post": "yes"}).status_code == 403
    assert client.post("/admin/core/auditentry/add/", {}).status_code == 403
    assert AuditEntry.objects.filter(pk=entry.pk).values("changes").get()["changes"] == entry.changes
