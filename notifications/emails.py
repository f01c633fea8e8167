"""What Juniro itself writes: receipts for consents and for erased accounts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from notifications.contents import Content, nobody
from notifications.letters import Letter, Reader
from notifications.models import NotificationKind
from users.models import Consent, ConsentKind

MATTERS = {
    ConsentKind.TERMS: "our terms of use",
    ConsentKind.PRIVACY: "our privacy policy",
    ConsentKind.CHILD_DATA: "storing data of your children",
    ConsentKind.MARKETING: "news and offers by e-mail",
}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One consent given, or taken back."""

    id: UUID
    kind: str
    version: str
    granted: bool
    at: datetime
    of_one_child: bool = False


def decisions(ids: Collection[UUID], user_id: UUID) -> Mapping[UUID, Decision]:
    return {
        row.pk: Decision(
            id=row.pk,
            kind=row.kind,
            version=row.version,
            granted=row.granted,
            at=row.created_at,
            of_one_child=row.child_id is not None,
        )
        for row in Consent.objects.filter(pk__in=ids, user=user_id)
    }


def consent_receipt(decision: Decision, reader: Reader) -> Letter:
    matter = MATTERS.get(ConsentKind(decision.kind), decision.kind)
    if decision.of_one_child:
        # Which one stands in the app: a mail need not name it.
        matter = "storing data of one of your children"
    said = f"You agreed to {matter}." if decision.granted else f"You took back your consent to {matter}."
    return Letter(
        subject="Receipt for your consent" if decision.granted else "Receipt: consent taken back",
        title="Your consent" if decision.granted else "Your consent is taken back",
        summary=said,
        paragraphs=["Please keep this mail for your records. You can change your mind at any time."],
        facts=[
            ("About", matter[:1].upper() + matter[1:]),
            ("Version", decision.version),
            ("Your word", "Yes" if decision.granted else "No"),
            ("When", reader.moment(decision.at)),
            ("Receipt", str(decision.id)),
        ],
        button=("See your consents", "/settings/privacy"),
    )


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """An account that is no more."""

    receipt: str
    at: datetime


def erasure_receipt(erasure: Erasure, reader: Reader) -> Letter:
    """For the last mail to an account: whoever erases it sends this, as afterwards there is nobody to notify."""
    return Letter(
        subject="Your Juniro account has been deleted",
        title="Your account has been deleted",
        summary="Your account and your personal data have been deleted.",
        paragraphs=[
            "We keep records of payments, as the law demands, without your name and without your children's.",
            "This is the last mail that we send you. We have deleted this address, too.",
        ],
        facts=[("When", reader.moment(erasure.at)), ("Receipt", erasure.receipt)],
        because="You get this because you asked us to delete your account with Juniro.",
    )


NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
CONSENT = Decision(id=UUID(int=7), kind=ConsentKind.CHILD_DATA, version="2026-01", granted=True, at=NOON)
GONE = Erasure(receipt="0198-4f2a", at=NOON)

CONTENTS = {
    NotificationKind.CONSENT_RECEIPT: Content(
        find=decisions, write=consent_receipt, samples={"us": CONSENT, "in": CONSENT}
    ),
    NotificationKind.ERASURE_RECEIPT: Content(find=nobody, write=erasure_receipt, samples={"us": GONE, "in": GONE}),
}
