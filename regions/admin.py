"""What both regions share. It lies in the global database, which may be out of reach while this region works on."""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from django.contrib import admin
from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import display

from core.admin import Admin, ReadOnly, code, pretty
from regions import flags
from regions.models import AppConfig, FeatureFlag, RatingAggregate, SlugReservation

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


class KeyAdmin(GlobalAdmin):
    """Rows that the code knows by their key: it stays as it was made."""

    search_fields = ["key", "description"]
    ordering = ["key"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(["key"] if obj else [])]


@admin.register(FeatureFlag)
class FeatureFlagAdmin(KeyAdmin):
    """Switches of both regions; every process sees a change within seconds."""

    list_display = ["key", "value", "description", "updated_at"]
    list_editable = ["value"]
    list_filter = ["value"]
    # A bulk delete is no way to switch something off.
    actions: Any = []

    def save_model(self, request: HttpRequest, obj: FeatureFlag, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self.forget(obj.key)

    def delete_model(self, request: HttpRequest, obj: FeatureFlag) -> None:
        super().delete_model(request, obj)
        self.forget(obj.key)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FeatureFlag]) -> None:
        keys = list(queryset.values_list("key", flat=True))
        super().delete_queryset(request, queryset)
        for key in keys:
            self.forget(key)

    def forget(self, key: str) -> None:
        # After the commit: before it, another process would cache the old value again.
        transaction.on_commit(partial(flags.forget, key), using="global")


@admin.register(AppConfig)
class AppConfigAdmin(KeyAdmin):
    list_display = ["key", "shown", "description", "updated_at"]

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
