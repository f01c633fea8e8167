"""`manage.py seed_geography`: the countries, cities and localities of geography/data."""

import csv
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction

from geography.models import City, Country, Locality

DATA = Path(__file__).resolve().parents[2] / "data"


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@transaction.atomic
def seed(*, region: str | None = None) -> dict[str, int]:
    """Adds the places that are missing and returns how many of each; an existing row is left as ops staff want it.

    Active are both countries, and the launch cities of `region` (this server's, by default) with their localities.
    """
    region = region or settings.REGION
    return {"countries": add_countries(), "cities": add_cities(region), "localities": add_localities()}


def launch_cities(region: str) -> list[str]:
    """The slugs of the cities with which `region` opens."""
    return [row["slug"] for row in rows("cities.csv") if row["launch"] == "yes" and row["country"] == region.upper()]


def add_countries() -> int:
    known = set(Country.objects.values_list("code", flat=True))
    missing = [
        Country(
            code=row["code"],
            name=row["name"],
            currency=row["currency"],
            phone_prefix=row["phone_prefix"],
            region=row["region"],
            is_active=True,
        )
        for row in rows("countries.csv")
        if row["code"] not in known
    ]
    # Conflicts are ignored because another process may be seeding the same rows.
    Country.objects.bulk_create(missing, ignore_conflicts=True)
    return len(missing)


def add_cities(region: str) -> int:
    countries = {country.code: country for country in Country.objects.all()}
    known = set(City.objects.values_list("country__code", "slug"))
    missing = [
        City(
            country=countries[row["country"]],
            name=row["name"],
            slug=row["slug"],
            timezone=row["timezone"],
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
            population=int(row["population"]),
            is_active=row["launch"] == "yes" and countries[row["country"]].region == region,
        )
        for row in rows("cities.csv")
        if (row["country"], row["slug"]) not in known
    ]
    City.objects.bulk_create(missing, ignore_conflicts=True)
    return len(missing)


def add_localities() -> int:
    cities = {(city.country.code, city.slug): city for city in City.objects.select_related("country")}
    known = set(Locality.objects.values_list("city__country__code", "city__slug", "slug"))
    missing = [
        Locality(
            city=cities[row["country"], row["city"]],
            name=row["name"],
            slug=row["slug"],
            is_active=cities[row["country"], row["city"]].is_active,
        )
        for row in rows("localities.csv")
        if (row["country"], row["city"], row["slug"]) not in known
    ]
    Locality.objects.bulk_create(missing, ignore_conflicts=True)
    return len(missing)


class Command(BaseCommand):
    help = "Adds the countries, cities and localities that are missing; changes no existing row."

    def handle(self, *args: Any, **options: Any) -> None:
        added = seed()
        self.stdout.write("Added " + ", ".join(f"{count} {name}" for name, count in added.items()) + ".")
