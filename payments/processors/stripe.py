"""Stripe: Checkout Sessions, refunds and webhooks (docs/payments.md)."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import stripe
import structlog
from django.conf import settings

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

# To connect, to read. The SDK's own limit is 80 s, longer than any parent or worker should wait.
TIMEOUT = (3, 10)
TOLERANCE_SECONDS = 300
# What `Stripe.outcome` knows; of the rest there is no need to ask.
TYPES = [
    "checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed",
    "checkout.session.expired", "payment_intent.payment_failed", "charge.refunded", "refund.created", "refund.updated",
    "refund.failed", "charge.dispute.created",
]  # fmt: skip
PAGE, PAGES = 100, 5


class Stripe:
    name = "stripe"
    keeps_events = True
    # Younger ones are still on their way, and the list may be late by a moment.
    news_lag, news_overlap = timedelta(minutes=5), timedelta(minutes=10)

    def __init__(self) -> None:
        bases: Any = {"api": settings.STRIPE_API_BASE} if settings.STRIPE_API_BASE else {}
        self.client = stripe.StripeClient(
            settings.STRIPE_SECRET_KEY,
            base_addresses=bases,
            http_client=stripe.RequestsClient(timeout=TIMEOUT),
            max_network_retries=2,
        )
        self.livemode = settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))

    def open_checkout(
        self, *, payment_id: UUID, amount_cents: int, currency: str, title: str, expires_at: datetime, is_retry: bool
    ) -> Checkout:
        # On the session and on the payment intent: a declined card's event only shows the latter.
        metadata = {"payment_id": str(payment_id)}
        wanted: Any = {
            "mode": "payment",
            "payment_method_types": ["card"],
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": currency.lower(),
                        "unit_amount": amount_cents,
                        "product_data": {"name": title},
                    },
                }
            ],
            "client_reference_id": str(payment_id),
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            # The parent pays the price that was shown, in its currency.
            "adaptive_pricing": {"enabled": False},
            "success_url": settings.CHECKOUT_SUCCESS_URL,
            "cancel_url": settings.CHECKOUT_CANCEL_URL,
            "expires_at": int(expires_at.timestamp()),
        }
        with errors_in_our_words():
            session = self.client.v1.checkout.sessions.create(wanted, {"idempotency_key": f"checkout-{payment_id}"})
        return Checkout(session.id, session.url or "")

    def close_checkout(self, checkout_id: str) -> bool:
        with errors_in_our_words():
            session = self.client.v1.checkout.sessions.retrieve(checkout_id)
            if session.status == "open":
                self.client.v1.checkout.sessions.expire(checkout_id)
        return session.status != "complete"

    def refund(self, *, refund_id: UUID, processor_payment_id: str, amount_cents: int, key: str) -> str:
        with errors_in_our_words():
            refund = self.client.v1.refunds.create(
                {
                    "payment_intent": processor_payment_id,
                    "amount": amount_cents,
                    "metadata": {"refund_id": str(refund_id)},
                },
                {"idempotency_key": key},
            )
        return refund.id

    def find_refund(self, *, refund_id: UUID, processor_payment_id: str) -> str | None:
        with errors_in_our_words():
            made = self.client.v1.refunds.list({"payment_intent": processor_payment_id, "limit": PAGE}).data
        return next((each.id for each in made if metadata_id(each.to_dict(), "refund_id") == refund_id), None)

    def refund_status(self, processor_refund_id: str) -> str:
        with errors_in_our_words():
            return refund_status(self.client.v1.refunds.retrieve(processor_refund_id).status)

    def money_by(self, checkout_id: str) -> MoneyIn | None:
        with errors_in_our_words():
            wanted: Any = {"expand": ["payment_intent.latest_charge"]}
            session = self.client.v1.checkout.sessions.retrieve(checkout_id, wanted).to_dict()
            intent = session.get("payment_intent")
            charge = intent.get("latest_charge") if isinstance(intent, dict) else None
            if session["payment_status"] != "paid" or not isinstance(intent, dict) or not isinstance(charge, dict):
                return None
            return MoneyIn(
                processor_payment_id=intent["id"],
                checkout_id=checkout_id,
                payment_id=our_id((session.get("metadata") or {}).get("payment_id")),
                amount_cents=session["amount_total"],
                currency=session["currency"].upper(),
                at=datetime.fromtimestamp(charge["created"], UTC),
            )

    def list_news(self, *, since: datetime, until: datetime) -> tuple[list[Outcome | MoneyIn], bool]:
        wanted: Any = {
            "types": TYPES,
            "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
            "limit": PAGE,
        }
        found: list[Outcome | MoneyIn] = []
        with errors_in_our_words():
            for _ in range(PAGES):
                # The answer as it came: the SDK's own objects are no dicts.
                answer: Any = self.client.v1.events.list(wanted)
                page = answer.last_response.data
                found += filter(None, map(self.understood, without_private_parts(page["data"])))
                if not page["has_more"]:
                    return found[::-1], True
                wanted["starting_after"] = page["data"][-1]["id"]
        return found[::-1], False

    def understood(self, event: dict[str, Any]) -> Outcome | None:
        """What a fetched event says; None, and a line for ops, if it is not as Stripe writes them."""
        try:
            return self.outcome(event, event["id"])
        except (KeyError, TypeError, AttributeError):
            log.error("stripe event not understood", event_id=event.get("id"))
            return None

    def read_event(self, raw: bytes, headers: Mapping[str, str]) -> Outcome:
        verify(raw, headers.get("Stripe-Signature", ""))
        try:
            event = without_private_parts(orjson.loads(raw))
            return self.outcome(event, str(event["id"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            # Signed, but not an event as Stripe writes them.
            raise InvalidSignature("The body is not a Stripe event.") from None

    def client_fields(self, checkout_id: str, url: str) -> dict[str, str]:
        return {"checkout_url": url}

    def outcome(self, payload: dict[str, Any], event_id: str) -> Outcome:
        event, subject = payload, payload["data"]["object"]
        common: dict[str, Any] = {
            "event_id": event_id,
            "type": str(event["type"]),
            "payload": event,
            "at": moment(event.get("created")),
            "is_ours": event.get("livemode", False) == self.livemode,
            "payment_id": metadata_id(subject, "payment_id"),
        }
        match event["type"]:
            case "checkout.session.completed" | "checkout.session.async_payment_succeeded":
                paid = subject.get("payment_status") in ("paid", "no_payment_required")
                return Outcome(**common, **session_fields(subject), signal=Signal.PAID if paid else Signal.AUTHORIZED)
            case "checkout.session.async_payment_failed":
                fields = session_fields(subject)
                return Outcome(
                    **common, **fields, signal=Signal.CHECKOUT_EXPIRED, reason="The bank refused the payment."
                )
            case "checkout.session.expired":
                fields = session_fields(subject)
                return Outcome(**common, **fields, signal=Signal.CHECKOUT_EXPIRED, reason="The checkout page expired.")
            case "payment_intent.payment_failed":
                code = (subject.get("last_payment_error") or {}).get("code") or "declined"
                return Outcome(
                    **common,
                    processor_payment_id=subject["id"],
                    signal=Signal.FAILED,
                    reason=f"Payment failed: {code}.",
                )
            case "charge.refunded":
                full = bool(subject.get("refunded")) and subject.get("amount_refunded") == subject.get("amount")
                return Outcome(
                    **common,
                    processor_payment_id=id_of(subject.get("payment_intent")),
                    signal=Signal.REFUNDED_IN_FULL if full else Signal.OTHER,
                )
            case "refund.created" | "refund.updated" | "refund.failed":
                return Outcome(
                    **common,
                    signal=Signal.REFUND,
                    processor_payment_id=id_of(subject.get("payment_intent")),
                    amount_cents=subject["amount"],
                    currency=subject["currency"].upper(),
                    refund_id=metadata_id(subject, "refund_id"),
                    processor_refund_id=subject["id"],
                    refund_status=refund_status(subject.get("status")),
                    reason=subject.get("failure_reason") or "",
                )
            case "charge.dispute.created":
                return Outcome(
                    **common,
                    processor_payment_id=id_of(subject.get("payment_intent")),
                    signal=Signal.DISPUTED,
                    reason=f"Disputed: {subject.get('reason') or 'no reason given'}.",
                )
        return Outcome(**common, signal=Signal.OTHER)


def session_fields(session: dict[str, Any]) -> dict[str, Any]:
    return {
        "checkout_id": session["id"],
        "processor_payment_id": id_of(session.get("payment_intent")),
        "amount_cents": session.get("amount_total"),
        "currency": (session.get("currency") or "").upper(),
    }


def id_of(value: Any) -> str | None:
    """The id of what an event names, whether it came as an id or whole."""
    return value.get("id") if isinstance(value, dict) else value


def metadata_id(subject: dict[str, Any], name: str) -> UUID | None:
    """Our id in an object's metadata, or in those of the payment that it belongs to, where that came whole."""
    for each in (subject, subject.get("payment_intent"), subject.get("charge")):
        if isinstance(each, dict) and (found := our_id((each.get("metadata") or {}).get(name))):
            return found
    return None


def refund_status(status: str | None) -> str:
    return {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}.get(status or "", "pending")


def verify(raw: bytes, header: str) -> None:
    """Raises `InvalidSignature` unless one of our secrets signed `raw` within the last five minutes."""
    stamp = re.search(r"(?:^|,)t=(\d{1,12})(?:,|$)", header)
    # The SDK checks for age only; a time far ahead would stay valid for as long as its sender likes.
    if stamp and int(stamp[1]) <= time.time() + TOLERANCE_SECONDS:
        for secret in settings.STRIPE_WEBHOOK_SECRETS:
            try:
                stripe.WebhookSignature.verify_header(raw.decode(), header, secret, TOLERANCE_SECONDS)
                return
            except (stripe.SignatureVerificationError, TypeError, ValueError, AttributeError):
                continue
    raise InvalidSignature


@contextmanager
def errors_in_our_words() -> Iterator[None]:
    try:
        yield
    except stripe.CardError as error:
        raise ProcessorError from error
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        log.warning("stripe out of reach", kind=type(error).__name__)
        raise ProcessorUnavailable from error
    except stripe.StripeError as error:
        # A 5xx may have done the work, and after a 409 a twin is at it: only asking again with the same key tells.
        log.warning("stripe refused", kind=type(error).__name__, code=error.code, status=error.http_status)
        status = error.http_status or 500
        raise (ProcessorUnavailable if status >= 500 or status == 409 else ProcessorError) from error
