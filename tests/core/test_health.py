"""GET /health and /health/ready."""

import pytest
from celery import current_app
from django.db import connections

from tests.conftest import free_port

UP = {"database": "up", "redis": "up", "broker": "up", "globalDatabase": "up", "globalRedis": "up"}


def test_health_tells_region_and_version_without_any_io(api, settings):
    answer = api.get("/health")  # no database mark: a query would fail the test
    assert answer.data == {"status": "ok", "region": "us", "version": settings.VERSION}


@pytest.mark.django_db(databases=["default", "global"])
def test_with_everything_up_it_is_ready(api):
    answer = api.get("/health/ready")
    assert (answer.status, answer.data) == (200, {"status": "ready", "region": "us", "dependencies": UP})


@pytest.mark.parametrize(("alias", "name", "status"), [("default", "database", 503), ("global", "globalDatabase", 200)])
@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_a_database_that_is_down_is_named(api, alias, name, status):
    connection = connections[alias]
    port = connection.settings_dict["PORT"]
    connection.close()
    try:
        connection.settings_dict["PORT"] = free_port()
        answer = api.get("/health/ready")
    finally:
        connection.settings_dict["PORT"] = port
    assert answer.status == status
    assert answer.data["dependencies"] == UP | {name: "down"}
    assert answer.data["status"] == ("ready" if status == 200 else "unavailable")
    assert api.get("/health/ready").data["dependencies"] == UP


@pytest.mark.parametrize(("alias", "name", "status"), [("default", "redis", 503), ("global", "globalRedis", 200)])
@pytest.mark.django_db(databases=["default", "global"])
def test_a_redis_that_is_down_is_named(api, settings, alias, name, status):
    dead = settings.CACHES[alias] | {"LOCATION": f"redis://127.0.0.1:{free_port()}/0"}
    settings.CACHES = settings.CACHES | {alias: dead}
    answer = api.get("/health/ready")
    assert (answer.status, answer.data["dependencies"]) == (status, UP | {name: "down"})


@pytest.mark.django_db(databases=["default", "global"])
def test_a_broker_that_is_down_is_named(api, monkeypatch):
    monkeypatch.setitem(current_app.conf, "broker_write_url", f"redis://127.0.0.1:{free_port()}/0")
    answer = api.get("/health/ready")
    assert (answer.status, answer.data["dependencies"]) == (503, UP | {"broker": "down"})
