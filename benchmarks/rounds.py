"""Interleaved rounds of load: the application, the bare server, and the application again for the noise."""

import pickle
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import direct, load, mix, servers

CONNECTIONS = 8
SUBJECTS = ("juniro", "bare ASGI", "juniro again")


def measure(size: int, scenario: str, *, rounds: int, seconds: float) -> dict[str, list[load.Round]]:
    """Rounds by subject. The bare server must first answer every request with the same bytes."""
    recorded = mix.record(scenario)
    targets = [each.target for each in recorded]
    with tempfile.NamedTemporaryFile() as file:
        file.write(pickle.dumps({each.target: (each.statement, each.parameters, each.shape()) for each in recorded}))
        file.flush()
        with servers.juniro(size) as juniro, servers.bare(size, Path(file.name), targets[0]) as bare:
            for target in targets:
                if juniro.get(target) != bare.get(target):
                    raise SystemExit(f"{target}: the bare server does not send the same bytes")
            subjects = dict(zip(SUBJECTS, (juniro, bare, juniro), strict=True))
            return interleaved(
                {name: (lambda server=server: one(server, targets, seconds)) for name, server in subjects.items()},
                rounds=rounds,
            )


def one(server: servers.Server, targets: list[str], seconds: float, connections: int = CONNECTIONS) -> load.Round:
    return load.round_of(server.url, server.pid, targets, connections=connections, seconds=seconds)


def interleaved(subjects: dict[str, Callable[[], load.Round]], *, rounds: int) -> dict[str, list[load.Round]]:
    """A B C A B C …, after one round each that does not count."""
    results: dict[str, list[load.Round]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, run in subjects.items():
            result = run()
            if number:
                results[name].append(result)
    return results


def report(size: int, scenario: str, *, rounds: int, seconds: float) -> list[list[str]]:
    """A line each for the application, the bare server, and PostgreSQL alone."""
    results = measure(size, scenario, rounds=rounds, seconds=seconds)
    name, alone = direct.rate(size, mix.record(scenario), seconds=seconds * 2)
    middle = {subject: median(done, lambda one: one.rate) for subject, done in results.items()}
    lines = []
    for subject in SUBJECTS[:2]:
        done = results[subject]
        lines.append(
            [
                f"{size:,}" if subject == "juniro" else "",
                scenario if subject == "juniro" else "",
                subject,
                f"{middle[subject]:.0f}",
                *(f"{median(done, lambda one, share=share: one.percentile(share)):.1f}" for share in (0.5, 0.95, 0.99)),
                f"{median(done, lambda one: one.cpu_ms):.2f}",
                f"{paired(results['juniro'], results[subject]):.2f}" if subject != "juniro" else "",
                f"{paired(results['juniro'], results['juniro again']):.2f}" if subject == "juniro" else "",
            ]
        )
    lines.append(["", "", name, f"{alone:.0f}", "", "", "", "", f"{middle['juniro'] / alone:.2f}", ""])
    return lines


def paired(ours: list[load.Round], others: list[load.Round]) -> float:
    """The median over rounds of how our rate compares with theirs in the same round."""
    return statistics.median(our.rate / other.rate for our, other in zip(ours, others, strict=True))


def median(rounds: list[load.Round], of: Callable[[load.Round], float]) -> float:
    return statistics.median(of(each) for each in rounds)


HEAD = ["size", "scenario", "server", "req/s", "p50", "p95", "p99", "CPU ms", "juniro ÷ it", "A/A"]


def crowd(size: int, *, rounds: int, seconds: float) -> list[list[str]]:
    """The list at the usual number of connections and at ten times as many."""
    targets = mix.targets("list")
    lines = []
    with servers.juniro(size) as server:
        by = {
            str(number): (lambda number=number: one(server, targets, seconds, number))
            for number in (CONNECTIONS, CONNECTIONS * 10)
        }
        for number, done in interleaved(by, rounds=rounds).items():
            shares = (
                f"{median(done, lambda one, share=share: one.percentile(share)):.0f}" for share in (0.5, 0.95, 0.99)
            )
            lines.append([f"{size:,}", number, f"{median(done, lambda one: one.rate):.0f}", *shares])
    return lines
