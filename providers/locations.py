"""A provider's places. Once there is any, exactly one is the default; the account's lock keeps two verbs apart."""

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import RestrictedError

from core.errors import Error, NotFound, ValidationFailed
from providers.models import Location, ProviderAccount
from providers.services import lock_account


class LocationInUse(Error):
    status, code, message = 409, "LOCATION_IN_USE", "Sessions take place there, or did."


def add(*, account: ProviderAccount, is_default: bool = False, **fields: Any) -> Location:
    """A new place; an account's first is its default whatever it says."""
    with transaction.atomic():
        lock_account(account.pk)
        default = Location.objects.filter(provider=account, is_default=True)
        is_default = is_default or not default.exists()
        if is_default:
            default.update(is_default=False)
        return Location.objects.create(provider=account, is_default=is_default, **fields)


def change(*, location: Location, is_default: bool | None = None, **fields: Any) -> Location:
    """Changes a place. Becoming the default takes it from the other one; it cannot just be given up."""
    with transaction.atomic():
        location = lock_location(location)
        if is_default is False and location.is_default:
            raise ValidationFailed("Make another location the default instead.", field="isDefault")
        if is_default and not location.is_default:
            Location.objects.filter(provider=location.provider_id, is_default=True).update(is_default=False)
            fields["is_default"] = True
        for name, value in fields.items():
            setattr(location, name, value)
        location.save(update_fields=[*fields, "updated_at"])
        return location


def remove(*, location: Location) -> None:
    """Deletes a place where no session ever was. The oldest of the others becomes the default.

    Raises `LocationInUse`.
    """
    try:
        with transaction.atomic():
            location = lock_location(location)
            location.delete()
            others = Location.objects.filter(provider=location.provider_id)
            if location.is_default and (oldest := others.order_by("id").first()):
                others.filter(pk=oldest.pk).update(is_default=True)
    except (RestrictedError, IntegrityError):
        # By Django's own look, or by the foreign key of a session that was made in this very moment.
        raise LocationInUse from None


def lock_location(location: Location) -> Location:
    """The place as it is once its account is locked. Raises `NotFound` if it has gone meanwhile."""
    lock_account(location.provider_id)
    found = Location.objects.select_related("city", "locality").filter(pk=location.pk).first()
    if found is None:
        raise NotFound
    return found
