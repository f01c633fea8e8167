"""A bounded load over HTTP/1.1: so many connections, each with one request under way, for so long and no longer."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

MOST_REQUESTS = 50_000
PATIENCE = 30  # seconds for the answers that are still under way at the end


@dataclass
class Round:
    """One round: seconds it took, seconds of each answer, processor seconds of the server."""

    seconds: float
    latencies: list[float]
    cpu: float

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu / len(self.latencies) * 1000

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        return sorted(self.latencies)[min(int(len(self.latencies) * share), len(self.latencies) - 1)] * 1000


class Caller(asyncio.Protocol):
    """One kept-alive connection. Bare protocols, so that the load costs less than what it measures."""

    def __init__(self, requests: "Requests") -> None:
        self.requests = requests
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        request = self.requests.next()
        if request is None:
            self.transport.close()
            return
        self.started = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        _, has_length, after = head.lower().partition(b"content-length:")
        if not (len(rest) >= int(after.partition(b"\r\n")[0]) if has_length else rest.endswith(b"0\r\n\r\n")):
            return
        self.buffer = b""
        self.requests.answered(head[:10] == b"HTTP/1.1 2", time.perf_counter() - self.started, head)
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        self.requests.left(error)


class Requests:
    """What all connections of a round share."""

    def __init__(self, raw: list[bytes], seconds: float, connections: int) -> None:
        self.source = itertools.islice(itertools.cycle(raw), MOST_REQUESTS)
        self.until = time.perf_counter() + seconds
        self.latencies: list[float] = []
        self.open = connections
        self.done = asyncio.get_running_loop().create_future()

    def next(self) -> bytes | None:
        return next(self.source, None) if time.perf_counter() < self.until else None

    def answered(self, good: bool, seconds: float, head: bytes) -> None:
        if not good and not self.done.done():
            self.done.set_exception(RuntimeError(f"the server answered {head[:200]!r}"))
        self.latencies.append(seconds)

    def left(self, error: Exception | None) -> None:
        self.open -= 1
        if not self.done.done():
            if error:
                self.done.set_exception(error)
            elif not self.open:
                self.done.set_result(None)


async def drive(
    url: str, targets: Sequence[str | bytes], *, connections: int, seconds: float
) -> tuple[float, list[float]]:
    """`targets` are paths to GET, or whole requests as bytes."""
    address = urlsplit(url)
    raw = [
        target if isinstance(target, bytes) else f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode()
        for target in targets
    ]
    requests = Requests(raw, seconds, connections)
    loop, started = asyncio.get_running_loop(), time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Caller(requests), address.hostname, address.port)
    await asyncio.wait_for(requests.done, seconds + PATIENCE)
    return time.perf_counter() - started, requests.latencies


def round_of(url: str, pid: int, targets: Sequence[str | bytes], *, connections: int, seconds: float) -> Round:
    before = cpu_seconds(pid)
    took, latencies = asyncio.run(drive(url, targets, connections=connections, seconds=seconds))
    return Round(took, latencies, cpu_seconds(pid) - before)


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and of everything that it started."""
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return sum(each.user + each.system for each in times)
