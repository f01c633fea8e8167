"""Opening and closing places."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from core.errors import InvalidState
from geography.models import City, Country, Locality


def switch(place: Country | City | Locality, *, is_active: bool, now: datetime) -> None:
    """Opens or closes one place. Raises `InvalidState` if somebody else just did."""
    others = type(place)._default_manager.filter(pk=place.pk, is_active=not is_active)
    if not others.update(is_active=is_active, updated_at=now):
        raise InvalidState(f"This {place._meta.verbose_name} was changed by someone else in the meantime.")


def open_market(*, country: Country, cities: Iterable[City], now: datetime) -> list[Country | City]:
    """Opens `country`, these of its cities and their localities; returns the country and cities that were closed."""
    with transaction.atomic():
        Country.objects.select_for_update().get(pk=country.pk)
        chosen = City.objects.filter(country=country, pk__in=[city.pk for city in cities])
        opened: list[Country | City] = list(chosen.filter(is_active=False).order_by("name"))
        Locality.objects.filter(city__in=chosen, is_active=False).update(is_active=True, updated_at=now)
        chosen.filter(is_active=False).update(is_active=True, updated_at=now)
        if Country.objects.filter(pk=country.pk, is_active=False).update(is_active=True, updated_at=now):
            opened.insert(0, country)
    return opened
