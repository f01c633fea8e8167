"""What the documents say about the program is true."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps

from core.errors import Error

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[A-Z][A-Z0-9_]+")
# Codes that DRF's own exceptions bring along (core/exceptions.py).
FROM_DRF = {"METHOD_NOT_ALLOWED", "UNSUPPORTED_MEDIA_TYPE"}
DOCUMENTS = sorted(
    path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")] if path.is_file()
)


def settings_read() -> set[str]:
    """Every environment variable that juniro/settings.py names."""
    tree = ast.parse((ROOT / "juniro" / "settings.py").read_text())
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            first = node.args[0].value
            if isinstance(first, str) and NAME.fullmatch(first) and is_reader(node.func):
                named.add(first)
    return named


def is_reader(func: ast.expr) -> bool:
    if isinstance(func, ast.Attribute):  # env.str("NAME"), os.environ.get("NAME")
        owner = ast.unparse(func.value)
        return owner in ("env", "os.environ")
    readers = ("setting", "secret", "secrets", "number", "url", "pairs", "database", "redis_cache", "env")
    return isinstance(func, ast.Name) and func.id in readers


def test_the_settings_are_found_at_all():
    assert {"JUNIRO_ENV", "SECRET_KEY", "DATABASE_URL", "STRIPE_WEBHOOK_SECRET", "RATE_LIMIT_READ"} <= settings_read()


def test_every_setting_stands_in_the_table_of_settings():
    described = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (ROOT / "docs" / "settings.md").read_text()))

    assert settings_read() - described == set(), "add these to docs/settings.md"


def test_the_example_file_names_every_setting_and_no_other():
    named = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert set(named) == settings_read()
    assert len(named) == len(set(named))


def test_the_example_file_sets_nothing():
    lines = (ROOT / ".env.example").read_text().splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []


def error_classes() -> set[type[Error]]:
    for app in apps.get_app_configs():
        if not Path(app.path).is_relative_to(ROOT) or ".venv" in app.path:
            continue
        for path in Path(app.path).rglob("*.py"):
            if "(Error)" in path.read_text():
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                import_module(name.removesuffix(".__init__"))

    def below(cls: type[Error]) -> set[type[Error]]:
        return {cls}.union(*(below(child) for child in cls.__subclasses__()))

    return {cls for cls in below(Error) if not cls.__module__.startswith("tests.")}


def test_every_error_code_stands_in_the_table_of_errors_under_its_status():
    text = (ROOT / "docs" / "errors.md").read_text()
    under: dict[str, str] = {}
    for section in text.split("\n## ")[1:]:
        title = section.splitlines()[0]
        under |= dict.fromkeys(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE), title)
    ours = {cls.code: cls.status for cls in error_classes()}

    assert (ours.keys() | FROM_DRF) - under.keys() == set(), "add these to docs/errors.md"
    assert {
        code: (status, under[code]) for code, status in ours.items()
        if str(status) not in under[code] and not (status >= 500 and "5xx" in under[code])
    } == {}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_document_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())

    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_document_names_exist(document):
    """Paths in backticks, such as `core/errors.py`; with a folder, so that plain names may be examples."""
    named = re.findall(r"`([a-z_.]+/[\w./-]+\.(?:py|md|yaml|yml|toml|sql|csv))`", document.read_text())

    assert [path for path in named if not path.startswith(".local") and not (ROOT / path).exists()] == []


def test_make_targets_that_documents_name_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for path in DOCUMENTS for name in re.findall(r"(?:`|^|\s)make ([a-z]+)(?=`|\s)", path.read_text())}

    assert {"run", "demo", "test"} <= named & targets
    assert {name for name in named if f"`make {name}" in "".join(path.read_text() for path in DOCUMENTS)} <= targets


def test_beat_sweeps_what_the_runbook_says():
    from juniro.celery import app

    runbook = (ROOT / "docs" / "runbook.md").read_text()

    assert [entry["task"] for entry in app.conf.beat_schedule.values() if entry["task"] not in runbook] == []
