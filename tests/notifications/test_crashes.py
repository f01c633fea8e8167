"""Workers killed (SIGKILL) between claim, mail server and commit: nothing is lost, and what can double is known.

The dying is done by tests/payments/dying.py, in a real process on the same database and the same mail server.
"""

import json
import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.utils import timezone

from notifications.delivery import LEASE, deliver, deliver_next
from notifications.models import Notification
from tests.conftest import ROOT
from tests.factories import BookingFactory

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = ("EMAIL_BACKEND", "EMAIL_HOST", "EMAIL_PORT", "DEFAULT_FROM_EMAIL")


@pytest.fixture(scope="module")
def nursery(django_db_setup):
    """The process whose children die."""
    env = dict(os.environ)
    for name, alias in (("DATABASE_URL", "default"), ("GLOBAL_DATABASE_URL", "global")):
        database = connections[alias].settings_dict["NAME"]
        env[name] = urlsplit(os.environ[name])._replace(path=f"/{database}").geturl()
    command = [sys.executable, "-m", "tests.payments.dying"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


@pytest.fixture
def dies(nursery):
    """`dies(row, at=point)` has a worker deliver `row`, and kills it there."""

    def run(row, *, at, after=False):
        job = {
            "do": ["task", "notifications.tasks.deliver", str(row.pk)],
            "point": at,
            "after": after,
            "count": 1,
            "settings": {name: getattr(django_settings, name) for name in SETTINGS},
        }
        nursery.stdin.write(json.dumps(job) + "\n")
        nursery.stdin.flush()
        assert int(nursery.stdout.readline()) == signal.SIGKILL, "it did not come to the point"

    return run


@pytest.fixture
def row(tell):
    booking = BookingFactory(status="confirmed")
    return tell(booking.parent.user, "booking_confirmed", booking)


def ids(mailserver) -> list[str]:
    return [message["Message-ID"].strip() for message in mailserver.mails]


BEFORE_THE_CLAIM = ("notifications.delivery.claim", False)
AFTER_THE_CLAIM = ("notifications.delivery.claim", True)
BEFORE_WRITING = ("notifications.delivery.send", False)
BEFORE_SENDING = ("notifications.delivery.hand_over", False)
AFTER_SENDING = ("notifications.delivery.hand_over", True)
BEFORE_THE_END = ("notifications.delivery.end", False)
AFTER_THE_END = ("notifications.delivery.end", True)


@pytest.mark.parametrize(
    ("point", "waits"),
    [(BEFORE_THE_CLAIM, False), (AFTER_THE_CLAIM, True), (BEFORE_WRITING, True), (BEFORE_SENDING, True)],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_killed_before_the_mail_went_out_it_goes_out_once_when_the_lease_is_over(mailserver, dies, row, point, waits):
    dies(row, at=point[0], after=point[1])
    assert mailserver.mails == []
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("pending", int(waits))
    now = timezone.now()
    # While the lease runs, nobody can know that its worker is dead.
    assert deliver(row.pk, now=now) is not waits
    assert deliver_next(now=now + LEASE) is waits
    assert len(mailserver.mails) == 1
    assert Notification.objects.get().status == "sent"
    assert deliver_next(now=now + 2 * LEASE) is False


@pytest.mark.parametrize("point", [AFTER_SENDING, BEFORE_THE_END], ids=lambda value: value[0])
def test_killed_between_the_servers_yes_and_our_commit_the_second_mail_folds_into_the_first(
    mailserver, dies, row, point
):
    dies(row, at=point[0], after=point[1])
    assert len(mailserver.mails) == 1
    assert Notification.objects.get().status == "pending"
    assert deliver_next(now=timezone.now() + LEASE) is True
    assert deliver_next(now=timezone.now() + 2 * LEASE) is False
    first, second = ids(mailserver)
    assert first == second == f"<{row.pk}@juniro.example>"
    assert Notification.objects.get().status == "sent"


def test_killed_after_our_commit_nothing_is_sent_again(mailserver, dies, row):
    dies(row, at=AFTER_THE_END[0], after=True)
    assert Notification.objects.get().status == "sent"
    assert deliver_next(now=timezone.now() + 2 * LEASE) is False
    assert len(mailserver.mails) == 1
