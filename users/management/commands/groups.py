"""What docs/access.md shows of `juniro/groups.py`."""

from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Prints who may do what in the admin, as the table in docs/access.md."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(import_module(settings.STAFF_GROUPS).as_table())
