"""Payments and what goes back of them."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.forms import CharField, DecimalField, HiddenInput, UUIDField
from django.http import HttpRequest
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextareaWidget
from uuid_utils.compat import uuid7

from core.admin import AskForm, LargeAdmin, ReadOnlyInline, label, link, money, verb
from payments import refund_requests, services
from payments.admin.events import WebhookEventInline
from payments.admin.requests import RefundRequestInline
from payments.models import Payment, Refund, RefundRequest
from payments.services import unrefunded_cents
from users.models import User


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


# --- Giving money back -----------------------------------------------------------------------------------------------


class RefundForm(AskForm):
    """Which part goes back; filled in with all that is left."""

    amount = DecimalField(max_digits=10, decimal_places=2, min_value=Decimal("0.01"))
    reason = CharField(max_length=500, widget=UnfoldAdminTextareaWidget({"rows": 3}))
    # Of this page, so that a double click asks once.
    request_id = UUIDField(widget=HiddenInput)

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        (payment,) = self.rows
        self.fields["amount"].widget = UnfoldAdminDecimalFieldWidget({"step": "0.01", "inputmode": "decimal"})
        self.fields["amount"].label = f"Amount in {payment.currency}"
        self.fields["amount"].initial = f"{unrefunded_cents(payment) / 100:.2f}"
        self.fields["request_id"].initial = uuid7


def tell_refund(rows: list[Payment], *, now: datetime) -> Iterator[str]:
    (payment,) = rows
    left, limit = unrefunded_cents(payment), refund_requests.approval_above(payment.currency)
    yield (
        f"Paid {payment.amount_cents / 100:,.2f} {payment.currency}, of which {left / 100:,.2f} is left to give back."
    )
    yield "Once all of it has gone back, a booking that has not begun is cancelled."
    yield f"Above {limit / 100:,.2f} {payment.currency}, somebody else has to approve it first."


def refund(payment: Payment, *, amount: Decimal, reason: str, request_id: UUID, by: User, now: datetime) -> str:
    request = refund_requests.request_refund(
        request_id=request_id, payment_id=payment.pk, cents=int(amount * 100), reason=reason, by=by, now=now
    )
    is_waiting = request.status == RefundRequest.Status.WAITING
    return f"{amount:,.2f} {payment.currency} {'waits for approval' if is_waiting else 'goes back'}"


@admin.register(Payment)
class PaymentAdmin(LargeAdmin):
    list_display = [
        "short_id", "state", "review", "amount", "processor", "processor_payment_id", "booking_link", "paid_at",
        "created_at",
    ]  # fmt: skip
    list_filter = ["needs_review", "status"]
    date_hierarchy = "created_at"
    search_fields = ["processor_payment_id__exact", "processor_checkout_id__exact"]
    search_help_text = "The parent's e-mail, the processor's id of payment or checkout, or any id"
    search_ids = ["id", "booking_id", "booking__parent_id", "booking__parent__user_id"]
    search_email = "booking__parent__user__email"
    nothing = "No payment like this. Search by the parent's e-mail, or by the id on their bank's or card's statement."
    readonly_fields = ["amount", "review"]
    # Whoever holds a checkout's address can pay it, and some processors show the payer's details there.
    exclude = ["amount_cents", "currency", "checkout_url", "needs_review"]
    inlines = [RefundInline, RefundRequestInline, WebhookEventInline]
    actions = ["end_review"]
    actions_detail = ["end_review", "refund"]
    end_review = verb(
        title="End review",
        past="Reviewed",
        when=lambda payment: payment.needs_review,
        run=lambda payment, *, now, by, reason: services.end_review(payment.pk, by=by, note=reason, now=now),
        reason="What was wrong, and how it was settled. Kept with the payment.",
        by_staff=True,
        permission="end_review",
        icon="task_alt",
    )
    refund = verb(
        title="Give money back",
        past="Goes back",
        when=lambda payment: payment.status == Payment.Status.PAID,
        run=refund,
        form=RefundForm,
        tells=tell_refund,
        reason="The parent reads this.",
        by_staff=True,
        permission="refund",
        icon="currency_exchange",
        variant=ActionVariant.DANGER,
    )
    state = label(
        "status",
        {"created": "info", "pending": "warning", "paid": "success", "failed": "danger", "refunded": "primary"},
    )

    def has_end_review_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.end_review")

    def has_refund_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.refund_payment")

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
class RefundAdmin(LargeAdmin):
    list_display = [
        "short_id", "state", "amount", "reason", "error", "payment_link", "processor_refund_id", "attempts",
        "next_attempt_at", "created_at",
    ]  # fmt: skip
    list_filter = ["status"]
    search_fields = ["processor_refund_id__exact", "payment__processor_payment_id__exact"]
    search_help_text = "The processor's id of refund or payment, or our id of refund, payment or booking"
    search_ids = ["id", "payment_id", "payment__booking_id"]
    nothing = "No refund like this. To give money back, open the payment."
    readonly_fields = ["amount"]
    exclude = ["amount_cents", "currency"]
    actions = ["retry"]
    actions_detail = ["retry"]
    retry = verb(
        title="Try again",
        past="Will be sent again",
        when=lambda refund: refund.status == Refund.Status.FAILED,
        run=lambda refund, *, now: services.retry_refund(refund.pk, now=now),
        permission="retry_refund",
        icon="refresh",
    )
    state = label("status", {"pending": "warning", "sent": "info", "succeeded": "success", "failed": "danger"})

    def has_retry_refund_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.retry_refund")

    @display(description="Amount", ordering="amount_cents")
    def amount(self, row: Refund) -> str:
        return money(row.amount_cents, row.currency)

    @display(description="Payment", ordering="payment_id")
    def payment_link(self, row: Refund) -> Any:
        return link("payments.Payment", row.payment_id)
