"""The checkout page of both processors, and everything that can be made to happen to a payment there.

`POST /pay/{id}` takes `action` and answers a browser with a redirect or a page, and a script that accepts JSON with
`{status, paymentId, events}`. For an open checkout: pay, decline, late, twice, reorder, wrong_amount, expire; late also
pays an expired one. For a paid one: dispute, refund (as if given on the dashboard), and with Razorpay again (somebody
pays the same order a second time). `delay` (seconds) goes with late, `amount` and `currency` with wrong_amount,
`amount` with refund, `method` (card, upi) with Razorpay.
"""

import json
import math
import time
from typing import Any

from werkzeug.exceptions import NotFound
from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from . import pages, razorpay_payments, stripe_payments
from .razorpay_payments import RazorpayError
from .state import Doc, State
from .stripe_forms import StripeError
from .webhooks import Courier

Payments = stripe_payments.Payments | razorpay_payments.Payments

_PAYING = ("pay", "late", "twice", "reorder", "wrong_amount")
_AFTERWARDS = ("dispute", "refund")


class BadFormError(Exception):
    """The form makes no sense; the message says why."""


class PayPage:
    def __init__(
        self, state: State, courier: Courier, stripe: stripe_payments.Payments, razorpay: razorpay_payments.Payments
    ) -> None:
        self._state = state
        self._courier = courier
        self._stripe = stripe
        self._razorpay = razorpay

    def __call__(self, request: Request, checkout_id: str) -> Response:
        payments, view = self._find(checkout_id)
        if request.method == "GET":
            if view["state"] != "open":
                return _closed(view)
            return pages.checkout(payments.processor, view)
        as_json = request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json"
        try:
            with self._state.writing():
                # Looked at again under the lock: of two who pay at once, one is told that it is paid.
                payments, view = self._find(checkout_id)
                action = request.form.get("action", "")
                if not _allowed(action, payments.processor, view["state"]):
                    return (
                        _json({"status": view["state"], "paymentId": view["payment_id"], "events": []}, 409)
                        if (as_json)
                        else _closed(view)
                    )
                status, payment_id, events = self._act(request, payments, view, action)
        except (BadFormError, StripeError, RazorpayError) as error:
            text = str(error)
            return _json({"error": text}, 400) if as_json else pages.message("Not possible", text, None, 400)
        answer = {"status": status, "paymentId": payment_id, "events": events}
        return self._answer(answer, payments, view, as_json)

    def run_due(self, now: float) -> None:
        """Pays the late ones whose time has come, and expires the sessions whose time is over."""
        for late in self._state.all("late"):
            if late["at"] <= now:
                self._state.delete("late", late["id"])
                payments, view = self._find(late["id"])
                if view["state"] != "paid":
                    _, events = payments.pay(late["id"], **late["how"])
                    self._courier.send([[event] for event in events])
        for event in self._stripe.expire_due(now):
            self._courier.send([[event]])

    def _find(self, checkout_id: str) -> tuple[Payments, Doc]:
        payments: Payments = self._razorpay if checkout_id.startswith("order_") else self._stripe
        view = payments.view(checkout_id)
        if view is None:
            raise NotFound
        return payments, view

    def _act(self, request: Request, payments: Payments, view: Doc, action: str) -> tuple[str, str | None, list[Doc]]:
        checkout_id = view["id"]
        how: dict[str, Any] = {"method": _method(request)} if payments is self._razorpay else {}
        amount = _whole(request, "amount")
        status, copies = "paid", 1
        if action == "late" and (delay := _seconds(request)):
            self._state.put("late", checkout_id, {"id": checkout_id, "at": time.time() + delay, "how": how})
            return "scheduled", None, []
        if action in ("pay", "late", "twice", "again"):
            payment_id, events = payments.pay(checkout_id, **how)
            copies = 2 if action == "twice" else 1
        elif action == "reorder":
            # A declined attempt and then the success, told in the opposite order.
            _, failed = payments.decline(checkout_id, **how)
            payment_id, paid = payments.pay(checkout_id, **how)
            events = [*failed, *paid][::-1]
        elif action == "wrong_amount":
            currency = request.form.get("currency") or None
            if amount is None:
                amount = view["amount"] if currency else view["amount"] + 100
            payment_id, events = payments.pay(checkout_id, amount=amount, currency=currency, **how)
        elif action == "decline":
            payment_id, events = payments.decline(checkout_id, **how)
            status = "failed"
        elif action == "expire":
            payment_id, events = None, [self._stripe.expire(checkout_id)]
            status = "expired"
        elif action == "refund":
            payment_id, events = payments.refund_outside(checkout_id, amount)
            status = "refunded"
        else:
            payment_id, events = payments.dispute(checkout_id)
            status = "disputed"
        self._courier.send([[event] * copies for event in events])
        return status, payment_id, [{"id": event["id"], "type": event["type"]} for event in events]

    def _answer(self, answer: Doc, payments: Payments, view: Doc, as_json: bool) -> Response:
        paid = answer["status"] == "paid"
        handler = None
        if paid and payments is self._razorpay:
            handler = self._razorpay.handler(view["id"], answer["paymentId"])
        if as_json:
            return _json(answer | ({"handler": handler} if handler else {}))
        if handler:
            return pages.handler(view, handler, view["cancel_url"])
        if paid and view["success_url"]:
            return redirect(view["success_url"], 303)
        titles = {
            "failed": ("Declined", "The payment was declined. It can be tried again."),
            "scheduled": ("Scheduled", "The payment will go through after the delay."),
            "expired": ("Expired", "This checkout has expired."),
        }
        title, text = titles.get(answer["status"], (answer["status"].title(), "Done."))
        again = f"/pay/{view['id']}" if answer["status"] == "failed" else view["cancel_url"]
        return pages.message(title, text, again, 200)


def _allowed(action: str, processor: str, state: str) -> bool:
    if action in _AFTERWARDS:
        return state == "paid"
    if action == "expire" and processor == "stripe":
        return state == "open"
    if action == "again" and processor == "razorpay":
        return state == "paid"
    if action not in _PAYING and action != "decline":
        raise BadFormError(f"unknown action {action!r}")
    return state == "open" or (action == "late" and state == "expired")


def _closed(view: Doc) -> Response:
    if view["state"] == "paid":
        return pages.message("Already paid", "This checkout has been paid.", view["success_url"], 409)
    return pages.message("Expired", "This checkout has expired. Nothing was charged.", view["cancel_url"], 410)


def _json(body: Doc, status: int = 200) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")


def _method(request: Request) -> str:
    method = request.form.get("method") or "upi"
    if method not in ("card", "upi"):
        raise BadFormError("method must be card or upi")
    return method


def _whole(request: Request, name: str) -> int | None:
    text = request.form.get(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise BadFormError(f"{name} must be a whole number")
    return int(text) if text else None


def _seconds(request: Request) -> float:
    try:
        seconds = float(request.form.get("delay") or 0)
    except ValueError:
        seconds = -1
    if not math.isfinite(seconds) or seconds < 0:
        raise BadFormError("delay must be a number of seconds")
    return seconds
