"""`make run` and `make demo` as processes: a small stand-in project in a copy, with the real granian and celery."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

# The least that `local.run` asks of a project.
PROJECT = {
    "manage.py": """
        import os, sys
        print("prepared", *sys.argv[1:], flush=True)
        sys.exit(os.environ.get("PREPARE_CODE"))
    """,
    "juniro/__init__.py": "",
    "juniro/wsgi.py": """
        import os

        def application(environ, start_response):
            ready = environ["PATH_INFO"] == "/health/ready"
            start_response("200 OK" if ready else "404 Not Found", [])
            return [os.environ["REGION"].encode()]
    """,
    "juniro/celery.py": """
        import os
        from celery import Celery

        app = Celery("juniro", broker=os.environ["CELERY_BROKER_URL"])
    """,
    "local/sandbox/__init__.py": "",
    "local/sandbox/__main__.py": """
        import http.server, os, sys

        if os.environ.get("SANDBOX_CODE"):
            sys.exit("the sandbox has a reason")
        address = ("127.0.0.1", int(os.environ["SANDBOX_PORT"]))
        http.server.HTTPServer(address, http.server.BaseHTTPRequestHandler).serve_forever()
    """,
}


class Project:
    """A copy of what is tested, around a project that does next to nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[subprocess.Popen] = []
        for name, text in PROJECT.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = text.strip("\n").splitlines()
            path.write_text("\n".join(line[8:] if line.startswith(" " * 8) else line for line in lines) + "\n")
        for name in ("__init__", "servers", "run"):
            shutil.copy(CHECKOUT / "local" / f"{name}.py", folder / "local")

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen:
        unset = ("DATABASE_URL", "GLOBAL_DATABASE_URL", "REDIS_URL", "GLOBAL_REDIS_URL", "CELERY_BROKER_URL")
        unset += ("REGION", "PORT", "SANDBOX_PORT", "HOST", "ACTIVITIES", "JUNIRO_LOCAL_DIR")
        # The stand-in has no settings, and a worker that is told of some ends for want of them.
        unset += ("DJANGO_SETTINGS_MODULE",)
        run = subprocess.Popen(
            [sys.executable, "-m", "local.run", *arguments],
            cwd=self.folder,
            env=os.environ | dict.fromkeys(unset, "") | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.runs.append(run)
        return run

    def serve(self, **variables: str) -> tuple[subprocess.Popen, str]:
        """A run that has printed its banner, and what it printed until then."""
        run = self.start(**variables)
        printed = ""
        while "Ctrl-C" not in printed:
            line = run.stdout.readline()
            assert line, f"ended early: {printed}{run.stderr.read()}"
            printed += line
        return run, printed

    def processes(self) -> dict[int, str]:
        """Every living process that works in this folder."""
        found = {}
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(self.folder):
                    found[process.pid] = process.name()
            except psutil.Error:
                continue
        return found

    def settled(self) -> dict[int, str]:
        """The same, once those that only helped at the start are gone."""
        seen: dict[int, str] = {}
        while seen != (now := self.processes()):
            seen = now
            time.sleep(1)
        return seen

    def close(self) -> None:
        for run in self.runs:
            run.terminate()
        for run in self.runs:
            run.communicate(timeout=60)
        if self.processes():  # servers that a killed run left; whoever leaves last stops them
            subprocess.run([sys.executable, "-m", "local.servers", "exec", "true"], check=True, cwd=self.folder)

    def finish(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        run = self.start(*arguments, **variables)
        out, err = run.communicate(timeout=120)
        return run.returncode, out, err


@pytest.fixture
def project():
    # Not pytest's tmp_path: every session closes that tree, and root's PostgreSQL runs under another account.
    with tempfile.TemporaryDirectory(prefix="juniro-") as folder:
        Path(folder).chmod(0o755)
        project = Project(Path(folder).resolve())
        yield project
        project.close()


@pytest.fixture
def ports():
    """Two free ports as PORT and SANDBOX_PORT."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return {"PORT": str(one.getsockname()[1]), "SANDBOX_PORT": str(two.getsockname()[1])}


def test_a_run_serves_says_where_and_ends_with_ctrl_c_leaving_no_process(project, ports):
    run, printed = project.serve(REGION="in", ACTIVITIES="12", **ports)

    with urllib.request.urlopen(f"http://127.0.0.1:{ports['PORT']}/health/ready") as answer:
        assert answer.read() == b"in"
    assert "prepare | prepared prepare_local --activities 12\n" in printed
    for expected in (
        "/v1/docs",
        "/admin/",
        "admin@juniro.localhost",
        "juniro-local",
        "curl 'http",
        ports["SANDBOX_PORT"],
    ):
        assert expected in printed
    names = list(project.processes().values())
    assert "valkey-server" in names and "postgres" in names

    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 0
    assert project.processes() == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_be_told_to_stop_leave_no_process_either(project, ports, number):
    run, _ = project.serve(**ports)

    run.send_signal(number)

    assert run.wait(60) == 0
    assert project.processes() == {}


def test_ctrl_c_while_still_starting_stops_what_has_started(project, ports):
    run = project.start(**ports)
    run.stdout.readline()

    run.send_signal(signal.SIGINT)

    assert run.wait(60) == 0
    assert project.processes() == {}


def test_a_killed_supervisor_takes_its_processes_along_and_the_next_run_works(project, ports):
    run, _ = project.serve(**ports)
    run.kill()
    run.wait()

    deadline = time.monotonic() + 5
    while set(project.processes().values()) - {"postgres", "valkey-server"} and time.monotonic() < deadline:
        time.sleep(0.05)
    left = project.processes()
    assert set(left.values()) == {"postgres", "valkey-server"}

    successor, _ = project.serve(**ports)
    assert left.keys() & project.processes().keys(), "the servers were adopted"
    successor.send_signal(signal.SIGINT)
    assert successor.wait(60) == 0
    assert project.processes() == {}


def test_a_process_that_dies_is_named_and_everything_stops(project, ports):
    code, out, err = project.finish(SANDBOX_CODE="1", **ports)

    assert code == 1
    assert err == "juniro: sandbox stopped by itself (exit code 1)\n"
    assert "sandbox | the sandbox has a reason\n" in out
    assert project.processes() == {}


def test_a_worker_killed_from_outside_is_named_too(project, ports):
    run, _ = project.serve(**ports)
    (worker,) = [child for child in psutil.Process(run.pid).children() if "worker" in child.cmdline()]
    worker.kill()

    _, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert err == "juniro: worker stopped by itself (killed by SIGKILL)\n"
    assert project.processes() == {}


def test_a_failed_preparation_stops_the_run(project, ports):
    code, _, err = project.finish(PREPARE_CODE="no table", **ports)

    assert code == 1
    assert "juniro: prepare_local failed (exit code 1)\n" in err
    assert project.processes() == {}


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_an_occupied_port_is_refused_with_one_clear_line(project, ports, name):
    with socket.create_server(("127.0.0.1", int(ports[name]))):
        code, out, err = project.finish(**ports)

    assert (code, out) == (2, "")
    assert err == f"juniro: Port {ports[name]} is taken: stop what uses it, or set {name} to another\n"
    assert not (project.folder / ".local").exists()


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"PORT": "http"}, "PORT must be a number up to 65535, not 'http'"),
        ({"PORT": "65536"}, "PORT must be a number up to 65535, not '65536'"),
        ({"REGION": "eu"}, "REGION must be us or in, not 'eu'"),
        ({"ACTIVITIES": "-1"}, "ACTIVITIES must be a number up to 1000000, not '-1'"),
    ],
)
def test_a_senseless_setting_is_refused_with_one_clear_line(project, ports, variables, line):
    assert project.finish(**(ports | variables)) == (2, "", f"juniro: {line}\n")


def test_exec_runs_its_command_beside_everything_and_hands_back_its_exit_code(project):
    code, out, err = project.finish("--exec", "sh", "-c", 'echo "$JUNIRO_API_URL $SANDBOX_URL"; exit 7')

    assert (code, err) == (7, ""), err
    api, sandbox = out.split()  # and nothing else on the screen
    assert api.startswith("http://127.0.0.1:") and sandbox.startswith("http://127.0.0.1:") and api != sandbox
    assert (project.folder / ".local/log/prepare.log").read_text() == "prepared prepare_local --activities 300\n"
    assert project.processes() == {}


def test_exec_works_beside_a_run_and_leaves_it_alone(project, ports):
    run, _ = project.serve(**ports)
    before = project.settled()
    assert run.poll() is None, run.stderr.read()

    code, out, _ = project.finish("--exec", "sh", "-c", 'echo "$JUNIRO_API_URL"')

    # Not by servers of its own: their worker would take the other's tasks.
    assert (code, out) == (0, f"http://127.0.0.1:{ports['PORT']}\n")
    assert run.poll() is None, run.stderr.read()
    assert before.keys() <= project.processes().keys()


def test_exec_shows_the_end_of_the_log_of_what_failed(project):
    code, _, err = project.finish("--exec", "true", SANDBOX_CODE="1")

    assert code == 1
    assert err.startswith("juniro: sandbox stopped by itself (exit code 1); the end of ")
    assert err.endswith("  the sandbox has a reason\n")
