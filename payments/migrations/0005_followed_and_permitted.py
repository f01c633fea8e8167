from django.db import migrations

from core.operations import InstallAudit, SeedGroups


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0004_listed"),
        ("core", "0003_audit_triggers"),
        ("users", "0003_listed_and_permitted"),
    ]

    operations = [
        InstallAudit(),
        SeedGroups(),
    ]
