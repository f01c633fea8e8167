"""Looks for people in everything that two running regions leave behind: databases, Redis, logs, mail and files."""

import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis

from local.canaries import dump_redis, found_in
from local.demo import DemoFailed
from local.servers import postgres_program
from local.two_regions.world import World

# PostgreSQL's files hold what its dumps show; a sandbox is Supabase and the processor, who know their customers.
NOT_OURS = ("postgres", "sandbox-", "servers.", "us.env", "in.env", "demo.lock")
# Kinds of places by what is in their names; the last one fits all.
KINDS = {
    "database of ": "database",
    "/the global database": "global database",
    "/Redis": "Redis dump",
    "/log/": "log",
    "/mail/us/": "mail of the United States",
    "/mail/in/": "mail of India",
    "/": "other file",
}


@dataclass
class Person:
    """Somebody who does not exist, with details that are like no other text. `home` is empty for who was refused."""

    home: str
    canaries: dict[str, str]
    is_erased: bool = False
    # Where they must be found, or the search is blind.
    known_at_home: tuple[str, ...] = field(default=())


class Search:
    """`everywhere(people)` raises `DemoFailed` where somebody is found who must not be there."""

    def __init__(self, world: World) -> None:
        self.world = world

    def everywhere(self, people: Iterable[Person]) -> str:
        """Databases, Redis, logs, mail and files; says how many of each were looked at."""
        people, looked = list(people), Counter[str]()
        for place, home, data in self.places():
            looked[next(kind for kind in KINDS if kind in f"/{place}")] += 1
            self.look(place, home, data, people)
        if set(looked) != set(KINDS):
            raise DemoFailed(f"there is nothing to look at of: {', '.join(set(KINDS) - set(looked))}")
        return ", ".join(f"{looked[kind]} × {what}" for kind, what in KINDS.items())

    def global_layer(self, people: Iterable[Person]) -> None:
        """The global database and all of Redis, which must never know anybody."""
        for place, home, data in (self.database("the global database", "", self.world.global_url), *self.redis()):
            self.look(place, home, data, people)

    def look(self, place: str, home: str, data: bytes, people: Iterable[Person]) -> None:
        for person in people:
            found = found_in(data, person.canaries)
            # Mail has left the house; it lies in the person's own mailbox.
            may_be = person.home == home and (not person.is_erased or place.startswith("mail"))
            if found and not may_be:
                raise DemoFailed(f"{place} holds somebody's {', '.join(found)}")
            if place.startswith("database") and person.home == home and not person.is_erased:
                missing = set(person.known_at_home) - set(found)
                if missing:
                    raise DemoFailed(f"the search is blind: {place} should hold {', '.join(sorted(missing))}")

    # What there is to look at: what to call it, whose home it is (empty: nobody's), and its bytes.

    def places(self) -> Iterator[tuple[str, str, bytes]]:
        for region in self.world.regions:
            home = region.site.region
            yield self.database(f"database of {region.name}", home, region.env["DATABASE_URL"])
        yield self.database("the global database", "", self.world.global_url)
        yield from self.redis()
        yield from self.files()

    def database(self, place: str, home: str, url: str) -> tuple[str, str, bytes]:
        dump = subprocess.run([postgres_program("pg_dump"), url], check=False, capture_output=True)
        if dump.returncode:
            raise DemoFailed(f"pg_dump of {place}: {dump.stderr.decode(errors='replace')[:300]}")
        return place, home, dump.stdout

    def redis(self) -> Iterator[tuple[str, str, bytes]]:
        """Every database of the server, and the log of all commands that it ever got."""
        url = self.world.us.env["REDIS_URL"].rpartition("/")[0]
        for number in range(64):
            with redis.Redis.from_url(f"{url}/{number}") as connection:
                if connection.dbsize():
                    yield f"Redis database {number}", "", dump_redis(connection)
        for path in sorted((self.world.folder / "valkey").glob("appendonlydir/*")):
            yield f"Redis's {path.name}", "", path.read_bytes()

    def files(self) -> Iterator[tuple[str, str, bytes]]:
        for path in sorted(self.world.folder.rglob("*")):
            name = str(path.relative_to(self.world.folder))
            if path.is_file() and not name.startswith((*NOT_OURS, "valkey/")):
                yield name, home_of(Path(name)), path.read_bytes()


def home_of(path: Path) -> str:
    """Whose people a file may speak of: mail and uploads of a region of its own people, logs of nobody."""
    return path.parts[1] if path.parts[0] in ("mail", "media") else ""
