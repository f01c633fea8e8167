import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

from core.operations import CascadeInDatabase

# By slot of the week, 21 of them. What happens on Saturday afternoons is next week's last in the order of the next
# session, behind nearly all others, and most activities have one slot: these indexes together hold few entries more than
# one over all of them. They take the place of those by weekday, each of which began with all its mornings.
SLOT = """CREATE INDEX search_slot_{0} ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & {1} <> 0;"""
DAY = SLOT.replace("slot_{0}", "{0}_soon")
DAYS = {"mon": 7, "tue": 56, "wed": 448, "thu": 3584, "fri": 28672, "sat": 229376, "sun": 1835008, "weekend": 2064384}


class Migration(migrations.Migration):
    dependencies = [
        ("geography", "0001_initial"),
        ("marketplace", "0003_session_series"),
    ]

    operations = [
        migrations.RunSQL(
            "\n".join(SLOT.format(slot, 1 << slot) for slot in range(21)),
            "\n".join(f"DROP INDEX search_slot_{slot};" for slot in range(21)),
        ),
        migrations.RunSQL(
            "\n".join(f"DROP INDEX search_{day}_soon;" for day in DAYS),
            "\n".join(DAY.format(day, mask) for day, mask in DAYS.items()),
        ),
        migrations.RemoveIndex(model_name="searchrow", name="search_provider_price"),
        migrations.RemoveIndex(model_name="searchrow", name="search_place"),
        migrations.AlterField(
            model_name="searchrow",
            name="activity",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="search_rows",
                to="marketplace.activity",
            ),
        ),
        # The new foreign key has lost what 0001 gave the old one.
        CascadeInDatabase("marketplace_searchrow", "activity_id"),
        migrations.AddIndex(
            model_name="searchrow",
            index=django.contrib.postgres.indexes.GinIndex(fields=["locality_slugs"], name="search_locality"),
        ),
        migrations.AddIndex(
            model_name="searchrow",
            index=models.Index(
                fields=["city_slug", "category_slug", "next_session_at", "id"],
                include=("age_min", "age_max", "week_mask", "free_week_mask"),
                name="search_city_category",
            ),
        ),
        migrations.AddIndex(
            model_name="searchrow",
            index=models.Index(
                condition=models.Q(("latitude__isnull", False)),
                fields=["next_session_at", "id"],
                include=(
                    "latitude",
                    "longitude",
                    "category_slug",
                    "age_min",
                    "age_max",
                    "price_cents",
                    "week_mask",
                    "free_week_mask",
                    "is_primary",
                    "activity",
                ),
                name="search_near_soon",
            ),
        ),
        migrations.AddIndex(
            model_name="searchrow",
            index=models.Index(
                condition=models.Q(("latitude__isnull", False)),
                fields=["latitude", "longitude"],
                include=(
                    "next_session_at",
                    "id",
                    "category_slug",
                    "age_min",
                    "age_max",
                    "price_cents",
                    "week_mask",
                    "free_week_mask",
                    "is_primary",
                    "activity",
                ),
                name="search_place",
            ),
        ),
        migrations.AddIndex(
            model_name="searchrow",
            index=models.Index(
                condition=models.Q(("is_primary", True)),
                fields=["category_slug"],
                include=("age_min", "age_max", "price_cents", "offering_types", "week_mask", "free_week_mask"),
                name="search_category_facets",
            ),
        ),
        migrations.AddIndex(
            model_name="searchrow",
            index=models.Index(
                fields=["city_slug"],
                include=(
                    "category_slug",
                    "age_min",
                    "age_max",
                    "price_cents",
                    "offering_types",
                    "week_mask",
                    "free_week_mask",
                ),
                name="search_city_facets",
            ),
        ),
    ]
