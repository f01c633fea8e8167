from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# By slot of the week in each city, for the same reason as over all of them (0004): a city's Saturday afternoons come
# behind all of its mornings.
SLOT = """CREATE INDEX CONCURRENTLY search_city_slot_{0} ON marketplace_searchrow (city_slug, next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE week_mask & {1} <> 0"""


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("marketplace", "0007_cancelled_sessions"),
    ]

    operations = [
        migrations.RunSQL(
            [SLOT.format(slot, 1 << slot) for slot in range(21)],
            [f"DROP INDEX CONCURRENTLY search_city_slot_{slot}" for slot in range(21)],
        ),
        AddIndexConcurrently(
            model_name="searchrow",
            index=models.Index(
                condition=models.Q(("latitude__isnull", False)),
                fields=["category_slug", "next_session_at", "id"],
                include=(
                    "latitude",
                    "longitude",
                    "age_min",
                    "age_max",
                    "price_cents",
                    "week_mask",
                    "free_week_mask",
                    "is_primary",
                    "activity",
                ),
                name="search_near_category",
            ),
        ),
    ]
