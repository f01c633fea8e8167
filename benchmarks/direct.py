"""The same SQL without any server of ours: through pgbench, or else through a bare loop of psycopg processes."""

import multiprocessing
import re
import subprocess
import tempfile
import time
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import databases, servers
from benchmarks.mix import Recorded

CLIENTS = 8


def rate(size: int, recorded: list[Recorded], *, seconds: float) -> tuple[str, float]:
    """Who asked, and the statements a second that PostgreSQL answered to eight clients."""
    program = servers.pgbench()
    if program:
        return "pgbench", through_pgbench(program, size, recorded, seconds)
    return "psycopg", through_psycopg(size, recorded, seconds)


def through_pgbench(program: str, size: int, recorded: list[Recorded], seconds: float) -> float:
    # Each script is prepared by each client: with more of them, a short run would mostly measure that.
    recorded = recorded if len({each.statement for each in recorded}) > 1 else recorded[:4]
    with tempfile.TemporaryDirectory() as folder:
        options = ["-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(max(1, round(seconds)))]
        for number, each in enumerate(recorded):
            script = Path(folder) / f"{number}.sql"
            values = {f"p{number}_{position}": written(value) for position, value in enumerate(each.parameters, 1)}

            def place(match: re.Match, number: int = number, values: dict = values) -> str:
                name = f"p{number}_{match[1]}"
                return f":{name}" if values[name] else "''"  # pgbench knows no empty values

            script.write_text(re.sub(r"\$(\d+)", place, each.statement).strip() + ";\n")
            options += ["-f", str(script)]
            for name, value in values.items():
                options += ["-D", f"{name}={value}"] if value else []
        told = subprocess.run(
            [program, *options, databases.url(size)], capture_output=True, text=True, check=False, timeout=seconds + 60
        )
    found = re.search(r"tps = ([\d.]+)", told.stdout)
    if not found:
        raise SystemExit(f"pgbench failed: {told.stderr.strip()[-500:]}")
    return float(found[1])


def written(value: Any) -> str:
    """A parameter as PostgreSQL reads it."""
    if isinstance(value, list):
        return "{" + ",".join(written(each) for each in value) + "}"
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def through_psycopg(size: int, recorded: list[Recorded], seconds: float) -> float:
    work = [(each.statement, each.parameters) for each in recorded]
    with multiprocessing.get_context("spawn").Pool(CLIENTS) as pool:
        return sum(pool.starmap(loop, [(databases.url(size), work, seconds)] * CLIENTS))


def loop(url: str, work: list[tuple[str, list[Any]]], seconds: float) -> float:
    with psycopg.connect(url, autocommit=True, prepare_threshold=1, cursor_factory=psycopg.RawCursor) as connection:
        for statement, parameters in work * 2:
            connection.execute(statement, parameters)
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            for statement, parameters in work:
                connection.execute(statement, parameters).fetchall()
            done += len(work)
        return done / (time.perf_counter() - started)
