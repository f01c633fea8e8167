"""Stripe's objects as its API and webhooks show them, with the personal fields that a careful client strips."""

import time
from typing import Any

from .state import Doc, new_id

API_VERSION = "2026-10-28.endive"

_ADDRESS = {
    "city": "Austin",
    "country": "US",
    "line1": "1 Congress Ave",
    "line2": None,
    "postal_code": "78701",
    "state": "TX",
}
PERSON: Doc = {"email": "zoe.parent@example.com", "name": "Zoë Parent", "phone": "+15125550123", "address": _ADDRESS}


def session(params: Doc, *, url: str, session_id: str, amount: int, currency: str, now: int) -> Doc:
    return {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": params.get("adaptive_pricing") or {"enabled": True},
        "allow_promotion_codes": None,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "created": now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": {},
        "customer": None,
        "customer_creation": params.get("customer_creation", "if_required"),
        "customer_details": None,
        "customer_email": params.get("customer_email"),
        "expires_at": params.get("expires_at", now + 24 * 3600),
        "invoice": None,
        "livemode": False,
        "locale": params.get("locale"),
        "metadata": params.get("metadata", {}),
        "mode": "payment",
        "payment_intent": None,
        "payment_link": None,
        "payment_method_options": {},
        "payment_method_types": params.get("payment_method_types", ["card"]),
        "payment_status": "unpaid",
        "recovered_from": None,
        "setup_intent": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted",
        "url": url,
    }


def line_item(item: Doc, currency: str) -> Doc:
    price = item["price_data"]
    amount = price["unit_amount"] * item.get("quantity", 1)
    return {
        "id": new_id("li_", 24),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": currency,
        "description": price["product_data"]["name"],
        "price": {
            "id": new_id("price_", 24),
            "object": "price",
            "currency": currency,
            "type": "one_time",
            "unit_amount": price["unit_amount"],
        },
        "quantity": item.get("quantity", 1),
    }


def payment_intent(data: Doc, *, amount: int, currency: str) -> Doc:
    intent_id = new_id("pi_3", 23)
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": 0,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{new_id('', 25)}",
        "confirmation_method": "automatic",
        "created": int(time.time()),
        "currency": currency,
        "customer": None,
        "description": data.get("description"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": data.get("metadata", {}),
        "next_action": None,
        "payment_method": None,
        "payment_method_types": ["card"],
        "receipt_email": data.get("receipt_email"),
        "shipping": None,
        "statement_descriptor": data.get("statement_descriptor"),
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
    }


def charge(intent: Doc, *, declined: bool) -> Doc:
    paid = not declined
    return {
        "id": new_id("ch_3", 23),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if paid else 0,
        "amount_refunded": 0,
        "balance_transaction": new_id("txn_3", 23) if paid else None,
        "billing_details": PERSON | {"tax_id": None},
        "captured": paid,
        "created": int(time.time()),
        "currency": intent["currency"],
        "customer": None,
        "description": intent["description"],
        "disputed": False,
        "failure_code": "card_declined" if declined else None,
        "failure_message": "Your card was declined." if declined else None,
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": {
            "network_status": "declined_by_network" if declined else "approved_by_network",
            "risk_level": "normal",
            "type": "issuer_declined" if declined else "authorized",
        },
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": {"type": "card", "card": _card("0002" if declined else "4242")},
        "receipt_email": intent["receipt_email"],
        "receipt_url": "https://pay.stripe.com/receipts/sandbox" if paid else None,
        "refunded": False,
        "status": "succeeded" if paid else "failed",
    }


def decline(charge: Doc) -> Doc:
    """The `last_payment_error` of an intent whose charge was declined."""
    return {
        "charge": charge["id"],
        "code": "card_declined",
        "decline_code": "generic_decline",
        "message": "Your card was declined.",
        "payment_method": {
            "id": charge["payment_method"],
            "object": "payment_method",
            "billing_details": PERSON,
            "card": charge["payment_method_details"]["card"],
            "type": "card",
        },
        "type": "card_error",
    }


def _card(last4: str) -> Doc:
    return {
        "brand": "visa",
        "country": "US",
        "exp_month": 8,
        "exp_year": 2031,
        "fingerprint": "Xt5EWLLDS7FJjR1c",
        "funding": "credit",
        "last4": last4,
        "network": "visa",
    }


def refund(charge: Doc, params: Doc, *, amount: int, status: str) -> Doc:
    return {
        "id": new_id("re_3", 23),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn_3", 23) if status == "succeeded" else None,
        "charge": charge["id"],
        "created": int(time.time()),
        "currency": charge["currency"],
        "destination_details": {"type": "card", "card": {"reference_status": "pending", "type": "refund"}},
        "metadata": params.get("metadata", {}),
        "payment_intent": charge["payment_intent"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }


def dispute(charge: Doc) -> Doc:
    now = int(time.time())
    return {
        "id": new_id("du_", 24),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "evidence": {"customer_email_address": PERSON["email"], "customer_name": PERSON["name"]},
        "evidence_details": {
            "due_by": now + 7 * 86400,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": "fraudulent",
        "status": "needs_response",
    }


def event(type: str, obj: Doc, *, request: Doc, changed: Doc | None = None) -> Doc:
    data: dict[str, Any] = {"object": obj}
    if changed:
        data["previous_attributes"] = changed
    return {
        "id": new_id("evt_1", 23),
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": request,
        "type": type,
    }
