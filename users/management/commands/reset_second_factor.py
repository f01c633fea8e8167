"""Lets a member of staff in again when nobody in the admin can."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from users import second_factor, signin
from users.models import User


class Command(BaseCommand):
    help = (
        "Lets a member of staff in again who lost phone and backup codes, or was locked out: the next sign-in needs "
        "the password and sets up a new second factor. For when no administrator can do it in the admin."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")

    @transaction.atomic
    def handle(self, *args: Any, email: str, **options: Any) -> None:
        user = User.objects.filter(is_staff=True, email__iexact=email).first()
        if user is None:
            raise CommandError("No member of staff has this e-mail address.")
        second_factor.reset(user)
        LogEntry.objects.log_actions(
            user.pk, User.objects.filter(pk=user.pk), CHANGE, "Second factor reset from the command line."
        )
        signin.unlock(user)
        self.stdout.write("Done. The next sign-in sets up a new second factor.")
