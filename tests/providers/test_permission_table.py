"""Every provider endpoint by every kind of caller: the contract's table of staff roles, cell by cell (§4).

The rows are in permission_rows.py; an address that has none there fails.
"""

from typing import Any

import pytest
from django.apps import apps
from django.urls import get_resolver

from providers.permissions import ALLOWED
from tests.factories import ProviderUserFactory, UserFactory
from tests.providers.permission_rows import ROWS, Row, World

pytestmark = pytest.mark.django_db(databases=["default", "global"])

# What the contract says: owner everything; admin everything but ownership; staff view and create, and no more.
CONTRACT = {
    "view": {"owner", "admin", "staff"},
    "create": {"owner", "admin", "staff"},
    "edit": {"owner", "admin"},
    "delete": {"owner", "admin"},
    "cancel": {"owner", "admin"},
    "edit_profile": {"owner", "admin"},
    "manage_staff": {"owner", "admin"},
    "transfer_ownership": {"owner"},
    "leave": {"owner", "admin", "staff"},
}
REFUSED = {"nobody": (401, "UNAUTHORIZED"), "parent": (403, "FORBIDDEN"), "stranger": (404, "NOT_FOUND")}
CALLERS = ["owner", "admin", "staff", *REFUSED]
# Every row that a request might change; search follows by itself.
TABLES = [
    model
    for model in apps.get_models()
    if model._meta.app_label in ("providers", "marketplace", "bookings", "payments", "users", "messaging")
    and not model.__name__.startswith("Search")
]


def test_the_table_of_the_code_is_the_contracts():
    assert {action: {str(role) for role in roles} for action, roles in ALLOWED.items()} == CONTRACT


def test_every_provider_address_has_its_row():
    served = {
        f"{method} {route.pattern}"
        for prefix in get_resolver().url_patterns
        if str(prefix.pattern) == "v1/"
        for route in prefix.url_patterns
        if str(route.pattern).startswith("provider/")
        for method in methods(route.callback)
    }
    assert served - ROWS.keys() == set(), "add these to tests/providers/permission_rows.py"
    assert ROWS.keys() - served == set()


def methods(view: Any) -> set[str]:
    """What an address answers to, HEAD and OPTIONS apart."""
    if hasattr(view, "actions"):  # a viewset
        names = set(view.actions)
    else:
        names = {name for name in view.view_class.http_method_names if hasattr(view.view_class, name)}
    return {name.upper() for name in names - {"head", "options"}}


def expected(row: Row, caller: str) -> Any:
    """A status where the caller is let in, else status and code."""
    if caller in row.others:
        return row.others[caller]
    if caller in REFUSED:
        return REFUSED[caller]
    return row.status if caller in CONTRACT[row.action] else (403, "FORBIDDEN")


def everything() -> dict[str, list]:
    return {model._meta.label: list(model._default_manager.order_by("pk").values_list()) for model in TABLES}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", ROWS)
def test_a_cell(api, name, caller):
    method, row, world = name.split(" ")[0], ROWS[name], World()
    callers = {
        **{role: api.as_user(member.user) for role, member in world.staff.items()},
        "stranger": api.as_user(ProviderUserFactory().user),
        "parent": api.as_user(UserFactory()),
        "nobody": api,
    }
    address, body = row.request(world)
    headers = {"X_Provider_Account": str(world.account.pk), "Idempotency_Key": "one"}
    before = everything()
    answer = callers[caller].request(method, address, body, **headers)
    assert_is(answer, expected(row, caller))
    if answer.status >= 400:
        assert everything() == before
    if caller == "stranger" and "<uuid:" in name:
        # In the name of their own account, the row is just as little theirs.
        assert callers[caller].request(method, address, body, Idempotency_Key="two").code == (404, "NOT_FOUND")
        assert everything() == before


def test_no_address_breaks_when_it_is_asked_what_it_can_do(api):
    for name, row in ROWS.items():
        world = World()
        address, _ = row.request(world)
        caller = api.as_user(world.staff["owner"].user)
        assert caller.request("OPTIONS", address).status < 500, name
        if name.startswith("GET"):
            assert caller.request("HEAD", address).status == 200, name


def assert_is(answer: Any, wanted: Any) -> None:
    match wanted:
        case int():
            assert answer.status == wanted, answer.body
        case str():
            assert answer.error["code"] == wanted
        case _:
            assert answer.code == wanted
