from django.db import migrations

from core.operations import SeedGroups


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0001_initial"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="user",
            options={
                "permissions": [
                    ("suspend_user", "Can suspend and reinstate people"),
                    ("reset_second_factor", "Can reset the second factor of staff"),
                ]
            },
        ),
        SeedGroups(),
    ]
