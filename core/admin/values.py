"""How values look: people stay masked, money has its currency, long ids their tail."""

import json
from collections.abc import Callable
from typing import Any

from django.db import models
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display


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


def counted(number: int, one: str, many: str) -> str:
    """ "1 city", "2,500 cities"."""
    return f"{number:,} {one if number == 1 else many}"


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


def list_url(label: str, **filters: Any) -> str:
    """The address of a model's list, say `list_url("bookings.Booking", session__id__exact=session.pk)`."""
    url = reverse(f"admin:{label.lower().replace('.', '_')}_changelist")
    return f"{url}?{'&'.join(f'{key}={value}' for key, value in filters.items())}" if filters else url
