"""The architecture as rules that a machine checks."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent
OURS = sorted({config.label for config in apps.get_app_configs() if Path(config.path).parent == ROOT} | {"juniro"})
SDKS = {"stripe", "razorpay"}
MAY_IMPORT_SDKS = {
    "payments/processors/__init__.py",
    "payments/processors/stripe.py",
    "payments/processors/razorpay.py",
}
MOST_LINES = 450  # "past about 400 lines a file is split by noun"
WHOLE = ("juniro/settings.py",)  # every setting in one place, as the table of docs/settings.md


def sources() -> list[Path]:
    """Every Python file of production, migrations aside."""
    return [path for app in OURS for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_apps_are_found():
    assert {"core", "users", "bookings", "payments", "juniro"} <= set(OURS)
    assert len(sources()) > 60


def test_imports_go_downwards_only():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:]


def test_only_the_processors_import_their_sdks():
    assert {name(path) for path in sources() for module in imports(path) if module.split(".")[0] in SDKS} <= (
        MAY_IMPORT_SDKS
    )


def test_production_imports_neither_tests_nor_local_mode():
    assert not [
        name(path) for path in sources() for module in imports(path) if module.split(".")[0] in ("tests", "local")
    ]


@pytest.mark.parametrize("word", ["utils", "helpers", "signals", "selectors", "repositories", "managers", "apps"])
def test_no_room_is_called(word):
    assert [name(path) for path in sources() if path.stem == word or word in path.parts[len(ROOT.parts) : -1]] == []


def test_no_file_is_endless():
    lengths = {name(path): len(path.read_text().splitlines()) for path in sources()}
    assert [path for path, lines in lengths.items() if lines > MOST_LINES and path not in WHOLE] == []


def test_every_module_says_what_it_is_for():
    silent = [
        name(path)
        for path in sources()
        if path.name not in ("__init__.py", "urls.py") and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
