"""GET /v1/search/suggest."""

from urllib.parse import quote

import pytest

from tests.factories import ActivityFactory, CategoryFactory, CityFactory, LocationFactory

pytestmark = pytest.mark.django_db

SUGGEST = "/v1/search/suggest"


@pytest.fixture(autouse=True)
def catalogue():
    activity = ActivityFactory(
        title="Swim Starters",
        category=CategoryFactory(name="Water Sports"),
        provider__business_name="Blue Swift Club",
        provider__slug="blue-swift",
    )
    LocationFactory(provider=activity.provider, city=CityFactory(name="Sweetwater"))
    ActivityFactory(title="Swing Dance", status="draft", provider=activity.provider, category=activity.category)
    CategoryFactory(name="Swaps", is_active=False)
    CityFactory(name="Swanton", is_active=False)


def test_it_completes_each_kind_by_any_word(api):
    assert api.get(f"{SUGGEST}?q=sw").data == {
        "activities": [{"title": "Swim Starters", "slug": "swim-starters"}],
        "categories": [],
        "providers": [{"businessName": "Blue Swift Club", "slug": "blue-swift"}],
        "cities": [{"name": "Sweetwater", "slug": "sweetwater"}],
    }
    assert api.get(f"{SUGGEST}?q=SPORT").data["categories"] == [{"name": "Water Sports", "slug": "water-sports"}]


@pytest.mark.parametrize("text", ["'", "\\", "%", "swim st", ":*", "⑴", "तबला", "  swim "])
def test_no_text_breaks_it(api, text):
    assert api.get(f"{SUGGEST}?q={quote(text)}").status == 200


@pytest.mark.parametrize("query", ["", "?q=", "?q=%20", "?q=" + "x" * 201, "?p=swim"])
def test_nothing_or_too_much_is_refused(api, query):
    assert api.get(SUGGEST + query).code == (400, "VALIDATION_ERROR")


def test_one_round_trip(api, django_assert_num_queries):
    with django_assert_num_queries(1):
        api.get(f"{SUGGEST}?q=sw")
