"""What ops do about a reported message. They read it only for an open report, and every look is written down."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from core.errors import InvalidState
from messaging.models import Message, MessageReport, ReportStatus

AROUND = 2


def in_context(report: MessageReport) -> dict[str, str]:
    """The reported message with the two before and after it, by a line that says whose each is. Names stay out of it.

    Raises `InvalidState` once the report is settled.
    """
    if report.status != ReportStatus.OPEN:
        raise InvalidState("This report is settled, so there is no reason to read on.")
    number = report.message.number
    near = report.message.conversation.messages.filter(number__range=(number - AROUND, number + AROUND))
    return {
        f"{'Reported: ' if each.number == number else ''}{each.get_sender_type_display()}, "
        f"message {each.number}, {each.created_at:%Y-%m-%d %H:%M} UTC": each.content or "(attachments only)"
        for each in near.order_by("number")
    }


def hide(*, report_id: UUID, reason: str, now: datetime) -> Message:
    """Takes a reported message away from both sides; its open reports are upheld. Raises `InvalidState`."""
    with transaction.atomic():
        message = settle(report_id, ReportStatus.UPHELD, reason=reason)
        if message.hidden_at is None:
            message.hidden_at = now
            message.save(update_fields=["hidden_at", "updated_at"])
    return message


def uphold(*, report_id: UUID, reason: str) -> Message:
    """The report was right, and what had to be done was done otherwise. Raises `InvalidState`."""
    with transaction.atomic():
        return settle(report_id, ReportStatus.UPHELD, reason=reason)


def dismiss(*, report_id: UUID, reason: str) -> Message:
    """The message may stay as it is. Raises `InvalidState`."""
    with transaction.atomic():
        return settle(report_id, ReportStatus.DISMISSED, reason=reason)


def settle(report_id: UUID, outcome: ReportStatus, *, reason: str) -> Message:
    """Ends all open reports of the reported message in the same way, under its lock."""
    report = MessageReport.objects.get(pk=report_id)
    message = Message.objects.select_for_update(no_key=True).get(pk=report.message_id)
    report.refresh_from_db()
    report.move(outcome, resolution=reason)
    for other in message.reports.filter(status=ReportStatus.OPEN):
        other.move(outcome, resolution=reason)
    return message
