"""What we tell people.

A notification is written in the transaction of the fact that it tells, and sent after commit.
"""

from django.db import models

from core.models import Lifecycle, Model, one_of, status_field


class NotificationStatus(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


class Notification(Lifecycle, Model):
    """One thing to tell one user, at most once: `dedupe_key` is unique.

    `subject_id` names the row that it tells of (a booking, a session); names and other PII are read when the
    message is rendered, never stored here.
    """

    Status = NotificationStatus

    TRANSITIONS = {Status.PENDING: {Status.SENT, Status.FAILED}, Status.FAILED: {Status.PENDING}}

    user = models.ForeignKey("users.User", models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=50)
    subject_id = models.UUIDField(null=True, blank=True)
    dedupe_key = models.CharField(max_length=200, unique=True)
    status = status_field(Status, Status.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, default="", db_default="")
    sent_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [one_of("status", NotificationStatus.values, "notification_status_allowed")]
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
