"""GET /v1/categories."""

import pytest

from marketplace.management.commands import seed_categories
from tests.factories import CategoryFactory

pytestmark = pytest.mark.django_db


def test_the_active_tree_of_the_data_model(api):
    seed_categories.seed()
    answer = api.get("/v1/categories")
    assert {root["name"]: len(root["children"]) for root in answer.data} == {
        "Activities": 8,
        "Camps": 3,
        "Childcare & Early Education": 5,
        "Parties & Events": 3,
    }
    activities = answer.data[0]
    assert [child["slug"] for child in activities["children"]][:3] == ["swimming", "dance", "art"]
    assert set(activities["children"][0]) == {"id", "name", "slug", "children"}


def test_an_inactive_branch_is_hidden_with_all_below_it(api):
    wellness = CategoryFactory(name="Wellness", is_active=False)
    CategoryFactory(name="Therapists", parent=wellness)
    CategoryFactory(name="Dance")
    assert [root["name"] for root in api.get("/v1/categories").data] == ["Dance"]


def test_one_query_for_the_whole_tree(api, django_assert_num_queries):
    seed_categories.seed()
    with django_assert_num_queries(1):
        api.get("/v1/categories")
