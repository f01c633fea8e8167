"""The base of every admin page, and what kinds of rows there are: switched, kept, only looked at."""

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.db import models, router, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from core.acting import audited
from core.admin.history import trail_of
from core.admin.lists import CappedPaginator, export, found_by
from core.admin.values import code
from core.admin.verbs import MOST_AT_ONCE


class Admin(ModelAdmin):
    """The base of every admin page here.

    A search term that is a UUID is looked up in `search_ids`, one with an @ in `search_email`, any other in
    `search_fields`: by an index where these are `__exact`. An empty list says `nothing`, which tells what to do.
    """

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True
    compressed_fields = True
    warn_unsaved_form = True
    ordering: ClassVar[Any] = ["-id"]
    empty_value_display = "–"
    object_history_template = "admin/history.html"
    search_fields: ClassVar[Any] = ["=id"]
    search_ids: ClassVar[list[str]] = ["id"]
    search_email: ClassVar[str | None] = None
    stamps: ClassVar[list[str]] = ["id", "created_at", "updated_at"]
    # What puts the rows in the order of `date_hierarchy` by an index.
    date_hierarchy_order = "id"
    nothing = "Nothing is here yet."

    @display(description="Id", ordering="id")
    def short_id(self, row: models.Model) -> SafeString:
        return code(row.pk)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(self.stamps if obj else [])]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return found_by(queryset, self.search_ids, UUID(term)) if self.search_ids else queryset.none(), False
        except ValueError:
            pass
        if self.search_email and "@" in term:
            return found_by(queryset, [f"{self.search_email}__in"], [term, term.lower()]), False
        if list(self.search_fields) == ["=id"]:
            return queryset.none(), False
        if all(field.endswith("__exact") for field in self.search_fields):
            return found_by(queryset, self.search_fields, term), False
        return super().get_search_results(request, queryset, search_term)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(partial(export, self))
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"
        return [path("csv/", view, name=name), *super().get_urls()]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The row's buttons: only the verbs that its state allows."""
        actions = super().get_actions_detail(request, object_id)
        if not any(hasattr(each.method, "when") for each in actions):
            return actions
        row = self.get_object(request, unquote(str(object_id)))
        return [
            each
            for each in actions
            if not hasattr(each.method, "when")
            or (row and each.method.when(row) and self.may(each.method.permission, request, row))
        ]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """What staff did to the row, and what changed of it, whoever did it."""
        followed = self.opts.label in audited()
        trail = trail_of(self.model, unquote(object_id)) if followed else []
        return super().history_view(request, object_id, {"followed": followed, "trail": trail, **(extra_context or {})})

    def may(self, permission: str, request: HttpRequest, row: Any) -> bool:
        return getattr(self, f"has_{permission}_permission")(request, row)

    def state_of(self, row: Any) -> str:
        return row.get_status_display().lower()

    def change_url_name(self) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_change"

    def rows_of(self, request: HttpRequest, queryset: QuerySet | None, object_id: str | None) -> list[Any]:
        if queryset is not None:
            return list(queryset[: MOST_AT_ONCE + 1])
        row = self.get_object(request, unquote(str(object_id)))
        if row is None:
            raise Http404
        return [row]

    def ask(self, request: HttpRequest, *, rows: Iterable[Any], **context: Any) -> TemplateResponse:
        """The page between a verb's button and the verb."""
        context = {
            **self.admin_site.each_context(request),
            **context,
            "opts": self.opts,
            "rows": rows,
            "action_name": request.POST.get("action", ""),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/ask.html", context)

    def switch_active(self, request: HttpRequest, queryset: QuerySet, value: bool) -> None:
        """Sets `is_active` on each row of `queryset` that has it otherwise, with a log entry each."""
        rows = list(queryset.exclude(is_active=value))
        with transaction.atomic(using=router.db_for_write(self.model)):
            for row in rows:
                row.is_active = value
                row.save(update_fields=["is_active", "updated_at"])
                self.log_change(request, row, "Activated." if value else "Deactivated.")
        messages.success(request, f"{'Activated' if value else 'Deactivated'}: {len(rows)}.")


class SwitchMixin:
    """Actions for rows with `is_active`."""

    actions: Any = ["activate", "deactivate"]

    @action(description="Activate", permissions=["change"])
    def activate(self: Any, request: HttpRequest, queryset: QuerySet) -> None:
        self.switch_active(request, queryset, True)

    @action(description="Deactivate", permissions=["change"])
    def deactivate(self: Any, request: HttpRequest, queryset: QuerySet) -> None:
        self.switch_active(request, queryset, False)


class NoDelete:
    """Rows whose deletion is a verb with rules of its own, or no option at all."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class NoAdd:
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(NoAdd, NoDelete):
    """Rows that only verbs change: nobody adds, changes or deletes them by hand, superusers included."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, Admin):
    pass


class LargeAdmin(ReadOnlyAdmin):
    """A table that grows without end: always newest first, as no index is there for another order."""

    sortable_by: ClassVar[Any] = ()


class ReadOnlyInline(ReadOnly, TabularInline):
    extra = 0
    show_change_link = True
    per_page = 20
    select_related: ClassVar[list[str]] = []

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).order_by("-id")
        return rows.select_related(*self.select_related) if self.select_related else rows
