"""Flags and settings of both regions."""

import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError, connections
from django.test import TestCase

from core.acting import acting
from marketplace.models import Category
from regions import config, flags
from regions.models import AppConfig, FeatureFlag
from tests.factories import CategoryFactory, CityFactory

pytestmark = pytest.mark.django_db(databases=["default", "global"])
FLAGS = "/admin/regions/featureflag/"
CITIES = "/admin/geography/city/"


def listed(*objects, **fields) -> dict[str, str]:
    """The form of a list with editable columns."""
    form = {"form-TOTAL_FORMS": len(objects), "form-INITIAL_FORMS": len(objects), "_save": "Save"}
    for number, (row, values) in enumerate(objects):
        form[f"form-{number}-id"] = str(row.pk)
        form |= {f"form-{number}-{name}": value for name, value in values.items()}
    return form


def committed():
    return TestCase.captureOnCommitCallbacks(using="global", execute=True)


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    """Keys that the code of these tests knows."""
    monkeypatch.setattr(flags, "KNOWN", {"AI": "Sentences", "CHAT": "Messages"})
    monkeypatch.setattr(config, "KNOWN", {"fees": ({"percent": 5}, "What we take")})


def test_a_flag_is_switched_by_a_verb_that_asks_first_and_is_seen_at_once(ops, superuser):
    one, other = FeatureFlag.objects.create(key="AI"), FeatureFlag.objects.create(key="CHAT", value=True)
    assert (flags.is_enabled("AI"), flags.is_enabled("CHAT")) == (False, True)  # both are in Redis now
    page = ops.get(f"{FLAGS}{one.pk}/switch_on/")
    assert "Switch on in both regions" in page.content.decode()
    assert flags.is_enabled("AI") is False
    with committed():
        ops.post(f"{FLAGS}{one.pk}/switch_on/", {"apply": "yes"})
        ops.post(f"{FLAGS}{other.pk}/switch_off/", {"apply": "yes"})
    assert (flags.is_enabled("AI"), flags.is_enabled("CHAT")) == (True, False)
    assert set(LogEntry.objects.values_list("object_repr", "change_message")) == {
        ("AI", "Switched on."),
        ("CHAT", "Switched off."),
    }
    shown = {row.key: model_admin.changed_by(row) for model_admin, row in listed_flags(ops)}
    assert shown == {"AI": superuser.email, "CHAT": superuser.email}


def listed_flags(ops):
    changes = ops.get(FLAGS).context["cl"]
    return [(changes.model_admin, row) for row in changes.result_list]


def test_several_flags_are_switched_in_the_list(ops):
    rows_ = [FeatureFlag.objects.create(key="AI"), FeatureFlag.objects.create(key="CHAT")]
    chosen = {"action": "switch_on", "_selected_action": [str(row.pk) for row in rows_], "apply": "yes"}
    with committed():
        ops.post(FLAGS, chosen)
    assert (flags.is_enabled("AI"), flags.is_enabled("CHAT")) == (True, True)


def test_a_flag_is_made_off_with_a_description_and_keeps_its_key(ops):
    assert flags.is_enabled("CHAT") is False
    response = ops.post(f"{FLAGS}add/", {"key": "CHAT", "description": ""})
    assert list(response.context["adminform"].form.errors) == ["description"]
    response = ops.post(f"{FLAGS}add/", {"key": "NO_SUCH_FLAG", "description": "x"})
    assert list(response.context["adminform"].form.errors) == ["key"]
    ops.post(f"{FLAGS}add/", {"key": "CHAT", "value": "on", "description": "Messages"})
    flag = FeatureFlag.objects.get()
    assert (flag.key, flag.value) == ("CHAT", False)
    assert [key for key, _ in ops.get(f"{FLAGS}add/").context["adminform"].form.fields["key"].choices] == ["AI"]
    with committed():
        ops.post(f"{FLAGS}{flag.pk}/change/", {"key": "OTHER", "value": "on", "description": "Conversations"})
    flag.refresh_from_db()
    assert (flag.key, flag.value, flag.description) == ("CHAT", False, "Conversations")


def test_a_removed_flag_is_off_at_once(ops):
    flag = FeatureFlag.objects.create(key="CHAT", value=True)
    assert flags.is_enabled("CHAT") is True
    with committed():
        ops.post(f"{FLAGS}{flag.pk}/delete/", {"post": "yes"})
    assert flags.is_enabled("CHAT") is False


def test_a_flag_that_the_other_region_switched_names_no_person(ops):
    flag, stranger = FeatureFlag.objects.create(key="CHAT"), uuid.uuid4()
    with acting(lambda: {"actor": str(stranger), "region": "in"}):
        FeatureFlag.objects.filter(pk=flag.pk).update(value=True)
    (model_admin, row), *_ = listed_flags(ops)
    shown = model_admin.changed_by(row)
    assert str(stranger)[-8:] in shown
    assert shown.endswith("(IN)")


def test_app_config_is_read_at_once_and_keeps_its_shape(ops):
    assert config.get("fees", {"percent": 5}) == {"percent": 5}
    add = "/admin/regions/appconfig/add/"
    for wrong in ("[]", '{"percent": "5"}', "{", "7"):
        response = ops.post(add, {"key": "fees", "value": wrong, "description": "What we take"})
        assert list(response.context["adminform"].form.errors) == ["value"], wrong
    with committed():
        assert ops.post(add, {"key": "fees", "value": "", "description": "What we take"}).status_code == 302
    row = AppConfig.objects.get()
    assert row.value == {"percent": 5}
    page = f"/admin/regions/appconfig/{row.pk}/change/"
    with committed():
        assert ops.post(page, {"value": '{"percent": 6}', "description": "What we take"}).status_code == 302
    assert config.get("fees", {"percent": 5}) == {"percent": 6}
    response = ops.post(page, {"value": '{"percent": true}', "description": "What we take"})
    assert response.context["adminform"].form.errors == {"value": ['It must look like {"percent": 5}.']}
    assert config.get("fees", {"percent": 5}) == {"percent": 6}


def test_the_rows_of_both_regions_lie_in_the_global_database_and_their_log_in_ours(ops):
    with connections["default"].execute_wrapper(refuse_table("regions_")):
        ops.post("/admin/regions/appconfig/add/", {"key": "fees", "value": '{"percent": 5}', "description": "x"})
        row = AppConfig.objects.get()
        ops.post(
            f"/admin/regions/appconfig/{row.pk}/change/", {"key": "x", "value": '{"percent": 6}', "description": "x"}
        )
    row.refresh_from_db()
    assert (row.key, row.value) == ("fees", {"percent": 6})
    assert LogEntry.objects.filter(object_id=str(row.pk)).count() == 2


def refuse_table(prefix: str):
    def wrapper(execute, sql, params, many, context):
        assert prefix not in sql
        return execute(sql, params, many, context)

    return wrapper


def out_of_reach(execute, sql, params, many, context):
    raise OperationalError("connection refused")


def test_without_the_global_database_there_is_a_clear_page_and_the_region_works_on(ops):
    flag, city = FeatureFlag.objects.create(key="CHAT"), CityFactory()
    with connections["global"].execute_wrapper(out_of_reach):
        for path in (
            FLAGS,
            f"{FLAGS}{flag.pk}/change/",
            f"{FLAGS}{flag.pk}/delete/",
            "/admin/regions/ratingaggregate/",
        ):
            response = ops.get(path)
            assert response.status_code == 503, path
            assert "The global database is out of reach." in response.content.decode()
        chosen = {"action": "switch_on", "_selected_action": [str(flag.pk)], "apply": "yes"}
        assert ops.post(FLAGS, chosen).status_code == 503
        ops.raise_request_exception = False
        response = ops.post(f"{FLAGS}{flag.pk}/switch_on/", {"apply": "yes"})
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert "Nothing was changed." in response.content.decode()
        assert ops.get("/admin/").status_code == 200
        assert ops.get(f"{CITIES}{city.pk}/change/").status_code == 200
    flag.refresh_from_db()
    assert flag.value is False


def test_a_category_cannot_lie_below_itself(ops):
    root = CategoryFactory(name="Sports")
    leaf = Category.objects.create(name="Soccer", slug="soccer", parent=root)
    form = {"name": "Sports", "slug": "sports", "position": "0", "is_active": "on"}
    for parent in (root, leaf):
        response = ops.post(f"/admin/marketplace/category/{root.pk}/change/", form | {"parent": str(parent.pk)})
        assert response.context["adminform"].form.errors == {"parent": ["A category cannot lie below itself."]}
    root.refresh_from_db()
    assert root.parent is None
