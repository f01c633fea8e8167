from django.db import migrations


class Migration(migrations.Migration):
    """The history of a row, and a day of it, without reading all that staff ever did. The table is Django's own."""

    atomic = False

    dependencies = [("core", "0003_audit_triggers"), ("admin", "0003_logentry_add_action_flag_choices")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX CONCURRENTLY admin_log_by_object ON django_admin_log (object_id, content_type_id)",
            "DROP INDEX admin_log_by_object",
        ),
        migrations.RunSQL(
            "CREATE INDEX CONCURRENTLY admin_log_by_time ON django_admin_log USING brin (action_time) "
            "WITH (autosummarize = on)",
            "DROP INDEX admin_log_by_time",
        ),
    ]
