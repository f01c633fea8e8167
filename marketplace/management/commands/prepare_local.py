"""What `make run` does to the databases before it serves."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from geography.management.commands import seed_geography
from marketplace.management.commands import seed_categories, seed_demo
from regions import flags
from regions.models import FeatureFlag
from users.models import User

ADMIN_EMAIL, ADMIN_PASSWORD = "admin@juniro.localhost", "juniro-local"


class Command(BaseCommand):
    help = "Migrates both databases and fills this region's for local use. Quick when there is nothing to do."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--activities", type=int, default=300, help="Size of the demo catalogue")
        parser.add_argument("--no-history", action="store_true", help="Only what is ahead, no invented bookings")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.LOCAL:
            # The admin's password is in the source.
            raise CommandError("prepare_local is for JUNIRO_ENV=local only.")
        call_command("migrate", interactive=False, verbosity=0)
        migrate_global()
        seed_geography.seed(region=settings.REGION)
        seed_categories.seed()
        seed_demo.seed(activities=options["activities"])
        if not options["no_history"]:
            # By name: it belongs to the payments, which stand above the catalogue.
            call_command("seed_history", stdout=self.stdout)
        for key, description in flags.KNOWN.items():
            FeatureFlag.objects.get_or_create(key=key, defaults={"description": description})
        if not User.objects.filter(is_staff=True, email=ADMIN_EMAIL).exists():
            User.objects.create_superuser(ADMIN_EMAIL, ADMIN_PASSWORD)


def migrate_global() -> None:
    """Migrates what both regions share; if the other region is at it in this moment, after it."""
    with connections["global"].cursor() as cursor:
        for setting in ("lock_timeout", "statement_timeout"):
            cursor.execute(f"SET {setting} = 0")
        cursor.execute("SELECT pg_advisory_lock(hashtextextended('prepare_local', 0))")
        call_command("migrate", database="global", interactive=False, verbosity=0)
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended('prepare_local', 0))")
