from django.db import migrations

from core.operations import InstallAudit


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0002_auditentry"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("bookings", "0006_review_moderation"),
        ("geography", "0001_initial"),
        ("marketplace", "0006_activity_images"),
        ("messaging", "0002_threads"),
        ("payments", "0001_initial"),
        ("providers", "0001_initial"),
        ("users", "0001_initial"),
    ]

    operations = [
        InstallAudit(),
    ]
