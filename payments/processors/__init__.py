"""What Juniro asks of a payment processor, in its own words. The modules here are the only ones that import an SDK."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
    and contact data.
    """

    event_id: str
    type: str
    signal: Signal
    payload: dict[str, Any]
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


class Processor(Protocol):
    """Each call may raise `ProcessorError` (it said no) or `ProcessorUnavailable` (nobody knows: ask again)."""

    name: str

    def open_checkout(
        self, *, payment_id: UUID, amount_cents: int, currency: str, title: str, expires_at: datetime, is_retry: bool
    ) -> Checkout:
        """Opens a checkout, or finds the one that an earlier try for the same `payment_id` opened."""

    def close_checkout(self, checkout_id: str) -> bool:
        """Makes an unpaid checkout unpayable, where the processor knows such a thing. False if it was used already."""

    def refund(self, *, refund_id: UUID, processor_payment_id: str, amount_cents: int, reason: str) -> tuple[str, str]:
        """Sends money back, once per `refund_id`. Gives the processor's id and `pending`, `succeeded` or `failed`."""

    def read_event(self, raw: bytes, headers: Mapping[str, str]) -> Outcome:
        """Verifies the raw body of a webhook and reads it. Raises `InvalidSignature`."""

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


def without(data: Any, private: frozenset[str]) -> Any:
    """`data` without the keys in `private`, at any depth, and without NUL characters, which jsonb cannot hold."""
    if isinstance(data, dict):
        return {key: without(value, private) for key, value in data.items() if key not in private}
    if isinstance(data, list):
        return [without(value, private) for value in data]
    return data.replace("\x00", "") if isinstance(data, str) else data
