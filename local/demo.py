"""`make demo`: a parent's whole trip over HTTP, against the running program and its sandbox, printed step by step.

Speaks HTTP only, as a parent's phone would; whatever does not come out as it must ends the demo with exit code 1.
"""

import json
import os
import sys
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

PATIENCE_SECONDS = 30
SHOWN_CHARACTERS = 600


class DemoFailed(Exception):
    """A step did not come out as it must."""


@dataclass(frozen=True)
class Site:
    """A region as its callers see it: its API, and the sandbox with its Supabase project and processor."""

    region: str
    api: str
    sandbox: str


class Parent:
    """A parent's app: sends requests, prints each exchange, insists on the expected status."""

    # Counted over all apps of a demo.
    step_number = 0

    def __init__(self, site: Site) -> None:
        self.site = site
        self.token = ""

    def step(self, title: str) -> None:
        Parent.step_number += 1
        print(f"\n\033[1m{self.step_number}. {title}\033[0m")

    def call(self, method: str, url: str, body: Any = None, *, expect: int, quiet: bool = False, **headers: str) -> Any:
        """The `data` of an answer with the status `expect`. Raises `DemoFailed` for any other."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()} | {"Accept": "application/json"}
        if self.token and not url.startswith(self.site.sandbox):
            headers["Authorization"] = f"Bearer {self.token}"
        answer = requests.request(method, url, json=body, headers=headers, timeout=15)
        try:
            answered = answer.json()
        except ValueError:
            raise DemoFailed(f"{method} {url} answered {answer.status_code} without JSON") from None
        if not quiet:
            print(f"   {method} {url}" + (f"\n   → {json.dumps(body)}" if body is not None else ""))
            print(f"   ← {answer.status_code} {shorten(json.dumps(answered, ensure_ascii=False))}")
        if answer.status_code != expect:
            raise DemoFailed(f"{method} {url} answered {answer.status_code} instead of {expect}: {answer.text[:500]}")
        return answered.get("data", answered)

    def wait_for(self, url: str, what: str, done: Any) -> Any:
        """Asks `url` until `done(data)`, at most half a minute."""
        started = time.monotonic()
        while True:
            data = self.call("GET", url, expect=200, quiet=True)
            if done(data):
                print(f"   GET {url}\n   ← 200 {what} after {time.monotonic() - started:.1f} s")
                return data
            if time.monotonic() - started > PATIENCE_SECONDS:
                raise DemoFailed(f"not {what} after {PATIENCE_SECONDS} s: {json.dumps(data)[:500]}")
            time.sleep(0.2)


def shorten(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " …"


def check(condition: bool, what: str) -> None:
    if not condition:
        raise DemoFailed(what)
    print(f"   ✓ {what}")


def money(cents: int, currency: str) -> str:
    return f"{ {'USD': '$', 'INR': '₹'}[currency] }{cents / 100:,.2f}"


def sign_up(parent: Parent, email: str = "") -> None:
    parent.step("Sign up with Supabase, and tell Juniro where home is")
    get_token(parent, email or f"demo-{uuid.uuid4().hex[:8]}@example.com")
    region = parent.site.region
    user = parent.call("POST", f"{parent.site.api}/v1/auth/sync", {"home_region": region}, expect=201)
    check(user["homeRegion"] == region, f"the account is at home in {region}, for good")
    answer = parent.call("GET", f"{parent.site.api}/v1/me/region", expect=200)
    check(answer["isCorrectRegion"], "this is the right API for it")


def get_token(parent: Parent, email: str) -> None:
    credentials = {"email": email, "password": "correct horse battery"}
    url = f"{parent.site.sandbox}/supabase/auth/v1/signup"
    parent.token = parent.call("POST", url, credentials, expect=200, quiet=True)["access_token"]
    print(f"   Supabase signed {email} up and gave an access token.")


def add_child(parent: Parent, first_name: str = "Mia", last_name: str = "Demo") -> dict[str, Any]:
    parent.step("Consent to storing child data, then add a child")
    birth_date = f"{datetime.now(UTC).year - 8}-01-15"
    child = {"firstName": first_name, "lastName": last_name, "birthDate": birth_date}
    parent.call("POST", f"{parent.site.api}/v1/me/children", child, expect=403)
    check(True, "without consent nothing is stored")
    consent = {"kind": "child_data", "version": "2026-01", "granted": True}
    parent.call("POST", f"{parent.site.api}/v1/me/consents", consent, expect=201)
    return parent.call("POST", f"{parent.site.api}/v1/me/children", child, expect=201)


def find_session(parent: Parent) -> dict[str, Any]:
    parent.step("Browse: what is there for an eight-year-old next week?")
    first = (datetime.now(UTC) + timedelta(days=3)).date()
    activities = parent.call(
        "GET",
        f"{parent.site.api}/v1/activities?age=8&type=single_session&available=true&from={first}&sort=price&limit=20",
        expect=200,
    )
    for activity in activities:
        if not activity["priceFromCents"]:
            continue
        detail = parent.call("GET", f"{parent.site.api}/v1/activities/{activity['id']}", expect=200, quiet=True)
        sessions = parent.call(
            "GET",
            f"{parent.site.api}/v1/activities/{activity['id']}/sessions?from={first}&available=true",
            expect=200,
            quiet=True,
        )
        single = {offering["id"] for offering in detail["offerings"] if offering["type"] == "single_session"}
        session = next((each for each in sessions if each["offeringId"] in single), None)
        if session:
            print(f"   Chosen: {detail['title']} at {detail['provider']['businessName']}, {session['startsAt']}")
            return session
    raise DemoFailed("the demo catalogue has nothing for an eight-year-old")


def book(parent: Parent, session: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    parent.step("Book: a seat is held while the parent pays")
    url, body = f"{parent.site.api}/v1/me/bookings", {"sessionId": session["id"], "childId": child["id"]}
    key = str(uuid.uuid4())
    booking = parent.call("POST", url, body, expect=201, Idempotency_Key=key)
    twin = parent.call("POST", url, body, expect=201, quiet=True, Idempotency_Key=key)
    check(twin == booking, "a double click makes one booking")
    return booking


def pay(parent: Parent, booking: dict[str, Any]) -> None:
    parent.step("Check out and pay")
    key = str(uuid.uuid4())
    body = {"bookingId": booking["id"]}
    checkout = parent.call("POST", f"{parent.site.api}/v1/payments/checkout", body, expect=201, Idempotency_Key=key)
    again = parent.call(
        "POST", f"{parent.site.api}/v1/payments/checkout", body, expect=201, quiet=True, Idempotency_Key=key
    )
    check(again == checkout, "the same request again gives the same checkout, not a second one")
    page = checkout.get("checkoutUrl") or f"{parent.site.sandbox}/pay/{checkout['orderId']}"
    url = f"{parent.site.api}/v1/me/bookings/{booking['id']}"
    requests.get(f"{parent.site.sandbox}/returned?outcome=success", timeout=10)
    still = parent.call("GET", url, expect=200, quiet=True)
    check(still["status"] == "pending_payment", "coming back from the payment page confirms nothing")
    paid = requests.post(page, data={"action": "pay"}, headers={"Accept": "application/json"}, timeout=15)
    if not paid.ok:
        raise DemoFailed(f"the payment page answered {paid.status_code}: {paid.text[:300]}")
    print(f"   POST {page}\n   ← paid; {checkout['processor']} now sends its signed webhook")
    confirmed = parent.wait_for(url, "confirmed", lambda data: data["status"] == "confirmed")
    check(confirmed["payment"]["status"] == "paid", "the verified webhook made it paid and confirmed")


def cancel(parent: Parent, booking: dict[str, Any]) -> None:
    parent.step("Cancel in time: everything goes back")
    url = f"{parent.site.api}/v1/me/bookings/{booking['id']}"
    quote = parent.call("GET", f"{url}/quote?action=cancel", expect=200)
    amount = money(quote["refundCents"], quote["currency"])
    check(quote["refundCents"] == booking["amountCents"], f"{amount} would go back")
    cancelled = parent.call("POST", f"{url}/cancel", {"reason": "We are travelling"}, expect=200)
    check(cancelled["status"] == "cancelled", "the booking is cancelled and its seat is free again")
    parent.wait_for(url, "refunded", lambda data: data["payment"]["status"] == "refunded")
    check(True, "the worker sent the refund, and the processor's webhook confirmed it")


def main() -> int:
    parent = Parent(
        Site(
            region=os.environ.get("REGION", "us"),
            api=os.environ.get("JUNIRO_API_URL", "http://127.0.0.1:5001"),
            sandbox=os.environ.get("SANDBOX_URL", "http://127.0.0.1:5101"),
        )
    )
    print(f"Juniro in the region {parent.site.region}: a parent's trip, at {parent.site.api}")
    try:
        sign_up(parent)
        child = add_child(parent)
        session = find_session(parent)
        booking = book(parent, session, child)
        pay(parent, booking)
        cancel(parent, booking)
    except (DemoFailed, requests.RequestException) as error:
        print(f"\n\033[31mThe demo failed at step {parent.step_number}: {error}\033[0m", file=sys.stderr)
        return 1
    print("\n\033[32mDone: signed up, booked, paid, confirmed, cancelled, refunded.\033[0m")
    return 0


if __name__ == "__main__":
    sys.exit(main())
