"""What happened to rows, for people: who, from which request, old and new."""

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Model
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from core import audit
from core.admin.values import link
from core.models import AuditRow

# A row's page shows its latest changes; the list has all.
LATEST = 100


def staff_emails() -> dict[UUID, str]:
    """Those who may have done something, by id; they are few."""
    return dict(get_user_model().objects.filter(is_staff=True).values_list("pk", "email"))


def who_of(entry: AuditRow, staff: dict[UUID, str]) -> SafeString | str:
    """A member of staff by e-mail, anybody else by id; what no user did has none."""
    if entry.actor_id is None:
        return "–"
    return staff.get(entry.actor_id) or link("users.User", entry.actor_id)


def changes_of(entry: AuditRow) -> SafeString:
    """Each column with its old and new value. Of personal ones the trail has none."""
    lines = [(name, shown(value, entry.action)) for name, value in sorted(entry.changes.items())]
    return format_html_join("", '<div class="break-all"><span class="font-medium">{}</span> {}</div>', lines)


def shown(value: list[Any] | None, action: str) -> str:
    if value is None:
        return "changed (personal, not kept)" if action == "changed" else "(personal, not kept)"
    old, new = (short(each) for each in value)
    return {"created": new, "deleted": old}.get(action, f"{old} → {new}")


def short(value: Any) -> str:
    text = "–" if value is None or value == "" else str(value)
    return text if len(text) <= 200 else f"{text[:199]}…"


def trail_of(model: type[Model], object_id: str) -> list[dict[str, Any]]:
    """What happened to one row, the latest first, for its history page."""
    found = list(audit.entries_of(model)._default_manager.filter(object_id=object_id).order_by("-pk")[:LATEST])
    staff = staff_emails() if found else {}
    return [
        {
            "at": entry.at,
            "who": who_of(entry, staff),
            "source": entry.source,
            "request_id": entry.request_id,
            "model": entry.model.partition(".")[2],
            "action": entry.get_action_display(),
            "changes": changes_of(entry),
        }
        for entry in found
    ]
