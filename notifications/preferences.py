"""Who wants which mail: choices by kind, links that unsubscribe, and addresses that do not take our mail."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.core import signing

from core.errors import NotFound
from notifications.models import (
    FOR_PROVIDERS,
    OPTIONAL,
    PROMOTIONAL,
    Bounce,
    NotificationKind,
    NotificationPreference,
)
from users.models import Consent, User


def hash_of(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()


def bounce_of(user: User) -> Bounce | None:
    """Why the user's present address does not take our mail."""
    return Bounce.objects.filter(user=user, email_sha256=hash_of(user.email)).first()


def why_silent(user: User, kind: str) -> str:
    """Why `user` gets no mail of this kind; empty where they do."""
    if not user.is_active:
        return "The account is suspended."
    if not user.email:
        return "The user has no address."
    if kind not in OPTIONAL:
        return ""
    if not wants(user, kind):
        return "The user does not want it."
    if kind in PROMOTIONAL and said_no_to_marketing(user):
        return "The user wants no marketing."
    bounce = bounce_of(user)
    return f"The address does not take it: {bounce.get_reason_display().lower()}." if bounce else ""


def said_no_to_marketing(user: User) -> bool:
    said = Consent.objects.latest_first(user=user, kind=Consent.Kind.MARKETING)
    return said.values_list("granted", flat=True).first() is False


def wants(user: User, kind: str) -> bool:
    return not NotificationPreference.objects.filter(user=user, kind=kind, email=False).exists()


def of(user: User) -> dict[NotificationKind, bool]:
    """Whether `user` gets mail of each kind that is for them: providers' kinds only for providers."""
    off = set(NotificationPreference.objects.filter(user=user, email=False).values_list("kind", flat=True))
    is_provider = user.role == User.Role.PROVIDER
    return {kind: kind not in off for kind in NotificationKind if is_provider or kind not in FOR_PROVIDERS}


def choose(user_id: UUID, choices: Mapping[str, bool], *, now: datetime) -> None:
    """Notes what the user wants by e-mail, by kind; twice, and two at once, do no harm."""
    NotificationPreference.objects.bulk_create(
        [
            NotificationPreference(user_id=user_id, kind=kind, email=email, updated_at=now)
            for kind, email in sorted(choices.items())
        ],
        update_conflicts=True,
        unique_fields=["user", "kind"],
        update_fields=["email", "updated_at"],
    )


# --- Unsubscribing ---------------------------------------------------------------------------------------------------


SIGNER = signing.Signer(salt="notifications.unsubscribe")


def unsubscribe_url(user_id: UUID, kind: str) -> str:
    """The address that stops one kind of mail to one user, without signing in. It never expires."""
    token = SIGNER.sign(f"{user_id.hex}.{kind}")
    return f"{settings.REGION_API_URLS[settings.REGION]}/v1/notifications/unsubscribe/{token}"


def read_token(token: str) -> tuple[User, NotificationKind]:
    """The user and the kind that an unsubscribe address is about. Raises `NotFound`."""
    try:
        user_id, _, kind = SIGNER.unsign(token).partition(".")
    except signing.BadSignature:
        raise NotFound from None
    user = User.objects.filter(pk=user_id).first()
    if user is None or kind not in OPTIONAL:
        raise NotFound
    return user, NotificationKind(kind)
