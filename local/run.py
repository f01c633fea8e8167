"""`python -m local.run`: the whole of Juniro in one foreground process group, as `make run` and `make demo` use it."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Self

import environ

from local.servers import CHECKOUT, REDIS_DBS, ServersError, local_dir, running_servers

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 8  # seconds that a process gets to finish what it is doing
START_LIMIT = 90  # seconds until the API must be ready

# Outlives the supervisor by a moment: reads the process groups that it starts and, should it vanish without a goodbye
# (SIGKILL, out of memory), ends them with all that they started.
LEASH = 'while read -r group; do groups="$groups -$group"; done; kill -s KILL -- $groups'


class RunError(Exception):
    """Juniro cannot run; the message is for the person at the keyboard."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Plan:
    """What one run was asked for."""

    region: str
    host: str
    port: int
    sandbox_port: int
    activities: int

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    def processes(self) -> dict[str, list[str]]:
        """The commands of the foreground group by name."""
        granian = ["granian", "--interface", "wsgi", "--host", self.host, "--port", str(self.port), "--no-ws"]
        limits = ["--workers", "2", "--blocking-threads", "4", "--workers-kill-timeout", "5", "--log-level", "warning"]
        celery = ["celery", "--quiet", "--app", "juniro"]
        worker = ["worker", "--concurrency", "2", "--pool", "prefork", "--loglevel", "warning"]
        # Two runs of one region share the broker: each worker needs a name of its own, each beat its own memory.
        hostname = ["--hostname", f"{self.region}-{self.port}@%h", "--without-mingle", "--without-gossip"]
        schedule = ["--schedule", str(local_dir() / f"beat-{self.region}-{self.port}")]
        commands = {
            "sandbox": ["local.sandbox"],
            "api": [*granian, *limits, "juniro.wsgi:application"],
            "worker": [*celery, *worker, *hostname],
            "beat": [*celery, "beat", "--loglevel", "warning", *schedule],
        }
        return {name: [sys.executable, "-m", *command] for name, command in commands.items()}

    def environment(self) -> dict[str, str]:
        """What every process of this run finds in its environment, besides the servers."""
        return os.environ | {
            "JUNIRO_ENV": "local",
            "REGION": self.region,
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
            "SANDBOX_URL": self.sandbox_url,
            # Accounts and payments made in the sandbox are still there after a restart.
            "SANDBOX_STATE": str(local_dir() / f"sandbox-{self.region}.sqlite"),
            "JUNIRO_API_URL": self.api_url,
            "PYTHONUNBUFFERED": "1",
            "PROMETHEUS_MULTIPROC_DIR": str(local_dir() / f"metrics-{self.region}-{self.port}"),
            "PGGSSENCMODE": "disable",  # Kerberos in libpq crashes forked processes on macOS
        }


class Group:
    """Processes that live and die together; each leads a process group of its own, so that its offspring goes too."""

    def __init__(self, *, env: dict[str, str], log: Path | None) -> None:
        self.env = env
        self.log = log  # a folder for one log a process, or None for the screen
        self.running: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Self:
        self.leash = subprocess.Popen(
            ["/bin/sh", "-c", LEASH], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert self.leash.stdin
        self.leash_ear = self.leash.stdin
        return self

    def start(self, name: str, command: list[str], *, on_screen: bool = False) -> subprocess.Popen:
        """Start a process whose output goes, line by line, behind its name or into its log."""
        with self._output(name, on_screen) as output:
            process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if on_screen else subprocess.STDOUT,
                start_new_session=True,
            )
        self.running[name] = process
        self.leash_ear.write(b"%d\n" % process.pid)
        self.leash_ear.flush()
        if process.stdout:
            threading.Thread(target=_relay, args=(name, process.stdout), daemon=True).start()
        return process

    def _output(self, name: str, on_screen: bool) -> AbstractContextManager[IO | int | None]:
        if on_screen:
            return nullcontext(None)
        if self.log is None:
            return nullcontext(subprocess.PIPE)
        self.log.mkdir(parents=True, exist_ok=True)
        return (self.log / f"{name}.log").open("wb")

    def finish(self, name: str, command: list[str], *, on_screen: bool = False) -> int:
        """Run a process to its end beside the others; answers its exit code."""
        process = self.start(name, command, on_screen=on_screen)
        while process.poll() is None:
            self.check(but=name)
            time.sleep(0.05)
        del self.running[name]
        return process.returncode

    def check(self, *, but: str = "") -> None:
        """Raise RunError if a process has ended on its own."""
        for name, process in self.running.items():
            if name != but and process.poll() is not None:
                raise RunError(f"{name} stopped by itself ({_ending(process.returncode)}){self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """The end of a process's log, where it did not go to the screen."""
        if not self.log:
            return ""
        path = self.log / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([f"; the end of {path}:", *(f"  {line}" for line in lines)])

    def __exit__(self, *_: object) -> None:
        for number in STOPPING:  # asked again while stopping: at once
            signal.signal(number, self._kill)
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + GRACE
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0, deadline - time.monotonic()))
        self._kill()
        for process in self.running.values():
            process.wait()
        self.leash.kill()
        self.leash.wait()
        self.leash_ear.close()

    def _kill(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        for process in self.running.values():
            with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of the dead
                os.killpg(process.pid, signal.SIGKILL)


def _relay(name: str, lines: IO[bytes]) -> None:
    for line in lines:
        with suppress(OSError):  # the reader of our output may have gone; the process must not stall for it
            sys.stdout.write(f"{name:8}| {line.decode(errors='replace').rstrip()}\n")
            sys.stdout.flush()


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def plan(*, free_ports: bool) -> Plan:
    """Read the run's settings from the environment; `free_ports` where PORT is not given."""
    region = os.environ.get("REGION") or "us"
    if region not in REDIS_DBS:
        raise RunError(f"REGION must be us or in, not {region!r}", 2)
    host = os.environ.get("HOST") or "127.0.0.1"
    any_port = free_ports and not os.environ.get("PORT")
    port = free_port() if any_port else number("PORT", 5001, 65535)
    sandbox_port = free_port() if any_port else number("SANDBOX_PORT", port + 100, 65535)
    for name, wanted, where in (("PORT", port, host), ("SANDBOX_PORT", sandbox_port, "127.0.0.1")):
        _refuse_occupied(name, wanted, where)
    return Plan(region, host, port, sandbox_port, number("ACTIVITIES", 300, 1_000_000))


def number(name: str, default: int, limit: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not 0 <= int(text) <= limit:
        raise RunError(f"{name} must be a number up to {limit}, not {text!r}", 2)
    return int(text)


def _refuse_occupied(name: str, port: int, host: str) -> None:
    # Granian starts on an occupied port without an error. Binding alone is not enough: on macOS a specific address can
    # be bound beside a wildcard one.
    with socket.socket() as attempt:
        attempt.settimeout(1)
        occupied = attempt.connect_ex(("127.0.0.1", port)) == 0
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except PermissionError:
            raise RunError(f"Port {port} needs privileges: set {name} to one above 1023", 2) from None
        except OSError:
            occupied = True
    if occupied:
        raise RunError(f"Port {port} is taken: stop what uses it, or set {name} to another", 2)


def free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]


def wait_until_ready(group: Group, url: str, *, log: str = "api") -> None:
    deadline = time.monotonic() + START_LIMIT
    state = "no answer"
    while time.monotonic() < deadline:
        group.check()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as error:
            state = f"{error.code} {error.read(500).decode(errors='replace')}"
        except OSError:
            pass
        time.sleep(0.1)
    raise RunError(f"The API is not ready after {START_LIMIT} seconds: {state}{group.last_words(log)}")


@contextmanager
def announced(plan: Plan) -> Iterator[None]:
    """Lets `standing_run` find this run while it lives; of two of one region the first is found."""
    with (local_dir() / f"run-{plan.region}.json").open("a+") as note:
        with suppress(OSError):
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            note.truncate(0)
            note.write(json.dumps(asdict(plan)))
            note.flush()
        yield


def standing_run(region: str) -> Plan | None:
    """The run of this region that is up and serving, if there is one."""
    with suppress(OSError, ValueError, TypeError), (local_dir() / f"run-{region}.json").open() as note:
        try:
            fcntl.flock(note, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            found = Plan(**json.load(note))
            with urllib.request.urlopen(f"{found.api_url}/health/ready", timeout=5):
                return found
    return None


def banner(plan: Plan) -> str:
    """What a developer needs to know once everything runs."""
    return f"""
  Juniro ({plan.region}) is ready.

    API       {plan.api_url}/v1          health {plan.api_url}/health/ready
    Docs      {plan.api_url}/v1/docs
    Admin     {plan.api_url}/admin/      admin@juniro.localhost, password juniro-local
    Sandbox   {plan.sandbox_url}         (sign-in, Stripe and Razorpay stand-ins)
    Mail      {local_dir() / "mail"}

  Try       curl '{plan.api_url}/v1/activities?limit=1'
  Stop      Ctrl-C
"""


def run(command: list[str]) -> int:
    """Serve until told to stop or, with a `command`, until that ends; answers the exit code."""
    region = os.environ.get("REGION") or "us"
    if command and not os.environ.get("PORT") and (standing := standing_run(region)):
        # A second worker on the same broker would take the other's tasks to the wrong sandbox.
        return subprocess.run(command, cwd=CHECKOUT, env=standing.environment(), check=False).returncode
    asked = plan(free_ports=bool(command))
    log = local_dir() / "log" if command else None
    with running_servers() as urls, announced(asked):
        env = asked.environment() | urls.for_region(asked.region)
        shutil.rmtree(env["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)  # counts of processes long gone
        with Group(env=env, log=log) as group:
            prepare = [sys.executable, "manage.py", "prepare_local", "--activities", str(asked.activities)]
            code = group.finish("prepare", prepare)
            if code:
                raise RunError(f"prepare_local failed ({_ending(code)}){group.last_words('prepare')}")
            for name, process in asked.processes().items():
                group.start(name, process)
            wait_until_ready(group, f"{asked.api_url}/health/ready")
            if command:
                code = group.finish("command", command, on_screen=True)
                return code if code >= 0 else 128 - code
            print(banner(asked), flush=True)
            while True:
                group.check()
                time.sleep(0.2)


def main(arguments: list[str]) -> int:
    """`python -m local.run [--exec COMMAND…]`"""
    command = arguments[1:]
    if arguments and (arguments[0] != "--exec" or not command):
        print("usage: python -m local.run [--exec COMMAND…]", file=sys.stderr)
        return 2
    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, signal.default_int_handler)
    if (CHECKOUT / ".env").exists():
        environ.Env.read_env(CHECKOUT / ".env")
    try:
        return run(command)
    except KeyboardInterrupt:
        return 130 if command else 0
    except OSError as error:
        print(f"juniro: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    except ServersError as error:
        print(f"juniro: {error}", file=sys.stderr)
        return 1
    except RunError as error:
        print(f"juniro: {error}", file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
