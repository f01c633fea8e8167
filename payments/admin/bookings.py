"""Bookings and sessions know nothing of payments; here is where both are known."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.forms import BooleanField, CharField
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from bookings.admin import BookingAdmin
from bookings.models import Booking
from core.admin import AskForm, money, verb
from marketplace.admin import SessionAdmin
from marketplace.models import Session
from payments import refund_requests, session_cancellations
from payments.cancellations import Extent, cancel_in_full
from payments.models import RefundRequest
from payments.timeline import timeline
from users.models import User

admin.site.unregister([Booking, Session])


def amount(cents: int | None, currency: str | None) -> SafeString | str:
    return "" if cents is None or currency is None else money(cents, currency)


def going_back(extent: Extent) -> str:
    sums = [f"{cents / 100:,.2f} {currency}" for currency, cents in sorted(extent.cents.items())]
    return f"{' and '.join(sums)} goes back" if sums else "No money goes back"


# --- Bookings --------------------------------------------------------------------------------------------------------


def tell_cancellation(rows: list[Booking], *, now: datetime) -> Iterator[str]:
    (booking,) = rows
    extent = cancel_in_full(booking_id=booking.pk, reason="", dry_run=True, now=now)
    yield f"The seats are given back, and the parent is told. {going_back(extent)}."
    limit = refund_requests.approval_above(booking.currency)
    if extent.cents.get(booking.currency, 0) > limit:
        yield f"More than {limit / 100:,.2f} {booking.currency}: somebody else has to approve it first."


def cancel(booking: Booking, *, reason: str, by: User, now: datetime) -> str:
    request = refund_requests.request_cancellation(booking_id=booking.pk, reason=reason, by=by, now=now)
    is_waiting = request is not None and request.status == RefundRequest.Status.WAITING
    return "Waits for approval" if is_waiting else "Cancelled"


@admin.register(Booking)
class BookingWithMoneyAdmin(BookingAdmin):
    search_fields = ["payments__processor_payment_id__exact", "payments__processor_checkout_id__exact"]
    search_help_text = "The parent's e-mail, the processor's id of the payment, or any id"
    search_ids = [*BookingAdmin.search_ids, "payments__id"]
    readonly_fields = [*BookingAdmin.readonly_fields, "money_timeline"]
    actions_detail = ["cancel"]
    cancel = verb(
        title="Cancel and refund",
        past="Cancelled",
        when=lambda booking: booking.can_move(Booking.Status.CANCELLED),
        run=cancel,
        tells=tell_cancellation,
        reason="The parent reads this. All that was paid goes back, whatever the refund window says.",
        by_staff=True,
        permission="cancel",
        icon="cancel",
        variant=ActionVariant.DANGER,
    )

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("bookings.cancel_booking")

    @display(description="Money timeline (UTC)")
    def money_timeline(self, row: Booking) -> SafeString:
        story = timeline(row)
        lines = (
            (f"{each.at:%Y-%m-%d %H:%M:%S}", each.text, amount(each.amount_cents, each.currency), each.detail)
            for each in story.entries
        )
        sums = (("Paid", story.paid_cents), ("Refunded", story.refunded_cents), ("Owed", story.refund_pending_cents))
        cell = '<td class="pr-4 align-top">{}</td>'
        row_of_cells = f'<tr><td class="pr-4 align-top whitespace-nowrap">{{}}</td>{cell * 3}</tr>'
        return format_html(
            '<p class="mb-2">{}</p><div class="overflow-x-auto"><table class="text-sm">{}</table></div>',
            format_html_join(" · ", "{} {}", ((name, money(cents, story.currency)) for name, cents in sums)),
            format_html_join("", row_of_cells, lines),
        )


# --- Sessions --------------------------------------------------------------------------------------------------------


class CancelSessionForm(AskForm):
    reason = CharField(max_length=500, widget=UnfoldAdminTextareaWidget({"rows": 3}))
    series = BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        label="Also all that follow in its series",
    )
    sure = BooleanField(widget=UnfoldBooleanSwitchWidget, label="I have read what this comes to")

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        if self.rows[0].series_id is None:
            del self.fields["series"]


def tell_extent(rows: list[Session], *, now: datetime) -> Iterator[str]:
    (session,) = rows

    def line(series: bool) -> str:
        extent = session_cancellations.cancel_sessions(
            session_ids=[session.pk], reason="", series=series, dry_run=True, now=now
        )
        return (
            f"Sessions: {extent.sessions}. Bookings that lose a seat: {len(extent.booking_ids)}, "
            f"of which {extent.ending} end. Children: {extent.children}. {going_back(extent)}."
        )

    yield f"This session alone. {line(False)}"
    if session.series_id:
        yield f"With all that follow. {line(True)}"
    yield "Every family is told, and so is the provider's calendar."


def cancel_session(session: Session, *, reason: str, now: datetime, series: bool = False, **_: Any) -> str:
    """Marks the sessions here; each booking is settled after that, in a transaction of its own."""
    extent = session_cancellations.mark_cancelled(session_ids=[session.pk], reason=reason, series=series, now=now)
    transaction.on_commit(partial(session_cancellations.settle_first, extent, now=now), robust=True)
    return f"Cancelled, with {len(extent.booking_ids)} bookings"


@admin.register(Session)
class SessionWithMoneyAdmin(SessionAdmin):
    actions_detail = ["cancel"]
    cancel = verb(
        title="Cancel the session",
        past="Cancelled",
        when=lambda session: session.can_move(Session.Status.CANCELLED),
        run=cancel_session,
        form=CancelSessionForm,
        tells=tell_extent,
        reason="Families read this.",
        permission="cancel",
        icon="event_busy",
        variant=ActionVariant.DANGER,
    )

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("marketplace.cancel_session")
