import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("bookings", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Payment",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid_utils.compat.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(auto_now=True, db_default=django.db.models.functions.datetime.Now()),
                ),
                ("amount_cents", models.PositiveIntegerField()),
                ("currency", models.CharField(choices=[("USD", "USD"), ("INR", "INR")], max_length=3)),
                (
                    "processor",
                    models.CharField(choices=[("stripe", "Stripe"), ("razorpay", "Razorpay")], max_length=20),
                ),
                ("processor_payment_id", models.CharField(blank=True, db_index=True, max_length=255, null=True)),
                ("processor_checkout_id", models.CharField(blank=True, db_index=True, max_length=255, null=True)),
                ("checkout_url", models.TextField(blank=True, db_default="", default="")),
                (
                    "checkout_expires_at",
                    models.DateTimeField(help_text="Sent to the processor; frozen, as its idempotency needs"),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("created", "Created"),
                            ("pending", "Pending"),
                            ("paid", "Paid"),
                            ("failed", "Failed"),
                            ("refunded", "Refunded"),
                        ],
                        db_default="created",
                        default="created",
                        max_length=20,
                    ),
                ),
                ("status_reason", models.TextField(blank=True, null=True)),
                ("idempotency_key", models.CharField(blank=True, max_length=255, null=True, unique=True)),
                (
                    "needs_review",
                    models.BooleanField(db_default=False, default=False, help_text="Ops must look at this payment"),
                ),
                ("pending_at", models.DateTimeField(blank=True, null=True)),
                ("paid_at", models.DateTimeField(blank=True, null=True)),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
                ("refunded_at", models.DateTimeField(blank=True, null=True)),
                (
                    "booking",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="payments", to="bookings.booking"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Refund",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid_utils.compat.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(auto_now=True, db_default=django.db.models.functions.datetime.Now()),
                ),
                ("amount_cents", models.PositiveIntegerField()),
                ("currency", models.CharField(choices=[("USD", "USD"), ("INR", "INR")], max_length=3)),
                ("reason", models.CharField(max_length=500)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("sent", "Sent"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("processor_refund_id", models.CharField(blank=True, max_length=255, null=True, unique=True)),
                ("attempts", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("succeeded_at", models.DateTimeField(blank=True, null=True)),
                (
                    "payment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="refunds", to="payments.payment"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WebhookEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid_utils.compat.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(auto_now=True, db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "processor",
                    models.CharField(choices=[("stripe", "Stripe"), ("razorpay", "Razorpay")], max_length=20),
                ),
                ("event_id", models.CharField(max_length=255)),
                ("body_sha256", models.CharField(max_length=64)),
                ("type", models.CharField(max_length=100)),
                (
                    "status",
                    models.CharField(
                        choices=[("processed", "Processed"), ("ignored", "Ignored")],
                        db_default="processed",
                        default="processed",
                        max_length=20,
                    ),
                ),
                ("note", models.CharField(blank=True, db_default="", default="", max_length=500)),
                ("payload", models.JSONField()),
                (
                    "payment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="webhook_events",
                        to="payments.payment",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("needs_review", True)), fields=["created_at"], name="payment_review_queue"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["created", "pending", "paid", "failed", "refunded"])),
                name="payment_status_allowed",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("currency__in", ["USD", "INR"])), name="payment_currency_allowed"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("processor__in", ["stripe", "razorpay"])), name="payment_processor_allowed"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_cents__gt", 0)), name="payment_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "paid"), _negated=True), ("paid_at__isnull", False), _connector="OR"
                ),
                name="payment_paid_at_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status__in", ["created", "pending"])),
                fields=("booking",),
                name="payment_one_open_per_booking",
            ),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["next_attempt_at"], name="refund_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "sent", "succeeded", "failed"])),
                name="refund_status_allowed",
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(("currency__in", ["USD", "INR"])), name="refund_currency_allowed"
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_cents__gt", 0)), name="refund_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookevent",
            constraint=models.UniqueConstraint(fields=("processor", "event_id"), name="webhookevent_id_unique"),
        ),
        migrations.AddConstraint(
            model_name="webhookevent",
            constraint=models.UniqueConstraint(fields=("processor", "body_sha256"), name="webhookevent_body_unique"),
        ),
        migrations.AddConstraint(
            model_name="webhookevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("processor__in", ["stripe", "razorpay"])), name="webhookevent_processor_allowed"
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["processed", "ignored"])), name="webhookevent_status_allowed"
            ),
        ),
    ]
