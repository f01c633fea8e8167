import django.contrib.postgres.functions
import django.db.models.functions.datetime
import django.utils.timezone
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Reconciliation",
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
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="webhookevent",
            name="webhookevent_status_allowed",
        ),
        migrations.AddField(
            model_name="payment",
            name="looked_up_at",
            field=models.DateTimeField(blank=True, help_text="When we last asked the processor about it", null=True),
        ),
        migrations.AddField(
            model_name="refund",
            name="refusals",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="webhookevent",
            name="attempts",
            field=models.PositiveSmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="webhookevent",
            name="error",
            field=models.CharField(
                blank=True, db_default="", default="", help_text="Why it failed last", max_length=500
            ),
        ),
        migrations.AddField(
            model_name="webhookevent",
            name="processor_payment_id",
            field=models.CharField(blank=True, max_length=255, null=True),
        ),
        migrations.AlterField(
            model_name="refund",
            name="next_attempt_at",
            field=models.DateTimeField(
                blank=True, help_text="When to send it next; once it is sent, when to ask what became of it", null=True
            ),
        ),
        migrations.AlterField(
            model_name="webhookevent",
            name="note",
            field=models.CharField(blank=True, db_default="", default="", help_text="What it did", max_length=500),
        ),
        migrations.AlterField(
            model_name="webhookevent",
            name="status",
            field=models.CharField(
                choices=[("processed", "Processed"), ("ignored", "Ignored"), ("failed", "Failed")],
                db_default="processed",
                default="processed",
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("status__in", ["created", "pending", "failed"])),
                fields=["created_at"],
                name="payment_unpaid",
            ),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(
                condition=models.Q(("status", "sent")), fields=["next_attempt_at"], name="refund_unconfirmed"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(
                condition=models.Q(("status", "failed")), fields=["updated_at"], name="webhookevent_failed"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookevent",
            index=models.Index(
                condition=models.Q(
                    ("payment__isnull", True), ("processor_payment_id__isnull", False), ("status", "ignored")
                ),
                fields=["processor_payment_id"],
                name="webhookevent_waiting",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["processed", "ignored", "failed"])),
                name="webhookevent_status_allowed",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.UniqueConstraint(fields=("processor",), name="reconciliation_one_per_processor"),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.CheckConstraint(
                condition=models.Q(("processor__in", ["stripe", "razorpay"])), name="reconciliation_processor_allowed"
            ),
        ),
    ]
