"""Keeping the search rows true. The database refreshes them itself; here is what it leaves for later, and the proof."""

from uuid import UUID

from django.db import connection, transaction

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
