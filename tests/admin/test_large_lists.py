"""Every list of a table that grows without end: by an index, in few queries, and never counted to its end.

With `LARGE_ROWS=200000` the tables are as large as that, the planner is free, and the time of each page's statements is
looked at: `LARGE_ROWS=200000 make test ARGS="tests/admin/test_large_lists.py -n 0 -s"`.
"""

import os
import sys

import pytest
from django.db import connection

from tests.admin.conftest import signed_in
from tests.admin.large import fill, look
from tests.admin.rows import staff

ROWS = int(os.environ.get("LARGE_ROWS", "3000"))
IS_LARGE = ROWS >= 100_000
MOST_MS, MOST_QUERIES = 250, 14

pytestmark = pytest.mark.django_db(databases=["default", "global"])


def large_id(kind: int, n: int) -> str:
    return f"01{n:06x}-0000-7000-8{kind:03x}-{n:012x}"


PERIODS = [f"created_at__year={year}" for year in (2025, 2026)]
PERIODS += ["created_at__year=2026&created_at__month=5", "created_at__year=2026&created_at__month=5&created_at__day=6"]
MAIL = ["q=person77@example.com", "q=nobody@example.com"]


def statuses(*values: str) -> list[str]:
    return [f"status__exact={value}" for value in values]


# For each list what staff ask it for, besides everything and its second page.
ASKED = {
    "users/user": [
        *MAIL, f"q={large_id(4, 5)}", "role__exact=provider", "role__exact=admin", "is_active__exact=0",
        "is_staff__exact=1",
    ],
    "users/parent": [*MAIL, f"q={large_id(4, 5)}", f"user__id__exact={large_id(4, 5)}"],
    "users/child": [*MAIL, f"q={large_id(5, 5)}", f"parent__id__exact={large_id(5, 5)}"],
    "users/consent": [*MAIL, "granted__exact=0", "kind__exact=marketing", f"user__id__exact={large_id(4, 5)}"],
    "marketplace/session": [
        *statuses("scheduled", "cancelled", "completed"), f"q={large_id(10, 5)}",
        f"activity__id__exact={large_id(10, 5)}", f"activity__provider__id__exact={large_id(8, 5)}",
        *(each.replace("created_at", "starts_at") for each in PERIODS),
    ],
    "bookings/booking": [
        *statuses("pending_payment", "confirmed", "cancelled", "completed", "no_show", "expired"), *MAIL, *PERIODS,
        f"q={large_id(13, 5)}", f"q={large_id(15, 5)}", "q=pi_5", "q=cs_5", "q=unknown",
        f"session__activity__id__exact={large_id(10, 5)}", f"session__activity__provider__id__exact={large_id(8, 5)}",
    ],
    "bookings/seat": [
        "attendance__exact=absent", "attendance__exact=present", "released_at__isempty=0", f"q={large_id(13, 5)}",
        f"session__id__exact={large_id(12, 5)}",
    ],
    "bookings/review": [
        *statuses("published", "hidden"), "reports=open", f"q={large_id(13, 5)}",
        f"booking__id__exact={large_id(13, 5)}",
    ],
    "bookings/rosterview": ["format__exact=csv", *MAIL, *PERIODS, "q=request-77", f"q={large_id(12, 5)}"],
    "payments/payment": [
        *statuses("created", "pending", "paid", "failed", "refunded"), "needs_review__exact=1", *MAIL, *PERIODS,
        "q=pi_5", "q=cs_5", "q=unknown", f"q={large_id(13, 5)}", f"booking__id__exact={large_id(13, 5)}",
    ],
    "payments/refund": [
        *statuses("pending", "sent", "succeeded", "failed"), "q=re_5", "q=pi_5", f"q={large_id(13, 5)}",
    ],
    "payments/webhookevent": [
        *statuses("processed", "ignored", "failed"), *PERIODS, "q=evt_5", "q=pi_5", f"q={large_id(15, 5)}",
    ],
    "notifications/notification": [
        *statuses("pending", "sent", "muted", "dropped", "failed"), "kind__exact=provider_rejected",
        "kind__exact=erasure_receipt", *MAIL, "q=told-5", f"q={large_id(4, 5)}",
    ],
    "messaging/conversation": [
        *statuses("active", "archived", "blocked"), *MAIL, f"q={large_id(8, 5)}",
        f"provider__id__exact={large_id(8, 5)}",
    ],
    "messaging/message": ["sender_type__exact=provider", f"q={large_id(19, 5)}"],
    "core/idempotencykey": [f"q={large_id(4, 5)}"],
}  # fmt: skip


def test_no_list_reads_a_large_table_or_counts_it(capsys):
    fill(ROWS)
    client = signed_in(staff(is_superuser=True))
    client.get("/admin/")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        if not IS_LARGE:
            # Of so few rows the planner would read all. What it still reads from front to end has no index.
            cursor.execute("SET LOCAL enable_seqscan = off")
    wrong, slowest = [], []
    for model, asked in ASKED.items():
        for query in ["", "p=2", *asked]:
            address = f"/admin/{model}/?{query}"
            seen = look(client, address)
            slowest.append((seen.ms, address))
            is_bad = seen.status != 200 or seen.queries > MOST_QUERIES or seen.scanned or seen.counted
            if is_bad or (IS_LARGE and seen.ms > MOST_MS):
                wrong.append(f"{address}: {seen}")
    if IS_LARGE:
        with capsys.disabled():
            sys.stdout.writelines(f"\n{ms:7.0f} ms  {address}" for ms, address in sorted(slowest, reverse=True)[:15])
    assert not wrong, "\n".join(wrong)
