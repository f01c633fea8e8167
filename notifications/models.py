"""What we tell people.

A notification is written in the transaction of the fact that it tells, and sent after commit.
"""

from django.db import models

from core.models import Lifecycle, Model, one_of, status_field


class NotificationKind(models.TextChoices):
    """Everything that Juniro tells people of its own accord."""

    BOOKING_CONFIRMED = "booking_confirmed"
    BOOKING_RECEIVED = "booking_received", "Booking received (provider)"
    BOOKING_CANCELLED = "booking_cancelled"
    BOOKING_RESCHEDULED = "booking_rescheduled"
    HOLD_ENDING = "hold_ending"
    PAYMENT_FAILED = "payment_failed"
    REFUND_SENT = "refund_sent"
    SESSION_CHANGED = "session_changed"
    SESSION_CANCELLED = "session_cancelled"
    SESSION_REMINDER = "session_reminder"
    REVIEW_PROMPT = "review_prompt"
    REVIEW_RECEIVED = "review_received"
    RESPONSE_RECEIVED = "response_received"
    PROVIDER_SUBMITTED = "provider_submitted"
    PROVIDER_VERIFIED = "provider_verified"
    PROVIDER_REJECTED = "provider_rejected"
    PROVIDER_SUSPENDED = "provider_suspended"
    PROVIDER_REINSTATED = "provider_reinstated"
    INVITATION = "invitation"
    MESSAGE_RECEIVED = "message_received"
    CONSENT_RECEIPT = "consent_receipt"
    ERASURE_RECEIPT = "erasure_receipt"


class NotificationStatus(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class Notification(Lifecycle, Model):
    """One thing to tell one user, at most once: `dedupe_key` is unique.

    `subject_id` names the row that it tells of (a booking, a session); names and other PII are read when the
    message is rendered, never stored here.
    """

    Kind = NotificationKind

    Status = NotificationStatus

    TRANSITIONS = {Status.PENDING: {Status.SENT, Status.FAILED}, Status.FAILED: {Status.PENDING}}

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

    class Meta:
        constraints = [
            one_of("status", NotificationStatus.values, "notification_status_allowed"),
            one_of("kind", NotificationKind.values, "notification_kind_allowed"),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="notification_inbox"),
            models.Index(fields=["next_attempt_at"], condition=models.Q(status="pending"), name="notification_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.status})"


class NotificationPreference(Model):
    """Whether a user wants a kind of notification by e-mail; no row means yes."""

    user = models.ForeignKey("users.User", models.CASCADE, related_name="notification_preferences")
    kind = models.CharField(max_length=50)
    email = models.BooleanField(default=True, db_default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "kind"], name="notificationpreference_user_kind_unique")]

    def __str__(self) -> str:
        return f"{self.kind}: {'on' if self.email else 'off'}"
