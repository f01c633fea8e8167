import django.contrib.postgres.functions
import django.db.models.functions.datetime
import django.utils.timezone
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AppConfig",
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
                ("key", models.CharField(max_length=100, unique=True)),
                ("value", models.JSONField()),
                ("description", models.TextField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "app config value",
            },
        ),
        migrations.CreateModel(
            name="FeatureFlag",
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
                ("key", models.CharField(max_length=100, unique=True)),
                ("value", models.BooleanField(db_default=False, default=False)),
                ("description", models.TextField(blank=True, null=True)),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="RatingAggregate",
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
                ("region", models.CharField(choices=[("us", "United States"), ("in", "India")], max_length=2)),
                (
                    "subject",
                    models.CharField(choices=[("activity", "Activity"), ("provider", "Provider")], max_length=20),
                ),
                ("subject_id", models.UUIDField()),
                ("count", models.PositiveIntegerField(db_default=0, default=0)),
                ("average", models.DecimalField(db_default=0, decimal_places=2, default=0, max_digits=3)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("region", "subject", "subject_id"), name="ratingaggregate_subject_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("average__gte", 0), ("average__lte", 5)),
                        name="ratingaggregate_average_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("region__in", ["us", "in"])), name="ratingaggregate_region_allowed"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("subject__in", ["activity", "provider"])),
                        name="ratingaggregate_subject_allowed",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SlugReservation",
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
                ("slug", models.SlugField(max_length=80, unique=True)),
                ("region", models.CharField(choices=[("us", "United States"), ("in", "India")], max_length=2)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("region__in", ["us", "in"])), name="slugreservation_region_allowed"
                    )
                ],
            },
        ),
    ]
