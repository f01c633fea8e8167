"""Money: to look at, never to edit. A payment moves by verified webhook events, a refund by its verbs."""

from payments.admin.bookings import BookingWithMoneyAdmin, SessionWithMoneyAdmin
from payments.admin.events import ReconciliationAdmin, WebhookEventAdmin
from payments.admin.payments import PaymentAdmin, RefundAdmin, to_review
from payments.admin.requests import RefundRequestAdmin, to_approve

__all__ = [
    "BookingWithMoneyAdmin", "PaymentAdmin", "ReconciliationAdmin", "RefundAdmin", "RefundRequestAdmin",
    "SessionWithMoneyAdmin", "WebhookEventAdmin", "to_approve", "to_review",
]  # fmt: skip
