"""Where the application's own processor time goes, layer by layer, in one process and without an HTTP server."""

import io
import time
from collections.abc import Callable
from contextlib import ExitStack
from unittest.mock import patch

from benchmarks import mix
from core.views import PublicView
from marketplace import search

BATCHES, CALLS = 150, 10


def report() -> list[list[str]]:
    """Processor µs of each layer: what a request costs with it, less what it costs without."""
    from juniro.wsgi import application  # noqa: PLC0415  (Django must be set up)

    target = "/v1/activities?category=piano&age=7"
    rows = canned(target)
    without_sql, without_limit = (
        patch.object(search, "fetch", lambda *_: rows),
        patch.object(PublicView, "throttle_classes", ()),
    )
    steps = {
        "Django, its middleware, a DRF view (/health)": ("/health", ()),
        "reading filters, building SQL, envelope, ETag": (target, (without_sql, without_limit)),
        "sending the statement, taking the rows": (target, (without_limit,)),
        "rate limit": (target, ()),
    }
    lines, before = [], 0.0
    for name, (path, patches) in steps.items():
        with ExitStack() as stack:
            for each in patches:
                stack.enter_context(each)
            spent = least(lambda path=path: call(application, path))
        lines.append([name, f"{spent - before:.0f}", f"{spent:.0f}"])
        before = spent
    return lines


def canned(target: str) -> list[tuple]:
    """What the database answers to `target`."""
    seen: list[list[tuple]] = []
    fetch = search.fetch

    def note(*arguments) -> list[tuple]:
        seen.append(fetch(*arguments))
        return seen[-1]

    with patch.object(search, "fetch", note):
        mix.ask(target)
    return seen[-1]


def call(application: Callable, target: str) -> None:
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    answer = application(environ, lambda *_: None)
    b"".join(answer)
    answer.close()


def least(work: Callable[[], None]) -> float:
    """The least of many batches: other programs can only add to it."""
    spent = []
    for _ in range(BATCHES):
        started = time.process_time()
        for _ in range(CALLS):
            work()
        spent.append(time.process_time() - started)
    return min(spent) / CALLS * 1e6


HEAD = ["processor µs of a list request", "layer", "so far"]
