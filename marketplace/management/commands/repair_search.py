"""Compares the search rows with the truth, and mends them on request."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from marketplace import upkeep


class Command(BaseCommand):
    help = "Counts activities whose search rows are not what they should be; --mend refreshes them, --rebuild all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--mend", action="store_true")
        parser.add_argument("--rebuild", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rebuild"]:
            self.stdout.write(f"{upkeep.rebuild()} search rows written.")
            return
        with transaction.atomic():
            different = upkeep.drift()
            if options["mend"]:
                upkeep.refresh(different)
        self.stdout.write(f"{len(different)} activities had drifted{' and were mended' if options['mend'] else ''}.")
