"""Opening and closing markets."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from geography.models import City, Country, Locality


def open_market(*, country: Country, cities: Iterable[City]) -> list[Country | City]:
    """Opens `country`, these of its cities and their localities; returns the country and cities that were closed."""
    with transaction.atomic():
        closed = list(City.objects.select_for_update().filter(pk__in=[city.pk for city in cities], country=country))
        opened: list[Country | City] = [city for city in closed if not city.is_active]
        now = timezone.now()
        Locality.objects.filter(city__in=closed, is_active=False).update(is_active=True, updated_at=now)
        City.objects.filter(pk__in=[city.pk for city in opened]).update(is_active=True, updated_at=now)
        if Country.objects.filter(pk=country.pk, is_active=False).update(is_active=True, updated_at=now):
            opened.insert(0, country)
    return opened
