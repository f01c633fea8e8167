import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the tables are large: built beside their writers

    dependencies = [
        ("payments", "0003_refund_requests"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="payment",
            index=models.Index(condition=models.Q(("status", "refunded")), fields=["-id"], name="payment_refunded"),
        ),
        AddIndexConcurrently(
            model_name="payment",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["created_at"], name="payment_created"
            ),
        ),
        AddIndexConcurrently(
            model_name="refund",
            index=models.Index(condition=models.Q(("status", "failed")), fields=["-id"], name="refund_failed"),
        ),
        AddIndexConcurrently(
            model_name="webhookevent",
            index=models.Index(fields=["processor_payment_id"], name="webhookevent_of_payment"),
        ),
        AddIndexConcurrently(
            model_name="webhookevent",
            index=django.contrib.postgres.indexes.BrinIndex(
                autosummarize=True, fields=["created_at"], name="webhookevent_created"
            ),
        ),
    ]
