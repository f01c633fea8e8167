"""The registry: how sensitive each column is, said beside its model."""

import pytest
from django.core import checks
from django.db import models, router
from django.test.utils import isolate_apps

from core.classification import (
    Privacy,
    Sensitivity,
    check_classification,
    classified_models,
    faults,
    personal_columns,
    sensitivities,
)
from core.models import Model
from geography.models import Country
from messaging.models import Message
from payments.models import Payment
from providers.models import Location
from users.models import Child, Parent, User

HIGH, MEDIUM = Sensitivity.HIGH, Sensitivity.MEDIUM

# All that the global layer may hold, column by column. Whoever adds one says here that it is of nobody.
GLOBAL_COLUMNS = {
    "regions.SlugReservation": {
        "slug": models.SlugField,
        "region": models.CharField,
        "held_for": models.UUIDField,
    },
    "regions.RatingAggregate": {
        "region": models.CharField,
        "subject": models.CharField,
        "subject_id": models.UUIDField,
        "count": models.PositiveIntegerField,
        "average": models.DecimalField,
    },
    "regions.FeatureFlag": {
        "key": models.CharField,
        "value": models.BooleanField,
        "description": models.TextField,
    },
    "regions.AppConfig": {
        "key": models.CharField,
        "value": models.JSONField,
        "description": models.TextField,
    },
    # Of staff it has an id, which their own region alone can resolve.
    "regions.SharedAuditEntry": {
        "id": models.BigAutoField,
        "at": models.DateTimeField,
        "model": models.CharField,
        "object_id": models.CharField,
        "action": models.CharField,
        "changes": models.JSONField,
        "actor_id": models.UUIDField,
        "region": models.CharField,
        "request_id": models.CharField,
        "source": models.CharField,
    },
}
OF_EVERY_ROW = {"id": models.UUIDField, "created_at": models.DateTimeField, "updated_at": models.DateTimeField}


def test_every_column_of_every_table_is_classified():
    assert len(classified_models()) > 40
    assert [fault for model in classified_models() for fault in faults(model)] == []


@pytest.mark.parametrize(
    ("model", "column", "least"),
    [
        (User, "email", MEDIUM),
        *((Parent, column, HIGH) for column in ("first_name", "last_name", "phone")),
        *((Child, column, HIGH) for column in ("first_name", "last_name", "birth_date")),
        *((Location, column, MEDIUM) for column in ("address", "latitude", "longitude")),
        *((Payment, column, HIGH) for column in ("processor_payment_id", "processor_checkout_id")),
        *((Message, column, HIGH) for column in ("content", "attachments")),
    ],
)
def test_what_the_data_model_calls_pii_is_at_least_that(model, column, least):
    assert sensitivities(model)[column] in {HIGH, least}


@isolate_apps("core")
def test_a_column_that_nobody_classified_stops_makemigrations_migrate_and_this_suite(monkeypatch):
    class Pupil(Model):
        name = models.CharField(max_length=100)
        nickname = models.CharField(max_length=100)

        privacy = Privacy(high="name")

        class Meta:
            app_label = "core"

    monkeypatch.setattr("core.classification.classified_models", lambda: [Pupil])
    [error] = check_classification(None)
    assert (error.id, error.msg, error.level) == ("core.E001", "core.Pupil.nickname is not classified.", checks.ERROR)
    assert check_classification in checks.registry.registry.get_checks()


@isolate_apps("core")
def test_names_that_are_no_column_or_stand_twice_are_told():
    class Pupil(Model):
        name = models.CharField(max_length=100)

        privacy = Privacy(high="name nick", public="name")

        class Meta:
            app_label = "core"

    assert list(faults(Pupil)) == [
        "core.Pupil.nick is classified, and there is no such column.",
        "core.Pupil.name is classified twice.",
    ]


@isolate_apps("core", "users")
def test_old_versions_of_a_row_are_as_sensitive_as_the_row():
    class ChildEvent(models.Model):  # noqa: DJ008
        pgh_tracked_model = Child

        pgh_id = models.AutoField(primary_key=True)
        pgh_label = models.TextField()
        id = models.UUIDField()
        first_name = models.CharField(max_length=100)

        class Meta:
            app_label = "users"

    assert list(faults(ChildEvent)) == []
    assert personal_columns(ChildEvent) == {"first_name"}


# --- The global layer ------------------------------------------------------------------------------------------------


def is_global(model: type[models.Model]) -> bool:
    return router.db_for_write(model) == "global"


def test_the_global_layer_holds_the_columns_of_its_allowlist_and_no_other():
    found = {
        model._meta.label: {field.name: type(field) for field in model._meta.concrete_fields}
        for model in classified_models()
        if is_global(model)
    }
    assert found == {
        label: columns if "id" in columns else OF_EVERY_ROW | columns for label, columns in GLOBAL_COLUMNS.items()
    }


def test_no_table_of_the_global_layer_has_a_personal_column_or_points_anywhere():
    for model in filter(is_global, classified_models()):
        assert personal_columns(model) == set(), model
        assert [field.name for field in model._meta.get_fields() if field.is_relation] == [], model
    assert not is_global(Country)
