"""Keeps the tables of `regions` in the global database and all the others in this region's."""

from typing import Any

from django.db import models


class RegionsRouter:
    """Data residency as a rule of the ORM: nothing of a person can be written to the global database by accident."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        return "global" if model._meta.app_label == "regions" else "default"

    db_for_write = db_for_read

    def allow_relation(self, first: models.Model, second: models.Model, **hints: Any) -> bool:
        return (first._meta.app_label == "regions") == (second._meta.app_label == "regions")

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return (db == "global") == (app_label == "regions") and db != "replica"
