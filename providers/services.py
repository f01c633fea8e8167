"""Opening a provider account, and what ops decide about it."""

import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from core.errors import Error, InvalidState
from notifications.models import NotificationKind
from notifications.services import notify
from providers.models import ProviderAccount, ProviderUser, StaffRole
from regions.services import SlugsOutOfReach, SlugTaken, hold_slug, keep_slug, overdue_slugs, release_slug
from users.models import User

log = structlog.get_logger("juniro.providers")

MOST_ACCOUNTS = 10
# Leaves room for what makes it unique.
SLUG_STEM = 70


# --- Opening an account --------------------------------------------------------------------------------------------


def open_account(*, user: User, slug: str | None = None, **profile: Any) -> ProviderAccount:
    """A new account with `user` as its owner, who becomes a provider.

    Its slug is taken in both regions before anything is written here; without a `slug` it comes from the name. Raises
    `SlugTaken`, `SlugsOutOfReach`, and `InvalidState` for the same name twice or too many accounts.
    """
    account = ProviderAccount(**profile)
    hold_one_of([slug] if slug else slugs_for(account.business_name), account)
    try:
        with transaction.atomic():
            # Twins of a double click take turns here, and the second finds the first one's account.
            User.objects.select_for_update(no_key=True).get(pk=user.pk)
            check_another(user=user, business_name=account.business_name)
            account.save(force_insert=True)
            ProviderUser.objects.create(provider_account=account, user=user, role=StaffRole.OWNER)
            make_provider(user)
    except IntegrityError:
        # An account here has a slug that the global layer did not know of. The sweep will tell it.
        raise SlugTaken(field="slug") from None
    except Error:
        settle(release_slug, account.slug, account_id=account.pk)
        raise
    settle(keep_slug, account.slug)
    return account


def hold_one_of(slugs: Iterator[str] | list[str], account: ProviderAccount) -> None:
    """Gives `account` the first of `slugs` that is free in both regions. Raises `SlugTaken`, `SlugsOutOfReach`."""
    for slug in slugs:
        if ProviderAccount.objects.filter(slug=slug).exists():
            continue
        try:
            hold_slug(slug, account_id=account.pk)
        except SlugTaken:
            continue
        account.slug = slug
        return
    raise SlugTaken(field="slug")


def slugs_for(business_name: str) -> Iterator[str]:
    """Slugs to try for a name, the nicest first. A name in another script than Latin has none of its own."""
    stem = slugify(business_name)[:SLUG_STEM].strip("-_")
    if stem:
        yield stem
        yield from (f"{stem}-{number}" for number in range(2, 6))
    for _ in range(3):
        yield f"{stem or 'provider'}-{secrets.token_hex(4)}"


def check_another(*, user: User, business_name: str) -> None:
    """Raises `InvalidState` if `user` owns an account of this name, or too many."""
    owned = ProviderAccount.objects.filter(staff__user=user, staff__role=StaffRole.OWNER)
    if owned.filter(business_name__iexact=business_name).exists():
        raise InvalidState("You have an account of this name already.")
    if owned.count() >= MOST_ACCOUNTS:
        raise InvalidState(f"Nobody may own more than {MOST_ACCOUNTS} accounts.")


def make_provider(user: User) -> None:
    """Raises a parent to a provider, who keeps a parent's abilities; anybody else stays what they are."""
    if User.objects.filter(pk=user.pk, role=User.Role.PARENT).update(role=User.Role.PROVIDER):
        user.role = User.Role.PROVIDER


def settle(verb: Any, slug: str, **given: Any) -> None:
    """What the global layer need only learn in the end: with it out of reach, the sweep does it later."""
    try:
        verb(slug, **given)
    except SlugsOutOfReach:
        log.warning("slug not settled, the sweep will do it", slug=slug)


def settle_slugs(*, now: datetime) -> int:
    """Keeps or gives back the slugs that a crash left held; returns how many. Raises `SlugsOutOfReach`."""
    overdue = overdue_slugs(now=now)
    for slug, account_id in overdue:
        if ProviderAccount.objects.filter(slug=slug).exists():
            keep_slug(slug)
        else:
            release_slug(slug, account_id=account_id)
    return len(overdue)


# --- Verification ---------------------------------------------------------------------------------------------------


def verify(*, account: ProviderAccount, now: datetime) -> None:
    """The provider goes live, and its owners and admins hear of it. Raises `InvalidState`."""
    with transaction.atomic():
        account.verify(now=now)
        tell(account, NotificationKind.PROVIDER_VERIFIED, now=now)


def reject(*, account: ProviderAccount, reason: str, now: datetime) -> None:
    """Sends the provider back with a reason; it may correct itself and submit again. Raises `InvalidState`."""
    with transaction.atomic():
        account.reject(reason=reason)
        tell(account, NotificationKind.PROVIDER_REJECTED, now=now)


def suspend(*, account: ProviderAccount, reason: str, now: datetime) -> None:
    """Takes the provider out of the catalogue at once; its bookings stay and can be handled. Raises `InvalidState`."""
    with transaction.atomic():
        account.suspend(reason=reason)
        tell(account, NotificationKind.PROVIDER_SUSPENDED, now=now)


def reinstate(*, account: ProviderAccount, now: datetime) -> None:
    """Puts a suspended provider back into the catalogue. Raises `InvalidState`."""
    with transaction.atomic():
        account.verify(now=now)
        tell(account, NotificationKind.PROVIDER_REINSTATED, now=now)


def tell(account: ProviderAccount, kind: NotificationKind, *, now: datetime, roles: Any = None) -> None:
    """Notifies the account's owners and admins, or those with one of `roles`."""
    users = ProviderUser.objects.filter(
        provider_account=account, role__in=roles or [StaffRole.OWNER, StaffRole.ADMIN]
    ).values_list("user_id", flat=True)
    # An account may be rejected, or suspended, more than once.
    notify(users, kind=kind, subject_id=account.pk, now=now, occasion=now.isoformat())


# --- Locks ----------------------------------------------------------------------------------------------------------


def lock_account(account_id: UUID) -> ProviderAccount:
    """The account, locked until commit: for rules over several of its rows, such as its one default location."""
    return ProviderAccount.objects.select_for_update(no_key=True).get(pk=account_id)
