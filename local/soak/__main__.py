"""`make soak MINUTES=5 PARENTS=2000 REGION=in`: many parents, a system that is being broken, and a balance of nothing.

It starts the whole of Juniro beside whatever else runs here (its own databases, `juniro_soak_…`, kept until the next
soak), with a hold of one minute, and lets the parents loose. Meanwhile the processors drop, repeat, shuffle and delay
their webhooks and answer 500 now and then, and worker and API are killed (SIGKILL). Then the faults end, the sweeps
come round, and once nothing more is under way the books are closed. Exit code 1 if they do not balance.

    MINUTES   of load, default 1      PARENTS   default 300      DRIVERS   threads, default 12
    SEED      of what the parents do; threads and kills are not repeatable
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import environ
import redis
import requests

from local.run import Group, Plan, RunError, number, plan, wait_until_ready
from local.servers import CHECKOUT, ServersError, ServerUrls, local_dir, recreate, running_servers
from local.soak.parents import Crowd, World, find_sessions
from local.soak.reckoning import Books

REDIS_DBS = (61, 62, 63)
FAULTS = {
    "drop": 0.1,
    "duplicate": 0.15,
    "reorder": 0.3,
    "delay": 3,
    "http500": 0.04,
    "timeout": 0.002,
    "hang_seconds": 11,
}
KILLS = {"worker": 11, "api": 29}  # seconds from one to the next
QUIET_LIMIT = 420  # seconds: a refund that met four outages waits for the fifth try
SPEED = {"BOOKING_HOLD_MINUTES": "1", "RATE_LIMIT_READ": "1000000", "RATE_LIMIT_WRITE": "1000000"}


def environment(asked: Plan, urls: ServerUrls) -> dict[str, str]:
    """The run's environment, on databases of the soak's own, emptied."""
    env = asked.environment() | urls.for_region(asked.region, redis_dbs=REDIS_DBS)
    for variable, name in (
        ("DATABASE_URL", f"juniro_soak_{asked.region}"),
        ("GLOBAL_DATABASE_URL", "juniro_soak_global"),
    ):
        env[variable] = urlsplit(env[variable])._replace(path=f"/{name}").geturl()
        recreate(env[variable])
    for variable in ("REDIS_URL", "GLOBAL_REDIS_URL", "CELERY_BROKER_URL"):
        redis.Redis.from_url(env[variable]).flushdb()
    for old in local_dir().glob("soak-*.sqlite*"):
        old.unlink()
    state = str(local_dir() / f"soak-{asked.region}.sqlite")
    return env | SPEED | {"SANDBOX_STATE": state, "EMAIL_URL": "dummymail://", "LOG_LEVEL": "WARNING"}


class Machine:
    """The running system, with processes that can be killed and come again."""

    def __init__(self, asked: Plan, group: Group) -> None:
        self.asked, self.group = asked, group
        self.lives = dict.fromkeys(asked.processes(), 0)

    def start(self, name: str) -> None:
        self.lives[name] += 1
        self.group.start(f"{name}-{self.lives[name]}", self.asked.processes()[name])

    def kill(self, name: str) -> None:
        """No goodbye: the process and all that it started are gone, and new ones come."""
        process = self.group.running.pop(f"{name}-{self.lives[name]}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.start(name)


def load(machine: Machine, crowd: Crowd, *, seconds: float) -> None:
    """Lets the parents act and kills what is to be killed, for so long."""
    began = shown = time.monotonic()
    due = {name: began + pause for name, pause in KILLS.items()}
    crowd.start()
    while (now := time.monotonic()) < began + seconds:
        machine.group.check()
        for name in [name for name, at in due.items() if at <= now]:
            machine.kill(name)
            due[name] = now + KILLS[name]
        if now - shown > 15:
            shown = now
            print(
                f"  {now - began:4.0f} s  {crowd.made} parents, {sum(crowd.world.told.values()):,} answers", flush=True
            )
        time.sleep(0.2)
    crowd.stop()


def become_quiet(machine: Machine, books: Books) -> dict[str, int]:
    """Waits until nothing is under way any more; gives what still is when patience ends."""
    deadline, calm = time.monotonic() + QUIET_LIMIT, 0
    while True:
        machine.group.check()
        left = books.unrest()
        # Twice, as what one look finds finished may just be about to begin something.
        calm = calm + 1 if not left else 0
        if calm == 2 or time.monotonic() > deadline:
            return left
        print(f"  waiting for: {', '.join(f'{count} {what}' for what, count in left.items()) or 'calm'}", flush=True)
        time.sleep(5)


def soak() -> int:
    minutes, parents, drivers = number("MINUTES", 1, 1440), number("PARENTS", 300, 100_000), number("DRIVERS", 12, 64)
    random.seed(os.environ.get("SEED"))
    os.environ.setdefault("ACTIVITIES", "30")
    asked = plan(free_ports=True)
    log = local_dir() / "soak-log"
    shutil.rmtree(log, ignore_errors=True)
    with running_servers() as urls:
        env = environment(asked, urls)
        with Group(env=env, log=log) as group:
            print(f"Preparing ({asked.region}) …", flush=True)
            # No history: no processor knows of its payments.
            prepare = [sys.executable, "manage.py", "prepare_local", "--no-history"]
            prepare += ["--activities", str(asked.activities)]
            if group.finish("prepare", prepare):
                raise RunError(f"prepare_local failed{group.last_words('prepare')}")
            machine = Machine(asked, group)
            for name in asked.processes():
                machine.start(name)
            wait_until_ready(group, f"{asked.api_url}/health/ready", log="api-1")
            world = World(api=asked.api_url, sandbox=asked.sandbox_url, region=asked.region)
            find_sessions(world, activities=12)
            print(f"{parents} parents want the seats of {len(world.sessions)} sessions, for {minutes} min", flush=True)
            requests.post(f"{asked.sandbox_url}/faults", json=FAULTS, timeout=10).raise_for_status()
            load(machine, Crowd(world, parents=parents, drivers=drivers), seconds=minutes * 60)
            requests.delete(f"{asked.sandbox_url}/faults", timeout=10).raise_for_status()
            books = Books(env["DATABASE_URL"], asked.sandbox_url)
            left = become_quiet(machine, books)
            return report(world, machine, books, left, log)


def report(world: World, machine: Machine, books: Books, left: dict[str, int], log: Path) -> int:
    print("\nWhat the parents were told")
    for (what, outcome), count in sorted(world.told.items()):
        print(f"  {what:<22}{outcome:<26}{count:>8,}")
    kills = ", ".join(f"{name} {machine.lives[name] - 1} times" for name in KILLS)
    print(f"\nKilled: {kills}\n\nThe books")
    lines, troubles = books.close()
    for name, value in lines:
        print(f"  {name:<48}{value}")
    troubles += [f"still under way: {count} {what}" for what, count in left.items()] + world.surprises
    if troubles:
        print("\nThey do not balance:" if lines else "", *troubles[:50], f"Logs: {log}", sep="\n  ", file=sys.stderr)
        return 1
    print("\nEvery seat and every cent is where it belongs.")
    return 0


def main() -> int:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)
    if (CHECKOUT / ".env").exists():
        environ.Env.read_env(CHECKOUT / ".env")
    try:
        return soak()
    except KeyboardInterrupt:
        return 130
    except (RunError, ServersError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
