"""What staff asked to have given back: waiting for a second pair of eyes, or done."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display
from unfold.enums import ActionVariant

from core.admin import ReadOnlyAdmin, ReadOnlyInline, label, link, money, verb
from payments import refund_requests
from payments.models import RefundRequest


def to_approve() -> int:
    """How many requests wait for somebody else to look at them (the sidebar's badge)."""
    return RefundRequest.objects.filter(status=RefundRequest.Status.WAITING).count()


def is_waiting(request: RefundRequest) -> bool:
    return request.status == RefundRequest.Status.WAITING


class RefundRequestInline(ReadOnlyInline):
    model = RefundRequest
    fields = ["amount", "cancels_booking", "reason", "status", "requested_by", "decided_by", "decision", "created_at"]
    readonly_fields = ["amount", "created_at"]
    select_related = ["requested_by", "decided_by"]

    @display(description="Amount")
    def amount(self, row: RefundRequest) -> str:
        return money(row.amount_cents, row.currency)


@admin.register(RefundRequest)
class RefundRequestAdmin(ReadOnlyAdmin):
    list_display = [
        "short_id", "state", "amount", "what", "reason", "asked_by", "decided_by_whom", "payment_link", "created_at",
    ]  # fmt: skip
    list_filter = ["status"]
    list_select_related = ["requested_by", "decided_by"]
    search_ids = ["id", "payment_id", "payment__booking_id", "requested_by_id", "decided_by_id"]
    search_help_text = "The id of the request, its payment or booking, or a member of staff"
    nothing = "No request like this. Give money back from the payment's page; large amounts wait here."
    exclude = ["amount_cents", "currency"]
    readonly_fields = ["amount"]
    actions_detail = ["approve", "decline"]
    approve = verb(
        title="Approve",
        past="Approved",
        when=is_waiting,
        run=lambda request, *, now, by: refund_requests.approve(request_id=request.pk, by=by, now=now),
        tells=lambda rows, *, now: [
            f"{row.amount_cents / 100:,.2f} {row.currency} go back{' and the booking ends' * row.cancels_booking}, "
            f"asked for by {row.requested_by.email}: {row.reason}"
            for row in rows
        ],
        by_staff=True,
        permission="approve",
        icon="done_all",
        variant=ActionVariant.SUCCESS,
    )
    decline = verb(
        title="Decline",
        past="Declined",
        when=is_waiting,
        run=lambda request, *, now, by, reason: refund_requests.decline(
            request_id=request.pk, by=by, reason=reason, now=now
        ),
        reason="Kept with the request, for whoever asked. No money moves.",
        by_staff=True,
        permission="decline",
        icon="block",
        variant=ActionVariant.DANGER,
    )
    state = label("status", {"waiting": "warning", "approved": "success", "declined": "danger"})

    def has_approve_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody approves what they asked for; the database says so, too."""
        is_own = isinstance(obj, RefundRequest) and obj.requested_by_id == request.user.pk
        return request.user.has_perm("payments.approve_refund") and not is_own

    def has_decline_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who asked may take it back."""
        is_others = isinstance(obj, RefundRequest) and obj.requested_by_id != request.user.pk
        may_ask = request.user.has_perm("payments.refund_payment") and not is_others
        return may_ask or request.user.has_perm("payments.approve_refund")

    @display(description="Amount", ordering="amount_cents")
    def amount(self, row: RefundRequest) -> str:
        return money(row.amount_cents, row.currency)

    @display(description="What")
    def what(self, row: RefundRequest) -> str:
        return "Cancel the booking" if row.cancels_booking else "Refund"

    @display(description="Asked by", ordering="requested_by")
    def asked_by(self, row: RefundRequest) -> str:
        return row.requested_by.email

    @display(description="Decided by", ordering="decided_by")
    def decided_by_whom(self, row: RefundRequest) -> str | None:
        return row.decided_by.email if row.decided_by else None

    @display(description="Payment", ordering="payment_id")
    def payment_link(self, row: RefundRequest) -> Any:
        return link("payments.Payment", row.payment_id)
