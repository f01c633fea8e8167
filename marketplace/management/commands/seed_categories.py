"""`manage.py seed_categories`: the category tree of marketplace/data/categories.csv."""

import csv
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Q

from marketplace.models import Category

DATA = Path(__file__).resolve().parents[2] / "data" / "categories.csv"


@transaction.atomic
def seed() -> int:
    """Adds the categories that are missing and returns how many; an existing row is left as ops staff want it."""
    with DATA.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    before = Category.objects.count()
    branches: dict[str, Category] = {}
    for row in rows:
        if row["parent"]:
            continue
        # Ops may have given the name or the slug to a category of theirs; that one is then the branch.
        taken = Category.objects.filter(Q(slug=row["slug"]) | Q(name=row["name"])).first()
        branches[row["name"]] = taken or Category.objects.create(**fields(row))
    leaves = [Category(**fields(row), parent=branches[row["parent"]]) for row in rows if row["parent"]]
    Category.objects.bulk_create(leaves, ignore_conflicts=True)
    return Category.objects.count() - before


def fields(row: dict[str, str]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "slug": row["slug"],
        "position": int(row["position"]),
        "is_active": row["active"] == "yes",
    }


class Command(BaseCommand):
    help = "Adds the categories that are missing; changes no existing row."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"Added {seed()} categories.")
