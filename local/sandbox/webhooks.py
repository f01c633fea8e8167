"""Webhooks as the processors send them: signed over the raw bytes, posted from the background, retried."""

import hashlib
import heapq
import hmac
import http.client
import itertools
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from .faults import Faults
from .settings import Settings
from .state import Doc, State, new_id

BACKOFF = (0.2, 0.5, 1, 2, 4, 8, 15, 30, 60)  # seconds before the second try, the third, …: ten tries in all
TIMEOUT = 5
HELD_POLL = 0.1


def stripe_signature(secret: str, body: bytes, at: int) -> str:
    """The value of `Stripe-Signature` for these bytes at this Unix time."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def razorpay_signature(secret: str, message: bytes) -> str:
    """The hexadecimal HMAC-SHA256 that Razorpay uses for webhooks and for the checkout's answer alike."""
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


class Courier:
    """Delivers events at least once; what is under way is in the state, so that a restart does not lose it.

    An event is `{id, processor, type, about, body}`, where `about` is the checkout session or order it tells of.
    """

    def __init__(self, settings: Settings, state: State, faults: Faults) -> None:
        self._settings = settings
        self._state = state
        self._faults = faults
        self._due: list[tuple[float, int, Doc, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._wake = threading.Condition()
        self._pool = ThreadPoolExecutor(max_workers=32, thread_name_prefix="delivery")

    def start(self) -> None:
        with self._state.writing():
            for delivery in self._state.all("delivery"):
                if delivery["status"] in ("waiting", "pending"):
                    self._schedule(delivery, time.time())
        threading.Thread(target=self._run, name="courier", daemon=True).start()

    def send(self, groups: Sequence[Sequence[Doc]]) -> None:
        """Delivers the groups one after the other, and the events within a group at the same time.

        A group waits for the first try of the one before it, whether that worked or not.
        """
        groups = list(groups)
        if self._faults.strikes("reorder"):
            self._faults.shuffle(groups)
        with self._state.writing():
            chain = [[delivery for event in group for delivery in self._deliveries(event)] for group in groups]
        self._next(chain)

    def resend(self, event: Doc) -> Doc:
        """Delivers an event once more: the same bytes, a fresh signature."""
        with self._state.writing():
            delivery = self._delivery(event, "pending")
            self._schedule(delivery, time.time())
            return delivery

    def _deliveries(self, event: Doc) -> list[Doc]:
        if self._faults.strikes("lose"):
            self._delivery(event, "lost")
            return []
        copies = 2 if self._faults.strikes("duplicate") else 1
        return [self._delivery(event, "waiting") for _ in range(copies)]

    def _delivery(self, event: Doc, status: str) -> Doc:
        delivery = {
            "id": new_id("dlv_", 14),
            "eventId": event["id"],
            "processor": event["processor"],
            "type": event["type"],
            "about": event["about"],
            "status": status,
            "tries": 0,
            "lastStatus": None,
            "lastAnswer": None,
        }
        return self._state.put("delivery", delivery["id"], delivery)

    def _next(self, chain: list[list[Doc]]) -> None:
        while chain and not chain[0]:
            chain.pop(0)
        if not chain:
            return
        group, rest = chain[0], chain[1:]
        left = threading.Semaphore(len(group) - 1)

        def tried() -> None:
            # The last of the group to be tried finds no permit left, and lets the next group go.
            if not left.acquire(blocking=False):
                self._next(rest)

        for delivery in group:
            self._schedule(delivery, time.time() + self._faults.pause(), tried)

    def _schedule(self, delivery: Doc, at: float, tried: Callable[[], None] = lambda: None) -> None:
        with self._wake:
            heapq.heappush(self._due, (at, next(self._numbers), delivery, tried))
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._due or self._due[0][0] > time.time():
                    self._wake.wait(self._due[0][0] - time.time() if self._due else None)
                _, _, delivery, tried = heapq.heappop(self._due)
            self._pool.submit(self._try, delivery, tried)

    def _try(self, delivery: Doc, tried: Callable[[], None]) -> None:
        try:
            if self._faults["webhooks"] == "off":
                self._schedule(delivery, time.time() + HELD_POLL, tried)
                return
            status, answer = self._post(delivery)
            with self._state.writing():
                self._record(delivery, status, answer)
            tried()
        except Exception:
            traceback.print_exc(file=sys.stderr)

    def _record(self, delivery: Doc, status: int | None, answer: str) -> None:
        delivery.update(tries=delivery["tries"] + 1, lastStatus=status, lastAnswer=answer)
        if status is not None and 200 <= status < 300:
            delivery.update(status="delivered", lastAnswer=None)
        elif delivery["tries"] > len(BACKOFF):
            delivery["status"] = "failed"
        else:
            delivery["status"] = "pending"
            self._schedule(delivery, time.time() + BACKOFF[delivery["tries"] - 1])
        self._state.put("delivery", delivery["id"], delivery)

    def _post(self, delivery: Doc) -> tuple[int | None, str]:
        """The answer's status and the beginning of its body, or None and what went wrong."""
        if self._faults.strikes("drop"):
            return None, "dropped on purpose"
        event = self._state.get("event", delivery["eventId"])
        assert event is not None
        body = event["body"].encode()
        url = urlsplit(f"{self._settings.webhook_base}/{event['processor']}")
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT)
        try:
            connection.request("POST", url.path, body, self._headers(event, body))
            answer = connection.getresponse()
            return answer.status, answer.read(500).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return None, f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def _headers(self, event: Doc, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        if event["processor"] == "stripe":
            signature = stripe_signature(self._settings.stripe_webhook_secret, body, int(time.time()))
            return headers | {"User-Agent": "Stripe/1.0 (sandbox)", "Stripe-Signature": signature}
        return headers | {
            "User-Agent": "Razorpay-Webhook/v1 (sandbox)",
            "X-Razorpay-Event-Id": event["id"],
            "X-Razorpay-Signature": razorpay_signature(self._settings.razorpay_webhook_secret, body),
        }
