"""Money: to look at, never to edit. A payment moves by verified webhook events, a refund by its verbs."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from bookings.admin import BookingAdmin
from bookings.models import Booking
from core.admin import ReadOnlyAdmin, ReadOnlyInline, code, label, link, money, pretty, verb
from core.dispatch import after_commit
from payments import services
from payments.models import Payment, Reconciliation, Refund, WebhookEvent
from payments.timeline import timeline


def to_review() -> int:
    """How many payments ops must look at (the sidebar's badge)."""
    return Payment.objects.filter(needs_review=True).count()


class WithVerbs(ReadOnlyAdmin):
    """Rows that nobody edits, with verbs for those who may change money."""

    def has_settle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(f"payments.change_{self.opts.model_name}")


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ["amount", "status", "reason", "processor_refund_id", "attempts", "error", "created_at"]
    readonly_fields = ["amount", "created_at"]

    @display(description="Amount")
    def amount(self, row: Refund) -> str:
        return money(row.amount_cents, row.currency)


class WebhookEventInline(ReadOnlyInline):
    model = WebhookEvent
    fields = ["event_id", "type", "status", "note", "attempts", "error", "created_at"]
    readonly_fields = ["created_at"]


@admin.register(Payment)
class PaymentAdmin(WithVerbs):
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
    actions = ["end_review"]
    actions_detail = ["end_review"]
    end_review = verb(
        title="End review",
        past="Reviewed",
        when=lambda payment: payment.needs_review,
        run=lambda payment, *, now, reason: services.end_review(payment.pk, now=now),
        reason="What was wrong, and how it was settled.",
        permission="settle",
        icon="task_alt",
    )
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
class RefundAdmin(WithVerbs):
    list_display = [
        "short_id", "state", "amount", "reason", "error", "payment_link", "processor_refund_id", "attempts",
        "next_attempt_at", "created_at",
    ]  # fmt: skip
    list_filter = ["status", "currency"]
    search_fields = ["processor_refund_id__exact", "payment__processor_payment_id__exact"]
    search_ids = ["id", "payment_id", "payment__booking_id"]
    readonly_fields = ["amount"]
    exclude = ["amount_cents", "currency"]
    actions = ["retry"]
    actions_detail = ["retry"]
    retry = verb(
        title="Try again",
        past="Will be sent again",
        when=lambda refund: refund.status == Refund.Status.FAILED,
        run=lambda refund, *, now: services.retry_refund(refund.pk, now=now),
        permission="settle",
        icon="refresh",
    )
    state = label("status", {"pending": "warning", "sent": "info", "succeeded": "success", "failed": "danger"})

    @display(description="Amount", ordering="amount_cents")
    def amount(self, row: Refund) -> str:
        return money(row.amount_cents, row.currency)

    @display(description="Payment", ordering="payment_id")
    def payment_link(self, row: Refund) -> Any:
        return link("payments.Payment", row.payment_id)


def replay_soon(event: WebhookEvent, *, now: datetime) -> None:
    """By a worker: what fails there is noted, whereas here it would be rolled back with the page."""
    after_commit("payments.tasks.replay_event", event.pk)


@admin.register(WebhookEvent)
class WebhookEventAdmin(WithVerbs):
    list_display = [
        "short_id", "processor", "type", "state", "note", "attempts", "error", "event_id", "payment_link", "created_at",
    ]  # fmt: skip
    list_filter = ["processor", "status", "type"]
    search_fields = ["event_id__exact", "processor_payment_id__exact", "type"]
    search_ids = ["id", "payment_id"]
    exclude = ["payload", "body_sha256"]
    actions = ["replay"]
    actions_detail = ["replay"]
    replay = verb(
        title="Work on it again",
        past="Will be worked on again",
        when=lambda event: event.status == WebhookEvent.Status.FAILED,
        run=replay_soon,
        permission="settle",
        icon="replay",
    )
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


admin.site.unregister(Booking)


@admin.register(Booking)
class BookingWithMoneyAdmin(BookingAdmin):
    """Bookings know nothing of payments; here is where both are known."""

    readonly_fields = [*BookingAdmin.readonly_fields, "money_timeline"]

    @display(description="Money timeline (UTC)")
    def money_timeline(self, row: Booking) -> SafeString:
        story = timeline(row)
        lines = (
            (f"{each.at:%Y-%m-%d %H:%M:%S}", each.text, amount(each.amount_cents, each.currency), each.detail)
            for each in story.entries
        )
        sums = (("Paid", story.paid_cents), ("Refunded", story.refunded_cents), ("Owed", story.refund_pending_cents))
        cell = '<td class="pr-4 align-top">{}</td>'
        return format_html(
            '<p class="mb-2">{}</p><table class="text-sm">{}</table>',
            format_html_join(" · ", "{} {}", ((name, money(cents, story.currency)) for name, cents in sums)),
            format_html_join("", f"<tr>{cell * 4}</tr>", lines),
        )


def amount(cents: int | None, currency: str | None) -> SafeString | str:
    return "" if cents is None or currency is None else money(cents, currency)
