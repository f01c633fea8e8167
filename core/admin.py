"""What every admin page shares: people stay masked, verbs are asked for and logged, the rest can only be looked at.

Importing this module touches no domain: settings.UNFOLD says which models stand in which group of the sidebar.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.db import models, router, transaction
from django.db.models import Q, QuerySet
from django.forms import CharField, Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from core.errors import Error
from core.models import IdempotencyKey

MOST_AT_ONCE = 100

# --- The frame -----------------------------------------------------------------------------------------------------


def environment(request: HttpRequest) -> list[str]:
    """Region and environment for the badge on every page: red where a mistake costs somebody money."""
    colour = {"production": "danger", "test": "warning"}.get(settings.JUNIRO_ENV, "success")
    return [f"{settings.REGION.upper()} · {settings.JUNIRO_ENV}", colour]


def sidebar_groups() -> dict[str, dict[str, dict[str, str]]]:
    sidebar: Any = settings.UNFOLD["SIDEBAR"]
    return sidebar["groups"]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: the groups of settings.UNFOLD, without the models that this member of staff may not see."""
    groups = [
        {"title": title, "separator": True, "items": [item(request, label, entry) for label, entry in visible.items()]}
        for title, models_ in sidebar_groups().items()
        if (visible := {label: entry for label, entry in models_.items() if may_view(request, label)})
    ]
    if groups:
        groups[0]["separator"] = False
    return groups


def may_view(request: HttpRequest, label: str) -> bool:
    model = apps.get_model(label)
    return admin.site.is_registered(model) and admin.site.get_model_admin(model).has_view_permission(request)


def item(request: HttpRequest, label: str, entry: dict[str, str]) -> dict[str, Any]:
    title = str(apps.get_model(label)._meta.verbose_name_plural)
    badge = import_string(entry["badge"])() if "badge" in entry else None
    return {
        "title": title[:1].upper() + title[1:],
        "icon": entry["icon"],
        "link": list_url(label),
        "badge": badge,
        "badge_variant": "warning",
    }


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The front page in the sidebar's groups instead of one box per Django app."""
    known = {entry["model"]._meta.label: entry for app in context["app_list"] for entry in app["models"]}
    context["app_list"] = [
        {"name": title, "app_label": title.lower(), "app_url": "", "models": shown}
        for title, models_ in sidebar_groups().items()
        if (shown := [known[label] for label in models_ if label in known])
    ]
    return context


def list_url(label: str, **filters: Any) -> str:
    """The address of a model's list, say `list_url("bookings.Booking", session__id__exact=session.pk)`."""
    url = reverse(f"admin:{label.lower().replace('.', '_')}_changelist")
    return f"{url}?{'&'.join(f'{key}={value}' for key, value in filters.items())}" if filters else url


# --- Values --------------------------------------------------------------------------------------------------------


def masked(*words: str | None) -> str:
    """Initials only: "Mia Lopez" is "M… L…"."""
    return " ".join(f"{word[0]}…" for word in words if word) or "–"


def masked_email(email: str | None) -> str:
    """ "ana@example.com" is "a…@example.com"."""
    name, at, domain = (email or "").rpartition("@")
    return f"{name[:1]}…@{domain}" if at else "–"


def masked_phone(phone: str | None) -> str:
    """ "+15125550123" is "+1…23"."""
    return f"{phone[:2]}…{phone[-2:]}" if phone else "–"


def money(cents: int, currency: str) -> SafeString:
    """2500 cents are "25.00 USD"."""
    return format_html('<span class="whitespace-nowrap">{}</span>', f"{cents / 100:,.2f} {currency}")


def code(value: Any) -> SafeString:
    """The tail of a long id or hash, which tells time-ordered ids apart; the whole of it as a tooltip."""
    text = str(value)
    shown = f"…{text[-8:]}" if len(text) > 12 else text
    return format_html('<span class="font-mono whitespace-nowrap" title="{}">{}</span>', text, shown)


def link(label: str, pk: Any, text: Any = None) -> SafeString | str:
    """A link to the row `pk` of the model `label`."""
    if pk is None:
        return "–"
    url = reverse(f"admin:{label.lower().replace('.', '_')}_change", args=[pk])
    return format_html('<a class="text-link" href="{}">{}</a>', url, code(pk) if text is None else text)


def links(**urls: str) -> SafeString:
    """A row of links, `links(Sessions=url)`."""
    parts = [format_html('<a class="text-link mr-4" href="{}">{}</a>', url, text) for text, url in urls.items()]
    return format_html("{} " * len(parts), *parts)


def pretty(value: Any) -> SafeString:
    """JSON, indented."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html('<pre class="whitespace-pre-wrap break-all text-xs">{}</pre>', text)


def label(field: str, colours: dict[str, str]) -> Callable[..., Any]:
    """A column that shows the choice `field` as a coloured label."""

    @display(description=field.replace("_", " ").capitalize(), ordering=field, label=colours)
    def column(self: Any, row: models.Model) -> Any:
        value, shown = getattr(row, field), getattr(row, f"get_{field}_display")()
        return (value, shown) if value in colours else shown

    return column


# --- Verbs ---------------------------------------------------------------------------------------------------------


class ReasonForm(Form):
    reason = CharField(max_length=500, widget=UnfoldAdminTextareaWidget({"rows": 3}))


def verb(
    *,
    title: str,
    past: str,
    when: Callable[[Any], bool],
    run: Callable[..., Any],
    reason: str = "",
    permission: str = "change",
    icon: str | None = None,
    variant: ActionVariant = ActionVariant.DEFAULT,
) -> Any:
    """A verb of the model as an admin action, on the list and on a row's page.

    It asks first (so that no GET changes anything), then calls `run(row, now=…)` for each row that is ready by `when`,
    and writes a log entry in the same transaction. With `reason`, the help text of a required field, it calls
    `run(row, now=…, reason=…)`. An `Error` of the model becomes a message.
    """

    @action(description=title, permissions=[permission], icon=icon, variant=variant)
    def act(
        self: "Admin", request: HttpRequest, queryset: QuerySet | None = None, object_id: str | None = None
    ) -> HttpResponse | None:
        rows = self.rows_of(request, queryset, object_id)
        # On the list, Django itself returns there after an action.
        back = None if object_id is None else HttpResponseRedirect(reverse(self.change_url_name(), args=[object_id]))
        if len(rows) > MOST_AT_ONCE:
            messages.error(request, f"At most {MOST_AT_ONCE} rows at once, please.")
            return back
        ready = [row for row in rows if when(row) and self.may(permission, request, row)]
        for row in rows:
            if row not in ready:
                messages.error(request, f"{title} is not possible for {row} ({self.state_of(row)}).")
        if not ready:
            return back
        applied = "apply" in request.POST
        form = (ReasonForm if reason else Form)(request.POST if applied else None)
        if reason:
            form.fields["reason"].help_text = reason
        if applied and form.is_valid():
            for row in ready:
                perform(self, request, row, form.cleaned_data)
            return back
        return self.ask(
            request,
            title=title,
            rows=ready,
            form=form,
            back=back.url if back else request.get_full_path(),
            button="danger" if variant is ActionVariant.DANGER else "primary",
        )

    def perform(self: "Admin", request: HttpRequest, row: Any, given: dict[str, Any]) -> None:
        try:
            with transaction.atomic(using=router.db_for_write(type(row))):
                run(row, now=timezone.now(), **given)
                self.log_change(request, row, f"{past}: {given['reason']}" if reason else f"{past}.")
        except Error as error:
            messages.error(request, f"{row}: {error.message}")
        else:
            messages.success(request, f"{past}: {row}.")

    act.when, act.permission = when, permission
    return act


class Admin(ModelAdmin):
    """The base of every admin page here.

    A search term that is a UUID is looked up in `search_ids`, one with an @ in `search_email`; both by an index.
    """

    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True
    compressed_fields = True
    warn_unsaved_form = True
    ordering: ClassVar[Any] = ["-id"]
    empty_value_display = "–"
    search_fields: ClassVar[Any] = ["=id"]
    search_ids: ClassVar[list[str]] = ["id"]
    search_email: ClassVar[str | None] = None
    stamps: ClassVar[list[str]] = ["id", "created_at", "updated_at"]

    @display(description="Id", ordering="id")
    def short_id(self, row: models.Model) -> SafeString:
        return code(row.pk)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(self.stamps if obj else [])]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        term = search_term.strip()
        try:
            wanted = UUID(term)
        except ValueError:
            if self.search_email and "@" in term:
                return queryset.filter(**{f"{self.search_email}__in": [term, term.lower()]}), False
            return super().get_search_results(request, queryset, search_term)
        named = Q(*((field, wanted) for field in self.search_ids), _connector=Q.OR)
        # A subquery, because a join to many rows would list a row as often.
        return queryset.filter(pk__in=self.model._default_manager.filter(named).values("pk")), False

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The row's buttons: only the verbs that its state allows."""
        actions = super().get_actions_detail(request, object_id)
        if not any(hasattr(each.method, "when") for each in actions):
            return actions
        row = self.get_object(request, unquote(str(object_id)))
        return [
            each for each in actions if row and each.method.when(row) and self.may(each.method.permission, request, row)
        ]

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


class ReadOnlyInline(ReadOnly, TabularInline):
    extra = 0
    show_change_link = True
    per_page = 20
    select_related: ClassVar[list[str]] = []

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).order_by("-id")
        return rows.select_related(*self.select_related) if self.select_related else rows


# --- Our own tables ------------------------------------------------------------------------------------------------


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Without the stored answers: they are the user's, not ours to read."""

    list_display = ["short_id", "method", "path", "status_code", "user", "created_at", "expires_at"]
    list_filter = ["method", "status_code"]
    search_fields = ["=key"]
    search_ids = ["id", "user_id"]
    exclude = ["response", "body_sha256"]

    @display(description="User", ordering="user_id")
    def user(self, row: IdempotencyKey) -> SafeString:
        return code(row.user_id)


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """What staff did here."""

    list_display = ["action_time", "staff", "what", "content_type", "row", "change"]
    list_display_links = ["action_time"]
    list_filter = ["action_flag"]
    list_select_related = ["user", "content_type"]
    date_hierarchy = "action_time"
    search_fields = ["=object_id"]
    search_ids = ["object_id", "user_id"]
    exclude = ["change_message"]
    readonly_fields = ["change"]
    stamps: ClassVar[list[str]] = []
    what = label("action_flag", {})

    @display(description="Row", ordering="object_repr")
    def row(self, entry: LogEntry) -> str:
        return entry.object_repr

    @display(description="Change")
    def change(self, entry: LogEntry) -> str:
        return entry.get_change_message()

    @display(description="Staff", ordering="user__email")
    def staff(self, entry: LogEntry) -> str:
        return entry.user.email
