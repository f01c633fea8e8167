"""How long what is kept, and why: one table, which beat's sweeps carry out, and which docs and admin show.

A rule with `rows` is carried out here; the others name the task that has its own way of forgetting. What stays until
its person goes is erasure's (`privacy.scrubbing`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.apps import apps
from django.conf import settings
from django.db import transaction

BATCH = 5000


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`columns` are tables, or columns of them. `setting` counts `unit`s; without one, `kept` says how long."""

    what: str
    columns: str
    why: str
    task: str = ""
    rows: str = ""  # the time stamp from which their age counts
    setting: str = ""
    unit: str = "days"
    kept: str = ""

    @property
    def how_long(self) -> str:
        return f"{getattr(settings, self.setting)} {self.unit}" if self.setting else self.kept


PURGE = "privacy.tasks.purge"

RULES = [
    Rule(
        what="Accounts, profiles, children and what hangs on them",
        columns="users.User users.Parent users.Child users.Consent providers.ProviderUser marketplace.ParentInterest "
        "notifications.NotificationPreference bookings.CalendarFeed messaging.Conversation messaging.Message "
        "messaging.Attachment "
        "messaging.MessageReport bookings.Review bookings.ReviewReport bookings.Booking.cancellation_reason",
        kept="until the account is erased",
        task="privacy.tasks.erase_due",
        why="It is the service itself; the person decides.",
    ),
    Rule(
        what="Bookings and money, after erasure without a person",
        columns="bookings.Booking bookings.Seat payments.Payment payments.Refund payments.RefundRequest "
        "payments.Reconciliation",
        kept="for good",
        why="Books must be kept for up to ten years, and seats that were paid stay counted.",
    ),
    Rule(
        what="Providers, their places and their catalogue",
        columns="providers.ProviderAccount providers.Location marketplace.Activity marketplace.Session "
        "marketplace.SearchRow",
        kept="until the business is closed",
        task="privacy.tasks.erase_due",
        why="Public, and part of what was booked; what leads to a person goes with its last owner.",
    ),
    Rule(
        what="Payloads of processors' events",
        columns="payments.WebhookEvent.payload payments.WebhookEvent.processor_payment_id",
        setting="WEBHOOK_PAYLOAD_RETENTION_DAYS",
        task="payments.tasks.purge_payloads",
        why="Processors send again for days, disputes look back for weeks. The row stays, against a second effect.",
    ),
    Rule(
        what="Notifications",
        columns="notifications.Notification",
        setting="NOTIFICATION_RETENTION_DAYS",
        task="notifications.tasks.purge",
        why="An inbox that nobody scrolls further.",
    ),
    Rule(
        what="Answers kept for repeated requests",
        columns="core.IdempotencyKey",
        setting="IDEMPOTENCY_TTL_HOURS",
        unit="hours",
        task="core.tasks.purge_idempotency_keys",
        why="A client repeats within minutes.",
    ),
    Rule(
        what="Invitations that nobody accepted",
        columns="providers.Invitation",
        kept="30 days after they expired",
        task="providers.tasks.purge_invitations",
        why="So that who invited sees what became of it.",
    ),
    Rule(
        what="Archives of one's own data",
        columns="privacy.ExportRequest.file",
        kept="3 days",
        task="privacy.tasks.make_exports",
        why="Time enough to fetch it.",
    ),
    Rule(
        what="Requests for such archives",
        columns="privacy.ExportRequest",
        rows="created_at",
        setting="EXPORT_REQUEST_RETENTION_DAYS",
        task=PURGE,
        why="To show that they were answered.",
    ),
    Rule(
        what="Who looked at which roster",
        columns="bookings.RosterView",
        rows="created_at",
        setting="ROSTER_VIEW_RETENTION_DAYS",
        task=PURGE,
        why="A parent may ask for a year who saw their child's details.",
    ),
    Rule(
        what="Addresses that refused our mail, hashed",
        columns="notifications.Bounce",
        rows="happened_at",
        setting="BOUNCE_RETENTION_DAYS",
        task=PURGE,
        why="Mailboxes come back, and are handed on.",
    ),
    Rule(
        what="The admin's own log",
        columns="admin.LogEntry",
        rows="action_time",
        setting="AUDIT_RETENTION_DAYS",
        task=PURGE,
        why="As the audit trail.",
    ),
    Rule(
        what="The audit trail",
        columns="core.AuditEntry",
        setting="AUDIT_RETENTION_DAYS",
        task="core.tasks.purge_audit_trail",
        why="Mistakes and misuse come to light late.",
    ),
    Rule(
        what="Sign-ins of staff",
        columns="sessions.Session",
        kept="until they expire",
        task="core.tasks.purge_sessions",
        why="Nothing else needs them.",
    ),
    Rule(
        what="Erased accounts: the receipt, and the sign-in's hash",
        columns="privacy.ErasureRequest users.AccountTombstone",
        kept="for good",
        why="So that an old token brings nothing back, and we can show that we erased; neither leads to a person.",
    ),
    Rule(
        what="Sign-in of staff by a second factor",
        columns="otp_totp.TOTPDevice otp_static.StaticToken",
        kept="while they are staff",
        why="It is how they sign in.",
    ),
]


def purge(*, now: datetime, batch: int = BATCH) -> dict[str, int]:
    """Deletes the rows whose time is over, at most `batch` of each rule; how many, by table.

    Twice, or by two workers at once, does no harm: each passes over what the other is deleting.
    """
    return {rule.columns: purge_rows(rule, now=now, batch=batch) for rule in RULES if rule.rows}


def purge_rows(rule: Rule, *, now: datetime, batch: int) -> int:
    rows = apps.get_model(rule.columns)._default_manager
    before = now - timedelta(**{rule.unit: getattr(settings, rule.setting)})
    with transaction.atomic():
        old = rows.filter(**{f"{rule.rows}__lt": before}).order_by(rule.rows).select_for_update(skip_locked=True)
        return rows.filter(pk__in=list(old.values_list("pk", flat=True)[:batch])).delete()[0]
