"""Parents who book, pay, cancel and move at random, over HTTP only, and who ask again when nobody answers."""

import collections
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

TRIES = 6  # of a request that got no answer, always with the same Idempotency-Key
PAUSE = 0.5  # seconds before the next try, and longer each time
# What a parent may be told, besides success, when many want the same and much is broken.
REFUSALS = {
    "SESSION_FULL",
    "SESSION_NOT_BOOKABLE",
    "ALREADY_BOOKED",
    "INVALID_STATE",
    "BOOKING_EXPIRED",
    "PRICE_MISMATCH",
    "PROCESSOR_ERROR",
    "SERVICE_UNAVAILABLE",
    "IDEMPOTENCY_IN_PROGRESS",
}
# What somebody does on the processor's page, and how often.
ON_THE_PAGE = {"pay": 60, "decline": 10, "twice": 8, "reorder": 8, "late": 6, "wrong_amount": 1}


@dataclass
class World:
    """Where everything is, and what all parents share."""

    api: str
    sandbox: str
    region: str
    sessions: list[dict[str, Any]] = field(default_factory=list)
    told: collections.Counter = field(default_factory=collections.Counter)
    surprises: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, outcome: str) -> None:
        with self.lock:
            self.told[what, outcome] += 1

    def surprise(self, text: str) -> None:
        with self.lock:
            if len(self.surprises) < 50:
                self.surprises.append(text)


class NoAnswer(Exception):
    """Nobody answered, however often it was asked."""


class Caller:
    """One connection to everything, as a driver thread keeps it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.http = requests.Session()

    def call(
        self, what: str, method: str, url: str, body: Any = None, *, token: str = "", key: str = "", form: Any = None
    ) -> tuple[int, Any]:
        """Status and data (or error code) of a request that is repeated until somebody answers. Raises `NoAnswer`."""
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        for attempt in range(1, TRIES + 1):
            try:
                answer = self.http.request(method, url, json=body, data=form, headers=headers, timeout=20)
                status, data = answer.status_code, answer.json()
            except (requests.RequestException, ValueError):
                # Killed in the middle: whether it was done only asking again can tell.
                self.world.count(what, "no answer")
                time.sleep(PAUSE * attempt)
                continue
            if not url.startswith(self.world.api):
                return status, data
            outcome = str(status) if status < 400 else data["error"]["code"]
            self.world.count(what, outcome)
            if status >= 400 and outcome not in REFUSALS:
                self.world.surprise(f"{what}: {status} {answer.text[:300]}")
            if outcome in ("SERVICE_UNAVAILABLE", "IDEMPOTENCY_IN_PROGRESS") and attempt < TRIES:
                time.sleep(PAUSE * attempt)
                continue
            return status, data["data"] if status < 400 else outcome
        raise NoAnswer(what)


@dataclass
class Booked:
    """A booking as its parent knows it: the key of its checkout, and the page where it is paid."""

    key: str = field(default_factory=lambda: str(uuid.uuid4()))
    page: str = ""


class Parent:
    """A family: its account, its children, and the bookings that it still cares about."""

    def __init__(self, caller: Caller) -> None:
        world = caller.world
        self.credentials = {"email": f"soak-{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
        _, account = caller.call("sign up", "POST", f"{world.sandbox}/supabase/auth/v1/signup", self.credentials)
        self.token = account["access_token"]
        self.call(caller, "sync", "POST", "/v1/auth/sync", {"home_region": world.region})
        consent = {"kind": "child_data", "version": "2026-01", "granted": True}
        self.call(caller, "consent", "POST", "/v1/me/consents", consent)
        born = f"{datetime.now(UTC).year - 8}-01-15"
        self.children = []
        for _ in range(random.choice((1, 1, 2))):
            child = {"firstName": "Mia", "lastName": "Soak", "birthDate": born}
            status, data = self.call(caller, "child", "POST", "/v1/me/children", child)
            if status == 201:
                self.children.append(data["id"])
        self.bookings: dict[str, Booked] = {}

    def call(self, caller: Caller, what: str, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        return caller.call(what, method, caller.world.api + path, body, token=self.token, key=key)

    def act(self, caller: Caller) -> None:
        """One thing that this family does now."""
        if self.children and (not self.bookings or random.random() < 0.3):
            self.book(caller)
        elif self.bookings:
            self.go_on_with(random.choice(list(self.bookings)), caller)

    def book(self, caller: Caller) -> None:
        sessions = caller.world.sessions
        # A third of all want the same few.
        session = random.choice(sessions[:6] if random.random() < 0.35 else sessions)
        body, key = {"sessionId": session["id"], "childId": random.choice(self.children)}, str(uuid.uuid4())
        if random.random() < 0.1:
            status, data = self.click_twice(caller, body, key)
        else:
            status, data = self.call(caller, "book", "POST", "/v1/me/bookings", body, key=key)
        if status == 201:
            self.bookings[data["id"]] = Booked()

    def click_twice(self, caller: Caller, body: Any, key: str) -> tuple[int, Any]:
        with ThreadPoolExecutor(2) as pool:
            both = [
                pool.submit(self.call, Caller(caller.world), "book twice", "POST", "/v1/me/bookings", body, key=key)
                for _ in range(2)
            ]
            (status, data), (other, again) = (each.result() for each in both)
        if status == other == 201 and data["id"] != again["id"]:
            caller.world.surprise("a double click made two bookings")
        return (status, data) if status == 201 else (other, again)

    def go_on_with(self, booking_id: str, caller: Caller) -> None:
        status, booking = self.call(caller, "look", "GET", f"/v1/me/bookings/{booking_id}")
        if status != 200:
            return
        luck = random.random()
        if booking["status"] == "pending_payment":
            if luck < 0.06:
                self.call(caller, "cancel", "POST", f"/v1/me/bookings/{booking_id}/cancel", {})
            elif luck < 0.12:
                self.move(booking, caller)
            else:
                self.pay(booking_id, caller)
        elif booking["status"] == "confirmed" and self.bookings[booking_id].page:
            if luck < 0.25:
                self.call(caller, "cancel", "POST", f"/v1/me/bookings/{booking_id}/cancel", {})
            elif luck < 0.4:
                self.move(booking, caller)
            elif luck < 0.43:
                # Somebody gives money back at the processor's dashboard.
                self.press("refund", self.bookings[booking_id], caller, amount=random.choice((0, 0, 500)))
            elif luck < 0.44:
                self.press("dispute", self.bookings[booking_id], caller)
            else:
                del self.bookings[booking_id]
        else:
            del self.bookings[booking_id]

    def pay(self, booking_id: str, caller: Caller) -> None:
        booked = self.bookings[booking_id]
        status, checkout = self.call(
            caller, "check out", "POST", "/v1/payments/checkout", {"bookingId": booking_id}, key=booked.key
        )
        if status == 201:
            booked.page = checkout.get("checkoutUrl") or f"{caller.world.sandbox}/pay/{checkout['orderId']}"
            # Some never come to pay.
            if random.random() < 0.9:
                action = random.choices(list(ON_THE_PAGE), list(ON_THE_PAGE.values()))[0]
                self.press(action, booked, caller, delay=random.randint(2, 30) if action == "late" else 0)

    def press(self, action: str, booked: Booked, caller: Caller, **form: int) -> None:
        """A button on the processor's page."""
        given = {name: value for name, value in form.items() if value}
        status, _ = caller.call("page", "POST", booked.page, form={"action": action} | given)
        caller.world.count(f"page: {action}", str(status))

    def move(self, booking: dict[str, Any], caller: Caller) -> None:
        same = [each for each in caller.world.sessions if each["offeringId"] == booking["offeringId"]]
        if same:
            body = {"sessionId": random.choice(same)["id"]}
            self.call(caller, "move", "POST", f"/v1/me/bookings/{booking['id']}/reschedule", body)


def find_sessions(world: World, *, activities: int) -> None:
    """What an eight-year-old can book, a few activities of every kind, those that begin first in front."""
    caller = Caller(world)
    first = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    _, found = caller.call("browse", "GET", f"{world.api}/v1/activities?age=8&available=true&limit={activities}")
    for activity in found:
        url = f"{world.api}/v1/activities/{activity['id']}/sessions?available=true&limit=100"
        _, sessions = caller.call("browse", "GET", url)
        world.sessions += [each for each in sessions if each["startsAt"] > first]
    world.sessions.sort(key=lambda each: each["startsAt"])


class Crowd:
    """So many driver threads that take turns with so many parents, until told to stop."""

    def __init__(self, world: World, *, parents: int, drivers: int) -> None:
        self.world, self.wanted = world, parents
        self.idle: collections.deque[Parent] = collections.deque()
        self.made = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.drive, daemon=True) for _ in range(drivers)]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(120)

    def drive(self) -> None:
        caller = Caller(self.world)
        while not self.stopping.is_set():
            try:
                parent = self.next(caller)
                try:
                    parent.act(caller)
                finally:
                    self.idle.append(parent)
            except NoAnswer:
                continue
            except Exception as error:  # a driver that is lost would make the load smaller, and nobody would know
                self.world.surprise(f"{type(error).__name__}: {error}")

    def next(self, caller: Caller) -> Parent:
        """Somebody new as long as they are wanted, every other time; else whoever has waited longest."""
        with self.world.lock:
            is_new = self.made < self.wanted and (not self.idle or random.random() < 0.4)
            self.made += is_new
            if not is_new and self.idle:
                return self.idle.popleft()
        return Parent(caller)
