"""Of what processors tell, the personal parts are cut before anything is stored."""

import json

import pytest

from payments.models import WebhookEvent
from payments.processors import without_private_parts
from tests.factories import PaymentFactory
from tests.payments import signed

CANARY = "canary-4519"

# As Razorpay's documents show them, of payments, refunds, orders, disputes and virtual accounts.
RAZORPAY = [
    "email", "contact", "vpa", "upi", "bank", "bank_account", "wallet", "card", "card_id", "customer", "customer_id",
    "customer_details", "token", "token_id", "acquirer_data", "description", "error_description", "error_source",
    "name", "payer_name", "billing_address", "shipping_address", "account_number", "ifsc", "fund_account",
    "virtual_account", "virtual_account_id", "receivers", "rrn",
    "utr", "pan", "gstin", "iin", "evidence", "receipt_email", "last4",
]  # fmt: skip


@pytest.mark.parametrize("key", RAZORPAY)
@pytest.mark.parametrize("value", [CANARY, {"deep": [CANARY]}], ids=["text", "nested"])
def test_a_personal_part_is_cut_at_any_depth(key, value):
    event = {"payload": {"payment": {"entity": {"id": "pay_1", "amount": 100, key: value}}}}
    kept = without_private_parts(event)
    assert kept == {"payload": {"payment": {"entity": {"id": "pay_1", "amount": 100}}}}


def test_of_notes_only_our_ids_are_kept():
    notes = {"payment_id": "a", "refund_id": "b", "child": CANARY}
    assert without_private_parts({"notes": notes, "metadata": notes}) == {
        "notes": {"payment_id": "a", "refund_id": "b"},
        "metadata": {"payment_id": "a", "refund_id": "b"},
    }


@pytest.mark.django_db(databases=["default", "global"])
def test_a_stored_event_of_india_has_none_of_them(api, india):
    payment = PaymentFactory(processor_checkout_id="order_1")
    event = signed.captured(payment, **dict.fromkeys(RAZORPAY, CANARY))
    assert signed.post_razorpay(api, event).status == 200
    payment.refresh_from_db()
    assert payment.status == "paid"
    [stored] = WebhookEvent.objects.all()
    assert CANARY not in json.dumps(stored.payload)
    assert stored.payload["payload"]["payment"]["entity"]["amount"] == payment.amount_cents
