"""Databases of the benchmark's own, `juniro_bench_…`, on the server that the environment names; filled once a day."""

import hashlib
import os
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks import words

CHECKOUT = Path(__file__).resolve().parent.parent
SERVER = os.environ.get("DATABASE_URL", "")


def name(size: int) -> str:
    return f"juniro_bench_{size // 1000}k" if size % 1000 == 0 else f"juniro_bench_{size}"


def url(size: int) -> str:
    return urlsplit(SERVER)._replace(path=f"/{name(size)}").geturl()


def environment(size: int) -> dict[str, str]:
    """What a process needs to serve the catalogue of that size, with rate limits out of the way."""
    return os.environ | {
        "JUNIRO_ENV": "local",
        "REGION": "us",
        "DATABASE_URL": url(size),
        "RATE_LIMIT_READ": "1000000000",
        "LOG_LEVEL": "WARNING",
    }


def fingerprint() -> str:
    """Changes whenever a catalogue would be made differently."""
    files = [*CHECKOUT.glob("*/migrations/*.py"), *CHECKOUT.glob("*/migrations/*.sql")]
    files += [CHECKOUT / "benchmarks/catalogue.sql", CHECKOUT / "benchmarks/words.py"]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    # Tomorrow the first sessions are over and the rows would drift.
    return f"{digest.hexdigest()[:16]} {datetime.now(UTC):%Y-%m-%d}"


def is_current(size: int) -> bool:
    with psycopg.connect(SERVER) as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name(size)]
        ).fetchone()
    return bool(row and row[0] == fingerprint())


def prepare(size: int) -> None:
    """Leaves a filled and analysed database of `size` activities, made anew unless today's is there."""
    if is_current(size):
        return
    started = time.monotonic()
    print(f"filling {name(size)} …", end=" ", flush=True)
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name(size))))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name(size))))
    manage(size, "migrate", "--verbosity", "0")
    fill(size)
    manage(size, "shell", "--verbosity", "0", "-c", "from marketplace import upkeep; upkeep.rebuild()")
    with psycopg.connect(url(size), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
        connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name(size)), sql.Literal(fingerprint()))
        )
    print(f"{time.monotonic() - started:.0f} s", flush=True)


def manage(size: int, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=CHECKOUT, env=environment(size), check=True, timeout=1800
    )


def fill(size: int) -> None:
    with psycopg.connect(url(size)) as connection, connection.cursor() as cursor:
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            # The rows are right by design; checking their foreign keys one by one takes longer than writing them.
            cursor.execute("SET session_replication_role = 'replica'")
        for table, (columns, rows) in words.tables(size).items():
            cursor.execute(f"CREATE TEMPORARY TABLE {table} ({columns})".encode())
            with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(f"ANALYZE {table}".encode())
        cursor.execute((CHECKOUT / "benchmarks/catalogue.sql").read_bytes())
        cursor.execute("ANALYZE")
