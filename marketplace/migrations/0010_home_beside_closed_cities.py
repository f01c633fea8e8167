from django.db import migrations

# 0002_search.sql has it by now; this is for databases that were made before. What is not shown yet and would be by now
# is noted as stale, so that the next run of the upkeep takes it in.
FORWARDS = """
DO $do$ BEGIN
    EXECUTE replace(
        pg_get_functiondef('marketplace_search_truth'::regproc),
        'NOT EXISTS (SELECT FROM upcoming)',
        'NOT EXISTS (SELECT FROM upcoming WHERE upcoming.is_open)'
    );
END $do$;
INSERT INTO marketplace_searchstale (activity_id)
SELECT activity.id FROM marketplace_activity AS activity
WHERE activity.status = 'published'
    AND NOT EXISTS (SELECT FROM marketplace_searchrow AS row WHERE row.activity_id = activity.id);
"""


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0009_listed_and_permitted")]

    operations = [migrations.RunSQL(FORWARDS, migrations.RunSQL.noop)]
