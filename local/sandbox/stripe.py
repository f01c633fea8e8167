"""Stripe's API as its SDK sees it: Checkout sessions, what they lead to, refunds and events.

Only the parameters named here are known; any other is refused as Stripe refuses a misspelt one.
"""

import hashlib
import hmac
import json
import time
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from . import stripe_objects as objects
from .faults import Faults
from .settings import Settings
from .state import Doc, State, new_id
from .stripe_forms import Params, StripeError, check, invalid, parse, required
from .stripe_payments import KINDS, Payments
from .webhooks import Courier

PREFIX = "/stripe/v1"
MINIMUM, MAXIMUM = 50, 99_999_999
MINUTE, HOUR = 60, 3600
KEEP_KEYS = 24 * HOUR

_EXPAND = {"expand": ["str"]}
_RANGE = {"created": ("either", {"gt": "int", "gte": "int", "lt": "int", "lte": "int"}, "int")}
_PAGE = {"limit": "int", "starting_after": "str", "ending_before": "str"} | _EXPAND | _RANGE
_CREATE_SESSION = _EXPAND | {
    "adaptive_pricing": {"enabled": "bool"},
    "billing_address_collection": ("auto", "required"),
    "cancel_url": "url",
    "client_reference_id": 200,
    "customer_creation": ("always", "if_required"),
    "customer_email": 800,
    "expires_at": "int",
    "line_items": [
        {
            "price_data": {
                "currency": "str",
                "product_data": {"name": 1500, "description": 40000, "images": ["url"], "metadata": "metadata"},
                "unit_amount": "int",
            },
            "quantity": "int",
        }
    ],
    "locale": "str",
    "metadata": "metadata",
    "mode": ("payment", "setup", "subscription"),
    "payment_intent_data": {
        "description": 1000,
        "metadata": "metadata",
        "receipt_email": 800,
        "statement_descriptor": 22,
        "statement_descriptor_suffix": 22,
    },
    "payment_method_types": ["str"],
    "submit_type": ("auto", "book", "donate", "pay"),
    "success_url": "url",
    "ui_mode": ("hosted", "hosted_page", "embedded", "custom"),
}
_LIST_SESSIONS = _PAGE | {"payment_intent": "str", "status": ("open", "complete", "expired")}
_CREATE_REFUND = _EXPAND | {
    "amount": "int",
    "charge": "str",
    "metadata": "metadata",
    "payment_intent": "str",
    "reason": ("duplicate", "fraudulent", "requested_by_customer"),
}
_LIST_REFUNDS = _PAGE | {"charge": "str", "payment_intent": "str"}
_LIST_EVENTS = _PAGE | {"type": "str", "types": ["str"], "delivery_success": "bool"}


class Stripe:
    """The API; the payments behind it are `payments`."""

    def __init__(self, settings: Settings, state: State, faults: Faults, courier: Courier) -> None:
        self.payments = Payments(settings, state, faults)
        self._state = state
        self._faults = faults
        self._courier = courier
        self._key = settings.stripe_secret_key
        self._pages = settings.base_url + "/pay/"
        sessions = f"{PREFIX}/checkout/sessions"
        self._routes = Map(
            [
                Rule(sessions, methods=["POST"], endpoint=self._create_session),
                Rule(sessions, methods=["GET"], endpoint=self._list_sessions),
                Rule(f"{sessions}/<object_id>", methods=["GET"], endpoint=self._retrieve("session", "session")),
                Rule(f"{sessions}/<object_id>/line_items", methods=["GET"], endpoint=self._line_items),
                Rule(f"{sessions}/<object_id>/expire", methods=["POST"], endpoint=self._expire_session),
                Rule(f"{PREFIX}/payment_intents/<object_id>", endpoint=self._retrieve("payment_intent", "intent")),
                Rule(f"{PREFIX}/charges/<object_id>", endpoint=self._retrieve("charge", "id")),
                Rule(f"{PREFIX}/refunds", methods=["POST"], endpoint=self._create_refund),
                Rule(f"{PREFIX}/refunds", methods=["GET"], endpoint=self._list_refunds),
                Rule(f"{PREFIX}/refunds/<object_id>", endpoint=self._retrieve("refund", "id")),
                Rule(f"{PREFIX}/events", methods=["GET"], endpoint=self._list_events),
                Rule(f"{PREFIX}/events/<object_id>", methods=["GET"], endpoint=self._retrieve_event),
            ],
        )

    def __call__(self, request: Request) -> Response:
        request_id = new_id("req_", 14)
        fails, sticks, hangs = (self._faults.strikes(name) for name in ("http500", "stored500", "timeout"))
        headers: dict[str, str] = {}
        try:
            if self._faults["stripe"] == "down":
                raise StripeError("Service Unavailable", type="api_error", status=503)
            self._authenticate(request)
            if fails:
                raise StripeError("An unknown error occurred", type="api_error", status=500)
            with self._state.writing():
                status, text, headers = self._once(request, request_id, sticks)
        except StripeError as error:
            status, text = error.status, json.dumps(error.body, indent=2)
        if hangs:
            time.sleep(self._faults["hang_seconds"])
        headers = {"Request-Id": request_id, "Stripe-Version": objects.API_VERSION} | headers
        return Response(text, status, headers, mimetype="application/json")

    def _authenticate(self, request: Request) -> None:
        auth = request.authorization
        key = ""
        if auth is not None:
            key = (auth.token if auth.type == "bearer" else auth.username) or ""
        if not key:
            message = "You did not provide an API key."
        elif not hmac.compare_digest(key.encode(), self._key.encode()):
            message = f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:]}"
        else:
            return
        raise StripeError(message, status=401)

    def _once(self, request: Request, request_id: str, sticks: bool) -> tuple[int, str, dict[str, str]]:
        """The answer, or for an Idempotency-Key that was seen before, the answer of that time."""
        key = request.headers.get("Idempotency-Key", "") if request.method == "POST" else ""
        if not key:
            return *self._answer(request, request_id, None), {}
        if len(key) > 255:
            raise StripeError("Idempotency keys can have up to 255 characters", type="idempotency_error")
        now = int(time.time())
        asked = json.dumps([request.path, sorted(request.form.items(multi=True))])
        fingerprint = hashlib.sha256(asked.encode()).hexdigest()
        kept = self._state.get("stripe_key", key)
        if kept and kept["created"] > now - KEEP_KEYS:
            if kept["fingerprint"] != fingerprint:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used "
                    f"with. Try using a key other than '{key}' if you meant to execute a different request."
                )
                raise StripeError(message, type="idempotency_error")
            replayed = {"Idempotent-Replayed": "true", "Original-Request": kept["request_id"], "Idempotency-Key": key}
            return kept["status"], kept["text"], replayed
        if sticks:
            status, text = 500, json.dumps({"error": {"type": "api_error", "message": "An unknown error occurred"}})
        else:
            status, text = self._answer(request, request_id, key)
        kept = {"fingerprint": fingerprint, "status": status, "text": text, "request_id": request_id, "created": now}
        self._state.put("stripe_key", key, kept)
        return status, text, {"Idempotency-Key": key, "Original-Request": request_id}

    def _answer(self, request: Request, request_id: str, key: str | None) -> tuple[int, str]:
        """Raises `StripeError` only for what failed validation; other refusals are answers and can be replayed."""
        self.payments.request = {"id": request_id, "idempotency_key": key}
        try:
            endpoint, args = self._routes.bind_to_environ(request.environ).match()
            pairs = request.form if request.method == "POST" else request.args
            return 200, json.dumps(endpoint(parse(pairs.items(multi=True)), **args), indent=2)
        except HTTPException:
            message = f"Unrecognized request URL ({request.method}: {request.path.removeprefix('/stripe')})."
            raise StripeError(message, status=404, validation=True) from None
        except StripeError as error:
            if error.validation:
                raise
            return error.status, json.dumps(error.body, indent=2)
        finally:
            self.payments.request = {"id": None, "idempotency_key": None}

    # Checkout sessions

    def _create_session(self, params: Params) -> Doc:
        params = check(params, _CREATE_SESSION)
        required(params, "mode", "line_items", "success_url")
        if params["mode"] != "payment":
            raise invalid("The sandbox knows only `payment` mode.", "mode")
        if params.get("ui_mode", "hosted") not in ("hosted", "hosted_page"):
            raise invalid("The sandbox knows only the hosted page.", "ui_mode")
        now = int(time.time())
        _check_expiry(params.get("expires_at"), now)
        amount, currency = _total(params["line_items"])
        session_id = new_id("cs_test_a1", 56)
        session = objects.session(
            params, url=self._pages + session_id, session_id=session_id, amount=amount, currency=currency, now=now
        )
        items = [objects.line_item(item, currency) for item in params["line_items"]]
        self._state.put("session", session_id, session)
        intent_data = params.get("payment_intent_data", {})
        self._state.put("session_private", session_id, {"intent": None, "intent_data": intent_data, "items": items})
        return self._expanded(session, params)

    def _list_sessions(self, params: Params) -> Doc:
        params = check(params, _LIST_SESSIONS)
        sessions = self._state.all("session", **_given(params, "status", "payment_intent"))
        return self._page("/v1/checkout/sessions", sessions, params)

    def _line_items(self, params: Params, object_id: str) -> Doc:
        self._retrieve("session", "session")({}, object_id)
        private = self._state.get("session_private", object_id) or {"items": []}
        path = f"/v1/checkout/sessions/{object_id}/line_items"
        return self._page(path, private["items"][::-1], check(params, _PAGE))

    def _expire_session(self, params: Params, object_id: str) -> Doc:
        params = check(params, _EXPAND)
        session = self._retrieve("session", "session")({}, object_id)
        if session["status"] != "open":
            message = (
                'Only Checkout Sessions with a status in ["open"] can be expired. '
                f"This Checkout Session has a status of {session['status']}."
            )
            raise StripeError(message)
        event = self.payments.expire(object_id)
        self._courier.send([[event]])
        return self._expanded(session, params)

    # Refunds

    def _create_refund(self, params: Params) -> Doc:
        params = check(params, _CREATE_REFUND)
        if ("charge" in params) == ("payment_intent" in params):
            raise invalid("One of the following params should be provided: payment_intent or charge.", None)
        refund, events = self.payments.refund(params)
        self._courier.send([[event] for event in events])
        return self._expanded(refund, params)

    def _list_refunds(self, params: Params) -> Doc:
        params = check(params, _LIST_REFUNDS)
        refunds = self._state.all("refund", **_given(params, "charge", "payment_intent"))
        return self._page("/v1/refunds", refunds, params)

    # Events

    def _list_events(self, params: Params) -> Doc:
        params = check(params, _LIST_EVENTS)
        if "type" in params and "types" in params:
            raise invalid("You may pass either `type` or `types`, but not both.", "types")
        wanted = params.get("types") or ([params["type"]] if "type" in params else ["*"])
        events = [
            json.loads(event["body"])
            for event in self._state.all("event", processor="stripe")
            if event.get("listed", True) and any(_matches(event["type"], pattern) for pattern in wanted)
        ]
        return self._page("/v1/events", events, params)

    def _retrieve_event(self, params: Params, object_id: str) -> Doc:
        check(params, _EXPAND)
        event = self._state.get("event", object_id)
        if event is None or event["processor"] != "stripe":
            raise _missing("event", object_id, "id")
        return json.loads(event["body"])

    # What they share

    def _retrieve(self, kind: str, param: str) -> Any:
        def retrieve(params: Params, object_id: str) -> Doc:
            params = check(params, _EXPAND)
            doc = self._state.get(kind, object_id)
            if doc is None:
                raise _missing("checkout.session" if kind == "session" else kind, object_id, param)
            return self._expanded(doc, params)

        return retrieve

    def _page(self, path: str, docs: list[Doc], params: Params) -> Doc:
        limit = params.get("limit", 10)
        if not 1 <= limit <= 100:
            raise invalid(f"Invalid limit: {limit}; must be between 1 and 100", "limit")
        docs = [doc for doc in reversed(docs) if _in_range(doc.get("created", 0), params.get("created", {}))]
        ids = [doc["id"] for doc in docs]
        start, end = 0, len(docs)
        if "starting_after" in params:
            start = _place(ids, params, "starting_after") + 1
        if "ending_before" in params:
            end = _place(ids, params, "ending_before")
            start = max(start, end - limit)
            more = start > 0
        else:
            more = end > start + limit
        # Expanded as `data.field` of the list: the item's own field.
        wanted = {"expand": [name.removeprefix("data.") for name in params.get("expand", [])]}
        data = [self._expanded(doc, wanted) for doc in docs[start : min(end, start + limit)]]
        return {"object": "list", "url": path, "has_more": more, "data": data}

    def _expanded(self, doc: Doc, params: Params) -> Doc:
        for path in params.get("expand", []):
            name, _, rest = path.partition(".")
            value = doc.get(name)
            if name == "line_items" and doc["object"] == "checkout.session":
                value = self._line_items({}, doc["id"])
            elif isinstance(value, str) and name in KINDS:
                value = self._state.get(KINDS[name], value)
            elif name not in KINDS or name not in doc:
                raise invalid(f"This property cannot be expanded ({path}).", "expand[0]")
            if rest and isinstance(value, dict):
                value = self._expanded(value, {"expand": [rest]})
            doc = doc | {name: value}
        return doc


def _check_expiry(expires_at: int | None, now: int) -> None:
    if expires_at is None:
        return
    if expires_at < now + 30 * MINUTE:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", "expires_at"
        )
    if expires_at > now + 24 * HOUR:
        raise invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", "expires_at"
        )


def _total(items: list[Doc]) -> tuple[int, str]:
    total, currencies = 0, set()
    for index, item in enumerate(items):
        parent = f"line_items[{index}]"
        required(item, "price_data", parent=parent)
        required(item["price_data"], "currency", "product_data", "unit_amount", parent=f"{parent}[price_data]")
        required(item["price_data"]["product_data"], "name", parent=f"{parent}[price_data][product_data]")
        if item["price_data"]["unit_amount"] < 0 or item.get("quantity", 1) < 1:
            raise invalid("This value must be greater than or equal to 1.", parent, "parameter_invalid_integer")
        required(item, "quantity", parent=parent)
        total += item["price_data"]["unit_amount"] * item["quantity"]
        currencies.add(item["price_data"]["currency"].lower())
    if len(currencies) != 1 or not currencies <= {"usd", "inr", "eur", "gbp"}:
        raise invalid("All line items must have one currency, of usd, inr, eur and gbp.", "line_items")
    if total < MINIMUM:
        message = "The Checkout Session's total amount due must add up to at least 50 cents."
        raise invalid(message, "line_items", "amount_too_small")
    if total > MAXIMUM:
        raise invalid(
            "The Checkout Session's total amount due must be no more than 999,999.99.", None, "amount_too_large"
        )
    return total, currencies.pop()


def _given(params: Params, *names: str) -> Doc:
    return {name: params[name] for name in names if name in params}


def _matches(type: str, pattern: str) -> bool:
    return type.startswith(pattern[:-1]) if pattern.endswith("*") else type == pattern


def _in_range(created: int, wanted: Any) -> bool:
    if isinstance(wanted, int):
        return created == wanted
    tests = {"gt": created.__gt__, "gte": created.__ge__, "lt": created.__lt__, "lte": created.__le__}
    return all(tests[name](value) for name, value in wanted.items())


def _place(ids: list[str], params: Params, name: str) -> int:
    if params[name] not in ids:
        raise _missing("object", params[name], name)
    return ids.index(params[name])


def _missing(kind: str, object_id: str, param: str) -> StripeError:
    return StripeError(f"No such {kind}: '{object_id}'", code="resource_missing", param=param, status=404)
