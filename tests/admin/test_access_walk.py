"""Each group in a real browser: what it reaches, what it is refused; flags and history as staff see them."""

import pytest
from django.apps import apps
from django.db import connections
from playwright.sync_api import expect

from core.operations import seed_groups
from juniro.groups import GROUPS, RIGHTS
from regions import flags
from regions.models import FeatureFlag
from tests.admin.rows import row_of, staff
from tests.admin.test_pages import url
from tests.factories import CityFactory

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "global"])

# A page that each group lives on, and one that is none of its business.
DESKS = {
    "support": ("bookings.Booking", "payments.WebhookEvent"),
    "verification": ("providers.ProviderAccount", "payments.Payment"),
    "finance": ("payments.Payment", "users.Child"),
    "content": ("bookings.Review", "bookings.Booking"),
    "administrators": ("regions.FeatureFlag", None),
}


@pytest.fixture(autouse=True)
def _groups():
    seed_groups(apps, connections["default"].schema_editor())


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_finds_its_desk_in_the_sidebar_and_is_refused_elsewhere(visit, group):
    desk, refused = DESKS[group]
    row = row_of(desk)
    there = visit(staff(groups=[group]))
    page = there.open("/admin/")
    shown = {link.get_attribute("href") for link in page.locator("#nav-sidebar a, aside a, nav a").all()}
    for label, rights in RIGHTS.items():
        assert (url(label, "changelist") in shown) == ("view" in rights.get(group, "")), label
    page = there.open(url(desk, "changelist"))
    expect(page.locator("#result_list")).to_be_visible()
    there.open(url(desk, "change", row.pk))
    if refused:
        there.open(url(refused, "changelist"), status=403)
        there.open(url(refused, "add"), status=403)


def test_a_flag_is_switched_with_two_clicks_and_says_who_did_it(visit):
    flag = FeatureFlag.objects.create(key="MESSAGING_ENABLED", description="Messages")
    assert flags.is_enabled(flag.key) is False
    there = visit(staff(email="boss@juniro.example", groups=["administrators"]))
    page = there.open(url("regions.FeatureFlag", "change", flag.pk))
    page.get_by_role("link", name="Switch on in both regions").click()
    page.get_by_role("button", name="Switch on in both regions").click()
    page.get_by_text("Switched on: MESSAGING_ENABLED.").wait_for()
    assert flags.is_enabled(flag.key) is True
    page = there.open(url("regions.FeatureFlag", "changelist"))
    expect(page.locator("#result_list").get_by_text("boss@juniro.example")).to_be_visible()

    page = there.open(url("regions.FeatureFlag", "history", flag.pk))
    changes = page.locator("#trail").inner_text()
    assert "boss@juniro.example" in changes
    assert "False → True" in changes
    assert "Switched on." in page.locator("#staff-actions").inner_text()


def test_the_history_of_a_row_and_the_whole_trail_are_read_and_searched(visit):
    city = CityFactory()
    there = visit(staff(email="boss@juniro.example", groups=["administrators"]))
    page = there.open(url("geography.City", "change", city.pk))
    page.locator("[name=population]").fill("961855")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{url('geography.City', 'changelist')}**")
    page = there.open(url("geography.City", "history", city.pk))
    assert "population – → 961855" in page.locator("#trail").inner_text()

    page = there.open(url("core.AuditEntry", "changelist"))
    page.locator("#searchbar").fill("boss@juniro.example")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=boss**")
    expect(page.locator("#result_list")).to_contain_text("961855")


@pytest.mark.parametrize(
    "label", ["users.User", "providers.ProviderAccount", "bookings.Booking", "payments.Payment", "regions.AppConfig"]
)
def test_main_pages_break_no_rule_of_what_may_be_loaded(visit, label):
    row = row_of(label)
    there = visit(staff(is_superuser=True))
    there.open(url(label, "changelist"))
    there.open(url(label, "change", row.pk))
    there.open(url(label, "history", row.pk))


def test_a_spreadsheet_is_exported_and_imported_under_the_same_rules(visit):
    CityFactory()
    there = visit(staff(groups=["administrators"]))
    there.open("/admin/geography/city/export/")
    there.open("/admin/geography/city/import/")


def test_the_docs_are_read_under_their_own_rules(visit):
    there = visit()
    page = there.open("/v1/docs")
    # More than a hundred follow, one after the other.
    page.locator(".opblock").first.wait_for(timeout=60_000)
