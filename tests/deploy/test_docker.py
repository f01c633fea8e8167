"""The Dockerfile, what may enter the image, and the compose file still fit the tree."""

import fnmatch
import json
import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.apps import apps

from tests.deploy.test_docs import settings_read

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest) pairs, continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1].strip()) for line in text.splitlines() if line.strip()
    ]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def enters(path: str) -> bool:
    """Whether .dockerignore lets `path` in; the last rule that fits decides, a folder's holds for all in it."""
    inside = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").removeprefix("**/")
        candidates = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
        if "**/" in rule:
            candidates = [Path(each).name for each in candidates]
        if any(fnmatch.fnmatch(each, pattern) for each in candidates):
            inside = rule.startswith("!")
    return inside


def our_packages() -> set[str]:
    """The top folders of the tree that the settings install."""
    ours = (Path(app.path) for app in apps.get_app_configs())
    return {path.relative_to(ROOT).parts[0] for path in ours if path.is_relative_to(ROOT)} - {".venv"} | {"juniro"}


def test_every_copied_file_exists_and_enters_the_build():
    for word, rest in instructions():
        if word == "COPY" and "--from=" not in rest:
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source == "." or enters(source), source


def test_every_app_with_its_data_and_templates_enters_the_image():
    for package in our_packages():
        kept = [path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        left_out = [str(path.relative_to(ROOT)) for path in kept if not enters(str(path.relative_to(ROOT)))]
        assert left_out == [], f"add !{package} to .dockerignore"
    assert enters("manage.py")


@pytest.mark.parametrize(
    "path",
    [
        ".env", ".env.example", ".git/config", ".local/servers.json", ".venv/bin/python", "local/run.py", "Makefile",
        "tests/conftest.py", "benchmarks/__init__.py", "docs/settings.md", "requirements-dev.txt", "README.md",
        "dump.sql", "key.pem", "core/__pycache__/errors.cpython-313.pyc", "core/stray.pyc",
    ],
)  # fmt: skip
def test_nothing_else_enters_the_image(path):
    assert not enters(path)


def test_requirements_are_installed_pinned_and_with_hashes():
    install = next(rest for word, rest in stages()[0] if word == "RUN" and "install" in rest)

    assert {"--require-hashes", "-r", "requirements.txt"} <= set(shlex.split(install))
    assert "requirements-dev" not in install


def test_the_final_stage_installs_nothing_and_runs_as_nobody_in_particular():
    final = stages()[-1]
    words = [word for word, _ in final]
    users = [rest for word, rest in final if word == "USER"]

    assert len(stages()) == 2
    assert not any(tool in rest for word, rest in final if word == "RUN" for tool in ("pip", "apt", "gcc"))
    assert users and users[-1].isdigit() and int(users[-1]) > 0
    assert words.index("USER") < words.index("CMD")


def test_both_stages_have_the_same_python():
    assert len({rest.split()[0] for word, rest in instructions() if word == "FROM"}) == 1


def test_the_commands_are_in_exec_form_and_use_the_environment():
    final = dict(stages()[-1])
    command = json.loads(final["CMD"])
    health = json.loads(final["HEALTHCHECK"].split("CMD", 1)[1])

    assert '--port "$PORT"' in command[-1] and '--workers "$WORKERS"' in command[-1]
    assert "exec granian" in command[-1] and "juniro.wsgi:application" in command[-1]
    assert "/health" in health[-1]
    compile(health[-1], "healthcheck", "exec")
    assert f"PORT={final['EXPOSE']}" in final["ENV"]


def test_granian_knows_every_option_of_the_command():
    command = shlex.split(json.loads(dict(stages()[-1])["CMD"])[-1])
    # Wide, since it breaks lines between an option's two names.
    told = subprocess.run(
        [sys.executable, "-m", "granian", "--help"], capture_output=True, text=True, check=True, env={"COLUMNS": "300"}
    ).stdout

    assert [word for word in command if word.startswith("--") and word not in told] == []


def test_production_starts_without_anything_that_only_development_installs():
    """Loads the application, and what its broker loads late, with the packages of requirements.txt alone."""
    program = """
import importlib.metadata, re, sys
def name(text): return re.sub(r"[-_.]+", "-", text).lower()
allowed = {name(found) for found in re.findall(r"^([A-Za-z0-9._-]+)", open("requirements.txt").read(), re.MULTILINE)}
owners = importlib.metadata.packages_distributions()
class OnlyProduction:
    def find_spec(module, path=None, target=None):
        top = module.partition(".")[0]
        if top in owners and not any(name(owner) in allowed for owner in owners[top]):
            raise ModuleNotFoundError(f"{module} is installed for development only", name=module)
sys.meta_path.insert(0, OnlyProduction)
import juniro.wsgi, juniro.urls, celery.__main__, granian.cli, payments.processors.razorpay, payments.processors.stripe
from juniro.celery import app
app.loader.import_default_modules()
app.connection_for_write().transport
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-300:]


# --- Compose ---------------------------------------------------------------------------------------------------------


def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_compose_passes_on_only_what_the_settings_know():
    unknown = set(compose()["x-juniro"]["environment"]) - settings_read()

    assert unknown == set()


# Not of use in a container, or for tests against another processor.
NOT_IN_COMPOSE = {"DEBUG", "PORT", "SANDBOX_PORT", "STRIPE_API_BASE", "RAZORPAY_API_BASE"}


def test_compose_can_pass_on_every_setting():
    assert settings_read() - set(compose()["x-juniro"]["environment"]) == NOT_IN_COMPOSE


def test_compose_holds_no_secret_and_insists_on_them():
    text = (ROOT / "compose.yaml").read_text()

    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "SUPABASE_SERVICE_ROLE_KEY", "REGION", "ALLOWED_HOSTS"):
        assert f"${{{name}:?" in text, name
    for name, value in compose()["x-juniro"]["environment"].items():
        if name.endswith(("_KEY", "_SECRET")):
            assert value is None or value.startswith(f"${{{name}:?"), name


def test_compose_runs_each_process_once_migrations_are_through():
    services = compose()["services"]

    assert set(services) == {"postgres", "redis", "migrate", "api", "worker", "beat"}
    for name in ("api", "worker", "beat"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert services[name]["depends_on"]["redis"]["condition"] == "service_healthy"
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services["migrate"]["restart"] == "no"
    assert services["postgres"]["image"] == "postgres:15"
    assert services["redis"]["image"] == "redis:7"
    for name in ("postgres", "redis"):
        assert "ports" not in services[name], "only the API is reached from outside"


def test_compose_mounts_what_exists():
    for service in compose()["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose()["volumes"]


# --- The check before a merge ----------------------------------------------------------------------------------------


def test_the_check_before_a_merge_can_be_run():
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & stat.S_IXUSR
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    check = workflow["jobs"]["check"]
    assert check["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert check["steps"][-1]["run"] == ".ci/run"


def test_the_hooks_before_a_commit_need_nothing_from_elsewhere():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())

    assert [repo["repo"] for repo in hooks["repos"]] == ["local"]
    for hook in hooks["repos"][0]["hooks"]:
        assert hook["language"] == "system" and hook["entry"].startswith(".venv/bin/")
