"""Verbs over a user and what hangs on them."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from core.errors import Error
from regions.services import RegionMismatch
from users.authentication import AccountSuspended, Claims, refuse_deleted
from users.models import Child, Consent, Parent, User


class ConsentRequired(Error):
    status, code, message = 403, "CONSENT_REQUIRED", "Consent to storing child data is needed first."


def sync(*, claims: Claims, home_region: str, now: datetime) -> tuple[User, bool]:
    """The user behind `claims`, and whether they are new (API architecture §8.3).

    A known user keeps their region whatever the body says. A new user of the other region leaves no trace here.
    Raises `RegionMismatch`, `InvalidToken` for a deleted account, `AccountSuspended`.
    """
    if claims.from_peer and claims.region:
        raise RegionMismatch(claims.region)
    user = User.objects.select_related("parent").filter(auth_id=claims.auth_id).first()
    if user is None:
        refuse_deleted(claims)
        if home_region != settings.REGION:
            raise RegionMismatch(home_region)
        with transaction.atomic():
            # Of two first calls at once, one creates and the other finds.
            user, created = User.objects.get_or_create(
                auth_id=claims.auth_id,
                defaults={"email": claims.email, "home_region": home_region, "last_seen_at": now},
            )
            if created:
                Parent.objects.create(user=user)
                return user, True
    if not user.is_active:
        raise AccountSuspended
    user.email, user.last_seen_at = claims.email or user.email, now
    user.save(update_fields=["email", "last_seen_at", "updated_at"])
    return user, False


def require_consent(user: User, child: Child | None = None) -> None:
    """Raises `ConsentRequired` unless the latest word of `user` on child data, or on that of `child`, is yes.

    Inside a transaction, and until its end the word stands: a withdrawal at the same time waits for what we store.
    """
    lock_consents(user)
    if not Consent.objects.is_granted(user=user, kind=Consent.Kind.CHILD_DATA, child=child):
        raise ConsentRequired


def lock_consents(user: User) -> None:
    """Until commit, one at a time may speak for `user` or act on their word."""
    User.objects.select_for_update(of=("self",), no_key=True).get(pk=user.pk)


@transaction.atomic
def add_child(*, parent: Parent, **fields) -> Child:
    """Stores a child. Raises `ConsentRequired` unless the parent's latest word on child data is yes."""
    require_consent(parent.user)
    return Child.objects.create(parent=parent, **fields)
