"""GET /metrics."""

import re

import pytest

pytestmark = pytest.mark.django_db


def count(page, labels):
    found = re.search(rf"juniro_request_seconds_count\{{{re.escape(labels)}\}} (\d+)", page)
    return int(found[1]) if found else 0


def test_requests_are_counted_by_route_and_status(api):
    labels = 'method="GET",route="v1/countries",status="200"'
    before = count(api.client.get("/metrics").content.decode(), labels)
    api.get("/v1/countries")
    assert count(api.client.get("/metrics").content.decode(), labels) == before + 1


def test_odd_methods_and_addresses_do_not_make_labels_of_their_own(api):
    api.request("BREW", "/v1/coffee-pot-4711")
    page = api.client.get("/metrics").content.decode()
    assert "coffee-pot" not in page
    assert "BREW" not in page
    assert count(page, 'method="other",route="unknown",status="404"') >= 1


def test_no_id_is_in_the_labels(api):
    api.get("/v1/activities/019b76da-a815-7000-a6a5-4dd67170151d")
    assert "019b76da" not in api.client.get("/metrics").content.decode()
