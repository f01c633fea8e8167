"""What holds for every page of the admin."""

import re

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin.rows import row_of

pytestmark = pytest.mark.django_db(databases=["default", "global"])

LABELS = sorted(model._meta.label for model in admin.site._registry)
OWN_APPS = [
    "bookings", "core", "geography", "marketplace", "messaging", "notifications", "payments", "providers", "regions",
    "users",
]  # fmt: skip
# Written by triggers from rows that are in the admin.
DERIVED = {"bookings.RatingStale", "marketplace.SearchRow", "marketplace.SearchStale", "marketplace.SearchWord"}
UNTOUCHABLE = [
    "admin.LogEntry", "bookings.Booking", "bookings.Seat", "core.IdempotencyKey", "payments.Payment",
    "payments.Reconciliation", "payments.Refund", "payments.WebhookEvent", "regions.RatingAggregate",
    "regions.SlugReservation", "users.AccountTombstone", "users.Child", "users.Consent", "users.Parent",
]  # fmt: skip


def url(label: str, page: str, *args) -> str:
    return reverse(f"admin:{label.lower().replace('.', '_')}_{page}", args=args)


def model_admin(label: str):
    return admin.site.get_model_admin(apps.get_model(label))


def test_every_model_of_every_app_is_in_the_admin_and_once_in_the_sidebar():
    own = {model._meta.label for app in OWN_APPS for model in apps.get_app_config(app).get_models()}
    shown = [label for group in settings.UNFOLD["SIDEBAR"]["groups"].values() for label in group]
    assert own - DERIVED == own & set(LABELS)
    assert sorted(shown) == LABELS


@pytest.mark.parametrize("label", LABELS)
def test_the_list_can_be_searched_by_word_id_and_address(label, rf, superuser):
    row = row_of(label)
    request = rf.get("/")
    request.user = superuser
    found = {
        term: list(model_admin(label).get_search_results(request, type(row).objects.all(), term)[0])
        for term in ("swim 100% ' OR", "someone@example.com", f" {row.pk} ")
    }
    assert found["swim 100% ' OR"] == found["someone@example.com"] == []
    if "id" in model_admin(label).search_ids:
        assert found[f" {row.pk} "] == [row]


@pytest.mark.parametrize("label", LABELS)
def test_the_page_of_a_row_opens_and_its_links_lead_somewhere(ops, label):
    row = row_of(label)
    response = ops.get(url(label, "change", row.pk))
    assert response.status_code == 200
    links = set(re.findall(r'href="(/admin/[a-z]+/[a-z]+/\?[^"]+)"', response.content.decode()))
    for link in links:
        assert ops.get(link.replace("&amp;", "&")).status_code == 200, link


@pytest.mark.parametrize("label", LABELS)
def test_the_page_to_add_a_row_opens_only_where_rows_may_be_added(ops, label, rf, superuser):
    request = rf.get("/")
    request.user = superuser
    allowed = model_admin(label).has_add_permission(request)
    assert ops.get(url(label, "add")).status_code == (200 if allowed else 403)


@pytest.mark.parametrize("label", LABELS)
def test_the_list_opens_and_takes_as_many_queries_for_three_rows_as_for_one(ops, label):
    def opened() -> tuple[int, list]:
        with (
            CaptureQueriesContext(connections["default"]) as ours,
            CaptureQueriesContext(connections["global"]) as shared,
        ):
            response = ops.get(url(label, "changelist"))
        assert response.status_code == 200
        return len(ours) + len(shared), list(response.context["cl"].result_list)

    ContentType.objects.get_for_models(*(apps.get_model(label) for label in LABELS))  # cached from now on
    first = row_of(label, 0)
    queries, rows = opened()
    assert first in rows
    others = [row_of(label, 1), row_of(label, 2)]
    queries_for_all, rows = opened()
    assert {first, *others} <= set(rows)
    assert queries_for_all == queries <= 12


@pytest.mark.parametrize("label", UNTOUCHABLE)
def test_nobody_adds_changes_or_deletes_what_only_verbs_may_change(ops, label):
    row = row_of(label)
    before = type(row).objects.filter(pk=row.pk).values().get()
    forged = {field.name: "1" for field in row._meta.fields} | {"status": "paid", "amount_cents": "1"}
    assert ops.post(url(label, "change", row.pk), forged).status_code == 403
    assert ops.post(url(label, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert ops.post(url(label, "add"), forged).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes", "index": "0"}
    ops.post(url(label, "changelist"), selected)
    assert type(row).objects.filter(pk=row.pk).values().get() == before
    assert type(row).objects.count() == 1


def test_the_history_of_a_row_opens(ops):
    row = row_of("payments.Payment")
    assert ops.get(url("payments.Payment", "history", row.pk)).status_code == 200


def test_the_front_page_and_the_badge_name_region_and_environment(ops):
    page = ops.get("/admin/").content.decode()
    assert "US · test" in page
    assert "Webhook events" in page


def test_nothing_is_loaded_from_another_host(ops):
    for path in ("/admin/", "/admin/login/", url("providers.ProviderAccount", "changelist"), url("users.User", "add")):
        page = ops.get(path).content.decode()
        assert not re.findall(r'(?:src|<link[^>]+href)="(?:https?:)?//[^"]+', page), path


def test_staff_without_rights_see_no_model_at_all(db):
    from tests.admin.conftest import signed_in
    from tests.admin.rows import staff

    newcomer = signed_in(staff())
    assert newcomer.get("/admin/").status_code == 200
    for label in LABELS:
        assert newcomer.get(url(label, "changelist")).status_code == 403
