"""Money: payments, refunds, who asked for these, and the processors' events that move them (API architecture §9).

Amounts are integer cents or paise. Only a verified webhook event makes a payment paid.
"""

from datetime import datetime

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q

from core.classification import Privacy
from core.models import Currency, Lifecycle, Model, one_of, status_field


class ProcessorName(models.TextChoices):
    STRIPE = "stripe"
    RAZORPAY = "razorpay"


class PaymentStatus(models.TextChoices):
    CREATED = "created"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    REFUNDED = "refunded"


class Payment(Lifecycle, Model):
    """One checkout for one booking. Amount, currency and the checkout's end are frozen when it is created."""

    Status = PaymentStatus

    # created|pending|failed → refunded: a full refund can be reported before the success that it undoes.
    # refunded → paid: a refund that the processor took back.
    TRANSITIONS = {
        Status.CREATED: {Status.PENDING, Status.PAID, Status.FAILED, Status.REFUNDED},
        Status.PENDING: {Status.PAID, Status.FAILED, Status.REFUNDED},
        Status.FAILED: {Status.PENDING, Status.PAID, Status.REFUNDED},
        Status.PAID: {Status.REFUNDED},
        Status.REFUNDED: {Status.PAID},
    }
    OPEN = (Status.CREATED, Status.PENDING, Status.FAILED)

    booking = models.ForeignKey("bookings.Booking", models.PROTECT, related_name="payments")
    amount_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    processor = status_field(ProcessorName)
    processor_payment_id = models.CharField(max_length=255, null=True, blank=True, db_index=True)
    processor_checkout_id = models.CharField(max_length=255, null=True, blank=True, db_index=True)
    checkout_url = models.TextField(blank=True, default="", db_default="")
    checkout_expires_at = models.DateTimeField(help_text="Sent to the processor; frozen, as its idempotency needs")
    status = status_field(Status, Status.CREATED)
    status_reason = models.TextField(null=True, blank=True)
    # Not the client's Idempotency-Key (that is scoped to a user): the key under which the processor knows this row.
    idempotency_key = models.CharField(max_length=255, unique=True, null=True, blank=True)
    needs_review = models.BooleanField(default=False, db_default=False, help_text="Ops must look at this payment")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.ForeignKey("users.User", models.SET_NULL, null=True, blank=True, related_name="+")
    review_note = models.CharField(
        max_length=500, blank=True, default="", db_default="", help_text="What was wrong, and how it was settled"
    )
    looked_up_at = models.DateTimeField(null=True, blank=True, help_text="When we last asked the processor about it")
    pending_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    refunded_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(
        high="processor_payment_id processor_checkout_id checkout_url",
        medium="review_note",
        operational="booking amount_cents currency processor checkout_expires_at status status_reason "
        "idempotency_key needs_review reviewed_at reviewed_by looked_up_at pending_at paid_at failed_at refunded_at",
    )

    class Meta:
        constraints = [
            one_of("status", PaymentStatus.values, "payment_status_allowed"),
            one_of("currency", Currency.values, "payment_currency_allowed"),
            one_of("processor", ProcessorName.values, "payment_processor_allowed"),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(
                condition=~Q(status="paid") | Q(paid_at__isnull=False), name="payment_paid_at_known"
            ),
            # A failed checkout is reopened (failed → pending) while its page still stands, not replaced.
            models.UniqueConstraint(
                fields=["booking"], condition=Q(status__in=["created", "pending"]), name="payment_one_open_per_booking"
            ),
        ]
        indexes = [
            models.Index(fields=["created_at"], condition=Q(needs_review=True), name="payment_review_queue"),
            models.Index(
                fields=["created_at"], condition=Q(status__in=["created", "pending", "failed"]), name="payment_unpaid"
            ),
            models.Index(fields=["-id"], condition=Q(status="refunded"), name="payment_refunded"),
            BrinIndex(fields=["created_at"], autosummarize=True, name="payment_created"),
        ]
        permissions = [("end_review", "Can end the review of a payment")]

    def __str__(self) -> str:
        return f"payment {self.pk}"


class RefundQuerySet(models.QuerySet["Refund"]):
    def due(self, *, now: datetime) -> "RefundQuerySet":
        """Refunds to send to their processor at `now`."""
        return self.filter(status=Refund.Status.PENDING, next_attempt_at__lte=now)

    def unconfirmed(self, *, now: datetime) -> "RefundQuerySet":
        """Refunds that were sent so long ago that the processor's word on them should have come by `now`."""
        return self.filter(status=Refund.Status.SENT, next_attempt_at__lte=now)


class RefundStatus(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Refund(Lifecycle, Model):
    """Money owed or given back on a payment. The row comes first; a worker sends it after commit, until it is done.

    A trigger sees to it that what we owe on a payment is never more than what was paid.
    """

    Status = RefundStatus

    TRANSITIONS = {
        Status.PENDING: {Status.SENT, Status.SUCCEEDED, Status.FAILED},
        Status.SENT: {Status.SUCCEEDED, Status.FAILED},
        Status.SUCCEEDED: {Status.FAILED},
        Status.FAILED: {Status.PENDING, Status.SUCCEEDED},
    }

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    amount_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    reason = models.CharField(max_length=500)
    status = status_field(Status, Status.PENDING)
    processor_refund_id = models.CharField(max_length=255, null=True, blank=True, unique=True)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    # A key that was answered with no would bring the same no again, so each refusal makes the next try's key another.
    refusals = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(
        null=True, blank=True, help_text="When to send it next; once it is sent, when to ask what became of it"
    )
    error = models.CharField(max_length=500, blank=True, default="", db_default="")
    is_external = models.BooleanField(
        default=False, db_default=False, help_text="Made at the processor, and not asked for by us"
    )
    succeeded_at = models.DateTimeField(null=True, blank=True)

    privacy = Privacy(
        high="processor_refund_id",
        medium="reason",
        operational="payment amount_cents currency status attempts refusals next_attempt_at error is_external "
        "succeeded_at",
    )

    objects = RefundQuerySet.as_manager()

    class Meta:
        constraints = [
            one_of("status", RefundStatus.values, "refund_status_allowed"),
            one_of("currency", Currency.values, "refund_currency_allowed"),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="refund_amount_positive"),
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(status="pending"), name="refund_due"),
            models.Index(fields=["next_attempt_at"], condition=Q(status="sent"), name="refund_unconfirmed"),
            models.Index(fields=["-id"], condition=Q(status="failed"), name="refund_failed"),
        ]
        permissions = [("retry_refund", "Can have failed refunds sent again")]

    def __str__(self) -> str:
        return f"refund {self.pk}"


class RefundRequestStatus(models.TextChoices):
    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"


class RefundRequest(Lifecycle, Model):
    """That a member of staff wants money given back, or a booking cancelled in full, and why.

    What `needs_approval` waits for a second member of staff. Everything else is approved as it is asked for.
    """

    Status = RefundRequestStatus

    TRANSITIONS = {Status.WAITING: {Status.APPROVED, Status.DECLINED}}

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refund_requests")
    amount_cents = models.PositiveIntegerField()
    currency = models.CharField(max_length=3, choices=Currency.choices)
    cancels_booking = models.BooleanField(default=False, db_default=False)
    reason = models.CharField(max_length=500)
    needs_approval = models.BooleanField()
    status = status_field(Status, Status.WAITING)
    requested_by = models.ForeignKey("users.User", models.PROTECT, related_name="+")
    decided_by = models.ForeignKey("users.User", models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision = models.CharField(max_length=500, blank=True, default="", db_default="")

    privacy = Privacy(
        medium="reason decision",
        operational="payment amount_cents currency cancels_booking needs_approval status requested_by decided_by "
        "decided_at",
    )

    class Meta:
        permissions = [
            ("refund_payment", "Can give money back"),
            ("approve_refund", "Can approve and decline refunds that others asked for"),
        ]
        constraints = [
            one_of("status", RefundRequestStatus.values, "refundrequest_status_allowed"),
            one_of("currency", Currency.values, "refundrequest_currency_allowed"),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="refundrequest_amount_positive"),
            models.UniqueConstraint(
                fields=["payment"], condition=Q(status="waiting"), name="refundrequest_one_waiting"
            ),
            models.CheckConstraint(
                condition=~Q(status="approved", needs_approval=True)
                | (Q(decided_by__isnull=False) & ~Q(decided_by=F("requested_by"))),
                name="refundrequest_second_pair_of_eyes",
            ),
            models.CheckConstraint(
                condition=(~Q(status="waiting") | Q(decided_at__isnull=True, needs_approval=True))
                & (~Q(status__in=["approved", "declined"]) | Q(decided_at__isnull=False)),
                name="refundrequest_decided_at_known",
            ),
            models.CheckConstraint(
                condition=~Q(status="declined") | (Q(decided_by__isnull=False) & ~Q(decision="")),
                name="refundrequest_declined_with_reason",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], condition=Q(status="waiting"), name="refundrequest_waiting")]

    def __str__(self) -> str:
        return f"request for {self.amount_cents / 100:,.2f} {self.currency}"


class WebhookEventStatus(models.TextChoices):
    PROCESSED = "processed"
    IGNORED = "ignored"
    FAILED = "failed"


class WebhookEvent(Model):
    """One verified event of a processor, kept without card and contact data: the inbox.

    Event id and body hash are both unique: Razorpay's id header is not covered by its signature. A failed event had no
    effect and is taken up again; its `payload` says all that is needed for that.
    """

    Status = WebhookEventStatus

    processor = status_field(ProcessorName)
    event_id = models.CharField(max_length=255)
    body_sha256 = models.CharField(max_length=64)
    type = models.CharField(max_length=100)
    status = status_field(Status, Status.PROCESSED)
    note = models.CharField(max_length=500, blank=True, default="", db_default="", help_text="What it did")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    error = models.CharField(max_length=500, blank=True, default="", db_default="", help_text="Why it failed last")
    payload = models.JSONField()
    processor_payment_id = models.CharField(max_length=255, null=True, blank=True)
    payment = models.ForeignKey(Payment, models.SET_NULL, null=True, related_name="webhook_events")

    privacy = Privacy(
        high="payload processor_payment_id",
        operational="processor event_id body_sha256 type status note attempts error payment",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["processor", "event_id"], name="webhookevent_id_unique"),
            models.UniqueConstraint(fields=["processor", "body_sha256"], name="webhookevent_body_unique"),
            one_of("processor", ProcessorName.values, "webhookevent_processor_allowed"),
            one_of("status", WebhookEventStatus.values, "webhookevent_status_allowed"),
        ]
        indexes = [
            models.Index(fields=["updated_at"], condition=Q(status="failed"), name="webhookevent_failed"),
            # Refunds and disputes that were told before their payment.
            models.Index(
                fields=["processor_payment_id"],
                condition=Q(status="ignored", payment__isnull=True, processor_payment_id__isnull=False),
                name="webhookevent_waiting",
            ),
            models.Index(fields=["processor_payment_id"], name="webhookevent_of_payment"),
            BrinIndex(fields=["created_at"], autosummarize=True, name="webhookevent_created"),
        ]
        permissions = [("replay_event", "Can have failed events worked on again")]

    def __str__(self) -> str:
        return f"{self.processor} {self.type}"


class Reconciliation(Model):
    """Until when a processor's books have been compared with ours."""

    processor = status_field(ProcessorName)
    until = models.DateTimeField()

    privacy = Privacy(operational="processor until")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["processor"], name="reconciliation_one_per_processor"),
            one_of("processor", ProcessorName.values, "reconciliation_processor_allowed"),
        ]

    def __str__(self) -> str:
        return f"{self.processor} until {self.until:%Y-%m-%d %H:%M}"
