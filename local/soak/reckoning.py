"""The books of seats and money after a soak: ours, the processors', and the difference, which must be nothing."""

from dataclasses import dataclass
from typing import Any

import psycopg
import requests

from local.balance import ALWAYS, WHEN_QUIET, wrong

STRIPE_KEY, RAZORPAY_KEYS = "sk_test_sandbox", ("rzp_test_sandbox", "secret_sandbox")


@dataclass(frozen=True)
class Taken:
    """A payment as its processor knows it; amounts in cents or paise."""

    id: str
    checkout_id: str
    cents: int
    given_back: int


class Books:
    """Both sides of the books: our database by plain SQL, the processors by their APIs."""

    def __init__(self, database_url: str, sandbox: str) -> None:
        self.connection = psycopg.connect(database_url, autocommit=True)
        self.sandbox = sandbox

    def ask(self, statement: str) -> list[tuple]:
        return self.connection.execute(statement).fetchall()

    def get(self, path: str, **options: Any) -> Any:
        answer = requests.get(self.sandbox + path, timeout=30, **options)
        answer.raise_for_status()
        return answer.json()

    # --- Becoming quiet ----------------------------------------------------------------------------------------------

    def unrest(self) -> dict[str, int]:
        """What still has to happen before the books can be closed, and how often."""
        left = wrong(self.ask, ALWAYS | WHEN_QUIET)
        left |= {"holds": self.ask("SELECT count(*) FROM bookings_booking WHERE status = 'pending_payment'")[0][0]}
        deliveries = self.get("/deliveries")["deliveries"]
        left["deliveries under way"] = sum(each["status"] in ("waiting", "pending") for each in deliveries)
        arrived = {each["eventId"] for each in deliveries if each["status"] != "failed"}
        lost = {each["eventId"] for each in deliveries if each["status"] == "failed"} - arrived
        for event_id in lost:
            # The processors go on for days, we have minutes.
            requests.post(f"{self.sandbox}/deliveries/{event_id}/resend", timeout=30).raise_for_status()
        left["deliveries given up, and sent again"] = len(lost)
        return {name: count for name, count in left.items() if count}

    # --- Closing -----------------------------------------------------------------------------------------------------

    def taken_by_stripe(self) -> list[Taken]:
        key = {"Authorization": f"Bearer {STRIPE_KEY}"}
        back: dict[str, int] = {}
        for refund in self.stripe_pages("/stripe/v1/refunds", key):
            if refund["status"] != "failed":
                back[refund["payment_intent"]] = back.get(refund["payment_intent"], 0) + refund["amount"]
        return [
            Taken(one["payment_intent"], one["id"], one["amount_total"], back.get(one["payment_intent"], 0))
            for one in self.stripe_pages("/stripe/v1/checkout/sessions", key)
            if one["payment_status"] == "paid"
        ]

    def stripe_pages(self, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            after = {"starting_after": found[-1]["id"]} if found else {}
            page = self.get(path, params={"limit": 100} | after, headers=headers)
            found += page["data"]
            if not page["has_more"]:
                return found

    def taken_by_razorpay(self) -> list[Taken]:
        found: list[dict[str, Any]] = []
        while True:
            page = {"count": 100, "skip": len(found)}
            items = self.get("/razorpay/v1/payments", params=page, auth=RAZORPAY_KEYS)["items"]
            found += items
            if not items:
                return [
                    Taken(one["id"], one["order_id"], one["amount"], one["amount_refunded"])
                    for one in found
                    if one["captured"]
                ]

    def close(self) -> tuple[list[tuple[str, str]], list[str]]:
        """The balance line by line, and what is wrong with it."""
        troubles = [f"{what}: {count}" for what, count in wrong(self.ask, ALWAYS | WHEN_QUIET).items()]
        seats = self.ask(
            """SELECT coalesce(sum(enrolled), 0), (SELECT count(*) FROM bookings_seat WHERE released_at IS NULL),
                coalesce(sum(capacity), 0), count(*) FILTER (WHERE enrolled = capacity) FROM marketplace_session"""
        )[0]
        lines = [("seats counted, held, difference", f"{seats[0]:,}  {seats[1]:,}  {seats[0] - seats[1]:,}")]
        lines.append(("seats there are; sessions that are full", f"{seats[2]:,}; {seats[3]:,}"))
        for status, count in self.ask("SELECT status, count(*) FROM bookings_booking GROUP BY 1 ORDER BY 1"):
            lines.append((f"bookings {status}", f"{count:,}"))
        money, wrongs = self.compare()
        return lines + money, troubles + wrongs

    def compare(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Every payment of a processor against our row of it."""
        rows = {
            row[0]: row[1:]
            for row in self.ask(
                """SELECT payment.processor_payment_id, payment.amount_cents, payment.status, payment.needs_review,
                    coalesce(sum(refund.amount_cents) FILTER (WHERE refund.status = 'succeeded'), 0), booking.status
                FROM payments_payment AS payment JOIN bookings_booking AS booking ON booking.id = payment.booking_id
                LEFT JOIN payments_refund AS refund ON refund.payment_id = payment.id
                WHERE payment.processor_payment_id IS NOT NULL GROUP BY payment.id, booking.id"""
            )
        }
        flagged = {row[0] for row in self.ask("SELECT processor_checkout_id FROM payments_payment WHERE needs_review")}
        took = self.taken_by_stripe() + self.taken_by_razorpay()
        wrongs: list[str] = []
        sums = dict.fromkeys(("took", "gave back", "in", "back", "kept", "review"), 0)
        for one in took:
            sums["took"] += one.cents
            sums["gave back"] += one.given_back
            row = rows.pop(one.id, None)
            is_ours = row is not None and row[1] in ("paid", "refunded") and row[0] == one.cents
            if not is_ours or row is None or row[2]:
                # An amount that differs, a refund that failed, a dispute: a person has been told of it.
                sums["review"] += one.cents - one.given_back
                sums["in"] += one.cents
                sums["back"] += one.given_back
                if one.checkout_id not in flagged:
                    wrongs.append(f"{one.id} took {one.cents} and gave back {one.given_back}; our row: {row}")
                continue
            cents, _, _, back, _ = row
            sums["in"] += cents
            sums["back"] += back
            sums["kept"] += cents - back
            if back != one.given_back:
                wrongs.append(f"{one.id} gave back {one.given_back}, our row says {back}")
        wrongs += [
            f"{made} is {row[1]} with us, and no processor knows it" for made, row in rows.items() if row[1] == "paid"
        ]
        lines = [
            ("payments that the processors made", f"{len(took):,}"),
            ("money in: theirs, ours, difference", told(sums["took"], sums["in"])),
            ("money back: theirs, ours, difference", told(sums["gave back"], sums["back"])),
            (
                "kept and in review; in less back; difference",
                told(sums["kept"] + sums["review"], sums["took"] - sums["gave back"]),
            ),
            ("  of it in review, a person has been told", f"{sums['review'] / 100:,.2f}"),
        ]
        return lines, wrongs


def told(one: int, other: int) -> str:
    return f"{one / 100:,.2f}  {other / 100:,.2f}  {(one - other) / 100:,.2f}"
