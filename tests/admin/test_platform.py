"""Flags and settings of both regions, geography by hand and by CSV."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connections
from django.test import TestCase

from geography.models import City, Country, Locality
from marketplace.models import Category
from regions import flags
from regions.models import AppConfig, FeatureFlag
from tests.admin import rows
from tests.factories import CategoryFactory, CityFactory, CountryFactory

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


def test_cities_are_switched_in_the_list_and_by_an_action_with_a_log(ops):
    austin = CityFactory()
    assert ops.post(CITIES, listed((austin, {}))).status_code == 302
    austin.refresh_from_db()
    assert austin.is_active is False
    LogEntry.objects.all().delete()
    chosen = {"action": "activate", "_selected_action": [str(austin.pk)], "index": "0"}
    for _ in range(2):
        ops.post(CITIES, chosen)
    austin.refresh_from_db()
    assert austin.is_active is True
    assert LogEntry.objects.get().change_message == "Activated."


def test_a_city_needs_a_real_time_zone(ops):
    country = CountryFactory()
    form = {"country": str(country.pk), "name": "Dallas", "slug": "dallas", "timezone": "America/Dallas"}
    response = ops.post(f"{CITIES}add/", form)
    assert list(response.context["adminform"].form.errors) == ["timezone"]
    assert ops.post(f"{CITIES}add/", form | {"timezone": "America/Chicago"}).status_code == 302
    assert City.objects.get().is_active is False


def imported(ops, path: str, csv: str):
    """The answer of the preview, and what a confirmation answers (None if the preview shows errors)."""
    file = SimpleUploadedFile("rows.csv", csv.encode(), "text/csv")
    preview = ops.post(f"{path}import/", {"import_file": file, "format": "0"})
    assert preview.status_code == 200
    form = preview.context.get("confirm_form")
    return preview, form and ops.post(f"{path}process_import/", form.initial)


def test_cities_come_in_by_csv_and_known_ones_change(ops):
    CityFactory()
    head = "country,slug,name,timezone,latitude,longitude,population,is_active\n"
    _, answer = imported(
        ops,
        CITIES,
        head + "US,austin,Austin,America/Chicago,30.27,-97.74,961855,0\nUS,reno,Reno,America/Los_Angeles,,,,1\n",
    )
    assert answer.status_code == 302
    assert list(City.objects.order_by("slug").values_list("slug", "is_active", "population")) == [
        ("austin", False, 961855),
        ("reno", True, None),
    ]
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize("row", ["US,reno,Reno,America/Reno,,,,1", "XX,reno,Reno,America/Los_Angeles,,,,1"])
def test_a_wrong_zone_or_country_keeps_the_whole_csv_out(ops, row):
    CountryFactory()
    head = "country,slug,name,timezone,latitude,longitude,population,is_active\n"
    preview, answer = imported(ops, CITIES, head + "US,ely,Ely,America/Los_Angeles,,,,1\n" + row + "\n")
    assert answer is None
    assert preview.context["result"].has_errors() or preview.context["result"].has_validation_errors()
    assert City.objects.count() == 0


def test_localities_go_out_and_come_in_by_csv(ops):
    austin = CityFactory()
    Locality.objects.create(city=austin, name="Downtown", slug="downtown")
    out = ops.post("/admin/geography/locality/export/", {"format": "0"})
    assert out.content.decode() == "country,city,slug,name,is_active\r\nUS,austin,downtown,Downtown,0\r\n"
    text = out.content.decode().replace(",0", ",1") + "US,austin,zilker,Zilker,0\r\n"
    _, answer = imported(ops, "/admin/geography/locality/", text)
    assert answer.status_code == 302
    assert list(Locality.objects.order_by("slug").values_list("slug", "is_active")) == [
        ("downtown", True),
        ("zilker", False),
    ]


def test_who_may_only_look_cannot_import(db):
    from django.contrib.auth.models import Permission

    from tests.admin.conftest import signed_in

    onlooker = rows.staff()
    onlooker.user_permissions.add(Permission.objects.get(codename="view_city"))
    client = signed_in(onlooker)
    assert client.get(CITIES).status_code == 200
    assert client.get(f"{CITIES}import/").status_code == 403


def test_a_country_with_cities_cannot_be_deleted(ops):
    city = CityFactory()
    response = ops.post(f"/admin/geography/country/{city.country_id}/delete/", {"post": "yes"})
    assert response.status_code == 200
    assert "protected" in response.content.decode()
    assert Country.objects.count() == 1


def test_a_category_cannot_lie_below_itself(ops):
    root = CategoryFactory(name="Sports")
    leaf = Category.objects.create(name="Soccer", slug="soccer", parent=root)
    form = {"name": "Sports", "slug": "sports", "position": "0", "is_active": "on"}
    for parent in (root, leaf):
        response = ops.post(f"/admin/marketplace/category/{root.pk}/change/", form | {"parent": str(parent.pk)})
        assert response.context["adminform"].form.errors == {"parent": ["A category cannot lie below itself."]}
    root.refresh_from_db()
    assert root.parent is None
