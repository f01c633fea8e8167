"""The row of years, months and days above a list, without reading the table."""

from calendar import month_abbr, monthrange
from datetime import date
from typing import Any

from django import template
from django.contrib.admin.views.main import ChangeList

register = template.Library()

LOOKED_AT = 100


@register.inclusion_tag("admin/date_hierarchy.html")
def periods(listed: ChangeList) -> dict[str, Any]:
    """All periods between the oldest and the newest row: two looks at an index, where Django reads every row."""
    field = listed.date_hierarchy
    asked = [whole(listed.params.get(f"{field}__{part}")) for part in ("year", "month", "day")]
    year, month, day = asked if all(each is not None for each in asked if each) else (None, None, None)

    def link(*parts: int) -> str:
        filters = {f"{field}__{name}": value for name, value in zip(("year", "month", "day"), parts, strict=False)}
        return listed.get_query_string(filters, [f"{field}__"])

    bounds = between(listed)
    if bounds is None:
        return {"show": False}
    first, last = bounds
    if year and month and day:
        return {"show": True, "back": {"link": link(year, month), "title": f"{month_abbr[month]} {year}"},
                "choices": [{"title": f"{day} {month_abbr[month]} {year}"}]}  # fmt: skip
    if year and month:
        days = range(1, monthrange(year, month)[1] + 1)
        return {"show": True, "back": {"link": link(year), "title": str(year)},
                "choices": [{"link": link(year, month, each), "title": str(each)}
                            for each in days if first <= date(year, month, each) <= last]}  # fmt: skip
    if year:
        months = [each for each in range(1, 13) if (first.year, first.month) <= (year, each) <= (last.year, last.month)]
        return {"show": True, "back": {"link": link(), "title": "All dates"},
                "choices": [{"link": link(year, each), "title": month_abbr[each]} for each in months]}  # fmt: skip
    years = range(first.year, last.year + 1)
    return {"show": True, "choices": [{"link": link(each), "title": str(each)} for each in years]}


def whole(value: Any) -> int | None:
    if isinstance(value, list):
        value = value[-1]
    return int(value) if value and str(value).isdecimal() else None


def between(listed: ChangeList) -> tuple[date, date] | None:
    """The days of the oldest and the newest row of the whole table, from its two ends.

    Our own ids are in the order of time. Those of rows that came otherwise are not, so more than one is looked at.
    """
    model_admin: Any = listed.model_admin
    field, order = model_admin.date_hierarchy, model_admin.date_hierarchy_order
    rows = listed.model._default_manager
    ends = [rows.order_by(f"{sign}{order}").values_list(field, flat=True)[:LOOKED_AT] for sign in ("", "-")]
    times = [at for end in ends for at in end if at]
    return (min(times).date(), max(times).date()) if times else None
