"""Both regions as somebody with all the keys sees them: their processes, databases and queues."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from celery import Celery

from local.demo import Site
from local.run import Group


@dataclass(frozen=True)
class Region:
    """One of the two, running."""

    site: Site
    env: dict[str, str]
    group: Group

    @property
    def name(self) -> str:
        return {"us": "the United States", "in": "India"}[self.site.region]

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement in this region's database."""
        return sql(self.env["DATABASE_URL"], statement, values)

    def task(self, name: str) -> None:
        """Has a worker do what beat would have it do, now."""
        with Celery(broker=self.env["CELERY_BROKER_URL"]) as app:
            app.send_task(name)


@dataclass(frozen=True)
class World:
    us: Region
    india: Region
    folder: Path

    @property
    def regions(self) -> tuple[Region, Region]:
        return self.us, self.india

    @property
    def global_url(self) -> str:
        return self.us.env["GLOBAL_DATABASE_URL"]

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement in the global database."""
        return sql(self.global_url, statement, values)


def sql(url: str, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, connect_timeout=5) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
