"""The sandbox as the other end of a checkout: its page, its faults, and what the processor knows."""

import json
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

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
    "unlisted": 0,
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


@contextmanager
def out_of_order(table: str, when: str) -> Iterator[None]:
    """While inside, the database itself fails when a row of `table` changes, with an address in its words."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""CREATE FUNCTION fail_on_purpose() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'disk full for zoe.parent@example.com' USING ERRCODE = 'disk_full'; END $$;
            CREATE TRIGGER fail_on_purpose BEFORE {when} ON {table}
            FOR EACH ROW EXECUTE FUNCTION fail_on_purpose();"""
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER fail_on_purpose ON {table}; DROP FUNCTION fail_on_purpose();")


@pytest.fixture
def overtaken(monkeypatch, at_once):
    """`overtaken((owner, name), first, second)`: what both gave, where the second came in the middle of the first.

    The first one stops when its call of `owner.name` is over, until the second is through or waits for the first.
    """

    def run(where: tuple[Any, str], first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
        owner, name = where
        stopped, through, leader = threading.Event(), threading.Event(), threading.local()
        function = getattr(owner, name)

        def stopping(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if getattr(leader, "me", False) and not stopped.is_set():
                stopped.set()
                wait_until(lambda: through.is_set() or somebody_waits_for_us())
            return result

        def go(runs_first: bool) -> Any:
            leader.me = runs_first
            if runs_first:
                return first()
            assert stopped.wait(10)
            try:
                return second()
            finally:
                through.set()

        monkeypatch.setattr(owner, name, stopping)
        return at_once(go, [True, False])

    return run


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return cursor.fetchone() is not None


def wait_until(condition: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


@pytest.fixture
def unlimited(transactional_db):
    """Without the trigger that refuses to owe more than was paid."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_refund DISABLE TRIGGER refund_within_payment")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_refund ENABLE TRIGGER refund_within_payment")
