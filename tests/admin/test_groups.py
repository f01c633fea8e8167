"""Who may do what: each group at every page and at every verb, and the table that says so."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import connections

from core.operations import SeedGroups, seed_groups
from juniro.groups import GROUPS, RIGHTS, as_table, codenames, rights_of
from tests.admin.conftest import signed_in
from tests.admin.rows import row_of, staff
from tests.admin.test_pages import LABELS, model_admin, url
from tests.conftest import ROOT

pytestmark = pytest.mark.django_db(databases=["default", "global"])

# Who may use each verb of a model, besides superusers and administrators.
VERBS = {
    "bookings.Booking": {"cancel": "support finance"},
    "bookings.Review": {"hide": "content", "show": "content", "dismiss": "content"},
    "geography.City": {"open": "", "close": ""},
    "geography.Country": {"open_market": "", "close": ""},
    "geography.Locality": {"open": "", "close": ""},
    "marketplace.Category": {"activate": "content", "deactivate": "content"},
    "marketplace.Session": {"cancel": "support"},
    "messaging.MessageReport": dict.fromkeys(["read", "hide", "uphold", "dismiss"], "content"),
    "notifications.Notification": {"retry": "support", "previews": "support"},
    "payments.Payment": {"end_review": "finance", "refund": "support finance"},
    "payments.Refund": {"retry": "finance"},
    "payments.RefundRequest": {"approve": "finance", "decline": "support finance"},
    "payments.WebhookEvent": {"replay": "finance"},
    "privacy.ErasureRequest": dict.fromkeys(["keep", "hurry", "retention"], "support"),
    "privacy.ExportRequest": {"retry": "support"},
    "providers.ProviderAccount": dict.fromkeys(["verify", "reject", "suspend", "reinstate"], "verification"),
    "regions.FeatureFlag": {"switch_on": "", "switch_off": ""},
    "users.Child": {"reveal": "support"},
    "users.Parent": {"reveal": "support"},
    "users.User": {
        **dict.fromkeys(["reveal", "suspend", "reinstate", "make_export", "erase"], "support"),
        "reset_factor": "",
    },
}


def seed() -> None:
    seed_groups(apps, connections["default"].schema_editor())


@pytest.fixture
def groups(db) -> None:
    """As the migration leaves them; tests that empty all tables take them away."""
    seed()


def verbs_of(label: str) -> Iterator[tuple[str, str]]:
    """Each verb of a model's admin, with the name of the permission that it asks for."""
    its = model_admin(label)
    places = (its.actions, its.actions_detail, its.actions_list, its.actions_row, its.actions_submit_line)
    for name in sorted({each for place in places for each in place or () if isinstance(each, str)}):
        yield name, getattr(getattr(its, name), "permission", "")


def test_every_model_is_on_a_line_and_every_line_is_a_model():
    assert sorted(RIGHTS) == LABELS


def test_each_group_has_exactly_its_rights(groups):
    for name in GROUPS:
        found = Group.objects.get(name=name).permissions.values_list(
            "content_type__app_label", "content_type__model", "codename"
        )
        assert set(found) == rights_of(name), name
    assert Group.objects.count() == len(GROUPS)


def test_seeding_again_takes_back_what_was_added_by_hand(groups):
    support = Group.objects.get(name="support")
    support.permissions.add(Permission.objects.get(codename="change_payment"))
    before = Permission.objects.count()
    seed()
    assert not support.permissions.filter(codename="change_payment").exists()
    assert Permission.objects.count() == before


def test_seeding_makes_the_permissions_that_django_has_not_made_yet():
    Permission.objects.all().delete()
    seed()
    assert {*Group.objects.get(name="finance").permissions.values_list("codename", flat=True)} >= {"view_payment"}


def test_every_right_is_one_that_its_model_has():
    for label, groups_of in RIGHTS.items():
        options = apps.get_model(label)._meta
        known = {f"{each}_{options.model_name}" for each in options.default_permissions}
        known |= {codename for codename, _ in options.permissions}
        for rights in groups_of.values():
            assert set(codenames(label, rights)) <= known, label


def test_administrators_may_do_whatever_any_other_group_may():
    for name in GROUPS:
        assert rights_of(name) <= rights_of("administrators"), name


def test_the_documents_show_the_table():
    assert as_table() in (ROOT / "docs/access.md").read_text(), "Run `manage.py groups` and put what it prints there."


def test_the_groups_come_with_the_migrations():
    migration = import_module("users.migrations.0002_staff_rights").Migration
    assert any(isinstance(each, SeedGroups) for each in migration.operations)


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_sees_the_pages_that_are_its_own_and_no_other(groups, group):
    client = signed_in(staff(groups=[group]))
    for n, label in enumerate(LABELS):
        row, allowed = row_of(label, n), RIGHTS[label].get(group, "").split()
        expected = 200 if "view" in allowed else 403
        for path in (url(label, "changelist"), url(label, "change", row.pk), url(label, "history", row.pk)):
            assert client.get(path).status_code == expected, (group, path)
        if "add" not in allowed:
            assert client.get(url(label, "add")).status_code == 403, (group, label)
            assert client.post(url(label, "add"), {}).status_code == 403, (group, label)
        if "delete" not in allowed:
            assert client.post(url(label, "delete", row.pk), {"post": "yes"}).status_code == 403, (group, label)
        if "change" not in allowed:
            before = type(row).objects.filter(pk=row.pk).values().get()
            assert client.post(url(label, "change", row.pk), {"_save": ""}).status_code == 403, (group, label)
            assert type(row).objects.filter(pk=row.pk).values().get() == before


@pytest.mark.parametrize("group", GROUPS)
def test_the_sidebar_and_the_front_page_lead_to_nothing_that_is_refused(groups, group):
    client = signed_in(staff(groups=[group]))
    page = client.get("/admin/").content.decode()
    for label in LABELS:
        assert (url(label, "changelist") in page) == ("view" in RIGHTS[label].get(group, "").split()), (group, label)


def test_every_verb_says_who_may_use_it():
    found = {label: {name for name, _ in verbs_of(label)} for label in LABELS}
    assert {label: names for label, names in found.items() if names} == {
        label: set(verbs) for label, verbs in VERBS.items()
    }


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_may_use_its_verbs_and_no_other(groups, group, rf):
    user = staff(groups=[group])
    client, request = signed_in(user), rf.get("/")
    request.user = user
    for n, (label, verbs) in enumerate(VERBS.items()):
        row, its = row_of(label, n), model_admin(label)
        for name, owners in verbs.items():
            allowed = group in {*owners.split(), "administrators"}
            if name in (its.actions or ()):
                # What is listed for a list, may be chosen on it.
                assert (name in its.get_actions(request)) == allowed, (group, label, name)
            if name in (its.actions_detail or ()):
                path = f"{url(label, 'change', row.pk).removesuffix('change/')}{name}/"
                status = client.get(path).status_code
                assert (status != 403) == allowed, (group, path, status)
                if not allowed:
                    before = type(row).objects.filter(pk=row.pk).values().get()
                    assert client.post(path, {"apply": "yes", "reason": "x"}).status_code == 403
                    assert type(row).objects.filter(pk=row.pk).values().get() == before


def test_an_administrator_makes_staff_and_hands_out_groups_but_makes_no_superuser(groups):
    boss = staff(groups=["administrators"])
    client, newcomer = signed_in(boss), staff(email="new@juniro.example")
    page = url("users.User", "change", newcomer.pk)
    fields = client.get(page).context["adminform"].form.fields
    assert set(fields) == {"email", "password", "groups"}
    form = {"email": newcomer.email, "groups": [Group.objects.get(name="finance").pk], "is_superuser": "on"}
    assert client.post(page, form | {"user_permissions": [Permission.objects.first().pk]}).status_code == 302
    newcomer.refresh_from_db()
    assert [each.name for each in newcomer.groups.all()] == ["finance"]
    assert (newcomer.is_superuser, newcomer.user_permissions.count()) == (False, 0)


def test_an_administrator_has_no_hand_on_a_superuser(groups):
    client, root = signed_in(staff(groups=["administrators"])), staff(is_superuser=True)
    page = url("users.User", "change", root.pk)
    assert client.post(page, {"email": "x@juniro.example"}).status_code == 403
    assert client.post(page.replace("change/", "password/"), {"password1": "x"}).status_code == 403
    client.post(page.replace("change/", "suspend/"), {"apply": "yes", "reason": "x"})
    client.post(page.replace("change/", "reset_factor/"), {"apply": "yes", "reason": "x"})
    root.refresh_from_db()
    assert root.is_active
    assert client.post(url("auth.Group", "change", Group.objects.first().pk), {"name": "x"}).status_code == 403
