"""Money: to look at, never to edit. A payment moves by verified webhook events, a refund by its verbs."""

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.decorators import display

from core.admin import ReadOnlyAdmin, ReadOnlyInline, code, label, link, money, pretty
from payments.models import Payment, Reconciliation, Refund, WebhookEvent


def to_review() -> int:
    """How many payments ops must look at (the sidebar's badge)."""
    return Payment.objects.filter(needs_review=True).count()


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ["amount", "status", "reason", "processor_refund_id", "attempts", "error", "created_at"]
    readonly_fields = ["amount", "created_at"]

    @display(description="Amount")
    def amount(self, row: Refund) -> str:
        return money(row.amount_cents, row.currency)


class WebhookEventInline(ReadOnlyInline):
    model = WebhookEvent
    fields = ["event_id", "type", "status", "note", "created_at"]
    readonly_fields = ["created_at"]


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = [
        "short_id", "state", "review", "amount", "processor", "processor_payment_id", "booking_link", "paid_at",
        "created_at",
    ]  # fmt: skip
    list_filter = ["needs_review", "status", "processor", "currency"]
    date_hierarchy = "created_at"
    search_fields = ["processor_payment_id__exact", "processor_checkout_id__exact"]
    search_ids = ["id", "booking_id", "booking__parent_id", "booking__parent__user_id"]
    search_email = "booking__parent__user__email"
    readonly_fields = ["amount", "review"]
    # Whoever holds a checkout's address can pay it, and some processors show the payer's details there.
    exclude = ["amount_cents", "currency", "checkout_url", "needs_review"]
    inlines = [RefundInline, WebhookEventInline]
    state = label(
        "status",
        {"created": "info", "pending": "warning", "paid": "success", "failed": "danger", "refunded": "primary"},
    )

    @display(description="Review", ordering="needs_review", label={"Needed": "danger"})
    def review(self, row: Payment) -> str | None:
        return "Needed" if row.needs_review else None

    @display(description="Amount", ordering="amount_cents")
    def amount(self, row: Payment) -> str:
        return money(row.amount_cents, row.currency)

    @display(description="Booking", ordering="booking_id")
    def booking_link(self, row: Payment) -> Any:
        return link("bookings.Booking", row.booking_id)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = [
        "short_id", "state", "amount", "reason", "payment_link", "processor_refund_id", "attempts", "next_attempt_at",
        "created_at",
    ]  # fmt: skip
    list_filter = ["status", "currency"]
    search_fields = ["processor_refund_id__exact", "payment__processor_payment_id__exact"]
    search_ids = ["id", "payment_id", "payment__booking_id"]
    readonly_fields = ["amount"]
    exclude = ["amount_cents", "currency"]
    state = label("status", {"pending": "warning", "sent": "info", "succeeded": "success", "failed": "danger"})

    @display(description="Amount", ordering="amount_cents")
    def amount(self, row: Refund) -> str:
        return money(row.amount_cents, row.currency)

    @display(description="Payment", ordering="payment_id")
    def payment_link(self, row: Refund) -> Any:
        return link("payments.Payment", row.payment_id)


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    list_display = [
        "short_id", "processor", "type", "state", "note", "attempts", "error", "event_id", "payment_link", "created_at",
    ]  # fmt: skip
    list_filter = ["processor", "status", "type"]
    search_fields = ["event_id__exact", "processor_payment_id__exact", "type"]
    search_ids = ["id", "payment_id"]
    exclude = ["payload", "body_sha256"]
    readonly_fields = ["body", "body_hash"]
    state = label("status", {"processed": "success", "ignored": "info", "failed": "danger"})

    @display(description="SHA-256 of the body")
    def body_hash(self, row: WebhookEvent) -> SafeString:
        return code(row.body_sha256)

    @display(description="Payload")
    def body(self, row: WebhookEvent) -> SafeString:
        return pretty(row.payload)

    @display(description="Payment", ordering="payment_id")
    def payment_link(self, row: WebhookEvent) -> Any:
        return link("payments.Payment", row.payment_id)


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ["processor", "until", "updated_at"]
