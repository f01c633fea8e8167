"""The front page of the admin: what waits for somebody, and how things go.

Everybody sees what their rights let them open, and no more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.timesince import timesince

from bookings.models import Review
from core.admin import list_url, may_view
from juniro import trends
from marketplace import upkeep
from messaging.models import MessageReport
from notifications.models import Notification
from payments.models import Payment, Refund, RefundRequest, WebhookEvent
from privacy.models import ErasureRequest, ExportRequest
from providers.models import ProviderAccount

# What a worker should have done by now has waited for so long.
OVERDUE = timedelta(hours=1)
# A drift is mended at once; that it happened is news for so long.
NEWS = timedelta(days=7)


@dataclass(frozen=True)
class Queue:
    """Rows of the model `label` that wait for somebody. `where` are the filters of its list that show the same rows.

    Once the oldest has waited since `since` for longer than `patience`, it is late.
    """

    title: str
    icon: str
    label: str
    rows: Callable[[datetime], QuerySet]
    where: Callable[[datetime], dict[str, Any]]
    since: str = "created_at"
    patience: timedelta = timedelta(days=1)

    def waiting(self, now: datetime) -> "Waiting":
        found = self.rows(now).aggregate(count=Count("pk", distinct=True), oldest=Min(self.since))
        return Waiting(
            title=self.title,
            icon=self.icon,
            url=list_url(self.label, **self.where(now)),
            count=found["count"],
            oldest=f"oldest {timesince(found['oldest'], now, depth=1)}" if found["oldest"] else "",
            is_late=bool(found["oldest"]) and now - found["oldest"] > self.patience,
        )


@dataclass(frozen=True)
class Waiting:
    """How many wait, since when, and where to find them."""

    title: str
    icon: str
    url: str
    count: int
    oldest: str
    is_late: bool


def ago(now: datetime, gap: timedelta) -> str:
    return f"{(now - gap).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


QUEUES = [
    Queue(
        "Providers to verify",
        "storefront",
        "providers.ProviderAccount",
        lambda now: ProviderAccount.objects.filter(status="pending", submitted_at__isnull=False),
        lambda now: {"status__exact": "pending", "submitted_at__isempty": 0},
        since="submitted_at",
        patience=timedelta(days=2),
    ),
    Queue(
        "Payments to review",
        "payments",
        "payments.Payment",
        lambda now: Payment.objects.filter(needs_review=True),
        lambda now: {"needs_review__exact": 1},
    ),
    Queue(
        "Refunds that failed",
        "currency_exchange",
        "payments.Refund",
        lambda now: Refund.objects.filter(status="failed"),
        lambda now: {"status__exact": "failed"},
    ),
    Queue(
        "Refunds to approve",
        "approval",
        "payments.RefundRequest",
        lambda now: RefundRequest.objects.filter(status="waiting"),
        lambda now: {"status__exact": "waiting"},
    ),
    Queue(
        "Webhook events that fail",
        "webhook",
        "payments.WebhookEvent",
        lambda now: WebhookEvent.objects.filter(status="failed"),
        lambda now: {"status__exact": "failed"},
        patience=timedelta(hours=1),
    ),
    Queue(
        "Reported reviews",
        "reviews",
        "bookings.Review",
        lambda now: Review.objects.filter(reports__status="open"),
        lambda now: {"reports": "open"},
        since="reports__created_at",
        patience=timedelta(days=2),
    ),
    Queue(
        "Reported messages",
        "chat",
        "messaging.MessageReport",
        lambda now: MessageReport.objects.filter(status="open"),
        lambda now: {"status__exact": "open"},
    ),
    Queue(
        "Mails that failed",
        "mail_off",
        "notifications.Notification",
        lambda now: Notification.objects.filter(status="failed"),
        lambda now: {"status__exact": "failed"},
    ),
    Queue(
        "Mails that do not get out",
        "schedule_send",
        "notifications.Notification",
        lambda now: Notification.objects.due(now=now - OVERDUE),
        lambda now: {"status__exact": "pending", "next_attempt_at__lte": ago(now, OVERDUE)},
        since="next_attempt_at",
    ),
    Queue(
        "Erasures that Supabase holds up",
        "person_off",
        "privacy.ErasureRequest",
        lambda now: ErasureRequest.objects.open().filter(attempts__gte=3),
        lambda now: {"status__in": "requested,erased", "attempts__gte": 3},
    ),
    Queue(
        "Erasures that are overdue",
        "delete_forever",
        "privacy.ErasureRequest",
        lambda now: ErasureRequest.objects.due(now=now - OVERDUE),
        lambda now: {"status__in": "requested,erased", "next_step_at__lte": ago(now, OVERDUE)},
        since="next_step_at",
        patience=OVERDUE,
    ),
    Queue(
        "Exports that failed",
        "folder_off",
        "privacy.ExportRequest",
        lambda now: ExportRequest.objects.filter(status="failed"),
        lambda now: {"status__exact": "failed"},
    ),
]


def drifted(now: datetime) -> Waiting | None:
    """What the last comparisons of search with the catalogue found; None where all is well or nothing is known."""
    check = upkeep.last_check()
    if check is None:
        return None
    unchecked = now - check.at > upkeep.CHECKED_EVERY * 3
    if unchecked:
        title, count, oldest, where = "Search not compared", 0, f"for {timesince(check.at, now, depth=1)}", {}
    elif check.drifted_at and now - check.drifted_at < NEWS:
        title, count = "Search had drifted, and was mended", check.activities
        oldest, where = f"{timesince(check.drifted_at, now, depth=1)} ago", {"id__in": ",".join(check.first)}
    else:
        return None
    return Waiting(title, "manage_search", list_url("marketplace.Activity", **where), count, oldest, unchecked)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the front page shows besides its frame."""
    now = timezone.now()
    queues = [queue.waiting(now) for queue in QUEUES if may_view(request, queue.label)]
    if may_view(request, "marketplace.Activity") and (drift := drifted(now)):
        queues.append(drift)
    waiting = [queue for queue in queues if queue.count or queue.is_late]
    return context | {
        "title": "Home",
        "waiting": sorted(waiting, key=lambda each: not each.is_late),
        "watched": [queue.title for queue in queues],
        "trends": trends.shown(request, now=now),
        "trends_until": trends.last_day(now),
        "trends_zone": trends.zone(),
    }
