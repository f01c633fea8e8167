"""Tables as large as one likes, made by the database itself; and what a page of the admin asks of it."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

# In the order of their ids, over the last two years. `n` counts from 1 to %(rows)s; ids tell their kind and number.
FILL = """
CREATE FUNCTION large_id(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT ('01' || lpad(to_hex(n), 6, '0') || '-0000-7000-8' || lpad(to_hex(kind), 3, '0') || '-'
    || lpad(to_hex(n), 12, '0'))::uuid $$;
CREATE FUNCTION large_at(n bigint, rows bigint) RETURNS timestamptz LANGUAGE sql STABLE AS
$$ SELECT now() - interval '730 days' * ((rows - n)::float / rows) $$;
SET LOCAL session_replication_role = replica;
SET LOCAL statement_timeout = 0;

INSERT INTO geography_country (id, code, name, currency, region, phone_prefix, is_active)
SELECT large_id(1, 1), 'US', 'United States', 'USD', 'us', '+1', true;
INSERT INTO geography_city (id, country_id, name, slug, timezone, is_active)
SELECT large_id(2, 1), large_id(1, 1), 'Austin', 'austin', 'America/Chicago', true;
INSERT INTO marketplace_category (id, name, slug) SELECT large_id(3, 1), 'Swimming', 'swimming';
INSERT INTO users_user (id, created_at, password, is_superuser, auth_id, email, home_region, role, is_active)
SELECT large_id(4, n), large_at(n, %(rows)s), '!', false, large_id(99, n)::text, 'person' || n || '@example.com', 'us',
    CASE WHEN n %% 100 = 0 THEN 'provider' ELSE 'parent' END, n %% 1000 <> 7
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO users_parent (id, created_at, user_id, first_name)
SELECT large_id(5, n), large_at(n, %(rows)s), large_id(4, n), 'Robin' FROM generate_series(1, %(rows)s) AS n;
INSERT INTO users_child (id, created_at, parent_id, first_name, birth_date)
SELECT large_id(6, n), large_at(n, %(rows)s), large_id(5, n), 'Kim', '2018-03-04'
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO users_consent (id, created_at, user_id, kind, version, granted)
SELECT large_id(7, n), large_at(n, %(rows)s), large_id(4, n), (ARRAY['terms', 'privacy', 'child_data', 'marketing'])
    [1 + n %% 4], '1', n %% 500 <> 3 FROM generate_series(1, %(rows)s) AS n;
INSERT INTO providers_provideraccount (id, business_name, slug, status, verified_at)
SELECT large_id(8, n), 'School ' || n, 'school-' || n, 'verified', now()
FROM generate_series(1, %(rows)s / 100) AS n;
INSERT INTO providers_location (id, provider_id, city_id, name, address)
SELECT large_id(9, n), large_id(8, n), large_id(2, 1), 'Pool', '1 Water Street'
FROM generate_series(1, %(rows)s / 100) AS n;
INSERT INTO marketplace_activity (id, provider_id, category_id, title, slug, summary, description, duration, status)
SELECT large_id(10, n), large_id(8, n), large_id(3, 1), 'Swim ' || n, 'swim-' || n, '', '', 45, 'published'
FROM generate_series(1, %(rows)s / 100) AS n;
INSERT INTO marketplace_offering (id, activity_id, name, type, price_cents, currency, status)
SELECT large_id(11, n), large_id(10, n), 'Single', 'single_session', 2500, 'USD', 'active'
FROM generate_series(1, %(rows)s / 100) AS n;
INSERT INTO marketplace_session (id, activity_id, offering_id, location_id, starts_at, ends_at, capacity, enrolled,
    status, cancelled_at)
SELECT large_id(12, n), large_id(10, each), large_id(11, each), large_id(9, each), large_at(n, %(rows)s),
    large_at(n, %(rows)s) + interval '1 hour', 10, 1, CASE WHEN n %% 200 = 1 THEN 'cancelled'
    WHEN n > %(rows)s - 500 THEN 'scheduled' ELSE 'completed' END, CASE WHEN n %% 200 = 1 THEN now() END
FROM generate_series(1, %(rows)s) AS n, LATERAL (SELECT 1 + n %% (%(rows)s / 100)) AS any_of(each);
INSERT INTO bookings_booking (id, created_at, session_id, offering_id, parent_id, child_id, status, amount_cents,
    currency, expires_at, refundable_until)
SELECT large_id(13, n), large_at(n, %(rows)s), large_id(12, n), large_id(11, 1 + n %% (%(rows)s / 100)),
    large_id(5, n), large_id(6, n), CASE WHEN n > %(rows)s - 20 THEN 'pending_payment' WHEN n %% 500 = 3 THEN 'no_show'
    WHEN n %% 20 = 4 THEN 'cancelled' WHEN n %% 9 = 5 THEN 'expired' WHEN n > %(rows)s * 0.9 THEN 'confirmed'
    ELSE 'completed' END, 2500, 'USD', now(), now()
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO bookings_seat (id, created_at, booking_id, session_id, child_id, attendance, attendance_at, released_at)
SELECT large_id(14, n), large_at(n, %(rows)s), large_id(13, n), large_id(12, n), large_id(6, n),
    CASE WHEN n %% 300 = 8 THEN 'absent' WHEN n %% 3 = 0 THEN 'present' END, CASE WHEN n %% 300 = 8 OR n %% 3 = 0
    THEN now() END, CASE WHEN n %% 20 = 4 THEN now() END
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO payments_payment (id, created_at, booking_id, amount_cents, currency, processor, processor_payment_id,
    processor_checkout_id, checkout_expires_at, status, paid_at, needs_review)
SELECT large_id(15, n), large_at(n, %(rows)s), large_id(13, n), 2500, 'USD', 'stripe', 'pi_' || n, 'cs_' || n, now(),
    CASE WHEN n > %(rows)s - 20 THEN 'pending' WHEN n %% 40 = 4 THEN 'refunded' WHEN n %% 30 = 5 THEN 'failed'
    ELSE 'paid' END, now(), n %% 1000 = 9
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO payments_refund (id, created_at, payment_id, amount_cents, currency, reason, status, processor_refund_id)
SELECT large_id(16, n), large_at(n, %(rows)s), large_id(15, n), 2500, 'USD', 'Ill',
    CASE WHEN n %% 900 = 3 THEN 'failed' ELSE 'succeeded' END, 're_' || n FROM generate_series(1, %(rows)s) AS n;
INSERT INTO payments_webhookevent (id, created_at, processor, event_id, body_sha256, type, status, payload,
    processor_payment_id, payment_id)
SELECT large_id(17, n), large_at(n, %(rows)s), 'stripe', 'evt_' || n, n::text, 'checkout.session.completed',
    CASE WHEN n %% 5000 = 6 THEN 'failed' WHEN n %% 9 = 0 THEN 'ignored' ELSE 'processed' END, '{}', 'pi_' || n,
    large_id(15, n)
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO notifications_notification (id, created_at, user_id, kind, subject_id, dedupe_key, status)
SELECT large_id(18, n), large_at(n, %(rows)s), large_id(4, n), CASE WHEN n %% 4000 = 2 THEN 'provider_rejected'
    ELSE 'booking_confirmed' END, large_id(13, n), 'told-' || n, CASE WHEN n > %(rows)s - 20 THEN 'pending'
    WHEN n %% 3000 = 5 THEN 'failed' WHEN n %% 2000 = 8 THEN 'dropped' WHEN n %% 100 = 1 THEN 'muted' ELSE 'sent' END
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO messaging_conversation (id, created_at, parent_id, provider_id, status, blocked_by)
SELECT large_id(19, n), large_at(n, %(rows)s), large_id(5, n), large_id(8, 1 + n %% (%(rows)s / 100)),
    CASE WHEN n %% 700 = 1 THEN 'blocked' ELSE 'active' END, CASE WHEN n %% 700 = 1 THEN 'parent' END
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO messaging_message (id, created_at, conversation_id, number, sender_id, sender_type, content)
SELECT large_id(20, n), large_at(n, %(rows)s), large_id(19, n), 1, large_id(4, n),
    CASE WHEN n %% 3 = 0 THEN 'provider' ELSE 'parent' END, 'Hello' FROM generate_series(1, %(rows)s) AS n;
INSERT INTO bookings_rosterview (id, created_at, user_id, session_id, format, children, request_id)
SELECT large_id(21, n), large_at(n, %(rows)s), large_id(4, n), large_id(12, n), (ARRAY['json', 'csv', 'html'])
    [1 + n %% 3], 1, 'request-' || n FROM generate_series(1, %(rows)s) AS n;
INSERT INTO core_idempotencykey (id, created_at, key, user_id, method, path, body_sha256, expires_at)
SELECT large_id(22, n), large_at(n, %(rows)s), 'key', large_id(4, n), 'POST', '/v1/me/bookings', '', now()
FROM generate_series(1, %(rows)s) AS n;
INSERT INTO bookings_review (id, created_at, booking_id, parent_id, rating, status)
SELECT large_id(23, n), large_at(n, %(rows)s), large_id(13, n), large_id(5, n), 4,
    CASE WHEN n %% 800 = 1 THEN 'hidden' ELSE 'published' END FROM generate_series(1, %(rows)s) AS n;
INSERT INTO bookings_reviewreport (id, review_id, reporter_id, reason, status)
SELECT large_id(24, n), large_id(23, n * 10), large_id(4, n), 'Rude', CASE WHEN n %% 10 = 1 THEN 'open'
    ELSE 'dismissed' END FROM generate_series(1, %(rows)s / 100) AS n;
SET LOCAL session_replication_role = DEFAULT;
"""
# The tables that grow without end, and so must never be read from front to end.
LARGE = {
    "users_user", "users_parent", "users_child", "users_consent", "marketplace_session", "bookings_booking",
    "bookings_seat", "payments_payment", "payments_refund", "payments_webhookevent", "notifications_notification",
    "messaging_conversation", "messaging_message", "bookings_rosterview", "core_idempotencykey", "bookings_review",
}  # fmt: skip


def fill(rows: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL % {"rows": rows})
        cursor.execute("ANALYZE")


@dataclass
class Look:
    """What one page asked of the database, and how long that took."""

    status: int
    queries: int
    ms: float
    scanned: set[str] = field(default_factory=set)
    counted: list[str] = field(default_factory=list)


def look(client: Any, address: str) -> Look:
    with CaptureQueriesContext(connection) as asked:
        response = client.get(address)
    ms = sum(float(each["time"]) for each in asked.captured_queries) * 1000
    seen = Look(response.status_code, len(asked), ms)
    for each in asked.captured_queries:
        sql = each["sql"]
        # The sidebar's queues are short, and found by partial indexes.
        if sql.startswith("SELECT COUNT(*)") and "LIMIT" not in sql and " WHERE " not in sql:
            seen.counted.append(sql)
        if sql.startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
                (plan,) = cursor.fetchone()
            seen.scanned |= scanned(json.loads(plan) if isinstance(plan, str) else plan)
    return seen


def scanned(plan: Any) -> set[str]:
    """The large tables that a plan reads from front to end."""
    if isinstance(plan, list):
        return set().union(*map(scanned, plan))
    if not isinstance(plan, dict):
        return set()
    own = {plan["Relation Name"]} & LARGE if plan.get("Node Type") == "Seq Scan" else set()
    return own.union(*map(scanned, plan.values()))
