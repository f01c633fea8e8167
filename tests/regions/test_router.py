"""Which table lies in which database, and that the ORM cannot confuse them."""

import uuid

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import ProgrammingError, connections, transaction

from marketplace.models import ParentInterest
from regions.models import AppConfig, FeatureFlag, RatingAggregate, SharedAuditEntry, SlugReservation
from regions.router import RegionsRouter
from tests.factories import ParentFactory, UserFactory
from users.models import Parent, User

pytestmark = pytest.mark.django_db(databases=["default", "global"])

GLOBAL_TABLES = {
    "regions_appconfig",
    "regions_featureflag",
    "regions_ratingaggregate",
    "regions_sharedauditentry",
    "regions_slugreservation",
}


def tables(alias: str) -> set[str]:
    return set(connections[alias].introspection.table_names()) - {"django_migrations"}


def test_the_global_database_has_the_tables_of_regions_and_no_other():
    assert tables("global") == GLOBAL_TABLES


def test_this_regions_database_has_all_the_others():
    ours = {model._meta.db_table for model in apps.get_models(include_auto_created=True) if model._meta.managed}
    assert tables("default") == ours - GLOBAL_TABLES
    assert ours >= GLOBAL_TABLES


def test_no_column_of_the_global_database_can_name_a_person():
    columns = {
        (table, column.name)
        for table in GLOBAL_TABLES
        for column in connections["global"].introspection.get_table_description(connections["global"].cursor(), table)
    }
    assert {name for _, name in columns} == {
        "id", "created_at", "updated_at",
        "key", "value", "description",
        "slug", "region", "subject", "subject_id", "count", "average",
        # The id of a provider account, as subject_id may be, and only until the account is there.
        "held_for",
        # Who of staff changed a flag: an id, and their region alone knows whose. `changes` are of the columns above.
        "at", "model", "object_id", "action", "changes", "actor_id", "request_id", "source",
    }  # fmt: skip


@pytest.mark.parametrize("model", [AppConfig, FeatureFlag, RatingAggregate, SharedAuditEntry, SlugReservation])
def test_models_of_regions_are_read_from_and_written_to_the_global_database(model):
    assert (model.objects.db, model.objects.using(None).db) == ("global", "global")
    assert RegionsRouter().db_for_write(model) == "global"


def test_every_other_model_stays_in_this_region():
    others = [model for model in apps.get_models() if model._meta.app_label != "regions"]
    assert {RegionsRouter().db_for_read(model) for model in others} == {"default"}
    assert {RegionsRouter().db_for_write(model) for model in others} == {"default"}


def test_rows_cannot_be_related_across_databases():
    router = RegionsRouter()
    assert router.allow_relation(User(), FeatureFlag()) is False
    assert router.allow_relation(FeatureFlag(), User()) is False
    assert router.allow_relation(FeatureFlag(), AppConfig()) is True
    assert router.allow_relation(Parent(), User()) is True


def test_no_foreign_key_of_any_model_leads_to_the_other_database():
    crossing = [
        field
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.is_relation and field.related_model is not None
        if (model._meta.app_label == "regions") != (field.related_model._meta.app_label == "regions")
    ]
    assert crossing == []


def test_a_person_cannot_be_written_to_the_global_database():
    user = UserFactory()
    with pytest.raises(ProgrammingError), transaction.atomic(using="global"):  # there is no such table
        User(auth_id=str(uuid.uuid4()), home_region="us").save(using="global")
    with pytest.raises(ProgrammingError), transaction.atomic(using="global"):
        Parent.objects.using("global").create(user_id=user.pk)
    assert ParentFactory(user=UserFactory(parent=None))._state.db == "default"
    assert ParentInterest.objects.db == "default"


@pytest.mark.parametrize(
    ("db", "app", "allowed"),
    [
        ("default", "users", True),
        ("default", "regions", False),
        ("global", "regions", True),
        ("global", "users", False),
        ("global", "auth", False),
        ("global", "sessions", False),
        ("replica", "users", False),
        ("replica", "regions", False),
    ],
)
def test_migrations_go_where_the_tables_belong(db, app, allowed):
    assert RegionsRouter().allow_migrate(db, app) is allowed


def test_the_migrations_say_all_that_the_models_say(capsys):
    call_command("makemigrations", check=True, dry_run=True)
    assert "No changes detected" in capsys.readouterr().out
