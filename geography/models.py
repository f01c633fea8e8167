"""Which markets Juniro operates in: countries, cities, neighbourhoods (data model: Geography).

Ops seed them and switch them on.
"""

import zoneinfo

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from core.classification import Privacy
from core.models import Currency, Model, Region, one_of


def validate_timezone(value: str) -> None:
    if value not in zoneinfo.available_timezones():
        raise ValidationError(f"{value} is not an IANA time zone such as America/Chicago.")


def within(degrees: int) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(-degrees), MaxValueValidator(degrees)]


class ActiveQuerySet(models.QuerySet):
    def active(self) -> "ActiveQuerySet":
        return self.filter(is_active=True)


class Country(Model):
    """A country, and the region whose data centre serves it."""

    code = models.CharField(max_length=2, unique=True, help_text="ISO 3166-1, for example US")
    name = models.CharField(max_length=100, unique=True)
    currency = models.CharField(max_length=3, choices=Currency.choices)
    phone_prefix = models.CharField(max_length=5, blank=True, default="", db_default="")
    region = models.CharField(max_length=2, choices=Region.choices)
    is_active = models.BooleanField(default=False, db_default=False)

    privacy = Privacy(public="code name currency phone_prefix region is_active")

    objects = ActiveQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "countries"
        ordering = ["name"]
        constraints = [
            one_of("currency", Currency.values, "country_currency_allowed"),
            one_of("region", Region.values, "country_region_allowed"),
        ]

    def __str__(self) -> str:
        return self.name


class City(Model):
    """A launch market. Sessions there are planned in `timezone` (IANA)."""

    country = models.ForeignKey(Country, models.PROTECT, related_name="cities")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100)
    timezone = models.CharField(max_length=64, validators=[validate_timezone])
    latitude = models.FloatField(null=True, blank=True, validators=within(90))
    longitude = models.FloatField(null=True, blank=True, validators=within(180))
    population = models.PositiveIntegerField(null=True, blank=True)
    is_active = models.BooleanField(default=False, db_default=False)

    privacy = Privacy(public="country name slug timezone latitude longitude population is_active")

    objects = ActiveQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "cities"
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["country", "slug"], name="city_country_slug_unique"),
            models.CheckConstraint(condition=Q(latitude__range=(-90, 90)), name="city_latitude_range"),
            models.CheckConstraint(condition=Q(longitude__range=(-180, 180)), name="city_longitude_range"),
        ]

    def __str__(self) -> str:
        return self.name


class Locality(Model):
    """A neighbourhood within a city; optional."""

    city = models.ForeignKey(City, models.PROTECT, related_name="localities")
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100)
    is_active = models.BooleanField(default=False, db_default=False)

    privacy = Privacy(public="city name slug is_active")

    objects = ActiveQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "localities"
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["city", "slug"], name="locality_city_slug_unique")]

    def __str__(self) -> str:
        return self.name
