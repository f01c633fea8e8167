from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("bookings", "0009_listed_and_permitted"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="review",
            index=models.Index(condition=models.Q(("status", "hidden")), fields=["-id"], name="review_hidden"),
        ),
        AddIndexConcurrently(
            model_name="reviewreport",
            index=models.Index(condition=models.Q(("status", "open")), fields=["review"], name="reviewreport_open"),
        ),
    ]
