"""Who works for a provider account, and as what. Its staff changes under the account's lock: an owner always stays."""

from uuid import UUID

from django.db import transaction

from core.errors import Error, Forbidden, InvalidState, NotFound
from providers.models import ProviderUser, StaffRole
from providers.permissions import may
from providers.services import lock_account


class LastOwner(Error):
    status, code, message = 409, "LAST_OWNER", "An account needs an owner. Hand over the ownership first."


def change_role(*, by: ProviderUser, member_id: UUID, role: str) -> ProviderUser:
    """Gives a member another role. Only owners make owners, or change one. Raises `Forbidden`, `LastOwner`."""
    with transaction.atomic():
        by, member = lock_staff(by, member_id)
        check(by, "manage_staff")
        if StaffRole.OWNER in (member.role, role) and member.role != role:
            check(by, "transfer_ownership")
        if member.role == StaffRole.OWNER and role != StaffRole.OWNER:
            check_not_last(member)
        return set_role(member, role)


def transfer_ownership(*, by: ProviderUser, member_id: UUID) -> ProviderUser:
    """Makes another member an owner, and the owner who does so an admin. Raises `Forbidden`, `InvalidState`."""
    with transaction.atomic():
        by, member = lock_staff(by, member_id)
        check(by, "transfer_ownership")
        if member.pk == by.pk:
            raise InvalidState("This is you. Name somebody else.")
        if not member.user.is_active:
            raise InvalidState("This person's account is suspended.")
        set_role(by, StaffRole.ADMIN)
        return set_role(member, StaffRole.OWNER)


def remove(*, by: ProviderUser, member_id: UUID) -> None:
    """Ends a membership, at once. Only owners remove owners. Raises `Forbidden`, `LastOwner`."""
    with transaction.atomic():
        by, member = lock_staff(by, member_id)
        check(by, "leave" if member.pk == by.pk else "manage_staff")
        if member.role == StaffRole.OWNER:
            check(by, "transfer_ownership")
            check_not_last(member)
        member.delete()


def lock_staff(by: ProviderUser, member_id: UUID) -> tuple[ProviderUser, ProviderUser]:
    """The one who acts and the one it is about, as they are once the account is locked. Raises `NotFound`."""
    lock_account(by.provider_account_id)
    staff = {
        each.pk: each
        for each in ProviderUser.objects.select_related("user__parent").filter(
            provider_account=by.provider_account_id, pk__in=[by.pk, member_id]
        )
    }
    # Whoever was removed a moment ago has nothing here any more.
    if by.pk not in staff or member_id not in staff:
        raise NotFound
    return staff[by.pk], staff[member_id]


def check(by: ProviderUser, action: str) -> None:
    """Once more under the lock, where a role cannot change any more."""
    if not may(by, action):
        raise Forbidden


def check_not_last(owner: ProviderUser) -> None:
    others = ProviderUser.objects.filter(provider_account=owner.provider_account_id, role=StaffRole.OWNER)
    if not others.exclude(pk=owner.pk).exists():
        raise LastOwner


def set_role(member: ProviderUser, role: str) -> ProviderUser:
    member.role = role
    member.save(update_fields=["role", "updated_at"])
    return member
