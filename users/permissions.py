"""What a user's role allows. Roles come from our database, never from the token."""

from typing import Any, cast

from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from users.models import User


def caller(request: HttpRequest | Request) -> User:
    """The signed-in user behind `request`; for views that let nobody else in."""
    return cast("User", request.user)


class HasRole(BasePermission):
    roles: tuple[str, ...] = ()

    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.user, User) and request.user.role in self.roles


class IsParent(HasRole):
    """Parents, and providers, who keep a parent's abilities."""

    roles = (User.Role.PARENT, User.Role.PROVIDER)


class IsProvider(HasRole):
    roles = (User.Role.PROVIDER,)
