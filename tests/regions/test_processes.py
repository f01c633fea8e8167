"""Flags and app config in real processes of both regions, with each store up and down."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from django.conf import settings as django_settings
from django.db import connections

from regions import flags
from regions.models import AppConfig, FeatureFlag
from regions.shared import CACHE_SECONDS
from tests.conftest import ROOT, free_port

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])

# Answers each line with what it reads just then.
READER = """
import sys, django
django.setup()
from regions import config, flags
for line in sys.stdin:
    limit = config.get("REFUND_APPROVAL_ABOVE_CENTS", {"USD": 1, "INR": 2})["USD"]
    print(flags.is_enabled("CHAT"), limit, flush=True)
"""


def address(alias: str) -> str:
    at = connections[alias].settings_dict
    return f"postgres://{at['USER']}:{at['PASSWORD']}@{at['HOST'] or 'localhost'}:{at['PORT']}/{at['NAME']}"


class Process:
    def __init__(self, stack: ExitStack, *, region: str = "us", redis: bool = True, database: bool = True):
        nowhere = free_port()
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "juniro.settings",
            "JUNIRO_ENV": "test",
            "REGION": region,
            "DATABASE_URL": address("default"),
            "GLOBAL_DATABASE_URL": address("global") if database else f"postgres://x:x@127.0.0.1:{nowhere}/x",
            "REDIS_URL": django_settings.CACHES["default"]["LOCATION"],
            "GLOBAL_REDIS_URL": django_settings.CACHES["global"]["LOCATION"]
            if redis
            else f"redis://127.0.0.1:{nowhere}/0",
        }
        pipe = subprocess.PIPE
        self.process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", READER],
                cwd=ROOT,
                env=env,
                stdin=pipe,
                stdout=pipe,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )
        stack.callback(self.process.kill)

    def read(self) -> tuple[bool, int]:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        flag, limit = self.process.stdout.readline().split()
        return flag == "True", int(limit)

    def reads(self, wanted: tuple[bool, int], *, within: float) -> bool:
        deadline = time.monotonic() + within
        while (found := self.read()) != wanted and time.monotonic() < deadline:
            time.sleep(0.1)
        return found == wanted


def test_a_switch_reaches_every_process_of_both_regions_within_seconds():
    with ExitStack() as stack:
        us, india = Process(stack), Process(stack, region="in")
        without_redis = Process(stack, redis=False)
        for each in (us, india, without_redis):
            assert each.read() == (False, 1)
        flags.switch("CHAT", True)
        AppConfig.objects.create(key="REFUND_APPROVAL_ABOVE_CENTS", value={"USD": 500, "INR": 600})
        for each in (us, india, without_redis):
            assert each.reads((True, 500), within=CACHE_SECONDS + 2)


def test_a_process_that_starts_while_the_global_database_is_down_knows_what_others_last_read():
    flags.switch("CHAT", True)
    assert flags.is_enabled("CHAT") is True
    with ExitStack() as stack:
        late = Process(stack, database=False)
        assert late.read() == (True, 1)
        time.sleep(CACHE_SECONDS + 0.5)
        assert late.read() == (True, 1)


def test_with_nothing_to_ask_a_new_process_takes_the_safe_side():
    FeatureFlag.objects.create(key="CHAT", value=True)
    with ExitStack() as stack:
        assert Process(stack, redis=False, database=False).read() == (False, 1)
