"""The embedded servers, with real processes in folders of their own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

CHECKOUT = Path(__file__).resolve().parents[2]
NAMES = ("DATABASE_URL", "GLOBAL_DATABASE_URL", "REDIS_URL", "GLOBAL_REDIS_URL", "CELERY_BROKER_URL")
SHOW_URLS = f"import json, os; print(json.dumps({{name: os.environ[name] for name in {NAMES}}}), flush=True)"
HOLD = SHOW_URLS + "; import sys; sys.stdin.read()"


class Machine:
    """A checkout's local folder and the commands that use its servers."""

    def __init__(self, local: Path, checkout: Path = CHECKOUT) -> None:
        self.local = local
        self.checkout = checkout
        self.users: list[subprocess.Popen] = []

    def environment(self, **variables: str) -> dict[str, str]:
        # Empty counts as unset, and keeps a developer's .env out.
        unset = dict.fromkeys((*NAMES, "REGION"), "")
        return os.environ | unset | {"JUNIRO_LOCAL_DIR": str(self.local)} | variables

    def command(self, *command: str) -> list[str]:
        return [sys.executable, "-m", "local.servers", "exec", "--", *command]

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*command),
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.checkout,
            env=self.environment(**variables),
        )

    def urls(self, **variables: str) -> dict[str, str]:
        done = self.run(sys.executable, "-c", SHOW_URLS, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def user(self, **variables: str) -> subprocess.Popen:
        """Somebody who uses the servers until their standard input closes."""
        user = subprocess.Popen(
            self.command(sys.executable, "-c", HOLD),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.checkout,
            env=self.environment(**variables),
        )
        self.users.append(user)
        return user

    def server_pids(self) -> dict[str, int]:
        """The living servers of this folder by name."""
        found = {}
        for process in psutil.process_iter():
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE and process.name() in SERVERS
                is_leader = process.ppid() == 1 or process.parent().name() != process.name()
                if alive and is_leader and Path(process.cwd()).is_relative_to(self.local):
                    found[process.name()] = process.pid
            except (psutil.Error, AttributeError):
                continue
        return found

    def close(self) -> None:
        for user in self.users:
            user.stdin.close()
        for user in self.users:
            user.wait(60)
            user.stdout.close()
        if self.server_pids():  # what a killed user left; whoever leaves last stops it
            self.run("true")


SERVERS = {"postgres", "valkey-server"}


@pytest.fixture
def machine():
    # Not pytest's tmp_path: every session closes that tree, and root's PostgreSQL runs under another account.
    with tempfile.TemporaryDirectory(prefix="juniro-") as folder:
        Path(folder).chmod(0o755)
        machine = Machine(Path(folder).resolve() / "local")
        yield machine
        machine.close()


def _answer(user: subprocess.Popen) -> dict[str, str]:
    line = user.stdout.readline()
    assert line, "the user ended before it got its servers"
    return json.loads(line)


def _leave(user: subprocess.Popen) -> None:
    user.stdin.close()
    assert user.wait(60) == 0


def test_both_regions_get_databases_of_their_own_and_share_the_global_layer(machine):
    us = _answer(machine.user())
    india = machine.urls(REGION="in")

    for urls, name in ((us, "juniro_us"), (india, "juniro_in")):
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (name,)
    assert us["GLOBAL_DATABASE_URL"] == india["GLOBAL_DATABASE_URL"]
    with psycopg.connect(us["GLOBAL_DATABASE_URL"]) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("juniro_global",)

    def numbers(urls):
        return [int(urls[name].rpartition("/")[2]) for name in NAMES[2:]]

    assert (numbers(us), numbers(india)) == ([0, 2, 3], [1, 2, 4])
    with redis.Redis.from_url(us["REDIS_URL"].replace("/0", "/63")) as highest:
        assert highest.ping()


def test_two_users_share_the_servers_and_the_last_one_stops_them(machine):
    first = machine.user()
    urls = _answer(first)
    second = machine.user()
    assert _answer(second) == urls
    servers = machine.server_pids()
    assert set(servers) == SERVERS

    _leave(first)
    assert machine.server_pids() == servers
    psycopg.connect(urls["DATABASE_URL"]).close()

    _leave(second)
    assert machine.server_pids() == {}


def test_users_that_start_at_once_do_not_collide(machine):
    users = [machine.user() for _ in range(4)]
    answers = [_answer(user) for user in users]

    assert all(answer == answers[0] for answer in answers)
    assert set(machine.server_pids()) == SERVERS


def test_data_ports_and_password_outlive_a_restart(machine):
    before = machine.urls()
    write = (
        "import os, psycopg, redis;"
        "c = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True);"
        "c.execute('CREATE TABLE kept (n int)'); c.execute('INSERT INTO kept VALUES (7)');"
        "redis.Redis.from_url(os.environ['CELERY_BROKER_URL']).rpush('queue', 'task')"
    )
    assert machine.run(sys.executable, "-c", write).returncode == 0
    assert machine.server_pids() == {}

    after = _answer(machine.user())

    assert after == before
    with psycopg.connect(after["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
    with redis.Redis.from_url(after["CELERY_BROKER_URL"]) as broker:
        assert broker.lrange("queue", 0, -1) == [b"task"]


def test_servers_that_a_killed_user_left_are_adopted_and_then_stopped(machine):
    killed = machine.user()
    urls = _answer(killed)
    servers = machine.server_pids()
    killed.kill()
    killed.wait()
    assert machine.server_pids() == servers

    heir = machine.user()
    assert _answer(heir) == urls
    assert machine.server_pids() == servers
    _leave(heir)
    assert machine.server_pids() == {}


def test_killed_servers_with_stale_pid_files_are_started_again(machine):
    user = machine.user()
    urls = _answer(user)
    user.kill()
    user.wait()
    for pid in machine.server_pids().values():
        os.kill(pid, signal.SIGKILL)
    # The pids now belong to somebody else, as they do when a container starts again.
    (machine.local / "valkey" / "valkey.pid").write_text(f"{os.getpid()}\n")

    assert _answer(machine.user()) == urls
    assert set(machine.server_pids()) == SERVERS


def test_a_port_that_is_taken_meanwhile_is_replaced(machine):
    before = machine.urls()
    port = int(before["DATABASE_URL"].rpartition(":")[2].partition("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        after = _answer(machine.user())

    assert after["DATABASE_URL"] != before["DATABASE_URL"]
    assert after["REDIS_URL"] == before["REDIS_URL"]
    psycopg.connect(after["DATABASE_URL"]).close()


def test_a_copied_folder_gets_servers_of_its_own(machine):
    original = _answer(machine.user())
    twin = Machine(machine.local.with_name("twin"))
    twin.local.mkdir()
    shutil.copy(machine.local / "servers.json", twin.local)

    copied = _answer(twin.user())
    twin.close()

    assert copied["DATABASE_URL"] != original["DATABASE_URL"]
    assert copied["REDIS_URL"] != original["REDIS_URL"]
    assert set(machine.server_pids()) == SERVERS


def test_a_long_path_with_odd_characters_works(machine):
    odd = Machine(machine.local.parent / ("long " * 30) / 'it\'s $HOME "quoted" मुंबई' / "local")

    with psycopg.connect(_answer(odd.user())["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    odd.close()
    assert odd.server_pids() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")
def test_root_in_a_closed_folder_keeps_the_data_where_the_other_account_reaches_it(machine):
    machine.local.mkdir()
    machine.local.parent.chmod(0o700)

    urls = machine.urls()
    home = Path(json.loads((machine.local / "servers.json").read_text())["postgres_home"])
    try:
        assert not home.is_relative_to(machine.local)
        assert machine.urls() == urls
    finally:
        shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user")
def test_an_ordinary_user_runs_the_servers_as_themselves(machine):
    machine.local.mkdir()
    os.chown(machine.local, 65534, 65534)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    env = machine.environment(HOME=str(machine.local), PYTHONDONTWRITEBYTECODE="1")
    try:
        subprocess.run([sys.executable, "-c", "import local.servers"], check=True, cwd=CHECKOUT, env=env, **nobody)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this checkout or its Python is closed to other users")
    command = machine.command(sys.executable, "-c", SHOW_URLS)
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=CHECKOUT, env=env, **nobody)
    assert done.returncode == 0, done.stderr
    assert (machine.local / "postgres").stat().st_uid == 65534


def test_exec_passes_the_exit_code_on(machine):
    assert machine.run("sh", "-c", "exit 7").returncode == 7


def test_exec_passes_signals_on_and_still_stops_the_servers(machine):
    user = machine.user()
    _answer(user)
    user.terminate()

    assert user.wait(60) == 128 + signal.SIGTERM
    assert machine.server_pids() == {}


def test_exec_of_an_unknown_command_is_one_clear_line(machine):
    done = machine.run("no-such-command")

    assert done.returncode == 127
    assert done.stderr == "servers: No such file or directory: no-such-command\n"
    assert machine.server_pids() == {}


def test_an_unknown_region_is_one_clear_line(machine):
    done = machine.run("true", REGION="eu")

    assert done.returncode == 1
    assert done.stderr == "servers: REGION must be us or in, not 'eu'\n"


def test_the_files_hold_their_secrets_privately_and_go_when_the_servers_stop(machine):
    user = machine.user()
    urls = _answer(user)

    for region in ("us", "in"):
        assert (machine.local / f"{region}.env").stat().st_mode & 0o777 == 0o600
    assert (machine.local / "servers.json").stat().st_mode & 0o777 == 0o600
    assert dict(line.split("=", 1) for line in (machine.local / "us.env").read_text().splitlines()) == urls

    _leave(user)
    assert list(machine.local.glob("*.env")) == []


def test_the_servers_refuse_a_wrong_password(machine):
    urls = _answer(machine.user())
    password = json.loads((machine.local / "servers.json").read_text())["password"]

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(urls["DATABASE_URL"].replace(password, "guess"))
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(urls["REDIS_URL"].replace(password, "guess")).ping()


def test_with_all_five_variables_set_nothing_is_started(machine):
    given = {name: f"scheme://elsewhere/{number}" for number, name in enumerate(NAMES)}

    assert machine.urls(**given) == given
    assert not machine.local.exists()


def test_variables_already_set_win_and_the_others_follow_their_server(machine):
    servers = _answer(machine.user())
    mine = servers["DATABASE_URL"].replace("juniro_us", "postgres")
    elsewhere = Machine(machine.local.with_name("elsewhere"))

    urls = elsewhere.urls(DATABASE_URL=mine, REDIS_URL=servers["REDIS_URL"], REGION="in")

    assert urls["DATABASE_URL"] == mine
    assert urls["GLOBAL_DATABASE_URL"] == servers["GLOBAL_DATABASE_URL"]
    assert urls["REDIS_URL"] == servers["REDIS_URL"]
    assert urls["GLOBAL_REDIS_URL"] == servers["GLOBAL_REDIS_URL"]
    assert urls["CELERY_BROKER_URL"] == servers["CELERY_BROKER_URL"].removesuffix("3") + "4"
    assert not elsewhere.local.exists()


def test_a_given_server_without_the_global_database_gets_one(machine):
    servers = _answer(machine.user())
    with psycopg.connect(servers["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("DROP DATABASE juniro_global")

    urls = machine.urls(DATABASE_URL=servers["DATABASE_URL"], REDIS_URL=servers["REDIS_URL"])

    psycopg.connect(urls["GLOBAL_DATABASE_URL"]).close()


def test_only_the_server_that_is_missing_is_started(machine):
    given = {"DATABASE_URL": "postgres://db/one", "GLOBAL_DATABASE_URL": "postgres://db/two"}

    urls = _answer(machine.user(**given))

    assert {name: urls[name] for name in given} == given
    assert set(machine.server_pids()) == {"valkey-server"}
    assert "DATABASE_URL" not in (machine.local / "us.env").read_text()


def test_a_given_database_out_of_reach_is_one_clear_line_without_its_password(machine):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgres://me:secret@127.0.0.1:{unused.getsockname()[1]}/mine"
        done = machine.run("true", DATABASE_URL=url)

    assert done.returncode == 1
    assert done.stderr.startswith("servers: DATABASE_URL (postgres://127.0.0.1:")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


def test_a_given_redis_whose_number_is_the_global_one_is_refused(machine):
    done = machine.run("true", DATABASE_URL="a://b/c", GLOBAL_DATABASE_URL="a://b/d", REDIS_URL="redis://cache/2")

    assert done.returncode == 1
    assert "set GLOBAL_REDIS_URL and CELERY_BROKER_URL as well" in done.stderr


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    done = Machine(tmp_path / "file" / "local").run("true")

    assert done.returncode == 1
    assert done.stderr == f"servers: Not a directory: {tmp_path}/file/local\n"


def test_data_of_another_postgresql_is_not_touched(machine):
    machine.urls()
    version = machine.local / "postgres" / "PG_VERSION"
    version.write_text("12\n")

    done = machine.run("true")

    assert done.returncode == 1
    assert "is PostgreSQL 12's" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.9])
def test_an_interrupted_first_start_leaves_nothing_that_hinders_the_next(machine, seconds):
    user = machine.user()
    time.sleep(seconds)
    user.kill()
    user.wait()

    psycopg.connect(_answer(machine.user())["DATABASE_URL"]).close()


def test_a_test_run_may_choose_its_redis_databases(machine):
    code = (
        "import json; from local.servers import running_servers\n"
        "with running_servers() as urls: print(json.dumps(urls.for_region('in', redis_dbs=(5, 6, 7))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, cwd=CHECKOUT, env=machine.environment()
    )

    urls = json.loads(done.stdout)
    assert [urls[name].rpartition("/")[2] for name in NAMES[2:]] == ["5", "6", "7"]
    assert urls["DATABASE_URL"].endswith("/juniro_in")
