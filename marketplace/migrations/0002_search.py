from pathlib import Path

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

from core.operations import CascadeInDatabase

DROP = """
DROP FUNCTION marketplace_search_on_change CASCADE;
DROP FUNCTION marketplace_search_note CASCADE;
DROP FUNCTION marketplace_search_is_off, marketplace_search_refresh, marketplace_search_truth, marketplace_slot;
DROP FUNCTION marketplace_week_mask, marketplace_distance_km, marketplace_json_time, marketplace_document;
DROP FUNCTION marketplace_fold, marketplace_in_title;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("geography", "0001_initial"),
        ("marketplace", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="SearchStale",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("activity_id", models.UUIDField()),
            ],
        ),
        migrations.CreateModel(
            name="SearchWord",
            fields=[
                ("word", models.TextField(primary_key=True, serialize=False)),
                ("occurrences", models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="SearchRow",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("card", models.TextField(help_text="JSON, as lists send it")),
                ("document", django.contrib.postgres.search.SearchVectorField()),
                ("title", models.CharField(max_length=200)),
                ("category_slug", models.TextField()),
                (
                    "category_slugs",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(), help_text="Its category and all above it", size=None
                    ),
                ),
                ("provider_slug", models.TextField()),
                ("country_code", models.TextField()),
                ("city_slug", models.TextField()),
                ("locality_slugs", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("age_min", models.SmallIntegerField()),
                ("age_max", models.SmallIntegerField()),
                ("price_cents", models.IntegerField(help_text="Of the cheapest active offering")),
                ("offering_types", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("rating_average", models.FloatField()),
                ("rating_count", models.IntegerField()),
                ("next_session_at", models.DateTimeField()),
                (
                    "slots",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(),
                        help_text="Local day times three plus part of the day",
                        size=None,
                    ),
                ),
                (
                    "free_slots",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), help_text="Those with a free seat", size=None
                    ),
                ),
                (
                    "week_mask",
                    models.IntegerField(help_text="The slots of the week that occur, Monday morning being bit 0"),
                ),
                ("free_week_mask", models.IntegerField(help_text="Those with a free seat")),
                ("latitude", models.FloatField(null=True)),
                ("longitude", models.FloatField(null=True)),
                ("published_at", models.DateTimeField()),
                ("is_primary", models.BooleanField()),
                (
                    "activity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="search_rows",
                        to="marketplace.activity",
                    ),
                ),
                (
                    "city",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="geography.city"
                    ),
                ),
            ],
            options={
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(fields=["document"], name="search_document"),
                    django.contrib.postgres.indexes.GinIndex(fields=["free_slots"], name="search_free_slots"),
                    django.contrib.postgres.indexes.GinIndex(fields=["slots"], name="search_slots"),
                    models.Index(
                        condition=models.Q(("is_primary", True)),
                        fields=["next_session_at", "id"],
                        include=("age_min", "age_max", "week_mask", "free_week_mask"),
                        name="search_all_soon",
                    ),
                    models.Index(
                        condition=models.Q(("is_primary", True)),
                        fields=["price_cents", "id"],
                        include=("age_min", "age_max", "week_mask", "free_week_mask"),
                        name="search_all_price",
                    ),
                    models.Index(
                        condition=models.Q(("is_primary", True)),
                        fields=["category_slug", "next_session_at", "id"],
                        include=("age_min", "age_max", "week_mask", "free_week_mask"),
                        name="search_category_soon",
                    ),
                    models.Index(
                        condition=models.Q(("is_primary", True)),
                        fields=["category_slug", "price_cents", "id"],
                        include=("age_min", "age_max", "week_mask", "free_week_mask"),
                        name="search_category_price",
                    ),
                    models.Index(
                        fields=["city_slug", "next_session_at", "id"],
                        include=("age_min", "age_max", "week_mask", "free_week_mask"),
                        name="search_city_soon",
                    ),
                    models.Index(
                        fields=["city_slug", "price_cents", "id"],
                        include=("age_min", "age_max", "week_mask", "free_week_mask"),
                        name="search_city_price",
                    ),
                    models.Index(
                        condition=models.Q(("is_primary", True)),
                        fields=["provider_slug", "next_session_at", "id"],
                        include=("age_min", "age_max", "week_mask", "free_week_mask"),
                        name="search_provider_soon",
                    ),
                    models.Index(
                        condition=models.Q(("is_primary", True)),
                        fields=["provider_slug", "price_cents", "id"],
                        include=("age_min", "age_max", "week_mask", "free_week_mask"),
                        name="search_provider_price",
                    ),
                    models.Index(
                        condition=models.Q(("is_primary", True)),
                        fields=["rating_average", "id"],
                        name="search_all_rating",
                    ),
                    models.Index(
                        condition=models.Q(("is_primary", True)),
                        fields=["published_at", "id"],
                        name="search_all_newest",
                    ),
                    models.Index(fields=["latitude", "longitude"], name="search_place"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("activity", "city"), name="searchrow_activity_city_unique"),
                    models.UniqueConstraint(
                        condition=models.Q(("is_primary", True)), fields=("activity",), name="searchrow_one_primary"
                    ),
                ],
            },
        ),
        CascadeInDatabase("marketplace_searchrow", "activity_id"),
        CascadeInDatabase("marketplace_searchrow", "city_id"),
        migrations.RunSQL(Path(__file__).with_suffix(".sql").read_text(), DROP),
    ]
