"""Processes that book as fast as they can, by threads with a connection each: through the service, or the plain ORM."""

import multiprocessing
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

PROCESSES = 4
CHILDREN = 40_000


def numbered(kind: int, number: int) -> uuid.UUID:
    """The ids that `bench_id` makes in the database."""
    return uuid.UUID(f"0be9c400-0000-7000-8{kind:03x}-{number:012x}")


@dataclass(frozen=True)
class Work:
    """What one process is to do: `clients` threads, numbered from `first`, each with `each` children of its own."""

    verb: str
    first: int
    clients: int
    each: int
    sessions: int
    begin: float
    seconds: float


class Crowd:
    """The processes, which load Django once and wait for work."""

    def __init__(self, database_url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.ends: list[Connection] = []
        self.processes = []
        for _ in range(PROCESSES):
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, database_url), daemon=True)
            process.start()
            self.ends.append(ours)
            self.processes.append(process)
        for end in self.ends:
            end.recv()

    def statements(self) -> list[tuple[str, Any]]:
        """What `book` sends for child 1 and session 1."""
        self.ends[0].send("statements")
        return self.ends[0].recv()

    def rate(self, verb: str, clients: int, sessions: int, seconds: float) -> float:
        """Bookings a second of so many clients, each of them with children of its own."""
        shares = [clients // PROCESSES + (number < clients % PROCESSES) for number in range(PROCESSES)]
        first = 0
        begin = time.time() + 0.5
        for end, share in zip(self.ends, shares, strict=True):
            end.send(Work(verb, first, share, CHILDREN // clients, sessions, begin, seconds))
            first += share
        return sum(end.recv() for end in self.ends) / seconds

    def close(self) -> None:
        for end in self.ends:
            end.send(None)
        for process in self.processes:
            process.join(10)


@contextmanager
def crowd(database_url: str) -> Iterator[Crowd]:
    found = Crowd(database_url)
    try:
        yield found
    finally:
        found.close()


def serve(pipe: Connection, database_url: str) -> None:
    os.environ |= {"DATABASE_URL": database_url, "DJANGO_SETTINGS_MODULE": "juniro.settings", "LOG_LEVEL": "ERROR"}
    import django  # noqa: PLC0415

    django.setup()
    pipe.send("ready")
    while job := pipe.recv():
        pipe.send(statements() if job == "statements" else book_all(job))


def statements() -> list[tuple[str, Any]]:
    from django.db import connection  # noqa: PLC0415

    sent: list[tuple[str, Any]] = []

    def listen(execute: Any, statement: str, values: Any, many: bool, context: Any) -> Any:
        sent.append((statement, values))
        return execute(statement, values, many, context)

    with connection.execute_wrapper(listen):
        verbs()["book"](1, 1)
    return sent


def verbs() -> dict[str, Any]:
    from django.utils import timezone  # noqa: PLC0415

    from benchmarks import plain_booking  # noqa: PLC0415
    from bookings import services  # noqa: PLC0415
    from marketplace.models import Session  # noqa: PLC0415
    from users.models import Child, Parent  # noqa: PLC0415

    known = {
        each.pk: each
        for each in Session.objects.select_related("offering").filter(
            pk__gte=numbered(4, 0), pk__lte=numbered(4, 100_000)
        )
    }

    def ours(child: int, session: int) -> None:
        parent = Parent(pk=numbered(2, child))
        services.book(
            parent=parent,
            child=Child(pk=numbered(3, child), parent=parent),
            session=known[numbered(4, session)],
            now=timezone.now(),
        )

    def plain(child: int, session: int) -> None:
        plain_booking.book(
            parent_id=numbered(2, child),
            child_id=numbered(3, child),
            session_id=numbered(4, session),
            now=timezone.now(),
        )

    return {"book": ours, "plain": plain}


def book_all(work: Work) -> int:
    """How many bookings the threads make, all of them beginning together."""
    from django.db import connections  # noqa: PLC0415

    from core.errors import Error  # noqa: PLC0415

    book, end = verbs()[work.verb], work.begin + work.seconds
    done = [0] * work.clients

    def client(number: int) -> None:
        client = work.first + number
        connections["default"].ensure_connection()
        time.sleep(max(0, work.begin - time.time()))
        for turn in range(1, work.each):
            if time.time() >= end:
                break
            try:
                book(client * work.each + turn, 1 + (client * 37 + turn) % work.sessions)
                done[number] += 1
            except Error:
                break
        connections.close_all()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(work.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done)
