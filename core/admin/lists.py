"""Lists of tables that grow without end: counted only so far, searched by index, and written out as CSV."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property, reduce
from html import unescape
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import label_for_field, lookup_field
from django.contrib.admin.views.main import ChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from core.admin.values import masked_email
from core.spreadsheets import csv_stream

COUNTED = 1_000
EXPORTED = 10_000


class CappedPaginator(Paginator):
    """Counts no further than `COUNTED`: who has more before them than that narrows the list down."""

    template_name = "admin/capped_pagination.html"

    @cached_property
    def count(self) -> int:
        # In the list's own order, so that the database walks the same index for both.
        rows: Any = self.object_list
        return rows.values("pk")[: COUNTED + 1].count()

    @property
    def is_capped(self) -> bool:
        return self.count > COUNTED


def found_by(queryset: models.QuerySet, fields: Sequence[str], value: Any) -> models.QuerySet:
    """The rows of `queryset` with `value` in one of `fields`, each looked up by its own index."""
    rows = queryset.model._default_manager.order_by()
    # One OR over several tables would read all of them.
    each = [rows.filter(**{field: value}).values("pk") for field in fields]
    return queryset.filter(pk__in=each[0].union(*each[1:]) if each[1:] else each[0])


# --- CSV -------------------------------------------------------------------------------------------------------------


def export(model_admin: Any, request: HttpRequest) -> HttpResponseBase:
    """What the list shows under the filters of the address, masked as it is there, and who took it."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    listed = model_admin.get_changelist_instance(request)
    columns = [str(each) for each in listed.list_display if each != "action_checkbox"]
    name = f"{model_admin.opts.model_name}-{timezone.now():%Y%m%d-%H%M%S}.csv"
    LogEntry.objects.create(
        user_id=str(request.user.pk),
        content_type=ContentType.objects.get_for_model(model_admin.model),
        object_repr=name,
        action_flag=CHANGE,
        change_message=f"Exported the list as CSV: {asked_for(listed) or 'all'}.",
    )
    rows = listed.queryset[:EXPORTED].iterator(chunk_size=500)
    header = [capfirst(str(label_for_field(each, model_admin.model, model_admin))) for each in columns]
    return csv_stream(name, header=header, rows=lines(rows, columns, model_admin))


def asked_for(listed: ChangeList) -> str:
    words = [f"{key}={value}" for key, values in sorted(listed.filter_params.items()) for value in values]
    if listed.query:
        words.append(f"search={masked_email(listed.query) if '@' in listed.query else listed.query}")
    return ", ".join(words)


def lines(rows: Iterator[models.Model], columns: Sequence[str], model_admin: Any) -> Iterator[list[str]]:
    for row in rows:
        yield [as_text(row, column, model_admin) for column in columns]


def as_text(row: models.Model, column: str, model_admin: Any) -> str:
    """A cell of the list in plain text; a shortened id in full, as its tooltip has it."""
    try:
        field, _, value = lookup_field(column, row, model_admin)
    except ObjectDoesNotExist:
        return ""
    if field is not None and field.choices:
        value = getattr(row, f"get_{field.name}_display")()
    if isinstance(value, tuple):
        value = value[-1]
    if isinstance(value, SafeString):
        value = reduce(lambda _, full: full, re.findall(r'title="([^"]*)"', value), strip_tags(value))
        return unescape(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    return "" if value is None or value == model_admin.get_empty_value_display() else str(value)
