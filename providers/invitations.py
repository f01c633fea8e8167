"""Inviting people to a provider's staff by e-mail.

The mail carries a token that nobody else has. What the database keeps is its hash; what a task is told is the
invitation's id; the token itself is made anew from the invitation's nonce and the server's secret when the mail is
written.
"""

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from core.dispatch import after_commit
from core.errors import InvalidState, NotFound, RateLimited
from providers.emails import invitation_mail
from providers.models import Invitation, ProviderUser
from providers.services import lock_account, make_provider
from users.models import User

log = structlog.get_logger("juniro.providers")

VALID_FOR = timedelta(days=7)
KEPT_FOR = timedelta(days=30)
# While one worker sends it, no other tries.
LEASE = timedelta(minutes=5)
MOST_OPEN = 50
PAUSE = timedelta(minutes=1)


def token_of(invitation: Invitation) -> str:
    """The secret part of the link in the invitation's mail: 43 letters, digits, - and _."""
    digest = salted_hmac("providers.Invitation", f"{invitation.pk}:{invitation.nonce}", algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def invite(*, by: ProviderUser, email: str, role: str, now: datetime) -> Invitation:
    """An invitation to the account, whose mail goes out after commit.

    One that has expired is renewed. Raises `InvalidState` where one is open, where the address is a colleague's, or
    with too many open ones.
    """
    account_id = by.provider_account_id
    with transaction.atomic():
        lock_account(account_id)
        if ProviderUser.objects.filter(provider_account=account_id, user__email__iexact=email).exists():
            raise InvalidState("Somebody with this address works here already.")
        waiting = Invitation.objects.open().filter(provider_account=account_id)
        invitation = waiting.filter(email__iexact=email).first()
        if invitation and invitation.expires_at > now:
            raise InvalidState("There is an open invitation to this address. Send it again, or take it back first.")
        if waiting.filter(expires_at__gt=now).count() >= MOST_OPEN:
            raise InvalidState(f"At most {MOST_OPEN} invitations can be open at once.")
        invitation = invitation or Invitation(provider_account_id=account_id)
        invitation.email, invitation.role, invitation.invited_by_id = email, role, by.user_id
        return renew(invitation, now=now)


def resend(*, by: ProviderUser, invitation_id: UUID, now: datetime) -> Invitation:
    """Sends an open invitation once more, with a new link and a new week; the old link is dead.

    Raises `NotFound`, and `RateLimited` within a minute of the last time.
    """
    with transaction.atomic():
        invitation = lock_invitation(pk=invitation_id, provider_account=by.provider_account_id)
        wait = (begun(invitation) + PAUSE - now).total_seconds()
        if wait > 0:
            raise RateLimited(int(wait) + 1)
        return renew(invitation, now=now)


def revoke(*, by: ProviderUser, invitation_id: UUID) -> None:
    """Takes an open invitation back; its link is dead at once. Raises `NotFound`."""
    with transaction.atomic():
        lock_invitation(pk=invitation_id, provider_account=by.provider_account_id).delete()


def accept(*, token: str, user: User, now: datetime) -> ProviderUser:
    """Makes `user` a member of the staff that invited them, and a provider.

    Once, in time, and for the invited address only: to anybody else there is no such invitation (`NotFound`). Raises
    `InvalidState` for one that has expired, or somebody who works there already.
    """
    with transaction.atomic():
        invitation = lock_invitation(token_sha256=hash_of(token), email__iexact=user.email or "-")
        if invitation.expires_at <= now:
            raise InvalidState("This invitation has expired. Ask for another one.")
        try:
            with transaction.atomic():
                member = ProviderUser.objects.create(
                    provider_account_id=invitation.provider_account_id, user=user, role=invitation.role
                )
        except IntegrityError:
            raise InvalidState("You work there already.") from None
        invitation.accepted_at, invitation.next_attempt_at = now, None
        invitation.save(update_fields=["accepted_at", "next_attempt_at", "updated_at"])
        make_provider(user)
        return member


def lock_invitation(**which: Any) -> Invitation:
    """The open invitation, locked until commit. Raises `NotFound`."""
    found = Invitation.objects.open().select_for_update(of=("self",), no_key=True).filter(**which).first()
    if found is None:
        raise NotFound("There is no such invitation.")
    return found


def begun(invitation: Invitation) -> datetime:
    """When it was last written or renewed."""
    return invitation.expires_at - VALID_FOR


def renew(invitation: Invitation, *, now: datetime) -> Invitation:
    """A new token and a new week; the mail follows after commit."""
    invitation.nonce = secrets.token_hex(16)
    invitation.token_sha256 = hash_of(token_of(invitation))
    invitation.expires_at, invitation.next_attempt_at, invitation.sent_at = now + VALID_FOR, now, None
    invitation.save()
    after_commit("providers.tasks.send_invitation", invitation.pk)
    return invitation


def send(invitation_id: UUID, *, now: datetime) -> bool:
    """Sends the mail of an invitation if it is due; False if not, or if another worker is at it.

    A failure is tried again, each time after about as long as it has failed so far.
    """
    due = Invitation.objects.due(now=now).filter(pk=invitation_id)
    if not due.update(next_attempt_at=now + LEASE):
        return False
    invitation = Invitation.objects.select_related("provider_account").get(pk=invitation_id)
    token = token_of(invitation)
    if hash_of(token) != invitation.token_sha256:
        # The server's secret has changed since; what was never sent can still change with it.
        Invitation.objects.filter(pk=invitation.pk, nonce=invitation.nonce).update(token_sha256=hash_of(token))
    # Renewed meanwhile, it is the new mail that counts.
    same = Invitation.objects.filter(pk=invitation.pk, nonce=invitation.nonce)
    try:
        invitation_mail(invitation, token=token).send()
    except OSError as error:
        # smtplib's errors are OSErrors, too.
        log.warning("invitation not sent", invitation=str(invitation.pk), kind=type(error).__name__)
        same.update(next_attempt_at=now + max(LEASE, now - begun(invitation)))
        return False
    same.update(next_attempt_at=None, sent_at=now)
    return True


def purge(*, now: datetime) -> int:
    """Forgets the addresses of people who never came, a month after their invitation ended; returns how many."""
    return Invitation.objects.open().filter(expires_at__lte=now - KEPT_FOR).delete()[0]
