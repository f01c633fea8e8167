"""What Juniro asks of a payment processor, in its own words. The modules here are the only ones that import an SDK."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

from core.errors import Error, NotFound, ServiceUnavailable


class InvalidSignature(Error):
    status, code, message = 400, "INVALID_SIGNATURE", "The webhook's signature does not fit its body."


class ProcessorError(Error):
    status, code, message = 502, "PROCESSOR_ERROR", "The payment processor refused. Nothing was charged."


class ProcessorUnavailable(ServiceUnavailable):
    message = "The payment processor is out of reach. Nothing was charged; try again shortly."


class Signal(Enum):
    """What an event says happened, whoever sent it (docs/payments.md has the table)."""

    PAID = "paid"
    AUTHORIZED = "authorized"
    FAILED = "failed"
    CHECKOUT_EXPIRED = "checkout expired"
    REFUND = "refund"
    REFUNDED_IN_FULL = "refunded in full"
    DISPUTED = "disputed"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One verified event in processor-neutral terms; amounts in cents or paise.

    `payment_id` and `refund_id` are ours, echoed by the processor's metadata. `payload` is the event without card
    and contact data; the outcome is read from it alone, so that a stored event can be taken up again.
    """

    event_id: str
    type: str
    signal: Signal
    payload: dict[str, Any]
    at: datetime | None = None
    is_ours: bool = True
    payment_id: UUID | None = None
    checkout_id: str | None = None
    processor_payment_id: str | None = None
    amount_cents: int | None = None
    currency: str | None = None
    reason: str = ""
    refund_id: UUID | None = None
    processor_refund_id: str | None = None
    refund_status: str | None = None


@dataclass(frozen=True)
class Checkout:
    """A place to pay: the processor's id and, where there is one, the page's address."""

    id: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class MoneyIn:
    """A payment that the processor's API says was made `at` some time. It makes no payment of ours paid."""

    processor_payment_id: str
    checkout_id: str | None
    payment_id: UUID | None
    amount_cents: int
    currency: str
    at: datetime


class Processor(Protocol):
    """Each call may raise `ProcessorError` (it said no) or `ProcessorUnavailable` (nobody knows: ask again).

    `list_news` is complete for what is older than `news_lag`, and is read again `news_overlap` back.
    """

    name: str
    keeps_events: bool
    news_lag: timedelta
    news_overlap: timedelta

    def open_checkout(
        self, *, payment_id: UUID, amount_cents: int, currency: str, title: str, expires_at: datetime, is_retry: bool
    ) -> Checkout:
        """Opens a checkout, or finds the one that an earlier try for the same `payment_id` opened."""

    def close_checkout(self, checkout_id: str) -> bool:
        """Makes an unpaid checkout unpayable, where the processor knows such a thing. False if it was used already."""

    def refund(self, *, refund_id: UUID, processor_payment_id: str, amount_cents: int, key: str) -> str:
        """Sends money back, once per `key`. Gives the processor's id."""

    def find_refund(self, *, refund_id: UUID, processor_payment_id: str) -> str | None:
        """The processor's id of our refund, if an earlier try made it."""

    def read_event(self, raw: bytes, headers: Mapping[str, str]) -> Outcome:
        """Verifies the raw body of a webhook and reads it. Raises `InvalidSignature`."""

    def outcome(self, payload: dict[str, Any], event_id: str) -> Outcome:
        """What an event that was verified before, and stored without its private parts, says."""

    def list_news(self, *, since: datetime, until: datetime) -> tuple[list[Outcome | MoneyIn], bool]:
        """All events of that time, oldest first, or where it keeps none, the payments that were begun then and made.

        False if there are more than were given.
        """

    def money_by(self, checkout_id: str) -> MoneyIn | None:
        """The payment that was made by this checkout, if any."""

    def refund_status(self, processor_refund_id: str) -> str:
        """What became of a refund: `pending`, `succeeded` or `failed`."""

    def client_fields(self, checkout_id: str, url: str) -> dict[str, str]:
        """What the parent's app needs to open the checkout."""


@cache
def processor(name: str) -> Processor:
    """The processor `name` of this region. Raises `NotFound` where the region has it not."""
    # Imported when needed: the SDKs take half a second to load and a region uses one of them.
    if name not in settings.PAYMENT_PROCESSORS:
        raise NotFound
    if name == "stripe":
        from payments.processors.stripe import Stripe  # noqa: PLC0415

        return Stripe()
    from payments.processors.razorpay import Razorpay  # noqa: PLC0415

    return Razorpay()


def our_id(value: Any) -> UUID | None:
    """`value` as one of our ids, or None: metadata is text that others may have written."""
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        return None


# Whatever a processor calls it: a key that so much as sounds like a person, an address or a means of payment is cut.
PRIVATE = re.compile(
    r"name|mail|phone|contact|address|card|last4|vpa|upi|bank|wallet|customer|billing|shipping|receipt_|owner|buyer|"
    r"payment_method|next_action|acquirer|token|secret|evidence|url|description|collected|custom_|account_number|"
    r"fund_account|virtual_account|receiver|ifsc|iban|gstin|birth|(^|_)(source|ip|message|rrn|utr|pan|iin|dob)(_|$)"
)
# Others write what they like into these; of ours we need the ids.
NOTES, OUR_NOTES = ("metadata", "notes"), ("payment_id", "refund_id")


def moment(seconds: Any) -> datetime | None:
    """A processor's time stamp, None if it is none."""
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and 0 <= seconds < 1 << 33 else None


def without_private_parts(data: Any) -> Any:
    """`data` without card and contact data at any depth, and without NUL characters, which jsonb cannot hold."""
    if isinstance(data, dict):
        return {
            key.replace("\x00", ""): without_private_parts(value)
            if key not in NOTES or not isinstance(value, dict)
            else {name: without_private_parts(value[name]) for name in OUR_NOTES if isinstance(value.get(name), str)}
            for key, value in data.items()
            if not PRIVATE.search(key)
        }
    if isinstance(data, list):
        return [without_private_parts(value) for value in data]
    return data.replace("\x00", "") if isinstance(data, str) else data
