"""Razorpay: orders for Standard Checkout, refunds and webhooks (docs/payments.md)."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import certifi
import orjson
import razorpay
import requests
import structlog
from django.conf import settings
from razorpay import errors as razorpay_errors

from payments.processors import (
    Checkout,
    InvalidSignature,
    MoneyIn,
    Outcome,
    ProcessorError,
    ProcessorUnavailable,
    Signal,
    moment,
    our_id,
    without_private_parts,
)

log = structlog.get_logger("juniro.payments")

TIMEOUT = (3, 10)
PAGE, PAGES = 100, 5
REFUND_STATUS = {"processed": "succeeded", "failed": "failed"}


class Razorpay:
    name = "razorpay"
    keeps_events = False
    # The list goes by when a payment was begun; by then it is made, unless it is one of those that take days.
    news_lag, news_overlap = timedelta(hours=1), timedelta()

    def __init__(self) -> None:
        options = {"base_url": settings.RAZORPAY_API_BASE} if settings.RAZORPAY_API_BASE else {}
        self.client = razorpay.Client(auth=(settings.RAZORPAY_KEY_ID, settings.RAZORPAY_KEY_SECRET), **options)
        # The SDK brings a CA bundle of 2015.
        self.client.cert_path = certifi.where()

    def open_checkout(
        self, *, payment_id: UUID, amount_cents: int, currency: str, title: str, expires_at: datetime, is_retry: bool
    ) -> Checkout:
        # Orders have no idempotency key; the receipt is how an order of a try that timed out is found again.
        receipt = payment_id.hex
        with errors_in_our_words():
            if is_retry:
                found = self.client.order.all({"receipt": receipt}, timeout=TIMEOUT)["items"]
                if found:
                    return Checkout(found[0]["id"])
            order = self.client.order.create(
                {
                    "amount": amount_cents,
                    "currency": currency,
                    "receipt": receipt,
                    "notes": {"payment_id": str(payment_id)},
                },
                timeout=TIMEOUT,
            )
        return Checkout(order["id"])

    def close_checkout(self, checkout_id: str) -> bool:
        """Orders have no end: a payment that comes late is handled when it comes."""
        return True

    def refund(self, *, refund_id: UUID, processor_payment_id: str, amount_cents: int, key: str) -> str:
        with errors_in_our_words():
            refund = self.client.payment.refund(
                processor_payment_id,
                {"amount": amount_cents, "notes": {"refund_id": str(refund_id)}, "receipt": refund_id.hex},
                headers={"X-Refund-Idempotency": key},
                timeout=TIMEOUT,
            )
            return refund["id"]

    def find_refund(self, *, refund_id: UUID, processor_payment_id: str) -> str | None:
        with errors_in_our_words():
            asked = self.client.payment.fetch_multiple_refund(processor_payment_id, {"count": PAGE}, timeout=TIMEOUT)
            return next((each["id"] for each in asked["items"] if notes_id(each, "refund_id") == refund_id), None)

    def refund_status(self, processor_refund_id: str) -> str:
        with errors_in_our_words():
            refund = self.client.refund.fetch(processor_refund_id, timeout=TIMEOUT)
            return REFUND_STATUS.get(refund["status"], "pending")

    def money_by(self, checkout_id: str) -> MoneyIn | None:
        with errors_in_our_words():
            payments = self.client.order.payments(checkout_id, timeout=TIMEOUT)["items"]
            return next((money_in(each) for each in payments if each["captured"]), None)

    def list_news(self, *, since: datetime, until: datetime) -> tuple[list[Outcome | MoneyIn], bool]:
        wanted = {"from": int(since.timestamp()), "to": int(until.timestamp()) - 1, "count": PAGE}
        found: list[Outcome | MoneyIn] = []
        with errors_in_our_words():
            for number in range(PAGES):
                page = self.client.payment.all(wanted | {"skip": number * PAGE}, timeout=TIMEOUT)["items"]
                found += [money_in(each) for each in page if each["captured"]]
                if len(page) < PAGE:
                    return found[::-1], True
        return found[::-1], False

    def read_event(self, raw: bytes, headers: Mapping[str, str]) -> Outcome:
        verify(raw, headers.get("X-Razorpay-Signature", ""))
        event_id = headers.get("X-Razorpay-Event-Id", "")
        try:
            event = without_private_parts(orjson.loads(raw))
            return self.outcome(event, event_id[:255] or hashlib.sha256(raw).hexdigest())
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            raise InvalidSignature("The body is not a Razorpay event.") from None

    def outcome(self, payload: dict[str, Any], event_id: str) -> Outcome:
        return outcome(payload, event_id)

    def client_fields(self, checkout_id: str, url: str) -> dict[str, str]:
        return {"order_id": checkout_id, "key_id": settings.RAZORPAY_KEY_ID}


def outcome(event: dict[str, Any], event_id: str) -> Outcome:
    payload = event.get("payload") or {}
    payment = (payload.get("payment") or {}).get("entity") or {}
    order = (payload.get("order") or {}).get("entity") or {}
    refund = (payload.get("refund") or {}).get("entity") or {}
    common: dict[str, Any] = {
        "event_id": event_id,
        "type": str(event["event"]),
        "payload": event,
        "at": moment(event.get("created_at")),
    }
    by_payment: dict[str, Any] = {
        "payment_id": notes_id(payment, "payment_id") or notes_id(order, "payment_id"),
        "checkout_id": payment.get("order_id") or order.get("id"),
        "processor_payment_id": payment.get("id") or refund.get("payment_id"),
    }
    match event["event"]:
        case "payment.captured" | "order.paid":
            amount = {"amount_cents": payment["amount"], "currency": payment["currency"].upper()}
            return Outcome(**common, **by_payment, **amount, signal=Signal.PAID)
        case "payment.authorized":
            return Outcome(**common, **by_payment, signal=Signal.AUTHORIZED)
        case "payment.failed":
            reason = payment.get("error_reason") or payment.get("error_code") or "declined"
            return Outcome(**common, **by_payment, signal=Signal.FAILED, reason=f"Payment failed: {reason}.")
        case "refund.created" | "refund.processed" | "refund.failed":
            return Outcome(
                **common,
                **by_payment,
                signal=Signal.REFUND,
                amount_cents=refund["amount"],
                currency=refund["currency"].upper(),
                refund_id=notes_id(refund, "refund_id"),
                processor_refund_id=refund["id"],
                refund_status=REFUND_STATUS.get(refund.get("status", ""), "pending"),
            )
        case "payment.dispute.created":
            dispute = (payload.get("dispute") or {}).get("entity") or {}
            by_payment["processor_payment_id"] = dispute.get("payment_id") or by_payment["processor_payment_id"]
            reason = f"Disputed: {dispute.get('reason_code') or 'no reason given'}."
            return Outcome(**common, **by_payment, signal=Signal.DISPUTED, reason=reason)
    return Outcome(**common, **by_payment, signal=Signal.OTHER)


def money_in(payment: dict[str, Any]) -> MoneyIn:
    return MoneyIn(
        processor_payment_id=payment["id"],
        checkout_id=payment.get("order_id"),
        payment_id=notes_id(payment, "payment_id"),
        amount_cents=payment["amount"],
        currency=payment["currency"].upper(),
        at=datetime.fromtimestamp(payment["created_at"], UTC),
    )


def notes_id(entity: dict[str, Any], name: str) -> UUID | None:
    """Our id in an entity's notes; Razorpay sends empty notes as a list."""
    notes = entity.get("notes")
    return our_id(notes.get(name)) if isinstance(notes, dict) else None


def verify(raw: bytes, signature: str) -> None:
    """Raises `InvalidSignature` unless one of our secrets signed `raw`. The SDK's own check takes an empty secret."""
    for secret in settings.RAZORPAY_WEBHOOK_SECRETS:
        expected = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
        if hmac.compare_digest(expected.encode(), signature.encode()):
            return
    raise InvalidSignature


@contextmanager
def errors_in_our_words() -> Iterator[None]:
    try:
        yield
    except razorpay_errors.BadRequestError as error:
        log.warning("razorpay refused", kind=type(error).__name__)
        # Its rate limit comes as a bad request, too, and the SDK keeps the status to itself.
        raise (ProcessorUnavailable if "too many requests" in str(error).lower() else ProcessorError) from error
    except (
        razorpay_errors.GatewayError,
        razorpay_errors.ServerError,
        requests.RequestException,
        # Something else where its JSON was due, such as the HTML page of a 502 on the way.
        ValueError,
        KeyError,
        TypeError,
    ) as error:
        log.warning("razorpay out of reach", kind=type(error).__name__)
        raise ProcessorUnavailable from error
