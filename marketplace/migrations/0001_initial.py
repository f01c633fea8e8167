import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
import uuid_utils.compat
from django.db import migrations, models

from core.operations import CascadeInDatabase


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("providers", "0001_initial"),
        ("users", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Category",
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
                ("name", models.CharField(max_length=100, unique=True)),
                ("slug", models.SlugField(max_length=100, unique=True)),
                (
                    "position",
                    models.PositiveSmallIntegerField(db_default=0, default=0, help_text="Order among its siblings"),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True)),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="marketplace.category",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "categories",
                "ordering": ["position", "name"],
            },
        ),
        migrations.CreateModel(
            name="Activity",
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
                ("title", models.CharField(max_length=200)),
                ("slug", models.SlugField(max_length=120)),
                ("summary", models.CharField(blank=True, db_default="", default="", max_length=300)),
                ("description", models.TextField(blank=True, db_default="", default="")),
                ("age_min", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("age_max", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("duration", models.PositiveIntegerField(blank=True, help_text="Minutes", null=True)),
                ("image_url", models.URLField(blank=True, db_default="", default="", max_length=500)),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("published", "Published"), ("archived", "Archived")],
                        db_default="draft",
                        default="draft",
                        max_length=20,
                    ),
                ),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="activities",
                        to="providers.provideraccount",
                    ),
                ),
                (
                    "category",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="activities",
                        to="marketplace.category",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "activities",
            },
        ),
        migrations.CreateModel(
            name="Offering",
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
                    "type",
                    models.CharField(
                        choices=[
                            ("single_session", "Single Session"),
                            ("multi_session", "Multi Session"),
                            ("camp", "Camp"),
                            ("term", "Term"),
                        ],
                        db_default="single_session",
                        default="single_session",
                        max_length=20,
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=200, null=True)),
                ("price_cents", models.PositiveIntegerField()),
                ("currency", models.CharField(choices=[("USD", "USD"), ("INR", "INR")], max_length=3)),
                (
                    "session_count",
                    models.PositiveSmallIntegerField(blank=True, help_text="For multi_session: how many", null=True),
                ),
                (
                    "refund_window_hours",
                    models.PositiveIntegerField(
                        db_default=24,
                        default=24,
                        help_text="Until how many hours before the start a cancellation is refunded in full",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("inactive", "Inactive")],
                        db_default="active",
                        default="active",
                        max_length=20,
                    ),
                ),
                (
                    "activity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="offerings", to="marketplace.activity"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ParentInterest",
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
                    "category",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="marketplace.category"
                    ),
                ),
                (
                    "child",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="interests",
                        to="users.child",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="interests", to="users.parent"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Session",
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
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("capacity", models.PositiveIntegerField()),
                ("enrolled", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "status",
                    models.CharField(
                        choices=[("scheduled", "Scheduled"), ("cancelled", "Cancelled"), ("completed", "Completed")],
                        db_default="scheduled",
                        default="scheduled",
                        max_length=20,
                    ),
                ),
                (
                    "activity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="sessions", to="marketplace.activity"
                    ),
                ),
                (
                    "location",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="sessions", to="providers.location"
                    ),
                ),
                (
                    "offering",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="sessions", to="marketplace.offering"
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="activity",
            index=models.Index(fields=["slug"], name="activity_slug"),
        ),
        migrations.AddConstraint(
            model_name="activity",
            constraint=models.UniqueConstraint(fields=("provider", "slug"), name="activity_provider_slug_unique"),
        ),
        migrations.AddConstraint(
            model_name="activity",
            constraint=models.CheckConstraint(
                condition=models.Q(("age_min__lte", models.F("age_max"))), name="activity_age_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="activity",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["draft", "published", "archived"])), name="activity_status_allowed"
            ),
        ),
        migrations.AddConstraint(
            model_name="offering",
            constraint=models.CheckConstraint(
                condition=models.Q(("type__in", ["single_session", "multi_session", "camp", "term"])),
                name="offering_type_allowed",
            ),
        ),
        migrations.AddConstraint(
            model_name="offering",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["active", "inactive"])), name="offering_status_allowed"
            ),
        ),
        migrations.AddConstraint(
            model_name="offering",
            constraint=models.CheckConstraint(
                condition=models.Q(("currency__in", ["USD", "INR"])), name="offering_currency_allowed"
            ),
        ),
        migrations.AddConstraint(
            model_name="offering",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("type", "multi_session"), _negated=True),
                    models.Q(("session_count__gte", 1), ("session_count__isnull", False)),
                    _connector="OR",
                ),
                name="offering_session_count",
            ),
        ),
        migrations.AddConstraint(
            model_name="parentinterest",
            constraint=models.UniqueConstraint(
                fields=("parent", "category", "child"), name="parentinterest_unique", nulls_distinct=False
            ),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["activity", "starts_at"], name="session_by_activity"),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["offering", "starts_at"], name="session_by_offering"),
        ),
        migrations.AddIndex(
            model_name="session",
            index=models.Index(fields=["location", "starts_at"], name="session_by_location"),
        ),
        migrations.AddConstraint(
            model_name="session",
            constraint=models.CheckConstraint(
                condition=models.Q(("starts_at__lt", models.F("ends_at"))), name="session_starts_before_it_ends"
            ),
        ),
        migrations.AddConstraint(
            model_name="session",
            constraint=models.CheckConstraint(
                condition=models.Q(("enrolled__gte", 0), ("enrolled__lte", models.F("capacity"))),
                name="session_enrolled_within_capacity",
            ),
        ),
        migrations.AddConstraint(
            model_name="session",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["scheduled", "cancelled", "completed"])),
                name="session_status_allowed",
            ),
        ),
        CascadeInDatabase("marketplace_activity", "provider_id"),
        CascadeInDatabase("marketplace_offering", "activity_id"),
        CascadeInDatabase("marketplace_session", "activity_id"),
        CascadeInDatabase("marketplace_session", "offering_id"),
        CascadeInDatabase("marketplace_parentinterest", "parent_id"),
        CascadeInDatabase("marketplace_parentinterest", "child_id"),
        CascadeInDatabase("marketplace_parentinterest", "category_id"),
    ]
