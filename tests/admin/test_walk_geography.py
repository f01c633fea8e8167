"""Opening a market and importing places in a real browser, as administrators and as those who only look."""

import pytest
from playwright.sync_api import expect

from geography.models import City, Country
from tests import factories as make
from tests.admin.rows import staff
from tests.browser import LAPTOP, PHONE

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])
HEAD = "country,slug,name,timezone,latitude,longitude,population,is_active\n"


@pytest.mark.parametrize("on", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_a_market_is_opened_in_two_clicks(visit, on):
    make.CountryFactory(is_active=False)
    make.CityFactory(is_active=False)
    there = visit(staff(groups=["administrators"]), on=on)
    page = there.open("/admin/geography/country/")
    page.get_by_role("link", name="Open market").click()
    expect(page.get_by_text("Open United States with these cities?")).to_be_visible()
    expect(page.get_by_text("Austin: nothing to book yet, 0 localities")).to_be_visible()
    assert there.fits()
    page.get_by_role("button", name="Open market").click()
    page.wait_for_url("**/change/")
    expect(page.get_by_text("Opened: United States, Austin.")).to_be_visible()
    assert Country.objects.get().is_active
    assert City.objects.get().is_active


def test_a_csv_with_a_wrong_row_is_refused_and_a_good_one_comes_in(visit, tmp_path):
    make.CountryFactory()
    good = "US,ely,Ely,America/Los_Angeles,39.25,-114.89,3924,0\n"
    page = visit(staff(groups=["administrators"])).open("/admin/geography/city/import/")

    def upload(rows: str) -> None:
        file = tmp_path / "cities.csv"
        file.write_text(HEAD + rows)
        page.set_input_files("input[type=file]", file)
        page.get_by_role("button", name="Submit").click()

    upload(good + "US,reno,Reno,America/Reno,,,,0\n")
    expect(page.get_by_text("America/Reno is not an IANA time zone such as America/Chicago.").first).to_be_visible()
    expect(page.get_by_role("button", name="Confirm import")).to_have_count(0)
    assert City.objects.count() == 0
    upload(good)
    expect(page.get_by_text("Ely").first).to_be_visible()
    assert City.objects.count() == 0
    page.get_by_role("button", name="Confirm import").click()
    page.wait_for_url("**/admin/geography/city/")
    assert City.objects.get().slug == "ely"


def test_places_are_exported_by_whoever_may_look_and_nothing_more(visit):
    city = make.CityFactory()
    there = visit(staff(groups=["support"]))
    page = there.open("/admin/geography/city/export/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Submit").click()
    assert "US,austin,Austin,America/Chicago" in download.value.path().read_text()
    there.open("/admin/geography/city/import/", status=403)
    there.open(f"/admin/geography/city/{city.pk}/close/", status=403)
    there.open(f"/admin/geography/country/{city.country_id}/open_market/", status=403)
    there.open(f"/admin/geography/country/{city.country_id}/change/")
    expect(page.get_by_role("link", name="Open market")).to_have_count(0)
    city.refresh_from_db()
    assert city.is_active
