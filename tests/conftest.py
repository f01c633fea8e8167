"""What every test may ask for: a client, a signed-in caller, the two regions, the sandbox, real threads."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import connections
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import Client

from core import throttling
from marketplace import vocabulary
from payments.processors import processor
from regions import config, flags
from tests import tokens
from users import jwks

pytest_plugins = ["tests.browser"]

ROOT = Path(__file__).resolve().parent.parent
# Each parallel worker has two Redis databases of its own: 5 and 6 for the first, 7 and 8 for the next …
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
for offset, alias in enumerate(("default", "global")):
    base, _, _ = django_settings.CACHES[alias]["LOCATION"].rpartition("/")
    django_settings.CACHES[alias]["LOCATION"] = f"{base}/{5 + 2 * WORKER + offset}"


for database in django_settings.DATABASES.values():
    # Making and dropping a database waits for the disk, longer than a request may.
    options = database["OPTIONS"]["options"]
    database["OPTIONS"]["options"] = options.replace("statement_timeout=5s", "statement_timeout=60s")


truncate = DatabaseOperations.sql_flush


def sql_flush(operations: Any, style: Any, tables: list[str], **how: Any) -> list[str]:
    """Empties `tables` after a test that committed. Django truncates, which makes hundreds of files anew each time.

    So does this where the server's role may not leave triggers out.
    """
    with operations.connection.cursor() as cursor:
        cursor.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
        if not cursor.fetchone()[0]:
            return truncate(operations, style, tables, **how)
    emptied = [f"DELETE FROM {operations.quote_name(table)}" for table in tables]
    return ["SET LOCAL session_replication_role = replica", *emptied, "SET LOCAL session_replication_role = DEFAULT"]


DatabaseOperations.sql_flush = sql_flush
# Static files are looked up when asked for; else every client would begin by reading all of their folders.
django_settings.WHITENOISE_AUTOREFRESH = True


class Api:
    """A client that speaks JSON and answers `Answer`s; `api.as_user(user)` is the same with a token."""

    def __init__(self, headers: dict[str, str] | None = None):
        self.client = Client(raise_request_exception=False)
        self.headers = headers or {}

    def as_user(self, user: Any) -> "Api":
        return self.with_token(tokens.sign(sub=user.auth_id, email=user.email))

    def with_token(self, token: str) -> "Api":
        return Api({**self.headers, "Authorization": f"Bearer {token}"})

    def request(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> "Answer":
        data = raw if raw is not None else b"" if body is None else orjson.dumps(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = names.pop("Content-Type", "application/json")
        return Answer(
            self.client.generic(method, path, data, content_type=content_type, headers={**self.headers, **names})
        )

    def get(self, path: str, **headers: str) -> "Answer":
        return self.request("GET", path, **headers)

    def post(self, path: str, body: Any = None, **more: Any) -> "Answer":
        return self.request("POST", path, body, **more)

    def patch(self, path: str, body: Any = None, **more: Any) -> "Answer":
        return self.request("PATCH", path, body, **more)

    def delete(self, path: str, **headers: str) -> "Answer":
        return self.request("DELETE", path, **headers)


class Answer:
    """A response taken out of its envelope."""

    def __init__(self, response: Any):
        self.status = response.status_code
        self.headers = response.headers
        self.content = response.content
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        self.body = orjson.loads(response.content) if response.content and is_json else None

    @property
    def data(self) -> Any:
        assert self.body["success"] is True, self.body
        return self.body["data"]

    @property
    def meta(self) -> Any:
        return self.body["meta"]

    @property
    def error(self) -> Any:
        assert self.body["success"] is False, self.body
        assert set(self.body) == {"success", "error"}
        assert set(self.body["error"]) == {"code", "message", "details"}
        return self.body["error"]

    @property
    def code(self) -> tuple[int, str]:
        """Status and error code, the two things that an error test always wants."""
        return self.status, self.error["code"]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="session", autouse=True)
def _signing_keys():
    """A real JWKS endpoint with the public half of the key that `tests.tokens` signs with."""
    with tokens.serve_jwks() as url:
        django_settings.SUPABASE_JWKS_URL = url
        yield


@pytest.fixture(autouse=True)
def _clean_caches():
    jwks.key_set.cache_clear()
    vocabulary.forget()
    throttling.forget()
    for values in (flags.shared, config.shared):
        values.last_known.clear()
        values.resting.clear()
        values.fresh.clear()
    yield
    processor.cache_clear()


@pytest.fixture(autouse=True)
def redis():
    """This worker's Redis databases, empty before each test."""
    for alias in ("default", "global"):
        caches[alias].clear()


@pytest.fixture(autouse=True)
def tasks(monkeypatch) -> list[tuple[str, tuple]]:
    """The tasks that were sent, by name after commit or by `delay` from a sweep, in order; none runs by itself.

    Without the deliveries of notifications, which many verbs bring along.
    """
    sent: list[tuple[str, tuple]] = []

    def send_task(name: str, args: Any = (), kwargs: Any = None, **_: Any) -> None:
        if name != "notifications.tasks.deliver":
            sent.append((name, tuple(args)))

    monkeypatch.setattr(current_app, "send_task", send_task)
    return sent


@pytest.fixture
def india(settings):
    """This process serves India for one test: INR and Razorpay."""
    settings.REGION = "in"
    settings.CURRENCY = "INR"
    settings.PAYMENT_PROCESSORS = ["razorpay"]
    settings.RAZORPAY_KEY_ID = "rzp_test_sandbox"
    settings.RAZORPAY_KEY_SECRET = "secret_sandbox"
    settings.RAZORPAY_WEBHOOK_SECRETS = ["whsec_razorpay_sandbox"]
    settings.RAZORPAY_API_BASE = f"{settings.SANDBOX_URL}/razorpay"
    processor.cache_clear()


class Sandbox:
    """The stand-in for Stripe, Razorpay and Supabase, in a process of its own."""

    def __init__(self, url: str, webhooks: str):
        self.url, self.webhooks = url, webhooks

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.url + path,
            orjson.dumps(body),
            {"Content-Type": "application/json", "Accept": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return orjson.loads(answer.read())

    def faults(self, **faults: Any) -> None:
        """Sets random faults of the sandbox; no argument takes them all back."""
        self.post("/faults", {"drop": 0, "http500": 0, "timeout": 0, "supabase": "up", "webhooks": "off", **faults})


@pytest.fixture(scope="session")
def _sandbox_process(tmp_path_factory):
    port, hooks = free_port(), free_port()
    env = {
        "PATH": os.environ["PATH"],
        "JUNIRO_ENV": "local",
        "SANDBOX_PORT": str(port),
        "SANDBOX_WEBHOOK_BASE": f"http://127.0.0.1:{hooks}/v1/payments/webhook",
    }
    process = subprocess.Popen([sys.executable, "-m", "local.sandbox"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1)
            break
        except OSError:
            time.sleep(0.05)
    yield Sandbox(url, f"http://127.0.0.1:{hooks}")
    process.terminate()
    process.wait(10)


@pytest.fixture
def sandbox(_sandbox_process, settings):
    """The sandbox, without faults, at the other end of the processors' SDKs."""
    settings.SANDBOX_URL = _sandbox_process.url
    settings.SUPABASE_URL = f"{_sandbox_process.url}/supabase"
    settings.STRIPE_API_BASE = f"{_sandbox_process.url}/stripe"
    settings.RAZORPAY_API_BASE = f"{_sandbox_process.url}/razorpay"
    processor.cache_clear()
    _sandbox_process.faults()
    return _sandbox_process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def at_once():
    """`at_once(function, arguments)` calls `function` for every argument in a thread and connection of its own.

    All start together; results and exceptions come back in the order of the arguments. Needs `transactional_db`.
    """

    def run(function, arguments: list) -> list:
        barrier = threading.Barrier(len(arguments))

        def call(argument):
            barrier.wait(timeout=10)
            try:
                return function(argument)
            except Exception as error:  # the test looks at it
                return error
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(arguments)) as pool:
            return list(pool.map(call, arguments))

    return run


@pytest.fixture
def mailserver(settings):
    """A mail server that is up, and that mail really goes to."""
    # Here, since it looks for a free port in this module.
    from tests.mailserver import MailServer

    server = MailServer()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.DEFAULT_FROM_EMAIL = "Juniro <hello@juniro.example>"
    server.start()
    yield server
    server.stop()
