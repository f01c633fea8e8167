"""From signing up to being live: what a provider still has to do, and asking for verification."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from core.errors import InvalidState
from marketplace.models import Activity, Offering, Session
from notifications.models import NotificationKind
from providers.models import Location, ProviderAccount, StaffRole
from providers.services import lock_account, tell

Status = ProviderAccount.Status


@dataclass(frozen=True)
class Step:
    """One thing to do, in plain words. All of `needed` must be done before the account can be submitted."""

    key: str
    title: str
    hint: str
    done: bool
    needed: bool = True


def steps(*, account: ProviderAccount, now: datetime) -> list[Step]:
    """All steps in their order, read in one query."""
    activities = Activity.objects.filter(provider=OuterRef("pk")).exclude(status=Activity.Status.ARCHIVED)
    offerings = Offering.objects.filter(status=Offering.Status.ACTIVE, activity__provider=OuterRef("pk"))
    sessions = Session.objects.filter(
        status=Session.Status.SCHEDULED,
        starts_at__gt=now,
        offering__status=Offering.Status.ACTIVE,
        activity__provider=OuterRef("pk"),
    )
    unarchived = ~Q(activity__status=Activity.Status.ARCHIVED)
    has = (
        ProviderAccount.objects.filter(pk=account.pk)
        .annotate(
            location=Exists(Location.objects.filter(provider=OuterRef("pk"))),
            activity=Exists(activities),
            offering=Exists(offerings.filter(unarchived)),
            schedule=Exists(sessions.filter(unarchived)),
            published=Exists(activities.filter(status=Activity.Status.PUBLISHED)),
        )
        .get()
    )
    return [
        Step(
            "profile",
            "Describe your business",
            "Add a description, and an e-mail address or a phone number.",
            bool(has.description.strip() and (has.email or has.phone)),
        ),
        Step("location", "Add a location", "Add the place where your sessions happen.", has.location),
        Step("activity", "Create an activity", "Say what the children do, and for which ages.", has.activity),
        Step("offering", "Set a price", "Add an offering to an activity: a class, a package, a camp or a term.",
             has.offering),
        Step("schedule", "Plan a session", "Add at least one session to come.", has.schedule),
        Step("submitted", "Submit for verification", submit_hint(has), is_submitted(has), needed=False),
        Step("verified", "Be verified", verify_hint(has), has.status == Status.VERIFIED, needed=False),
        Step(
            "published",
            "Publish an activity",
            "Publish it when you like: parents see it as soon as you are verified.",
            has.published,
            needed=False,
        ),
    ]  # fmt: skip


def is_submitted(account: ProviderAccount) -> bool:
    return account.status in (Status.VERIFIED, Status.SUSPENDED) or (
        account.status == Status.PENDING and account.submitted_at is not None
    )


def submit_hint(account: ProviderAccount) -> str:
    if account.status == Status.REJECTED:
        return f"Correct this, and submit again: {account.status_reason}"
    return "Submit once all of the above is done. We look at every provider before parents see it."


def verify_hint(account: ProviderAccount) -> str:
    if account.status == Status.SUSPENDED:
        return f"Your account is suspended: {account.status_reason}"
    return "We look at what you submitted, and tell you by e-mail."


def submit(*, account: ProviderAccount, now: datetime) -> ProviderAccount:
    """Asks for verification, for the first time or after a rejection; its owners get a receipt.

    Raises `InvalidState`, with the missing steps in its details.
    """
    with transaction.atomic():
        account = lock_account(account.pk)
        if account.status in (Status.VERIFIED, Status.SUSPENDED):
            raise InvalidState(f"This account is {account.get_status_display().lower()}.")
        if is_submitted(account):
            raise InvalidState("This account is submitted already. We are looking at it.")
        missing = [step for step in steps(account=account, now=now) if step.needed and not step.done]
        if missing:
            raise InvalidState(
                "Something is missing before we can look at this.",
                details=[{"field": step.key, "message": step.hint} for step in missing],
            )
        if account.status == Status.REJECTED:
            account.move(Status.PENDING, submitted_at=now, status_reason="")
        else:
            account.submitted_at = now
            account.save(update_fields=["submitted_at", "updated_at"])
        tell(account, NotificationKind.PROVIDER_SUBMITTED, now=now, roles=[StaffRole.OWNER])
        return account
