"""What each staff role may do in a provider account: the one table of it (contract §4).

Owners may do everything. Admins everything but what touches ownership. Staff see and create; they do not edit, delete,
cancel, edit the profile or manage staff. Anybody may leave, except the last owner.
"""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request

from core.errors import NotFound, ValidationFailed
from providers.models import ProviderAccount, ProviderUser, StaffRole
from regions.permissions import HomeRegion
from users.permissions import IsProvider, caller

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
    "leave": frozenset({OWNER, ADMIN, STAFF}),
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
    """Whether the caller's staff role allows what the view's `staff_actions` names; sets `request.membership`.

    A view names its row of the table by method, `{"GET": "view"}`; a viewset may do so by action, too.
    """

    errors = (NotFound,)
    parameters = (
        OpenApiParameter(
            "X-Provider-Account", UUID, OpenApiParameter.HEADER, description="Needed by staff of several accounts"
        ),
    )

    def has_permission(self, request: Request, view: Any) -> bool:
        actions = view.staff_actions
        action = actions.get(getattr(view, "action", None)) or actions.get(request.method)
        if action is None:
            raise MethodNotAllowed(str(request.method))
        request.membership = membership(request)  # type: ignore[attr-defined]
        return may(own_membership(request), action)


# What every view of staff begins with.
STAFF_ONLY = (IsAuthenticated, HomeRegion, IsProvider, StaffMay)


def may(member: ProviderUser, action: str) -> bool:
    return member.role in ALLOWED[action]


def own_membership(request: Request) -> ProviderUser:
    """The caller's place in the account, where `StaffMay` has let them in."""
    return request.membership  # type: ignore[attr-defined]


def own_account(request: Request) -> ProviderAccount:
    """The account that the request is about, where `StaffMay` has let the caller in."""
    return own_membership(request).provider_account
