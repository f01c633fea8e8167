"""What providers hear of their account, and mail to people who are invited and have no account yet."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from notifications.contents import Content, nobody
from notifications.letters import Letter, Reader, compose, one_line
from notifications.models import NotificationKind
from providers.models import Invitation, ProviderAccount, ProviderStatus

# --- The account -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Account:
    """A provider account, as its staff see it."""

    name: str
    status: str
    reason: str = ""


def accounts(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, Account]:
    mine = ProviderAccount.objects.filter(pk__in=ids, staff__user=user_id)
    return {
        row.pk: Account(name=one_line(row.business_name), status=row.status, reason=row.status_reason) for row in mine
    }


def submitted(account: Account, reader: Reader) -> Letter:
    return Letter(
        subject=f"We are looking at {account.name}",
        title="Thank you, we have it",
        summary=f"{account.name} waits to be verified. We look at every provider ourselves.",
        paragraphs=["You need not do anything until you hear from us. You can go on preparing your activities."],
        button=("Prepare your activities", "/provider"),
    )


def verified(account: Account, reader: Reader) -> Letter:
    return Letter(
        subject=f"{account.name} is verified",
        title="You are live",
        summary=f"{account.name} is verified. Parents can now find and book what you publish.",
        button=("Go to your activities", "/provider/activities"),
    )


def rejected(account: Account, reader: Reader) -> Letter:
    return Letter(
        subject=f"{account.name} could not be verified",
        title="We could not verify you yet",
        summary=f"{account.name} could not be verified. You can correct what is missing and ask again.",
        facts=[("Reason", account.reason)] if account.reason else [],
        button=("Correct and submit again", "/provider/profile"),
    )


def suspended(account: Account, reader: Reader) -> Letter:
    return Letter(
        subject=f"{account.name} is suspended",
        title="Your account is suspended",
        summary=f"{account.name} is suspended. Parents can no longer find it, and nobody can book.",
        paragraphs=["Bookings that you have stay as they are. Please hold their sessions, or cancel them."],
        facts=[("Reason", account.reason)] if account.reason else [],
        button=("See your bookings", "/provider/bookings"),
        small=["Answer this mail if you think that this is a mistake."],
    )


def reinstated(account: Account, reader: Reader) -> Letter:
    return Letter(
        subject=f"{account.name} is back",
        title="You are live again",
        summary=f"{account.name} is no longer suspended. Parents can find and book your activities again.",
        button=("Go to your activities", "/provider/activities"),
    )


def is_still(status: ProviderStatus) -> Any:
    """The account has not gone on to another state since."""
    return lambda account, now: account.status == status


def about_account(write: Any, status: ProviderStatus, reason: str = "") -> Content:
    samples = {
        "us": Account(name="Blue Fin Swim School", status=status, reason=reason),
        "in": Account(name="Taal Dance Academy", status=status, reason=reason),
    }
    return Content(find=accounts, write=write, still=is_still(status), samples=samples)


# --- Invitations -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An invitation with the link that accepts it."""

    business: str
    role: str
    email: str
    path: str
    expires_at: datetime


def invitation(offer: Offer, reader: Reader) -> Letter:
    return Letter(
        subject=f"{offer.business} invites you to Juniro",
        title=f"Join {offer.business} on Juniro",
        summary=f"{offer.business} invites you to its team on Juniro as {offer.role}.",
        paragraphs=[f"Sign in, or sign up, with {offer.email}: the invitation is for this address only."],
        facts=[("Works once, until", reader.moment(offer.expires_at))],
        button=("Accept the invitation", offer.path),
        small=["If you did not expect this, you need not do anything."],
        because=f"You get this because {offer.business} gave us your address. It gets no further mail from us.",
    )


def invitation_mail(row: Invitation, *, token: str) -> EmailMultiAlternatives:
    """The invitation to a provider's staff. The link leads to the web app, which posts the token."""
    offer = Offer(
        business=one_line(row.provider_account.business_name),
        role=row.get_role_display().lower(),
        email=row.email,
        path=f"/invitations/{token}",
        expires_at=row.expires_at,
    )
    reader = Reader(name="", region=settings.REGION, at=timezone.now())
    # One that is sent again is another mail, not the old one twice.
    return compose(invitation(offer, reader), to=row.email, reader=reader, key=uuid5(row.pk, row.nonce))


def sample_offer(business: str) -> Offer:
    return Offer(
        business=business,
        role="staff",
        email="coach@example.com",
        path="/invitations/3kTMd1dKqkB2cJ0Vv7bYxw",
        expires_at=datetime(2026, 3, 11, 17, 30, tzinfo=UTC),
    )


CONTENTS = {
    NotificationKind.PROVIDER_SUBMITTED: about_account(submitted, ProviderStatus.PENDING),
    NotificationKind.PROVIDER_VERIFIED: about_account(verified, ProviderStatus.VERIFIED),
    NotificationKind.PROVIDER_REJECTED: about_account(
        rejected, ProviderStatus.REJECTED, "The website does not open. Please give us one that parents can look at."
    ),
    NotificationKind.PROVIDER_SUSPENDED: about_account(
        suspended, ProviderStatus.SUSPENDED, "Three sessions in a row did not take place."
    ),
    NotificationKind.PROVIDER_REINSTATED: about_account(reinstated, ProviderStatus.VERIFIED),
    NotificationKind.INVITATION: Content(
        find=nobody,
        write=invitation,
        samples={"us": sample_offer("Blue Fin Swim School"), "in": sample_offer("Taal Dance Academy")},
    ),
}
