"""Keeping the search rows true. The database refreshes them itself; here is what it leaves for later, and the proof."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
import structlog
from django.db import connection, transaction
from django_redis import get_redis_connection
from redis.exceptions import RedisError

log = structlog.get_logger("juniro.search")

CHECKED_EVERY = timedelta(hours=1)
LAST_CHECK = "search:last-check"

REFRESH_WORDS = """
INSERT INTO marketplace_searchword (word, occurrences)
SELECT word, count(*) FROM (
    SELECT unnest(regexp_split_to_array(marketplace_fold(title), '[^[:alnum:]]+')) AS word
    FROM marketplace_searchrow WHERE is_primary
    UNION ALL SELECT unnest(regexp_split_to_array(marketplace_fold(business_name), '[^[:alnum:]]+'))
    FROM providers_provideraccount WHERE status = 'verified'
    UNION ALL SELECT unnest(regexp_split_to_array(marketplace_fold(name), '[^[:alnum:]]+')) FROM marketplace_category
) AS words WHERE length(word) > 2 GROUP BY word
ON CONFLICT (word) DO UPDATE SET occurrences = excluded.occurrences
"""
DIFFERENT = """
SELECT DISTINCT activity_id FROM (
    (SELECT * FROM marketplace_search_truth(NULL, now()) EXCEPT ALL SELECT * FROM marketplace_searchrow)
    UNION ALL
    (SELECT * FROM marketplace_searchrow EXCEPT ALL SELECT * FROM marketplace_search_truth(NULL, now()))
) AS different
"""


def catch_up(*, batch: int = 500) -> int:
    """Refreshes activities whose sessions or seats changed, or whose next session has begun; returns how many.

    Two workers share the notes (SKIP LOCKED); a crash leaves them for the next run.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            WITH taken AS (
                DELETE FROM marketplace_searchstale WHERE id IN (
                    SELECT id FROM marketplace_searchstale ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
                ) RETURNING activity_id
            )
            SELECT activity_id FROM taken
            UNION (SELECT activity_id FROM marketplace_searchrow WHERE next_session_at <= now() LIMIT %s)
            """,
            [batch * 10, batch],
        )
        ids = [activity_id for (activity_id,) in cursor.fetchall()]
        refresh(ids)
    return len(ids)


def refresh(ids: list[UUID]) -> None:
    """Brings the search rows of these activities in line with the truth."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT marketplace_search_refresh(%s::uuid[])", [ids])


def drift() -> list[UUID]:
    """The activities whose rows differ from the truth, apart from those already noted as stale."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '5min'")
        cursor.execute(f"{DIFFERENT} WHERE activity_id NOT IN (SELECT activity_id FROM marketplace_searchstale)")
        return [activity_id for (activity_id,) in cursor.fetchall()]


@dataclass(frozen=True)
class Check:
    """What comparing search with the catalogue found: last at `at`, and last that was wrong at `drifted_at`."""

    at: datetime
    drifted_at: datetime | None = None
    activities: int = 0
    first: tuple[str, ...] = ()


def note_check(different: list[UUID], *, now: datetime) -> None:
    """Keeps the outcome in Redis for ops to see; without Redis it stands in the log alone."""
    last = last_check()
    check = Check(now, last.drifted_at, last.activities, last.first) if last else Check(now)
    if different:
        check = Check(now, now, len(different), tuple(map(str, different[:20])))
    try:
        get_redis_connection("default").set(LAST_CHECK, orjson.dumps(check))
    except RedisError:
        log.warning("outcome of the check not kept, redis is out of reach")


def last_check() -> Check | None:
    """The outcome of the last comparison, None where none is known."""
    try:
        kept = get_redis_connection("default").get(LAST_CHECK)
    except RedisError:
        return None
    if kept is None:
        return None
    fields = orjson.loads(kept)
    at, drifted_at = (value and datetime.fromisoformat(value) for value in (fields["at"], fields["drifted_at"]))
    return Check(at, drifted_at, fields["activities"], tuple(fields["first"]))


def rebuild() -> int:
    """Writes all search rows anew, for an empty table or after a bulk load; returns how many there are."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '15min'")
        cursor.execute("LOCK TABLE marketplace_searchrow IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("DELETE FROM marketplace_searchstale")
        cursor.execute("DELETE FROM marketplace_searchrow")
        cursor.execute("INSERT INTO marketplace_searchrow SELECT * FROM marketplace_search_truth(NULL, now())")
        rows = cursor.rowcount
    refresh_words()
    return rows


def refresh_words() -> None:
    """Learns the words that occur now, for typos to be forgiven."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '5min'")
        cursor.execute("DELETE FROM marketplace_searchword")
        cursor.execute(REFRESH_WORDS)
