"""What happens behind Stripe's API: payments, declines, expiry, refunds and disputes, each with its events."""

import json
import time

from . import stripe_objects as objects
from .faults import Faults
from .settings import Settings
from .state import Doc, State
from .stripe_forms import Params, StripeError, invalid

# Fields that hold an id and can be expanded, with the kind of document that they name.
KINDS = {"payment_intent": "payment_intent", "latest_charge": "charge", "charge": "charge"}


class Payments:
    """Verbs that change payments; each gives the events it caused, in order, and sends none."""

    processor = "stripe"

    def __init__(self, settings: Settings, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        # The API request under way, which events name; set under the state's lock.
        self.request: Doc = {"id": None, "idempotency_key": None}

    def view(self, session_id: str) -> Doc | None:
        """What the checkout page shows, or None."""
        session = self._state.get("session", session_id)
        private = self._state.get("session_private", session_id)
        if session is None or private is None:
            return None
        return {
            "id": session_id,
            "amount": session["amount_total"],
            "currency": session["currency"],
            "description": ", ".join(item["description"] for item in private["items"]),
            "state": {"open": "open", "complete": "paid", "expired": "expired"}[session["status"]],
            "expires_at": session["expires_at"],
            "success_url": session["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id),
            "cancel_url": session["cancel_url"],
            "payment_id": session["payment_intent"],
        }

    def pay(self, session_id: str, *, amount: int | None = None, currency: str | None = None) -> tuple[str, list[Doc]]:
        """Pays in full, or with another amount or currency; also an expired session, as a late payment does."""
        session, intent = self._open(session_id)
        if amount is not None:
            session |= {"amount_subtotal": amount, "amount_total": amount}
            intent["amount"] = amount
        if currency is not None:
            session["currency"] = intent["currency"] = currency.lower()
        charge = self._put(objects.charge(intent, declined=False))
        intent |= {
            "amount_received": intent["amount"],
            "last_payment_error": None,
            "latest_charge": charge["id"],
            "status": "succeeded",
            "canceled_at": None,
            "cancellation_reason": None,
        }
        session |= {
            "customer_details": objects.PERSON | {"tax_exempt": "none", "tax_ids": []},
            "payment_intent": intent["id"],
            "payment_status": "paid",
            "status": "complete",
            "url": None,
        }
        self._put(intent)
        self._put(session)
        return intent["id"], [self._event("checkout.session.completed", session, about=session_id)]

    def decline(self, session_id: str) -> tuple[str, list[Doc]]:
        _, intent = self._open(session_id)
        charge = self._put(objects.charge(intent, declined=True))
        intent |= {"latest_charge": charge["id"], "last_payment_error": objects.decline(charge)}
        self._put(intent)
        return intent["id"], [self._event("payment_intent.payment_failed", intent, about=session_id)]

    def expire(self, session_id: str) -> Doc:
        """Expires an open session; gives the one event."""
        session = self._state.get("session", session_id)
        private = self._state.get("session_private", session_id)
        assert session is not None and private is not None
        session |= {"status": "expired", "url": None}
        if intent := self._state.get("payment_intent", private["intent"] or ""):
            now = int(time.time())
            self._put(intent | {"status": "canceled", "canceled_at": now, "cancellation_reason": "automatic"})
        return self._event("checkout.session.expired", self._put(session), about=session_id)

    def expire_due(self, now: float) -> list[Doc]:
        """Expires every open session whose time is over."""
        due = [session for session in self._state.all("session", status="open") if session["expires_at"] <= now]
        return [self.expire(session["id"]) for session in due]

    def refund(self, params: Params) -> tuple[Doc, list[Doc]]:
        """Refunds a charge, in full or in part; raises `StripeError` beyond what is left of it."""
        charge = self._charge_to_refund(params)
        left = charge["amount"] - charge["amount_refunded"]
        if left == 0:
            raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if charge["disputed"]:
            raise StripeError(f"Charge {charge['id']} has been charged back.", code="charge_disputed")
        amount = params.get("amount", left)
        if amount < 1:
            raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
        if amount > left:
            which = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
            message = f"Refund amount (${amount / 100:.2f}) is greater than {which} (${left / 100:.2f})"
            raise StripeError(message, param="amount")
        outcome = self._faults["refunds"]
        refund = objects.refund(
            charge, params, amount=amount, status="succeeded" if outcome == "succeed" else "pending"
        )
        # The answer shows the refund as it was accepted, whatever becomes of it within the same moment.
        accepted = dict(self._put(refund))
        about = self._about(charge)
        before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self._put(charge)
        events = [
            self._event("refund.created", refund, about=about),
            self._event("charge.refunded", charge, about=about, changed=before),
        ]
        if outcome == "succeed":
            events += self.settle(refund["id"], failed=False)
        elif outcome == "fail":
            events += self.settle(refund["id"], failed=True)
        return accepted, events

    def settle(self, refund_id: str, *, failed: bool) -> list[Doc]:
        """What the bank said to a refund; one that fails gives the money back to the charge."""
        refund = self._state.get("refund", refund_id)
        assert refund is not None
        charge = self._state.get("charge", refund["charge"])
        assert charge is not None
        about = self._about(charge)
        if not failed:
            reference = {"reference": "5442319870", "reference_status": "available", "type": "refund"}
            refund |= {"status": "succeeded", "destination_details": {"type": "card", "card": reference}}
            return [self._event("refund.updated", self._put(refund), about=about)]
        if refund["status"] != "failed":
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self._put(charge)
        refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
        self._put(refund)
        return [self._event(type, refund, about=about) for type in ("refund.updated", "refund.failed")]

    def refund_outside(self, session_id: str, amount: int | None) -> tuple[str, list[Doc]]:
        """A refund that somebody gave on Stripe's dashboard."""
        params: Params = {"payment_intent": self._paid(session_id)["payment_intent"]}
        refund, events = self.refund(params | ({} if amount is None else {"amount": amount}))
        return refund["id"], events

    def dispute(self, session_id: str) -> tuple[str, list[Doc]]:
        """The card's owner disputes the payment."""
        charge = self._paid(session_id)
        self._put(charge | {"disputed": True})
        dispute = self._put(objects.dispute(charge))
        return dispute["id"], [self._event("charge.dispute.created", dispute, about=session_id)]

    def _open(self, session_id: str) -> tuple[Doc, Doc]:
        """The session and its payment intent, made at the first attempt and kept for the next."""
        session = self._state.get("session", session_id)
        private = self._state.get("session_private", session_id)
        assert session is not None and private is not None
        intent = self._state.get("payment_intent", private["intent"] or "")
        if intent is None:
            intent = objects.payment_intent(
                private["intent_data"], amount=session["amount_total"], currency=session["currency"]
            )
            self._put(intent)
            self._state.put("session_private", session_id, private | {"intent": intent["id"]})
        intent["payment_method"] = objects.new_id("pm_1", 23)
        return session, intent

    def _paid(self, session_id: str) -> Doc:
        session = self._state.get("session", session_id)
        intent = self._state.get("payment_intent", (session or {}).get("payment_intent") or "")
        charge = self._state.get("charge", (intent or {}).get("latest_charge") or "")
        if charge is None:
            raise StripeError("This session is not paid.")
        return charge

    def _charge_to_refund(self, params: Params) -> Doc:
        charge_id = params.get("charge", "")
        if intent_id := params.get("payment_intent"):
            intent = self._state.get("payment_intent", intent_id)
            if intent is None:
                raise _missing("payment_intent", intent_id)
            charge_id = intent["latest_charge"] or ""
        charge = self._state.get("charge", charge_id)
        if charge is None and not intent_id:
            raise _missing("charge", charge_id)
        if charge is None or not charge["paid"]:
            message = f"This PaymentIntent ({intent_id}) does not have a successful charge to refund."
            raise StripeError(message, code="payment_intent_unexpected_state")
        return charge

    def _about(self, charge: Doc) -> str:
        found = self._state.all("session", payment_intent=charge["payment_intent"])
        return found[0]["id"] if found else charge["id"]

    def _put(self, doc: Doc) -> Doc:
        kind = "session" if doc["object"] == "checkout.session" else doc["object"]
        return self._state.put(kind, doc["id"], doc)

    def _event(self, type: str, obj: Doc, *, about: str, changed: Doc | None = None) -> Doc:
        event = objects.event(type, obj, request=self.request, changed=changed)
        # Stripe's bodies are indented and hold raw UTF-8: a receiver that signs anything but the bytes fails.
        body = json.dumps(event, indent=2, ensure_ascii=False)
        kept = {"id": event["id"], "processor": "stripe", "type": type, "about": about, "body": body}
        kept["listed"] = not self._faults.strikes("unlisted")
        return self._state.put("event", event["id"], kept)


def _missing(kind: str, object_id: str) -> StripeError:
    return StripeError(f"No such {kind}: '{object_id}'", code="resource_missing", param=kind, status=404)
