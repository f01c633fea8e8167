"""What both regions share. It lies in the global database, which may be out of reach while this region works on."""

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import structlog
from django.contrib import admin
from django.db import OperationalError, transaction
from django.db.models import OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from django.forms import CharField, ChoiceField, JSONField, ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from core.acting import audited
from core.admin import Admin, ReadOnly, TrailAdmin, code, pretty, verb
from core.admin.history import staff_emails, who_of
from regions import config, flags
from regions.models import AppConfig, FeatureFlag, RatingAggregate, SharedAuditEntry, SlugReservation
from regions.shared import SharedValues

log = structlog.get_logger("juniro.admin")


class GlobalAdmin(Admin):
    """Answers 503 with a clear message, not 500, while the global database is out of reach."""

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.guarded(super().changelist_view, request, *args, **kwargs)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.guarded(super().changeform_view, request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.guarded(super().delete_view, request, *args, **kwargs)

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.guarded(super().history_view, request, *args, **kwargs)

    def guarded(
        self, view: Callable[..., HttpResponse], request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
            # Lists read their rows while they are rendered.
            return response.render() if isinstance(response, TemplateResponse) else response
        except OperationalError:
            log.warning("global database out of reach in the admin", model=self.opts.label)
            context = {**self.admin_site.each_context(request), "title": "Out of reach", "opts": self.opts}
            return TemplateResponse(request, "admin/unavailable.html", context, status=503)


class KeyForm(ModelForm):
    """Rows that the code knows by their key: one that it does not know would switch nothing."""

    known: ClassVar[Callable[[], dict[str, str]]]
    description = CharField(
        widget=UnfoldAdminTextInputWidget, help_text="What it does, for who stands here at night", max_length=500
    )

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if "key" in self.fields:
            there = set(self._meta.model._default_manager.values_list("key", flat=True))
            left = [(key, f"{key}: {text}") for key, text in type(self).known().items() if key not in there]
            self.fields["key"] = ChoiceField(choices=left, widget=UnfoldAdminSelectWidget)


class KeyAdmin(GlobalAdmin):
    """Values of both regions; every process sees a change within seconds."""

    shared: ClassVar[SharedValues]
    search_fields = ["key", "description"]
    ordering = ["key"]
    # A bulk delete is no way to switch something off.
    actions: Any = []

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        self.staff = staff_emails()
        last = SharedAuditEntry.objects.filter(object_id=Cast(OuterRef("pk"), TextField())).order_by("-pk")
        return (
            super()
            .get_queryset(request)
            .annotate(actor_id=Subquery(last.values("actor_id")[:1]), actor_region=Subquery(last.values("region")[:1]))
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(["key", "changed_by"] if obj else [])]

    @display(description="Changed by")
    def changed_by(self, row: Any) -> SafeString | str:
        """Staff of the other region are known by their id alone: who they are does not leave it."""
        if row.actor_id is None or row.actor_id in self.staff:
            return who_of(row, self.staff)
        return format_html("{} ({})", code(row.actor_id), row.actor_region.upper())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self.forget(obj.key)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        self.forget(obj.key)

    def forget(self, key: str) -> None:
        # After the commit: before it, another process would cache the old value again.
        transaction.on_commit(partial(self.shared.forget, key), using="global")


class FlagForm(KeyForm):
    known = staticmethod(lambda: flags.KNOWN)


def switch(value: bool) -> Callable[..., None]:
    def run(flag: FeatureFlag, *, now: datetime) -> None:
        FeatureFlag.objects.filter(pk=flag.pk).update(value=value, updated_at=now)
        transaction.on_commit(partial(flags.forget, flag.key), using="global")

    return run


@admin.register(FeatureFlag)
class FeatureFlagAdmin(KeyAdmin):
    """Switched by a verb, which asks first: it holds for both regions."""

    form = FlagForm
    shared = flags.shared
    list_display = ["key", "state", "description", "updated_at", "changed_by"]
    list_filter = ["value"]
    actions: Any = ["switch_on", "switch_off"]
    actions_detail = ["switch_on", "switch_off"]
    switch_on = verb(
        title="Switch on in both regions",
        past="Switched on",
        when=lambda flag: not flag.value,
        run=switch(True),
        icon="toggle_on",
        variant=ActionVariant.SUCCESS,
    )
    switch_off = verb(
        title="Switch off in both regions",
        past="Switched off",
        when=lambda flag: flag.value,
        run=switch(False),
        icon="toggle_off",
        variant=ActionVariant.DANGER,
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["key", "state", "description", "changed_by", *self.stamps] if obj else ["key", "description"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(["state"] if obj else [])]

    @display(description="State", ordering="value", label={"On": "success", "Off": "info"})
    def state(self, row: FeatureFlag) -> str:
        return "On" if row.value else "Off"

    def state_of(self, row: FeatureFlag) -> str:
        return "on" if row.value else "off"


class JSONOrNothing(JSONField):
    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class ConfigForm(KeyForm):
    known = staticmethod(lambda: {key: text for key, (_, text) in config.KNOWN.items()})
    value = JSONOrNothing(
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
        help_text="JSON. Left empty, it is the value that stands without a row.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        default, _ = config.KNOWN.get(cleaned.get("key") or self.instance.key, (None, ""))
        value = cleaned.get("value")
        if value is None and "value" not in self.errors:
            cleaned["value"] = self.instance.value = default
        elif default is not None and value is not None and not config.same_shape(value, default):
            self.add_error("value", f"It must look like {json.dumps(default)}.")
        return cleaned


@admin.register(AppConfig)
class AppConfigAdmin(KeyAdmin):
    form = ConfigForm
    shared = config.shared
    list_display = ["key", "shown", "description", "updated_at", "changed_by"]

    @display(description="Value")
    def shown(self, row: AppConfig) -> str:
        return pretty(row.value)


@admin.register(SlugReservation)
class SlugReservationAdmin(ReadOnly, GlobalAdmin):
    list_display = ["slug", "region", "held_for", "created_at"]
    list_filter = ["region", ("held_for", admin.EmptyFieldListFilter)]
    search_fields = ["slug"]
    search_ids = ["id", "held_for"]
    ordering = ["slug"]


@admin.register(RatingAggregate)
class RatingAggregateAdmin(ReadOnly, GlobalAdmin):
    list_display = ["short_id", "region", "subject", "rated", "count", "average", "updated_at"]
    list_filter = ["region", "subject"]
    search_ids = ["id", "subject_id"]

    @display(description="Of", ordering="subject_id")
    def rated(self, row: RatingAggregate) -> str:
        return code(row.subject_id)


@admin.register(SharedAuditEntry)
class SharedAuditEntryAdmin(TrailAdmin, GlobalAdmin):
    """Who switched what, in either region. Staff of the other one are known by their id alone."""

    list_display = ["when", "region", *TrailAdmin.list_display[1:]]

    def followed(self) -> list[str]:
        return sorted(each for each in audited() if each.startswith("regions."))
