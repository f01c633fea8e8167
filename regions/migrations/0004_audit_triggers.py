from django.db import migrations

from core.operations import InstallAudit


class Migration(migrations.Migration):
    dependencies = [
        ("regions", "0003_sharedauditentry"),
    ]

    operations = [
        InstallAudit(),
    ]
