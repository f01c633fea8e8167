"""Flags and settings of both regions."""

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError, connections
from django.test import TestCase

from marketplace.models import Category
from regions import flags
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


def test_a_flag_switched_in_the_list_is_seen_at_once(ops):
    one, other = FeatureFlag.objects.create(key="AI"), FeatureFlag.objects.create(key="CHAT", value=True)
    assert (flags.is_enabled("AI"), flags.is_enabled("CHAT")) == (False, True)  # both are in Redis now
    with committed():
        assert ops.post(FLAGS, listed((one, {"value": "on"}), (other, {}))).status_code == 302
    assert (flags.is_enabled("AI"), flags.is_enabled("CHAT")) == (True, False)
    assert set(LogEntry.objects.values_list("object_repr", flat=True)) == {"AI", "CHAT"}


def test_a_flag_is_made_switched_and_removed_on_its_page_and_keeps_its_key(ops):
    assert flags.is_enabled("CHAT") is False
    with committed():
        ops.post(f"{FLAGS}add/", {"key": "CHAT", "value": "on", "description": "Messages"})
    assert flags.is_enabled("CHAT") is True
    flag = FeatureFlag.objects.get()
    with committed():
        ops.post(f"{FLAGS}{flag.pk}/change/", {"key": "OTHER", "description": "Messages"})
    flag.refresh_from_db()
    assert (flag.key, flag.value) == ("CHAT", False)
    assert flags.is_enabled("CHAT") is False
    flags.switch("CHAT", True)
    assert flags.is_enabled("CHAT") is True
    with committed():
        ops.post(f"{FLAGS}{flag.pk}/delete/", {"post": "yes"})
    assert flags.is_enabled("CHAT") is False


def test_the_rows_of_both_regions_lie_in_the_global_database_and_their_log_in_ours(ops):
    with connections["default"].execute_wrapper(refuse_table("regions_")):
        ops.post("/admin/regions/appconfig/add/", {"key": "fees", "value": '{"percent": 5}'})
        config = AppConfig.objects.get()
        ops.post(f"/admin/regions/appconfig/{config.pk}/change/", {"key": "x", "value": '{"percent": 6}'})
    config.refresh_from_db()
    assert (config.key, config.value) == ("fees", {"percent": 6})
    assert LogEntry.objects.filter(object_id=str(config.pk)).count() == 2


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
        assert ops.post(FLAGS, listed((flag, {"value": "on"}))).status_code == 503
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
