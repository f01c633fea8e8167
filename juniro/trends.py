"""How things go: the last thirty days against the thirty before, for the front page of the admin.

Days are those of the region's clock (`notifications.formats.ZONES`) and complete: today is not among them. The figures
hold nobody's data and are kept for some minutes; without Redis they are counted each time.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import structlog
from django.conf import settings
from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from bookings.models import Booking
from core.admin import may_view
from marketplace.models import Session
from notifications.formats import ZONES, money
from providers.models import ProviderAccount

log = structlog.get_logger("juniro.admin")

DAYS = 30
KEPT_SECONDS = 300


@dataclass(frozen=True)
class Trend:
    """A number of the last thirty days, how it compares, and both periods day by day."""

    title: str
    total: str
    before: str
    change: str
    verdict: str  # success, danger or info, as labels are coloured
    chart: str  # JSON for Chart.js, empty where all is zero


def zone() -> ZoneInfo:
    return ZoneInfo(ZONES[settings.REGION])


def last_day(now: datetime) -> date:
    return now.astimezone(zone()).date() - timedelta(days=1)


# --- The figures ---------------------------------------------------------------------------------------------------


def figures(now: datetime) -> dict[str, Any]:
    """`count`, from Redis while it is fresh there."""
    key = f"home:trends:{settings.REGION}:{last_day(now)}"
    try:
        redis = get_redis_connection("default")
        if (kept := redis.get(key)) is not None:
            return orjson.loads(kept)
        counted = count(now)
        redis.set(key, orjson.dumps(counted), ex=KEPT_SECONDS)
    except RedisError:
        log.warning("redis out of reach, trends counted anew")
        return count(now)
    return counted


def count(now: datetime) -> dict[str, Any]:
    """For each of twice `DAYS` days, oldest first: bookings and their value by currency, seats, and so on."""
    until = datetime.combine(last_day(now) + timedelta(days=1), time(), zone())
    days = [until.date() - timedelta(days=back) for back in range(2 * DAYS, 0, -1)]
    daily = partial(by_day, since=datetime.combine(days[0], time(), zone()), until=until)
    confirmed = daily(Booking.objects.all(), "confirmed_at", "currency", n=Count("pk"), cents=Sum("amount_cents"))
    cancelled = daily(
        Booking.objects.filter(status="cancelled", confirmed_at__isnull=False), "cancelled_at", n=Count("pk")
    )
    held = daily(Session.objects.exclude(status="cancelled"), "starts_at", taken=Sum("enrolled"), all=Sum("capacity"))
    opened = daily(ProviderAccount.objects.all(), "created_at", n=Count("pk"))
    currencies = sorted({settings.CURRENCY, *(row["currency"] for row in confirmed)})
    return {
        "days": [f"{day:%b} {day.day}" for day in days],
        "bookings": per_day(days, confirmed, "n"),
        "value": {
            currency: per_day(days, [row for row in confirmed if row["currency"] == currency], "cents")
            for currency in currencies
        },
        "seats": per_day(days, held, "all"),
        "taken": per_day(days, held, "taken"),
        "providers": per_day(days, opened, "n"),
        "cancellations": per_day(days, cancelled, "n"),
    }


def by_day(rows: QuerySet, moment: str, *also: str, since: datetime, until: datetime, **sums: Any) -> list[dict]:
    found = rows.filter(**{f"{moment}__gte": since, f"{moment}__lt": until})
    found = found.annotate(day=TruncDate(moment, tzinfo=zone())).order_by()
    return list(found.values("day", *also).annotate(**sums))


def per_day(days: list[date], rows: Iterable[dict[str, Any]], name: str) -> list[int]:
    found = dict.fromkeys(days, 0)
    for row in rows:
        found[row["day"]] += row[name]
    return list(found.values())


# --- As they are shown ---------------------------------------------------------------------------------------------


def shown(request: HttpRequest, *, now: datetime) -> list[Trend]:
    """The trends that this member of staff may see: each belongs to a model's list."""
    may = {
        label: may_view(request, label)
        for label in ("bookings.Booking", "payments.Payment", "marketplace.Session", "providers.ProviderAccount")
    }
    if not any(may.values()):
        return []
    numbers = figures(now)
    days = numbers["days"][DAYS:]
    found = []
    if may["bookings.Booking"]:
        found.append(summed("Bookings confirmed", days, numbers["bookings"]))
    if may["payments.Payment"]:
        found += [
            summed(f"Gross value, {currency}", days, cents, written=partial(rounded, currency=currency), scale=100)
            for currency, cents in numbers["value"].items()
        ]
    if may["marketplace.Session"]:
        found.append(fill_rate(days, numbers["taken"], numbers["seats"]))
    if may["providers.ProviderAccount"]:
        found.append(summed("New providers", days, numbers["providers"]))
    if may["bookings.Booking"]:
        found.append(summed("Bookings cancelled", days, numbers["cancellations"], more_is_better=False))
    return found


def rounded(cents: int, currency: str) -> str:
    """Without the cents, which nobody needs in a sum."""
    return money(cents, currency).partition(".")[0]


def summed(
    title: str,
    days: list[str],
    daily: list[int],
    *,
    written: Callable[[int], str] = "{:,}".format,
    scale: int = 1,
    more_is_better: bool = True,
) -> Trend:
    before, last = sum(daily[:DAYS]), sum(daily[DAYS:])
    change = f"{(last - before) / before:+.0%}" if before else ""
    return Trend(
        title=title,
        total=written(last),
        change=change,
        verdict=verdict(last - before, more_is_better=more_is_better),
        before=written(before),
        chart=chart(days, [number / scale for number in daily]),
    )


def fill_rate(days: list[str], taken: list[int], seats: list[int]) -> Trend:
    """Seats taken of all seats, in sessions that took place; a day without sessions has none."""
    before, last = (share(sum(taken[part]), sum(seats[part])) for part in (slice(None, DAYS), slice(DAYS, None)))
    return Trend(
        title="Fill rate of sessions",
        total="–" if last is None else f"{last:.0f}%",
        change="" if last is None or before is None else f"{last - before:+.0f} points",
        verdict=verdict((last or 0) - (before or 0)),
        before="–" if before is None else f"{before:.0f}%",
        chart=chart(days, [share(part, whole) for part, whole in zip(taken, seats, strict=True)]),
    )


def share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


def verdict(difference: float, *, more_is_better: bool = True) -> str:
    if not difference:
        return "info"
    return "success" if (difference > 0) == more_is_better else "danger"


def chart(days: list[str], daily: list[float] | list[float | None]) -> str:
    """The last period as bars, the one before as a line behind them; nothing where there is nothing to draw."""
    if not any(daily):
        return ""
    return json.dumps(
        {
            "labels": days,
            "datasets": [
                {
                    "label": f"Last {DAYS} days",
                    "data": daily[DAYS:],
                    "backgroundColor": "var(--color-primary-600)",
                    "maxTicksXLimit": 5,
                    "displayYAxis": True,
                },
                {
                    "label": f"{DAYS} days before",
                    "data": daily[:DAYS],
                    "type": "line",
                    "borderColor": "var(--color-base-400)",
                    "tension": 0.3,
                },
            ],
        }
    )
