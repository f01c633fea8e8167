"""What happens behind Razorpay's API: payments, declines, refunds and disputes, each with its events."""

import json
from typing import Any

from . import razorpay_objects as objects
from .faults import Faults
from .settings import Settings
from .state import Doc, State, new_id
from .webhooks import razorpay_signature

MINIMUM = 100


class RazorpayError(Exception):
    """An error as Razorpay answers it; what it does not find or like is always a 400."""

    def __init__(
        self, description: str, *, field: str | None = None, status: int = 400, code: str = "BAD_REQUEST_ERROR"
    ) -> None:
        super().__init__(description)
        self.status = status
        error: dict[str, Any] = {"code": code, "description": description}
        if status == 400:
            error |= {"source": "business", "step": "payment_initiation", "reason": "input_validation_failed"}
            error |= {"metadata": {}} | ({"field": field} if field else {})
        self.body = {"error": error}


class Payments:
    """Verbs that change payments; each gives the events it caused, in order, and sends none."""

    processor = "razorpay"

    def __init__(self, settings: Settings, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self._key_secret = settings.razorpay_key_secret
        self._return_url = settings.return_url
        with state.writing():
            account = state.get("rzp_account", "own") or state.put("rzp_account", "own", {"id": new_id("acc_", 14)})
        self._account_id = account["id"]

    def view(self, order_id: str) -> Doc | None:
        """What the checkout page shows, or None; an order never expires."""
        order = self._state.get("rzp_order", order_id)
        if order is None:
            return None
        payment = self._captured(order_id)
        return {
            "id": order_id,
            "amount": order["amount"],
            "currency": order["currency"],
            "description": order["receipt"] or "Order",
            "state": "paid" if order["status"] == "paid" else "open",
            "expires_at": None,
            "success_url": None,
            "cancel_url": self._return_url,
            "payment_id": payment["id"] if payment else None,
        }

    def handler(self, order_id: str, payment_id: str) -> Doc:
        """What Razorpay's checkout hands to the page's `handler` after a success."""
        return {
            "razorpay_payment_id": payment_id,
            "razorpay_order_id": order_id,
            "razorpay_signature": razorpay_signature(self._key_secret, f"{order_id}|{payment_id}".encode()),
        }

    def pay(
        self, order_id: str, *, amount: int | None = None, currency: str | None = None, method: str = "upi"
    ) -> tuple[str, list[Doc]]:
        """Pays in full, or with another amount or currency."""
        order = self._order(order_id)
        amount = order["amount"] if amount is None else amount
        payment = objects.payment(order, amount=amount, currency=(currency or order["currency"]).upper(), method=method)
        order["attempts"] += 1
        authorized = self._event("payment.authorized", order_id, payment=self._put(payment))
        payment |= objects.capture(payment)
        order |= {"status": "paid", "amount_paid": amount, "amount_due": max(0, order["amount"] - amount)}
        self._put(payment)
        self._put(order)
        captured = self._event("payment.captured", order_id, payment=payment)
        paid = self._event("order.paid", order_id, payment=payment, order=order)
        return payment["id"], [authorized, captured, paid]

    def decline(self, order_id: str, *, method: str = "upi") -> tuple[str, list[Doc]]:
        order = self._order(order_id)
        payment = objects.payment(order, amount=order["amount"], currency=order["currency"], method=method)
        payment |= objects.failure(method)
        order |= {"attempts": order["attempts"] + 1, "status": "attempted"}
        self._put(order)
        return payment["id"], [self._event("payment.failed", order_id, payment=self._put(payment))]

    def refund(self, payment_id: str, data: Doc) -> tuple[Doc, list[Doc]]:
        """Refunds a captured payment, in full or in part; raises `RazorpayError` beyond what is left of it."""
        payment = self._state.get("rzp_payment", payment_id)
        if payment is None:
            raise RazorpayError("The id provided does not exist")
        if payment["status"] == "refunded":
            raise RazorpayError("The payment has been fully refunded already")
        if payment["status"] != "captured":
            raise RazorpayError("The payment status should be captured for action to be taken")
        left = payment["amount"] - payment["amount_refunded"]
        amount = data.get("amount", left)
        if amount < MINIMUM:
            raise RazorpayError("The amount must be atleast INR 1.00", field="amount")
        if amount > payment["amount"]:
            raise RazorpayError("The refund amount provided is greater than amount captured", field="amount")
        if amount > left:
            raise RazorpayError("The total refund amount is greater than the refund payment amount", field="amount")
        outcome = self._faults["refunds"]
        status = "processed" if outcome == "succeed" else "pending"
        refund = self._put(objects.refund(payment, data, amount=amount, status=status))
        accepted = dict(refund)
        self._refunded(payment, amount)
        events = [self._event("refund.created", payment["order_id"], refund=refund, payment=payment)]
        if outcome == "succeed":
            events += self.settle(refund["id"], failed=False)
        elif outcome == "fail":
            events += self.settle(refund["id"], failed=True)
        return accepted, events

    def settle(self, refund_id: str, *, failed: bool) -> list[Doc]:
        """What the bank said to a refund; one that fails gives the money back to the payment."""
        refund = self._state.get("rzp_refund", refund_id)
        assert refund is not None
        payment = self._state.get("rzp_payment", refund["payment_id"])
        assert payment is not None
        if failed:
            if refund["status"] != "failed":
                self._refunded(payment, -refund["amount"])
            refund |= {"status": "failed", "speed_processed": None}
        else:
            refund |= {"status": "processed", "speed_processed": "normal", "acquirer_data": {"arn": "10000000000000"}}
        type = "refund.failed" if failed else "refund.processed"
        return [self._event(type, payment["order_id"], refund=self._put(refund), payment=payment)]

    def refund_outside(self, order_id: str, amount: int | None) -> tuple[str, list[Doc]]:
        """A refund that somebody gave on Razorpay's dashboard."""
        refund, events = self.refund(self._paid(order_id)["id"], {} if amount is None else {"amount": amount})
        return refund["id"], events

    def dispute(self, order_id: str) -> tuple[str, list[Doc]]:
        """The payer's bank disputes the payment."""
        payment = self._paid(order_id)
        dispute = self._put(objects.dispute(payment))
        return dispute["id"], [self._event("payment.dispute.created", order_id, payment=payment, dispute=dispute)]

    def _refunded(self, payment: Doc, amount: int) -> None:
        total = payment["amount_refunded"] + amount
        full = total == payment["amount"]
        payment |= {"amount_refunded": total, "status": "refunded" if full else "captured"}
        payment["refund_status"] = "full" if full else "partial" if total else None
        self._put(payment)

    def _order(self, order_id: str) -> Doc:
        order = self._state.get("rzp_order", order_id)
        assert order is not None
        return order

    def _captured(self, order_id: str) -> Doc | None:
        payments = self._state.all("rzp_payment", order_id=order_id, captured=True)
        return payments[0] if payments else None

    def _paid(self, order_id: str) -> Doc:
        payment = self._captured(order_id)
        if payment is None:
            raise RazorpayError("This order is not paid")
        return payment

    def _put(self, doc: Doc) -> Doc:
        return self._state.put(f"rzp_{doc['entity']}", doc["id"], doc)

    def _event(self, type: str, about: str, **entities: Doc) -> Doc:
        body = json.dumps(objects.event(type, self._account_id, entities), ensure_ascii=False, separators=(",", ":"))
        kept = {"id": new_id("", 14), "processor": "razorpay", "type": type, "about": about, "body": body}
        return self._state.put("event", kept["id"], kept)
