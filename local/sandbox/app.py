"""The sandbox as one WSGI application: three services, the checkout page, and a look behind the scenes."""

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from . import pages
from .faults import Faults
from .pay import Payments, PayPage
from .razorpay import Razorpay
from .settings import Settings
from .state import State
from .stripe import Stripe
from .supabase import Supabase
from .webhooks import Courier

TICK = 0.25
MAX_BODY = 1024 * 1024


class Sandbox:
    def __init__(self, settings: Settings) -> None:
        self._state = State(settings.state_path)
        self._faults = Faults()
        self._courier = Courier(settings, self._state, self._faults)
        stripe = Stripe(settings, self._state, self._faults, self._courier)
        razorpay = Razorpay(settings, self._state, self._faults, self._courier)
        supabase = Supabase(settings, self._state, self._faults)
        self._services: dict[str, Callable[[Request], Response]] = {
            "/stripe/": stripe,
            "/razorpay/": razorpay,
            "/supabase/": supabase,
        }
        self._payments: dict[str, Payments] = {"refund": stripe.payments, "rzp_refund": razorpay.payments}
        self._pay = PayPage(self._state, self._courier, stripe.payments, razorpay.payments)
        self._routes = Map(
            [
                Rule("/", methods=["GET"], endpoint=self._index),
                Rule("/health", methods=["GET"], endpoint=self._health),
                Rule("/pay/<checkout_id>", methods=["GET", "POST"], endpoint=self._pay),
                Rule("/refunds/<refund_id>", methods=["POST"], endpoint=self._settle),
                Rule("/events", methods=["GET"], endpoint=self._events),
                Rule("/deliveries", methods=["GET"], endpoint=self._deliveries),
                Rule("/deliveries/<event_id>/resend", methods=["POST"], endpoint=self._resend),
                Rule("/faults", methods=["GET", "POST", "DELETE"], endpoint=self._set_faults),
            ]
        )

    def start(self) -> None:
        """Begins to deliver webhooks and to watch the clock."""
        self._courier.start()
        threading.Thread(target=self._watch_clock, name="clock", daemon=True).start()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = MAX_BODY
        try:
            response = self._respond(request)
        except HTTPException as error:
            response = _json({"error": error.description}, error.code or 500)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            response = _json({"error": "the sandbox itself failed; see its log"}, 500)
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        # Whatever content type a client claims (curl's -d says it is a form), the bytes stay readable as JSON.
        request.get_data()
        for prefix, service in self._services.items():
            if request.path.startswith(prefix):
                return service(request)
        endpoint, args = self._routes.bind_to_environ(request.environ).match()
        return endpoint(request, **args)

    def _watch_clock(self) -> None:
        while True:
            time.sleep(TICK)
            try:
                with self._state.writing():
                    self._pay.run_due(time.time())
            except Exception:
                traceback.print_exc(file=sys.stderr)

    def _health(self, request: Request) -> Response:
        return _json({"status": "ok"})

    def _settle(self, request: Request, refund_id: str) -> Response:
        """Lets a refund succeed or fail at the bank: `action=succeed|fail`."""
        action = request.form.get("action")
        if action not in ("succeed", "fail"):
            return _json({"error": "action must be succeed or fail"}, 400)
        kind = "refund" if refund_id.startswith("re_") else "rzp_refund"
        with self._state.writing():
            if self._state.get(kind, refund_id) is None:
                raise NotFound
            events = self._payments[kind].settle(refund_id, failed=action == "fail")
            self._courier.send([[event] for event in events])
        return _json({"events": [{"id": event["id"], "type": event["type"]} for event in events]})

    def _events(self, request: Request) -> Response:
        """All events as they were or would be sent, oldest first; `?after=` so many leaves out the first ones."""
        after = request.args.get("after", "0")
        if not (after.isascii() and after.isdigit()):
            return _json({"error": "after must be a whole number"}, 400)
        with self._state.writing():
            return _json({"events": self._state.all("event")[int(after) :]})

    def _deliveries(self, request: Request) -> Response:
        """All deliveries, oldest first; `?about=` a checkout's id or `?event=` one event narrows it."""
        wanted = {"about": request.args.get("about"), "eventId": request.args.get("event")}
        with self._state.writing():
            found = self._state.all("delivery", **{name: value for name, value in wanted.items() if value})
            return _json({"deliveries": found})

    def _resend(self, request: Request, event_id: str) -> Response:
        with self._state.writing():
            event = self._state.get("event", event_id)
        if event is None:
            raise NotFound
        return _json(self._courier.resend(event), 202)

    def _set_faults(self, request: Request) -> Response:
        try:
            if request.method == "DELETE":
                self._faults.reset()
            elif request.method == "POST":
                self._faults.change(dict(json.loads(request.get_data())))
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        return _json(self._faults.as_dict())

    def _index(self, request: Request) -> Response:
        with self._state.writing():
            every = {name: self._state.all(name)[::-1][:100] for name in _LISTED}
        return pages.index(
            [
                (
                    "Accounts",
                    ["id", "email", "created"],
                    [[user["id"], user["email"] or "anonymous", user["created_at"]] for user in every["user"]],
                ),
                (
                    "Stripe checkouts",
                    ["session", "amount", "status"],
                    [
                        [_pay_link(doc), pages.money(doc["amount_total"], doc["currency"]), doc["status"]]
                        for doc in every["session"]
                    ],
                ),
                (
                    "Razorpay orders",
                    ["order", "receipt", "amount", "status"],
                    [
                        [_pay_link(doc), doc["receipt"], pages.money(doc["amount"], doc["currency"]), doc["status"]]
                        for doc in every["rzp_order"]
                    ],
                ),
                (
                    "Payments",
                    ["id", "amount", "status"],
                    [
                        [doc["id"], pages.money(doc["amount"], doc["currency"]), doc["status"]]
                        for doc in every["payment_intent"] + every["rzp_payment"]
                    ],
                ),
                (
                    "Refunds",
                    ["id", "amount", "status"],
                    [
                        [doc["id"], pages.money(doc["amount"], doc["currency"]), doc["status"]]
                        for doc in every["refund"] + every["rzp_refund"]
                    ],
                ),
                (
                    "Webhook deliveries",
                    ["event", "type", "about", "status", "tries", "last answer"],
                    [
                        [
                            (f"/deliveries?event={doc['eventId']}", doc["eventId"]),
                            doc["type"],
                            (f"/pay/{doc['about']}", doc["about"][:24]),
                            doc["status"],
                            doc["tries"],
                            doc["lastStatus"],
                        ]
                        for doc in every["delivery"]
                    ],
                ),
            ]
        )


_LISTED = ("user", "session", "rzp_order", "payment_intent", "rzp_payment", "refund", "rzp_refund", "delivery")


def _pay_link(doc: dict[str, Any]) -> tuple[str, str]:
    return f"/pay/{doc['id']}", doc["id"][:24]


def _json(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body, indent=2), status, mimetype="application/json")
