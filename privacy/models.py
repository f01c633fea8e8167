"""What people ask for about their own data: a copy of it, and its end (API architecture §6, multi-region)."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from core.classification import Privacy
from core.models import Lifecycle, Model, one_of, status_field


class ErasureQuerySet(models.QuerySet["ErasureRequest"]):
    def open(self) -> "ErasureQuerySet":
        return self.filter(status__in=[ErasureRequest.Status.REQUESTED, ErasureRequest.Status.ERASED])

    def due(self, *, now: datetime) -> "ErasureQuerySet":
        """Requests with a next step to take at `now`."""
        return self.open().filter(next_step_at__lte=now)


class ErasureStatus(models.TextChoices):
    REQUESTED = "requested"
    ERASED = "erased"
    DONE = "done"
    CANCELLED = "cancelled"


class ErasureRequest(Lifecycle, Model):
    """An account on its way out, and afterwards the receipt of it.

    Requested; erased here once the grace period is over; done when nothing is left to do elsewhere. What that needs is
    kept just as long as it takes: `auth_id` for Supabase, `receipt_to` for the last mail, `slugs` for the global layer.
    """

    Status = ErasureStatus

    TRANSITIONS = {
        Status.REQUESTED: {Status.ERASED, Status.CANCELLED},
        Status.ERASED: {Status.DONE},
    }

    user = models.ForeignKey("users.User", models.PROTECT, related_name="erasure_requests")
    status = status_field(Status, Status.REQUESTED)
    auth_id = models.CharField(max_length=255, blank=True, default="", db_default="")
    slugs = ArrayField(models.SlugField(max_length=80), default=list, db_default=[], blank=True)
    next_step_at = models.DateTimeField(help_text="When the erasure itself, or the next try at what is left, is due")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    erased_at = models.DateTimeField(null=True, blank=True)
    auth_deleted_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    receipt_to = models.EmailField(blank=True, default="", db_default="")
    receipt_due_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, default="", db_default="")

    privacy = Privacy(
        medium="auth_id receipt_to slugs",
        operational="user status next_step_at attempts erased_at auth_deleted_at completed_at receipt_due_at error",
    )

    objects = ErasureQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("status", ErasureStatus.values, "erasurerequest_status_allowed"),
            models.UniqueConstraint(
                fields=["user"], condition=Q(status__in=["requested", "erased"]), name="erasurerequest_one_open"
            ),
            models.CheckConstraint(
                condition=~Q(status="done") | Q(auth_id="", receipt_to="", slugs=[], completed_at__isnull=False),
                name="erasurerequest_done_keeps_nothing",
            ),
            models.CheckConstraint(
                condition=Q(receipt_to="", receipt_due_at__isnull=True)
                | (~Q(receipt_to="") & Q(receipt_due_at__isnull=False)),
                name="erasurerequest_receipt_is_due",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_step_at"], condition=Q(status__in=["requested", "erased"]), name="erasurerequest_due"
            )
        ]
        permissions = [("request_erasure", "Can start, hurry and take back the erasure of an account")]

    def __str__(self) -> str:
        return f"erasure {self.pk}"


class ExportStatus(models.TextChoices):
    QUEUED = "queued"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"


class ExportRequest(Lifecycle, Model):
    """An archive of everything about a user, made by a worker and kept for a short time."""

    Status = ExportStatus

    TRANSITIONS = {
        Status.QUEUED: {Status.READY, Status.FAILED},
        Status.READY: {Status.EXPIRED},
        Status.FAILED: {Status.QUEUED},
    }

    user = models.ForeignKey("users.User", models.CASCADE, related_name="export_requests")
    status = status_field(Status, Status.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Per cent")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField()
    file = models.CharField(max_length=200, blank=True, default="", db_default="", help_text="In the region's storage")
    expires_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(medium="file", operational="user status progress attempts next_attempt_at expires_at")

    class Meta:
        constraints = [
            one_of("status", ExportStatus.values, "exportrequest_status_allowed"),
            models.UniqueConstraint(fields=["user"], condition=Q(status="queued"), name="exportrequest_one_queued"),
            models.CheckConstraint(condition=Q(progress__lte=100), name="exportrequest_progress_range"),
            models.CheckConstraint(
                condition=~Q(status="ready") | (~Q(file="") & Q(expires_at__isnull=False)),
                name="exportrequest_ready_has_a_file",
            ),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(status="queued"), name="exportrequest_queue"),
            models.Index(fields=["expires_at"], condition=Q(status="ready"), name="exportrequest_ready"),
        ]
        permissions = [("request_export", "Can have an archive made for its owner, who alone can read it")]

    def __str__(self) -> str:
        return f"export {self.pk}"
