"""Razorpay's API as its SDK sees it: orders, payments and refunds."""

import hashlib
import hmac
import json
import re
import time
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from . import razorpay_objects as objects
from .faults import Faults
from .razorpay_payments import MINIMUM, Payments, RazorpayError
from .settings import Settings
from .state import Doc, State
from .webhooks import Courier

PREFIX = "/razorpay/v1"
MAXIMUM = 500_000_00
_ORDER_FIELDS = {"amount", "currency", "receipt", "notes", "payment_capture", "partial_payment"}
_REFUND_FIELDS = {"amount", "speed", "notes", "receipt"}


class Razorpay:
    """The API; the payments behind it are `payments`."""

    def __init__(self, settings: Settings, state: State, faults: Faults, courier: Courier) -> None:
        self.payments = Payments(settings, state, faults)
        self._state = state
        self._faults = faults
        self._courier = courier
        self._credentials = f"{settings.razorpay_key_id}:{settings.razorpay_key_secret}"
        self._routes = Map(
            [
                Rule(f"{PREFIX}/orders", methods=["POST"], endpoint=self._create_order),
                Rule(f"{PREFIX}/orders", methods=["GET"], endpoint=self._list_orders),
                Rule(f"{PREFIX}/orders/<doc_id>", methods=["GET"], endpoint=self._fetch("rzp_order")),
                Rule(f"{PREFIX}/orders/<order_id>/payments", methods=["GET"], endpoint=self._order_payments),
                Rule(f"{PREFIX}/payments", methods=["GET"], endpoint=self._list_payments),
                Rule(f"{PREFIX}/payments/<doc_id>", methods=["GET"], endpoint=self._fetch("rzp_payment")),
                Rule(f"{PREFIX}/payments/<payment_id>/refund", methods=["POST"], endpoint=self._create_refund),
                Rule(f"{PREFIX}/payments/<payment_id>/refunds", methods=["GET"], endpoint=self._payment_refunds),
                Rule(f"{PREFIX}/payments/<payment_id>/refunds/<doc_id>", endpoint=self._fetch("rzp_refund")),
                Rule(f"{PREFIX}/refunds", methods=["GET"], endpoint=self._list_refunds),
                Rule(f"{PREFIX}/refunds/<doc_id>", methods=["GET"], endpoint=self._fetch("rzp_refund")),
            ]
        )

    def __call__(self, request: Request) -> Response:
        fails, sticks, hangs = (self._faults.strikes(name) for name in ("http500", "stored500", "timeout"))
        if self._faults["razorpay"] == "down":
            # As Razorpay's own proxy answers: no JSON at all.
            return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, mimetype="text/html")
        try:
            self._authenticate(request)
            if fails or sticks:
                trouble = "We are facing some trouble completing your request at the moment. Please try again shortly."
                raise RazorpayError(trouble, status=500, code="SERVER_ERROR")
            with self._state.writing():
                endpoint, args = self._routes.bind_to_environ(request.environ).match()
                status, body = 200, endpoint(request, **args)
                text = json.dumps(body)
        except HTTPException:
            error = RazorpayError("The requested URL was not found on the server.")
            status, text = error.status, json.dumps(error.body)
        except RazorpayError as error:
            status, text = error.status, json.dumps(error.body)
        if hangs:
            time.sleep(self._faults["hang_seconds"])
        return Response(text, status, mimetype="application/json")

    def _authenticate(self, request: Request) -> None:
        auth = request.authorization
        given = f"{auth.username}:{auth.password}" if auth is not None and auth.type == "basic" else ""
        if not hmac.compare_digest(given.encode(), self._credentials.encode()):
            raise RazorpayError("Authentication failed", status=401)

    # Orders

    def _create_order(self, request: Request) -> Doc:
        data = _body(request, _ORDER_FIELDS)
        for name in ("amount", "currency"):
            if name not in data:
                raise RazorpayError(f"The {name} field is required.", field=name)
        if _integer(data, "amount") < MINIMUM:
            raise RazorpayError("Order amount less than minimum amount allowed", field="amount")
        if data["amount"] > MAXIMUM:
            raise RazorpayError("Amount exceeds maximum amount allowed.", field="amount")
        if data["currency"] not in ("INR", "USD"):
            raise RazorpayError("Currency is not supported", field="currency")
        _check_receipt(data)
        _check_notes(data)
        order = objects.order(data)
        return self._state.put("rzp_order", order["id"], order)

    def _list_orders(self, request: Request) -> Doc:
        receipt = request.args.get("receipt")
        return _collection(request, self._state.all("rzp_order", **({"receipt": receipt} if receipt else {})))

    def _order_payments(self, request: Request, order_id: str) -> Doc:
        self._fetch("rzp_order")(request, order_id)
        return _collection(request, self._state.all("rzp_payment", order_id=order_id))

    # Payments and refunds

    def _list_payments(self, request: Request) -> Doc:
        return _collection(request, self._state.all("rzp_payment"))

    def _create_refund(self, request: Request, payment_id: str) -> Doc:
        data = _body(request, _REFUND_FIELDS)
        if "amount" in data:
            _integer(data, "amount")
        if data.get("speed", "normal") not in ("normal", "optimum"):
            raise RazorpayError("The selected speed is invalid.", field="speed")
        _check_receipt(data)
        _check_notes(data)
        key = request.headers.get("X-Refund-Idempotency")
        if key is None:
            return self._refund(payment_id, data)
        if not re.fullmatch(r"[A-Za-z0-9_-]{10,}", key):
            raise RazorpayError("The idempotency key must be at least 10 characters: letters, digits, - and _.")
        fingerprint = hashlib.sha256(json.dumps([payment_id, data], sort_keys=True).encode()).hexdigest()
        kept = self._state.get("rzp_key", key)
        if kept is None:
            refund = self._refund(payment_id, data)
            self._state.put("rzp_key", key, {"fingerprint": fingerprint, "refund": refund})
            return refund
        if kept["fingerprint"] != fingerprint:
            raise RazorpayError("Different request body sent for the same Idempotency Header")
        return kept["refund"]

    def _refund(self, payment_id: str, data: Doc) -> Doc:
        refund, events = self.payments.refund(payment_id, data)
        self._courier.send([[event] for event in events])
        return refund

    def _payment_refunds(self, request: Request, payment_id: str) -> Doc:
        self._fetch("rzp_payment")(request, payment_id)
        return _collection(request, self._state.all("rzp_refund", payment_id=payment_id))

    def _list_refunds(self, request: Request) -> Doc:
        return _collection(request, self._state.all("rzp_refund"))

    def _fetch(self, kind: str) -> Any:
        def fetch(request: Request, doc_id: str, payment_id: str | None = None) -> Doc:
            doc = self._state.get(kind, doc_id)
            if doc is None or (payment_id is not None and doc["payment_id"] != payment_id):
                raise RazorpayError("The id provided does not exist")
            return doc

        return fetch


def _body(request: Request, known: set[str]) -> Doc:
    try:
        data = json.loads(request.get_data() or b"{}")
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise RazorpayError("The request body is not valid JSON")
    if unknown := sorted(set(data) - known):
        raise RazorpayError(f"{', '.join(unknown)} is/are not required and should not be sent", field=unknown[0])
    return data


def _integer(data: Doc, name: str) -> int:
    if isinstance(data[name], bool) or not re.fullmatch(r"[0-9]{1,15}", str(data[name])):
        raise RazorpayError(f"The {name} must be an integer.", field=name)
    data[name] = int(data[name])
    return data[name]


def _check_receipt(data: Doc) -> None:
    receipt = data.get("receipt")
    if receipt is not None and not isinstance(receipt, str):
        raise RazorpayError("The receipt must be a string.", field="receipt")
    if receipt and len(receipt) > 40:
        raise RazorpayError("The receipt may not be greater than 40 characters.", field="receipt")


def _check_notes(data: Doc) -> None:
    notes = data.get("notes") or {}
    if not isinstance(notes, dict) or len(notes) > 15:
        raise RazorpayError("Number of fields in notes should be less than or equal to 15", field="notes")
    if any(not isinstance(value, (str, int)) or len(str(value)) > 256 for value in notes.values()):
        raise RazorpayError("Each note may be a text of up to 256 characters.", field="notes")


def _collection(request: Request, docs: list[Doc]) -> Doc:
    count, skip = request.args.get("count", 10, type=int), request.args.get("skip", 0, type=int)
    if not 1 <= count <= 100:
        raise RazorpayError("The count must be between 1 and 100", field="count")
    since, until = request.args.get("from", 0, type=int), request.args.get("to", 1 << 62, type=int)
    items = [doc for doc in reversed(docs) if since <= doc["created_at"] <= until][max(0, skip) :][:count]
    return {"entity": "collection", "count": len(items), "items": items}
