"""What we tell people.

A notification is written in the transaction of the fact that it tells, and sent after commit.
"""

from datetime import datetime

from django.db import models
from django.db.models import Q

from core.classification import Privacy
from core.models import Lifecycle, Model, one_of, status_field


class NotificationKind(models.TextChoices):
    """Everything that Juniro tells people of its own accord. docs/notifications.md says to whom, and of which row."""

    BOOKING_CONFIRMED = "booking_confirmed", "Booking confirmed"
    BOOKING_RECEIVED = "booking_received", "New booking"
    BOOKING_CANCELLED = "booking_cancelled", "Booking cancelled"
    BOOKING_RESCHEDULED = "booking_rescheduled", "Booking moved"
    HOLD_ENDING = "hold_ending", "Hold about to end"
    PAYMENT_FAILED = "payment_failed", "Payment failed"
    REFUND_SENT = "refund_sent", "Refund sent"
    SESSION_CHANGED = "session_changed", "Session changed"
    SESSION_CANCELLED = "session_cancelled", "Session cancelled"
    SESSION_REMINDER = "session_reminder", "Reminder the day before"
    REVIEW_PROMPT = "review_prompt", "Asking for a review"
    REVIEW_RECEIVED = "review_received", "New review"
    RESPONSE_RECEIVED = "response_received", "Response to a review"
    PROVIDER_SUBMITTED = "provider_submitted", "Provider submitted"
    PROVIDER_VERIFIED = "provider_verified", "Provider verified"
    PROVIDER_REJECTED = "provider_rejected", "Provider rejected"
    PROVIDER_SUSPENDED = "provider_suspended", "Provider suspended"
    PROVIDER_REINSTATED = "provider_reinstated", "Provider reinstated"
    INVITATION = "invitation", "Invitation to a team"
    MESSAGE_RECEIVED = "message_received", "New messages"
    CONSENT_RECEIPT = "consent_receipt", "Consent receipt"
    ERASURE_RECEIPT = "erasure_receipt", "Erasure receipt"


# Mail of these can be switched off; the others tell of money, seats or rights, and always go out.
OPTIONAL = (
    NotificationKind.BOOKING_RECEIVED,
    NotificationKind.SESSION_REMINDER,
    NotificationKind.REVIEW_PROMPT,
    NotificationKind.REVIEW_RECEIVED,
    NotificationKind.RESPONSE_RECEIVED,
    NotificationKind.MESSAGE_RECEIVED,
)

# Asked for by us and for us: nothing for those who said no to marketing.
PROMOTIONAL = (NotificationKind.REVIEW_PROMPT,)

# Told to providers' staff, never to parents.
FOR_PROVIDERS = (
    NotificationKind.BOOKING_RECEIVED,
    NotificationKind.REVIEW_RECEIVED,
    NotificationKind.PROVIDER_SUBMITTED,
    NotificationKind.PROVIDER_VERIFIED,
    NotificationKind.PROVIDER_REJECTED,
    NotificationKind.PROVIDER_SUSPENDED,
    NotificationKind.PROVIDER_REINSTATED,
)


class NotificationStatus(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    MUTED = "muted", "Muted (in the app only)"
    DROPPED = "dropped", "Dropped (no longer true)"
    FAILED = "failed"


class NotificationQuerySet(models.QuerySet["Notification"]):
    def due(self, *, now: datetime) -> "NotificationQuerySet":
        """Those that are to be mailed at `now`."""
        return self.filter(status=NotificationStatus.PENDING, next_attempt_at__lte=now)

    def inbox(self) -> "NotificationQuerySet":
        """What people see in the app, whether or not it was mailed, too; latest first."""
        return self.exclude(status=NotificationStatus.DROPPED).order_by("-id")


class Notification(Lifecycle, Model):
    """One thing to tell one user, at most once: `dedupe_key` is unique.

    `subject_id` names the row that it tells of (a booking, a session); names and other PII are read when the
    message is rendered, never stored here. While one worker sends it, `next_attempt_at` lies ahead, so that no other
    does; `error` says why it is failed, muted or dropped.
    """

    Kind = NotificationKind

    Status = NotificationStatus

    TRANSITIONS = {
        Status.PENDING: {Status.SENT, Status.MUTED, Status.DROPPED, Status.FAILED},
        Status.FAILED: {Status.PENDING},
    }

    user = models.ForeignKey("users.User", models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=50, choices=Kind.choices)
    subject_id = models.UUIDField(null=True, blank=True)
    dedupe_key = models.CharField(max_length=200, unique=True)
    status = status_field(Status, Status.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, default="", db_default="")
    sent_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(
        operational="user kind subject_id dedupe_key status attempts next_attempt_at error sent_at read_at",
    )

    objects = NotificationQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("status", NotificationStatus.values, "notification_status_allowed"),
            one_of("kind", NotificationKind.values, "notification_kind_allowed"),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="notification_inbox"),
            models.Index(fields=["user"], condition=Q(read_at__isnull=True), name="notification_unread"),
            models.Index(fields=["next_attempt_at"], condition=Q(status="pending"), name="notification_due"),
            models.Index(fields=["created_at"], condition=Q(status="failed"), name="notification_failed"),
            models.Index(
                fields=["status", "-id"], condition=Q(status__in=["muted", "dropped"]), name="notification_not_mailed"
            ),
            models.Index(fields=["kind", "-id"], name="notification_by_kind"),
            models.Index(fields=["created_at"], name="notification_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.status})"


class NotificationPreference(Model):
    """Whether a user wants a kind of notification by e-mail; no row means yes."""

    user = models.ForeignKey("users.User", models.CASCADE, related_name="notification_preferences")
    kind = models.CharField(max_length=50, choices=[(kind.value, kind.label) for kind in OPTIONAL])
    email = models.BooleanField(default=True, db_default=True)

    privacy = Privacy(operational="user kind email")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "kind"], name="notificationpreference_user_kind_unique"),
            one_of("kind", OPTIONAL, "notificationpreference_kind_optional"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {'on' if self.email else 'off'}"


class BounceReason(models.TextChoices):
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint", "Complaint (marked as spam)"


class Bounce(Model):
    """An address of a user that does not exist, or whose owner called our mail spam. Only its hash is kept.

    While it is the user's address, only mail that cannot be switched off goes there.
    """

    Reason = BounceReason

    user = models.ForeignKey("users.User", models.CASCADE, related_name="bounces")
    email_sha256 = models.CharField(max_length=64)
    reason = status_field(Reason)
    happened_at = models.DateTimeField()

    privacy = Privacy(medium="email_sha256", operational="user reason happened_at")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "email_sha256"], name="bounce_user_email_unique"),
            one_of("reason", BounceReason.values, "bounce_reason_allowed"),
        ]

    def __str__(self) -> str:
        return f"{self.reason} of {self.user_id}"
