"""What stands around every page: the badge and the sidebar.

settings.UNFOLD says which models stand in which group of the sidebar, so no domain is touched here.
"""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.module_loading import import_string

from core.admin.values import list_url
from core.models import Region

admin.site.index_template = "admin/home.html"


def environment(request: HttpRequest) -> list[str]:
    """Region and environment for the badge on every page: red where a mistake costs somebody money."""
    colour = {"production": "danger", "test": "warning"}.get(settings.JUNIRO_ENV, "success")
    return [f"{Region(settings.REGION).label} · {settings.JUNIRO_ENV}", colour]


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
