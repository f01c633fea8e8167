"""What a notification says, and the mail that it becomes.

The apps above write letters (their `emails.py`), one layout puts them into text and HTML.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from notifications import formats

CLOCK = re.compile(r"\b\d\d?:\d\d [AaPp][Mm](?: (?:[A-Z]{2,5}|UTC[+-]\d\d:\d\d)\b)?")
BECAUSE = "You get this because you have an account with Juniro."


@dataclass(frozen=True, kw_only=True)
class Letter:
    """`subject`, `title` and `summary` show on locked screens: nothing of a child stands in them.

    `facts` are labels with values, `button` is a label and a path of the web app, `small` is for the small print.
    Everything is plain text.
    """

    subject: str
    title: str
    summary: str
    paragraphs: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    button: tuple[str, str] | None = None
    small: Sequence[str] = ()
    because: str = BECAUSE


@dataclass(frozen=True, kw_only=True)
class Attachment:
    name: str
    type: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Whom a letter is for: their name (or none), how their region writes, and when it was written."""

    name: str
    region: str
    at: datetime

    def money(self, cents: int, currency: str) -> str:
        return formats.money(cents, currency)

    def moment(self, at: datetime, zone: str = "") -> str:
        """In the zone of its place; without one, in the region's."""
        return formats.moment(at, zone or formats.ZONES[self.region], region=self.region, since=self.at)

    def span(self, starts_at: datetime, ends_at: datetime, zone: str) -> str:
        return formats.span(starts_at, ends_at, zone, region=self.region, since=self.at)


def compose(
    letter: Letter,
    *,
    to: str,
    reader: Reader,
    key: UUID,
    attachments: Sequence[Attachment] = (),
    unsubscribe_url: str = "",
    is_optional: bool = False,
) -> EmailMultiAlternatives:
    """The mail of `letter`, in text and HTML. `key` makes its Message-ID: a mail sent twice is one to its reader."""
    text, html = render(letter, reader=reader, unsubscribe_url=unsubscribe_url, is_optional=is_optional)
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    headers = {"Message-ID": f"<{key}@{domain}>", "Auto-Submitted": "auto-generated"}
    if unsubscribe_url:
        headers |= {"List-Unsubscribe": f"<{unsubscribe_url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    mail = EmailMultiAlternatives(subject=one_line(letter.subject), body=text, to=[to], headers=headers)
    mail.attach_alternative(html, "text/html")
    for each in attachments:
        mail.attach(each.name, each.content, each.type)
    return mail


def render(letter: Letter, *, reader: Reader, unsubscribe_url: str = "", is_optional: bool = False) -> tuple[str, str]:
    """`letter` as text and as HTML."""
    context = {
        "letter": letter,
        "greeting": f"Hello {one_line(reader.name)}," if reader.name else "Hello,",
        "button": letter.button and {"label": letter.button[0], "url": settings.APP_URL + letter.button[1]},
        "is_optional": is_optional,
        "unsubscribe_url": unsubscribe_url,
        "settings_url": f"{settings.APP_URL}/settings/notifications",
    }
    text = render_to_string("notifications/letter.txt", context)
    html: str = render_to_string("notifications/letter.html", context)
    # On a phone, "10:45 AM CST" stays on one line.
    html = CLOCK.sub(lambda found: found[0].replace(" ", "&nbsp;"), html)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", html


def one_line(text: str) -> str:
    """`text` without line breaks, whatever somebody named their business."""
    return " ".join(text.split())
