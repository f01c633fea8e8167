"""Writes what the code knows of personal data into docs/privacy.md, or checks that it stands there."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from privacy.data_map import PAGE, up_to_date


class Command(BaseCommand):
    help = "Writes what the code knows of personal data into docs/privacy.md."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--check", action="store_true", help="Write nothing; fail if the page is out of date")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        page = Path(settings.BASE_DIR) / PAGE
        old = page.read_text()
        new = up_to_date(old)
        if check and old != new:
            raise CommandError(f"{PAGE} is out of date: run manage.py data_map.")
        if not check:
            page.write_text(new)
