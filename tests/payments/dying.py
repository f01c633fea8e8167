"""`python -m tests.payments.dying`: does one job after the other, each in a process that dies where it is told.

It loads the application once and forks for each job, a line of JSON on standard input:

    do       ["request", method, path, body, headers], or ["task", name, *arguments]
    point    the function at which the process kills itself, as "module.name" or "module.Class.name"
    after    let the function do its work first
    count    which call of it is the last one: 1 is the first
    settings the test's own, where they differ

and answers with the number of the signal that ended it, 0 if it came through. SIGKILL leaves no time for anything: no
rollback, no finally, no goodbye to the database. Nothing in the application knows of this.
"""

import json
import os
import pkgutil
import signal
import sys
from typing import Any

import django


def main() -> None:
    django.setup()
    from tests import conftest  # noqa: F401, which gives each parallel worker its own Redis

    tell("ready")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        tell(os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def run(job: dict[str, Any]) -> None:
    from celery import current_app
    from django.conf import settings

    from tests.conftest import Api

    for name, value in job["settings"].items():
        setattr(settings, name, value)
    # The broker belongs to no test; whatever is lost with it a sweep must find.
    current_app.send_task = lambda *args, **kwargs: None
    die_at(job["point"], after=job["after"], count=job["count"])
    kind, *arguments = job["do"]
    if kind == "task":
        name, *arguments = arguments
        current_app.loader.import_default_modules()
        current_app.tasks[name](*arguments)
    else:
        method, path, body, headers = arguments
        Api(headers).request(method, path, raw=body.encode())


def die_at(point: str, *, after: bool, count: int) -> None:
    owner, _, name = point.rpartition(".")
    where = pkgutil.resolve_name(owner)
    work, calls = getattr(where, name), 0

    def last(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls < count:
            return work(*args, **kwargs)
        if after:
            work(*args, **kwargs)
        return os.kill(os.getpid(), signal.SIGKILL)

    setattr(where, name, last)


if __name__ == "__main__":
    main()
