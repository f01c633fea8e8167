"""Every kind's mail in both regions, as it was when somebody last looked at it.

`UPDATE_GOLDEN=1` writes the files anew: read their diff before committing it.
"""

import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from notifications.contents import contents
from notifications.letters import Reader, render
from notifications.models import OPTIONAL, NotificationKind

GOLDEN = Path(__file__).parent / "golden"
READERS = {
    "us": Reader(name="Ana", region="us", at=datetime(2026, 3, 4, 16, 0, tzinfo=UTC)),
    "in": Reader(name="", region="in", at=datetime(2026, 3, 4, 12, 0, tzinfo=UTC)),
}
CASES = [(kind.value, region) for kind in NotificationKind for region in READERS]


def letter(kind, region):
    return contents()[kind].write(contents()[kind].samples[region], READERS[region])


@pytest.fixture(autouse=True)
def _app(settings):
    settings.APP_URL = "https://juniro.example"


@pytest.mark.parametrize(("kind", "region"), CASES)
def test_the_mail_of_every_kind_is_as_it_was(kind, region):
    written = letter(kind, region)
    is_optional = kind in OPTIONAL
    unsubscribe = "https://api.juniro.example/v1/notifications/unsubscribe/TOKEN" if is_optional else ""
    text, html = render(written, reader=READERS[region], is_optional=is_optional, unsubscribe_url=unsubscribe)
    found = {"txt": f"Subject: {written.subject}\n\n{text}", "html": html}
    for suffix, content in found.items():
        path = GOLDEN / f"{kind}.{region}.{suffix}"
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        assert path.read_text() == content


def test_there_is_no_golden_file_without_a_mail():
    wanted = {f"{kind}.{region}.{suffix}" for kind, region in CASES for suffix in ("txt", "html")}
    assert {path.name for path in GOLDEN.iterdir()} == wanted


def test_every_kind_is_written_once():
    assert set(contents()) == set(NotificationKind)


@pytest.mark.parametrize(("kind", "region"), CASES)
def test_what_shows_on_a_locked_screen_names_no_child_and_no_parent(kind, region):
    written = letter(kind, region)
    for text in (written.subject, written.title, written.summary):
        assert not re.search(r"\b(Mia|Aarav|Diya|Ana)\b", text)
        assert "\n" not in text


@pytest.mark.parametrize(("kind", "region"), CASES)
def test_the_html_loads_nothing_runs_nothing_and_follows_dark_mode(kind, region):
    _, html = render(letter(kind, region), reader=READERS[region])
    assert not re.search(r"<(?:img|script|link|iframe|form|object)\b|\son\w+=|url\(|@import", html)
    assert "prefers-color-scheme: dark" in html
    assert 'content="light dark"' in html
    # Only the links of the web app.
    assert {url.split("/")[2] for url in re.findall(r'href="([^"]+)"', html)} <= {"juniro.example"}


def test_names_cannot_write_html_or_further_lines():
    evil = 'Fins" <b onclick=x>&</b>\r\nBcc: all@example.com'
    content = contents()["booking_confirmed"]
    reader = Reader(name=evil, region="us", at=READERS["us"].at)
    written = content.write(replace(content.samples["us"], child=evil, place=evil), reader)
    text, html = render(written, reader=reader)
    assert "<b onclick" not in html
    assert "&lt;b onclick=x&gt;&amp;&lt;/b&gt;" in html
    assert "<b onclick=x>&</b>" in text


def test_the_table_of_kinds_is_true():
    page = (Path(__file__).resolve().parents[2] / "docs" / "notifications.md").read_text()
    [kinds] = [section for section in page.split("\n## ") if section.startswith("Kinds\n")]
    told = dict(re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \|$", kinds, re.MULTILINE))
    assert told == {kind.value: "yes" if kind in OPTIONAL else "no" for kind in NotificationKind}
