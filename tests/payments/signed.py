"""Stripe's and Razorpay's events as they come in: the same shape and bytes, signed over the raw body."""

import hashlib
import hmac
import json
import time
import uuid
from typing import Any

STRIPE, RAZORPAY = "/v1/payments/webhook/stripe", "/v1/payments/webhook/razorpay"
STRIPE_SECRET, RAZORPAY_SECRET = "whsec_sandbox", "whsec_razorpay_sandbox"

# Everything personal that a processor tells, none of which may stay here.
ADDRESS = {"city": "Austin", "country": "US", "line1": "1 Congress Ave", "postal_code": "78701", "state": "TX"}
PERSON = {"email": "zoe.parent@example.com", "name": "Zoë Parent", "phone": "+15125550123", "address": ADDRESS}
CARD = {"brand": "visa", "last4": "4242", "exp_month": 8, "exp_year": 2031, "fingerprint": "Xt5EWLLDS7FJjR1c"}
INDIAN = {"email": "zoe.parent@example.com", "contact": "+919876543210"}
SECRETS = [
    "zoe.parent",
    "Zoë",
    "+15125550123",
    "Congress",
    '"78701"',
    '"4242"',
    "Xt5EWLLDS7FJjR1c",
    "+919876543210",
    "okbank",
    '"1111"',
    "932066",
    "card_",
]


def private_parts_of(stored: str) -> list[str]:
    """What of all that stands in `stored`. A decline's code is no secret."""
    stored = stored.replace("card_declined", "").replace("card_error", "")
    return [secret for secret in SECRETS if secret in stored]


def new(prefix: str) -> str:
    return prefix + uuid.uuid4().hex[:20]


def stripe_signature(raw: bytes, *, secret: str = STRIPE_SECRET, at: float | None = None) -> str:
    stamp = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def razorpay_signature(raw: bytes, *, secret: str = RAZORPAY_SECRET) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def post_stripe(api: Any, event: dict[str, Any], **options: Any) -> Any:
    """Sends the event as Stripe does: indented, raw UTF-8, signed."""
    raw = json.dumps(event, indent=2, ensure_ascii=False).encode()
    return api.post(STRIPE, raw=raw, Stripe_Signature=stripe_signature(raw, **options))


def post_razorpay(api: Any, event: dict[str, Any], *, event_id: str | None = None, **options: Any) -> Any:
    """Sends the event as Razorpay does: compact, with its id in an unsigned header."""
    raw = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "X_Razorpay_Event_Id": event_id or new("")[:14],
        "X_Razorpay_Signature": razorpay_signature(raw, **options),
    }
    return api.post(RAZORPAY, raw=raw, **headers)


# --- Stripe ----------------------------------------------------------------------------------------------------------


def stripe_event(type: str, subject: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": new("evt_1"),
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "data": {"object": subject},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    } | changes


def intent_id(payment: Any) -> str:
    """The payment intent that belongs to our payment in these tests."""
    return payment.processor_payment_id or f"pi_3{payment.pk.hex[:20]}"


def checkout(payment: Any, type: str = "completed", *, event: dict | None = None, **changes: Any) -> dict[str, Any]:
    """`checkout.session.<type>`; a completed one is paid."""
    paid = type in ("completed", "async_payment_succeeded")
    session = {
        "id": payment.processor_checkout_id or new("cs_test_a1"),
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "amount_subtotal": payment.amount_cents,
        "amount_total": payment.amount_cents,
        "client_reference_id": str(payment.pk),
        "currency": payment.currency.lower(),
        "customer_details": PERSON | {"tax_exempt": "none", "tax_ids": []} if paid else None,
        "customer_email": "zoe.parent@example.com",
        "livemode": False,
        "metadata": {"payment_id": str(payment.pk)},
        "mode": "payment",
        "payment_intent": intent_id(payment) if paid else None,
        "payment_method_types": ["card"],
        "payment_status": "paid" if paid else "unpaid",
        "shipping_details": {"address": ADDRESS, "name": "Zoë Parent"},
        "collected_information": {"shipping_details": {"address": ADDRESS, "name": "Zoë Parent"}},
        "status": "expired" if type == "expired" else "complete",
        "url": None,
    }
    return stripe_event(f"checkout.session.{type}", session | changes, **(event or {}))


def declined(payment: Any, **changes: Any) -> dict[str, Any]:
    error = {
        "code": "card_declined",
        "decline_code": "generic_decline",
        "message": "Your card was declined.",
        "payment_method": {"billing_details": PERSON, "card": CARD, "type": "card"},
    }
    intent = {
        "id": intent_id(payment),
        "object": "payment_intent",
        "amount": payment.amount_cents,
        "currency": payment.currency.lower(),
        "last_payment_error": error,
        "livemode": False,
        "metadata": {"payment_id": str(payment.pk)},
        "receipt_email": "zoe.parent@example.com",
        "status": "requires_payment_method",
    }
    return stripe_event("payment_intent.payment_failed", intent | changes)


def charge_refunded(payment: Any, cents: int | None = None, **changes: Any) -> dict[str, Any]:
    cents = payment.amount_cents if cents is None else cents
    charge = {
        "id": new("ch_3"),
        "object": "charge",
        "amount": payment.amount_cents,
        "amount_refunded": cents,
        "billing_details": PERSON | {"tax_id": None},
        "currency": payment.currency.lower(),
        "livemode": False,
        "metadata": {"payment_id": str(payment.pk)},
        "payment_intent": intent_id(payment),
        "payment_method_details": {"type": "card", "card": CARD},
        "receipt_email": "zoe.parent@example.com",
        "receipt_url": "https://pay.stripe.com/receipts/zoe.parent",
        "refunded": cents == payment.amount_cents,
        "status": "succeeded",
    }
    return stripe_event("charge.refunded", charge | changes)


def refund_event(
    payment: Any,
    type: str = "updated",
    *,
    refund: Any = None,
    cents: int | None = None,
    status: str = "succeeded",
    **changes: Any,
) -> dict[str, Any]:
    """`refund.<type>`, of our `refund` or of one that was made on the dashboard."""
    amount = refund.amount_cents if refund else payment.amount_cents if cents is None else cents
    subject = {
        "id": (refund and refund.processor_refund_id) or (f"re_3{refund.pk.hex[:20]}" if refund else new("re_3")),
        "object": "refund",
        "amount": amount,
        "charge": new("ch_3"),
        "currency": payment.currency.lower(),
        "destination_details": {"type": "card", "card": {"reference": "5442319870", "type": "refund"}},
        "metadata": {"refund_id": str(refund.pk)} if refund else {},
        "payment_intent": intent_id(payment),
        "reason": None,
        "status": status,
        **({"failure_reason": "expired_or_canceled_card"} if status == "failed" else {}),
    }
    return stripe_event(f"refund.{type}", subject | changes)


def disputed(payment: Any) -> dict[str, Any]:
    dispute = {
        "id": new("du_"),
        "object": "dispute",
        "amount": payment.amount_cents,
        "charge": new("ch_3"),
        "currency": payment.currency.lower(),
        "evidence": {"customer_email_address": "zoe.parent@example.com", "customer_name": "Zoë Parent"},
        "livemode": False,
        "metadata": {},
        "payment_intent": intent_id(payment),
        "reason": "fraudulent",
        "status": "needs_response",
    }
    return stripe_event("charge.dispute.created", dispute)


# --- Razorpay --------------------------------------------------------------------------------------------------------


def razorpay_event(type: str, **entities: dict[str, Any]) -> dict[str, Any]:
    return {
        "entity": "event",
        "account_id": "acc_Juniro00000001",
        "event": type,
        "contains": list(entities),
        "payload": {name: {"entity": entity} for name, entity in entities.items()},
        "created_at": int(time.time()),
    }


def rzp_id(payment: Any) -> str:
    return payment.processor_payment_id or f"pay_{payment.pk.hex[-14:]}"


def rzp_payment(payment: Any, *, status: str = "captured", method: str = "upi", **changes: Any) -> dict[str, Any]:
    card = {"id": "card_Zoe00000000001", "entity": "card", "name": "Zoë Parent", "last4": "1111", "network": "Visa"}
    by_card = {"card_id": card["id"], "card": card, "vpa": None, "acquirer_data": {"auth_code": "932066"}}
    by_upi = {
        "card_id": None,
        "upi": {"vpa": "zoe.parent@okbank"},
        "vpa": "zoe.parent@okbank",
        "acquirer_data": {"rrn": "1"},
    }
    return {
        "id": rzp_id(payment),
        "entity": "payment",
        "amount": payment.amount_cents,
        "currency": payment.currency,
        "status": status,
        "order_id": payment.processor_checkout_id,
        "method": method,
        "captured": status == "captured",
        **(by_card if method == "card" else by_upi),
        "bank": None,
        "wallet": None,
        **INDIAN,
        "notes": {"payment_id": str(payment.pk)},
        "error_code": "BAD_REQUEST_ERROR" if status == "failed" else None,
    } | changes


def rzp_order(payment: Any) -> dict[str, Any]:
    return {
        "id": payment.processor_checkout_id,
        "entity": "order",
        "amount": payment.amount_cents,
        "amount_paid": payment.amount_cents,
        "currency": payment.currency,
        "receipt": payment.pk.hex,
        "status": "paid",
        "notes": {"payment_id": str(payment.pk)},
    }


def authorized(payment: Any, **changes: Any) -> dict[str, Any]:
    return razorpay_event("payment.authorized", payment=rzp_payment(payment, status="authorized", **changes))


def captured(payment: Any, **changes: Any) -> dict[str, Any]:
    return razorpay_event("payment.captured", payment=rzp_payment(payment, **changes))


def order_paid(payment: Any, **changes: Any) -> dict[str, Any]:
    return razorpay_event("order.paid", payment=rzp_payment(payment, **changes), order=rzp_order(payment))


def rzp_failed(payment: Any, **changes: Any) -> dict[str, Any]:
    return razorpay_event("payment.failed", payment=rzp_payment(payment, status="failed", **changes))


def rzp_refund(
    payment: Any, type: str = "processed", *, refund: Any = None, cents: int | None = None, status: str | None = None
) -> dict[str, Any]:
    """`refund.<type>`, of our `refund` or of one that was made on the dashboard."""
    subject = {
        "id": (refund and refund.processor_refund_id)
        or (f"rfnd_{refund.pk.hex[-14:]}" if refund else new("rfnd_")[:19]),
        "entity": "refund",
        "amount": refund.amount_cents if refund else payment.amount_cents if cents is None else cents,
        "currency": payment.currency,
        "payment_id": rzp_id(payment),
        # As PHP shows an empty map.
        "notes": {"refund_id": str(refund.pk)} if refund else [],
        "acquirer_data": {"arn": "10000000000000"},
        "status": status or {"created": "pending"}.get(type, type),
    }
    return razorpay_event(f"refund.{type}", refund=subject, payment=rzp_payment(payment))


def rzp_disputed(payment: Any) -> dict[str, Any]:
    dispute = {
        "id": new("disp_"),
        "entity": "dispute",
        "payment_id": rzp_id(payment),
        "amount": payment.amount_cents,
        "currency": payment.currency,
        "reason_code": "goods_not_received",
        "status": "open",
        "evidence": {"customer": "Zoë Parent"},
    }
    return razorpay_event("payment.dispute.created", payment=rzp_payment(payment), dispute=dispute)
