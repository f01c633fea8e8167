"""The whole audit trail, searchable."""

from contextlib import suppress
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from core.acting import audited
from core.admin.history import changes_of, staff_emails, who_of
from core.admin.pages import ReadOnlyAdmin
from core.admin.values import code, label
from core.models import AuditEntry, AuditRow


class ModelFilter(admin.SimpleListFilter):
    """Those tables that the trail follows, without asking the database which occur."""

    title, parameter_name = "model", "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(each, each.partition(".")[2]) for each in model_admin.followed()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(model=self.value()) if self.value() else queryset


class TrailAdmin(ReadOnlyAdmin):
    """Searched by the id of a row, of a user, of a request or task, or by the e-mail of a member of staff."""

    list_display = ["when", "who", "origin", "what", "row", "changed"]
    list_display_links = ["when"]
    list_filter = ["action", ModelFilter]
    search_ids: ClassVar[list[str]] = ["object_id"]
    search_help_text = "The id of a row, a user, a request or a task; or the e-mail of a member of staff"
    fields = ["at", "who", "source", "request_id", "region", "model", "what", "row", "changed"]
    readonly_fields = ["who", "row", "what", "changed"]
    stamps: ClassVar[list[str]] = []
    what = label("action", {"created": "success", "deleted": "danger"})
    show_full_result_count = False

    def followed(self) -> list[str]:
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        self.staff = staff_emails()
        return super().get_queryset(request)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term:
            staff = get_user_model().objects.filter(is_staff=True, email__iexact=term).values_list("pk", flat=True)
            return queryset.filter(actor_id__in=list(staff)), False
        named = Q(object_id=term) | Q(request_id=term)
        with suppress(ValueError):
            named |= Q(actor_id=UUID(term))
        return queryset.filter(named), False

    @display(description="When", ordering="id")
    def when(self, entry: AuditRow) -> SafeString:
        return format_html('<span class="whitespace-nowrap">{}</span>', f"{entry.at:%Y-%m-%d %H:%M:%S}")

    @display(description="From where")
    def origin(self, entry: AuditRow) -> SafeString:
        return format_html(
            '<div class="break-all">{}</div><div class="break-all font-mono text-xs">{}</div>',
            entry.source or "command line or SQL",
            entry.request_id,
        )

    @display(description="Who")
    def who(self, entry: AuditRow) -> SafeString | str:
        return who_of(entry, self.staff)

    @display(description="Row")
    def row(self, entry: AuditRow) -> SafeString:
        try:
            url = reverse(f"admin:{entry.model.lower().replace('.', '_')}_change", args=[entry.object_id])
        except NoReverseMatch:
            return code(entry.object_id)
        name = entry.model.partition(".")[2]
        return format_html('{} <a class="text-link" href="{}">{}</a>', name, url, code(entry.object_id))

    @display(description="Old → new")
    def changed(self, entry: AuditRow) -> SafeString:
        return format_html('<div class="min-w-56">{}</div>', changes_of(entry))


@admin.register(AuditEntry)
class AuditEntryAdmin(TrailAdmin):
    def followed(self) -> list[str]:
        return sorted(each for each in audited() if not each.startswith("regions."))
