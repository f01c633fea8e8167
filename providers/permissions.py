"""What each staff role may do in a provider account: the one table of it (contract §4).

Owners may do everything. Admins everything but hand over ownership. Staff see and create; they do not delete, cancel,
edit the profile or manage staff.
"""

from typing import Any
from uuid import UUID

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core.errors import NotFound, ValidationFailed
from providers.models import ProviderUser, StaffRole
from users.permissions import caller

OWNER, ADMIN, STAFF = StaffRole.OWNER, StaffRole.ADMIN, StaffRole.STAFF

ALLOWED: dict[str, frozenset[str]] = {
    "view": frozenset({OWNER, ADMIN, STAFF}),
    "create": frozenset({OWNER, ADMIN, STAFF}),
    "edit": frozenset({OWNER, ADMIN}),
    "delete": frozenset({OWNER, ADMIN}),
    "cancel": frozenset({OWNER, ADMIN}),
    "edit_profile": frozenset({OWNER, ADMIN}),
    "manage_staff": frozenset({OWNER, ADMIN}),
    "transfer_ownership": frozenset({OWNER}),
}


def membership(request: Request) -> ProviderUser:
    """The caller's place in the account that the request is about.

    The account is named by `X-Provider-Account`; with one account it is implied. Raises `NotFound` for an account that
    is not the caller's, `ValidationFailed` where one of several must be named.
    """
    mine = ProviderUser.objects.filter(user=caller(request)).select_related("provider_account")
    named = request.headers.get("X-Provider-Account")
    if named:
        try:
            mine = mine.filter(provider_account=UUID(named))
        except ValueError:
            raise NotFound("There is no such provider account.", field="X-Provider-Account") from None
    found = list(mine[:2])
    if not found:
        raise NotFound("There is no such provider account.")
    if len(found) > 1:
        raise ValidationFailed("Name the account in X-Provider-Account.", field="X-Provider-Account")
    return found[0]


class StaffMay(BasePermission):
    """Whether the caller's staff role allows the view's `staff_actions[method]`; sets `request.membership`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        action = view.staff_actions.get(request.method)
        if action is None:
            raise MethodNotAllowed(str(request.method))
        request.membership = membership(request)  # type: ignore[attr-defined]
        return request.membership.role in ALLOWED[action]  # type: ignore[attr-defined]
