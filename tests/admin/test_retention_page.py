"""What is kept for how long, as ops see it."""

import pytest

from privacy.retention import RULES

pytestmark = pytest.mark.django_db(databases=["default", "global"])

PAGE = "/admin/privacy/erasurerequest/retention/"


def test_ops_see_the_rules(ops):
    page = ops.get(PAGE).content.decode()
    for rule in RULES:
        assert rule.setting in page and rule.how_long in page
    assert "WEBHOOK_PAYLOAD_RETENTION_DAYS" in page and "90 days" in page
    assert PAGE in ops.get("/admin/privacy/erasurerequest/").content.decode()


def test_strangers_do_not(client):
    assert client.get(PAGE).status_code == 302
