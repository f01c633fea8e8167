"""Razorpay's entities as its API and webhooks show them, with the personal fields that a careful client strips."""

import time
from typing import Any

from .state import Doc, new_id

PERSON = {"email": "zoe.parent@example.com", "contact": "+919876543210"}
VPA = "zoe.parent@okbank"


def order(data: Doc) -> Doc:
    return {
        "id": new_id("order_", 14),
        "entity": "order",
        "amount": data["amount"],
        "amount_paid": 0,
        "amount_due": data["amount"],
        "currency": data["currency"],
        "receipt": data.get("receipt"),
        "offer_id": None,
        "status": "created",
        "attempts": 0,
        # As PHP shows an empty map.
        "notes": data.get("notes") or [],
        "created_at": int(time.time()),
    }


def payment(order: Doc, *, amount: int, currency: str, method: str) -> Doc:
    """A payment that is authorised and not yet captured."""
    card = _card() if method == "card" else None
    return {
        "id": new_id("pay_", 14),
        "entity": "payment",
        "amount": amount,
        "currency": currency,
        "base_amount": amount,
        "status": "authorized",
        "order_id": order["id"],
        "invoice_id": None,
        "international": False,
        "method": method,
        "amount_refunded": 0,
        "refund_status": None,
        "captured": False,
        "description": "Juniro",
        "card_id": card["id"] if card else None,
        **({"card": card} if card else {"upi": {"payer_account_type": "bank_account", "vpa": VPA}}),
        "bank": None,
        "wallet": None,
        "vpa": None if card else VPA,
        **PERSON,
        # The checkout passes the order's notes on.
        "notes": order["notes"],
        "fee": None,
        "tax": None,
        "error_code": None,
        "error_description": None,
        "error_source": None,
        "error_step": None,
        "error_reason": None,
        "acquirer_data": {"auth_code": "932066"} if card else {"rrn": "432198765012"},
        "created_at": int(time.time()),
    }


def capture(payment: Doc) -> Doc:
    """What capturing changes."""
    fee = payment["amount"] * 236 // 10_000
    return {"status": "captured", "captured": True, "fee": fee, "tax": fee * 18 // 118}


def failure(method: str) -> Doc:
    """What the bank's refusal changes."""
    return {
        "status": "failed",
        "error_code": "BAD_REQUEST_ERROR",
        "error_description": "Your payment has been cancelled. Try again or complete the payment later.",
        "error_source": "customer",
        "error_step": "payment_authentication",
        "error_reason": "payment_cancelled" if method == "upi" else "payment_failed",
    }


def _card() -> Doc:
    return {
        "id": new_id("card_", 14),
        "entity": "card",
        "name": "Zoë Parent",
        "last4": "1111",
        "network": "Visa",
        "type": "debit",
        "issuer": "SBIN",
        "international": False,
        "emi": False,
        "sub_type": "consumer",
        "token_iin": None,
    }


def refund(payment: Doc, data: Doc, *, amount: int, status: str) -> Doc:
    return {
        "id": new_id("rfnd_", 14),
        "entity": "refund",
        "amount": amount,
        "currency": payment["currency"],
        "payment_id": payment["id"],
        "notes": data.get("notes") or [],
        "receipt": data.get("receipt"),
        "acquirer_data": {"arn": "10000000000000"} if status == "processed" else {"arn": None},
        "created_at": int(time.time()),
        "batch_id": None,
        "status": status,
        "speed_processed": "normal" if status == "processed" else None,
        "speed_requested": data.get("speed", "normal"),
    }


def dispute(payment: Doc) -> Doc:
    now = int(time.time())
    return {
        "id": new_id("disp_", 14),
        "entity": "dispute",
        "payment_id": payment["id"],
        "amount": payment["amount"],
        "currency": payment["currency"],
        "amount_deducted": 0,
        "gateway_dispute_id": new_id("", 11),
        "reason_code": "goods_or_services_not_received_or_partially_received",
        "reason_description": "Goods or services not received",
        "respond_by": now + 7 * 86400,
        "status": "open",
        "phase": "chargeback",
        "evidence": {},
        "created_at": now,
    }


def event(type: str, account_id: str, entities: dict[str, Doc]) -> dict[str, Any]:
    return {
        "entity": "event",
        "account_id": account_id,
        "event": type,
        "contains": list(entities),
        "payload": {name: {"entity": entity} for name, entity in entities.items()},
        "created_at": int(time.time()),
    }
