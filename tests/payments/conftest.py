"""The sandbox as the other end of a checkout: its page, its faults, and what the processor knows."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from payments.processors import processor
from payments.processors import razorpay as razorpay_processor
from payments.processors import stripe as stripe_processor

NO_FAULTS = {
    "drop": 0,
    "lose": 0,
    "http500": 0,
    "stored500": 0,
    "timeout": 0,
    "hang_seconds": 0.6,
    "stripe": "up",
    "razorpay": "up",
    "refunds": "succeed",
    "webhooks": "off",
}


@pytest.fixture
def sandbox(sandbox):
    """The sandbox without faults, before and after; webhooks are not delivered."""
    sandbox.post("/faults", NO_FAULTS)
    yield sandbox
    sandbox.post("/faults", NO_FAULTS)


@pytest.fixture
def impatient(monkeypatch):
    """Processors that hang are given up on soon."""
    monkeypatch.setattr(stripe_processor, "TIMEOUT", (1, 0.3))
    monkeypatch.setattr(razorpay_processor, "TIMEOUT", (1, 0.3))
    processor.cache_clear()


def act(sandbox: Any, checkout_id: str, action: str = "pay", **fields: Any) -> dict[str, Any]:
    """Presses a button on the checkout page; gives the processor's payment id and the events that it caused."""
    form = urllib.parse.urlencode({"action": action, **fields}).encode()
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    request = urllib.request.Request(f"{sandbox.url}/pay/{checkout_id}", form, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return {"refused": error.code}


def stripe_sessions(payment: Any) -> list[Any]:
    """All checkout sessions that Stripe has for our payment."""
    sessions = processor("stripe").client.v1.checkout.sessions.list({"limit": 100}).data
    return [session for session in sessions if session.client_reference_id == str(payment.pk)]


def razorpay_orders(payment: Any) -> list[dict[str, Any]]:
    """All orders that Razorpay has for our payment."""
    return processor("razorpay").client.order.all({"receipt": payment.pk.hex}, timeout=5)["items"]
