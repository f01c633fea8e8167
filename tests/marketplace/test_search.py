"""GET /v1/activities: words, places, calendars, facets, suggestions and cursors."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from marketplace import facets, upkeep, vocabulary
from marketplace.models import SearchRow
from tests.factories import (
    ActivityFactory,
    CategoryFactory,
    CityFactory,
    LocationFactory,
    OfferingFactory,
    SessionFactory,
    in_days,
)

pytestmark = pytest.mark.django_db

LIST = "/v1/activities"


def make(title, *, starts_at=None, offering=None, location=None, full=False, **activity):
    row = ActivityFactory(title=title, **activity)
    place = LocationFactory(provider=row.provider, is_default=True, **(location or {}))
    session = SessionFactory(
        offering=OfferingFactory(activity=row, **(offering or {})),
        location=place,
        starts_at=starts_at or in_days(7),
        capacity=10,
        enrolled=10 if full else 0,
    )
    upkeep.catch_up()
    return session


def titles(api, query=""):
    answer = api.get(LIST + query)
    assert answer.status == 200, answer.body
    return [each["title"] for each in answer.data]


def next_weekday(weekday, hour_utc):
    """The next such weekday (Monday is 0) at least two days ahead, at that hour in UTC."""
    day = datetime.now(UTC) + timedelta(days=2)
    day += timedelta(days=(weekday - day.weekday()) % 7)
    return day.replace(hour=hour_utc, minute=0, second=0, microsecond=0)


class TestWords:
    def test_endings_and_accents_are_forgiven(self, api):
        make("Natación para niños", provider__business_name="Club Azul", category=CategoryFactory(name="Deportes"))
        make("Swimming lessons")
        assert titles(api, "?q=natacion") == ["Natación para niños"]
        assert titles(api, f"?q={quote('NATACIÓN')}") == ["Natación para niños"]
        assert titles(api, "?q=swim") == ["Swimming lessons"]
        assert titles(api, "?q=swims+lesson") == ["Swimming lessons"]

    def test_the_last_word_may_be_half_typed(self, api):
        make("Swimming lessons")
        assert titles(api, "?q=swimm") == ["Swimming lessons"]
        assert titles(api, "?q=swimming+les") == ["Swimming lessons"]
        assert titles(api, "?q=dancing+les") == []

    def test_quotes_and_minus_work_as_in_other_searches(self, api):
        make("Piano for beginners")
        make("Piano for teens")
        assert titles(api, "?q=piano+-teens") == ["Piano for beginners"]
        assert titles(api, "?q=" + quote('"piano for teens"')) == ["Piano for teens"]
        assert titles(api, "?q=" + quote('"teens piano"')) == []
        assert set(titles(api, "?q=teens+or+beginners")) == {"Piano for beginners", "Piano for teens"}

    def test_a_title_counts_more_than_a_description(self, api):
        make("Chess club", description="Bring a guitar if you like.")
        make("Guitar group", starts_at=in_days(9))
        assert titles(api, "?q=guitar") == ["Guitar group", "Chess club"]

    def test_category_and_provider_are_searched_too(self, api):
        make("Starters", category=CategoryFactory(name="Judo"), provider__business_name="Blue Fin")
        assert titles(api, "?q=judo") == ["Starters"]
        assert titles(api, "?q=blue+fin") == ["Starters"]

    def test_a_slip_is_corrected_and_told(self, api):
        make("Gymnastics basics")
        upkeep.refresh_words()
        answer = api.get(f"{LIST}?q=gymnastisc")
        assert [each["title"] for each in answer.data] == ["Gymnastics basics"]
        assert answer.meta["correctedQuery"] == "gymnastics"

    def test_a_word_that_is_known_is_not_corrected(self, api):
        make("Gymnastics basics", status="draft")
        make("Chess club")
        upkeep.refresh_words()
        answer = api.get(f"{LIST}?q=chess+zzzzzz")
        assert (answer.data, "correctedQuery" in answer.meta) == ([], False)

    def test_devanagari_is_found(self, api):
        make("तबला सीखें")
        assert titles(api, f"?q={quote('तबला')}") == ["तबला सीखें"]

    @pytest.mark.parametrize(
        "text",
        ["'", '"', "\\", "a & b", "a | !b", "(((", "a:*", "<->", "%", "_", "⑴", "½", "＼", "x" * 200, "-", "the", "🏊"],
    )
    def test_no_text_breaks_it(self, api, text):
        make("Swimming lessons")
        assert titles(api, f"?q={quote(text)}") in ([], ["Swimming lessons"])

    def test_a_text_of_ten_thousand_characters_is_refused(self, api):
        assert api.get(f"{LIST}?q={'swim' * 2500}").code == (400, "VALIDATION_ERROR")


class TestPlaces:
    def test_around_a_point_with_distance(self, api):
        make("Near", location={"latitude": 30.2672, "longitude": -97.7431})
        make("Far", location={"latitude": 30.5083, "longitude": -97.6789})
        answer = api.get(f"{LIST}?lat=30.27&lng=-97.74&radiusKm=50&sort=distance")
        assert [(each["title"], each["distanceKm"]) for each in answer.data] == [("Near", 0.4), ("Far", 27.1)]
        assert titles(api, "?lat=30.27&lng=-97.74&radiusKm=10") == ["Near"]

    @pytest.mark.parametrize("point", ["lat=89.9&lng=10", "lat=-90&lng=0", "lat=10&lng=179.99", "lat=0&lng=-180"])
    def test_poles_and_the_date_line_are_survived(self, api, point):
        make("Near", location={"latitude": 30.2672, "longitude": -97.7431})
        assert titles(api, f"?{point}&radiusKm=500") == []

    def test_both_sides_of_the_date_line_are_near(self, api):
        make("Taveuni", location={"latitude": -16.8, "longitude": -179.95})
        assert titles(api, "?lat=-16.8&lng=179.95&radiusKm=30") == ["Taveuni"]

    def test_an_activity_in_two_cities_is_found_in_both_and_listed_once(self, api):
        session = make("Touring camp")
        dallas = LocationFactory(provider=session.activity.provider, city=CityFactory(name="Dallas"))
        later = SessionFactory(offering=session.offering, location=dallas, starts_at=in_days(9))
        upkeep.catch_up()
        assert titles(api) == ["Touring camp"]
        assert titles(api, "?country=us") == ["Touring camp"]
        in_dallas = api.get(f"{LIST}?city=dallas").data[0]
        assert in_dallas["city"] == {"name": "Dallas", "slug": "dallas"}
        assert in_dallas["nextSessionAt"] == later.starts_at.isoformat().replace("+00:00", "Z")
        assert api.get(f"{LIST}?facets=city").meta["facets"]["city"] == [
            {"value": "austin", "name": "Austin", "count": 1},
            {"value": "dallas", "name": "Dallas", "count": 1},
        ]

    def test_a_session_in_a_sleeping_city_does_not_count(self, api):
        make("Hidden", location={"city": CityFactory(name="Waco", is_active=False)})
        assert titles(api) == []


class TestCalendar:
    def test_weekday_and_part_of_day_are_the_locations(self, api):
        # Saturday 23:00 UTC is Saturday 17:00 or 18:00 in Austin: evening. Sunday 03:00 UTC is still Saturday there.
        make("Evening", starts_at=next_weekday(5, 23))
        make("Late", starts_at=next_weekday(6, 3))
        make("Morning", starts_at=next_weekday(1, 15))
        assert set(titles(api, "?weekday=sat")) == {"Evening", "Late"}
        assert set(titles(api, "?weekday=sat&timeOfDay=evening")) == {"Evening", "Late"}
        assert titles(api, "?timeOfDay=morning,afternoon") == ["Morning"]
        assert titles(api, "?weekday=mon,tue") == ["Morning"]
        assert titles(api, "?weekday=sun") == []

    def test_all_must_be_true_of_one_session(self, api):
        first = make("Mixed", starts_at=next_weekday(5, 16), full=True)
        SessionFactory(offering=first.offering, location=first.location, starts_at=next_weekday(1, 16))
        upkeep.catch_up()
        assert titles(api, "?weekday=sat") == ["Mixed"]
        assert titles(api, "?weekday=sat&available=true") == []
        assert titles(api, "?weekday=tue&available=true") == ["Mixed"]
        day = next_weekday(5, 16).date()
        assert titles(api, f"?from={day}&to={day}&available=true") == []
        assert titles(api, f"?from={day}&to={day}") == ["Mixed"]


class TestFacets:
    def test_each_facet_ignores_its_own_filter_and_respects_the_others(self, api):
        make("Judo", category=CategoryFactory(name="Martial Arts"), offering={"price_cents": 2000})
        make("Karate", category=CategoryFactory(name="Martial Arts"), offering={"price_cents": 9000})
        make(
            "Painting", category=CategoryFactory(name="Art"), offering={"price_cents": 9000, "type": "camp"}, age_min=3
        )
        facets = api.get(f"{LIST}?category=martial-arts&priceMax=5000&facets=category,price,type,age").meta["facets"]
        assert list(facets) == ["category", "age", "price", "type"]
        # Within the price: judo alone. Within the category: both, one of them cheap.
        assert facets["category"] == [{"value": "martial-arts", "name": "Martial Arts", "count": 1}]
        assert {(each["min"], each["max"]): each["count"] for each in facets["price"] if each["count"]} == {
            (1, 2500): 1,
            (5001, 10000): 1,
        }
        assert facets["type"] == [{"value": "single_session", "count": 1}]
        assert [each["count"] for each in facets["age"]] == [0, 1, 1, 1, 0]

    def test_facets_come_only_when_asked_for(self, api):
        make("Judo")
        assert "facets" not in api.get(LIST).meta

    def test_broad_counts_are_remembered_for_a_while(self, api, monkeypatch, django_assert_num_queries):
        monkeypatch.setattr(facets, "BROAD", 1)

        def counts(query):
            found = api.get(f"{LIST}?{query}&facets=type,city").meta["facets"]
            return {name: [each["count"] for each in values] for name, values in found.items()}

        make("Judo")
        make("Karate")
        make("Aikido")
        with django_assert_num_queries(1):
            assert counts("page=1") == {"city": [3], "type": [3]}
        make("Aikido for two")
        assert counts("page=1&limit=5") == {"city": [3], "type": [3]}
        assert counts("age=9") == {"city": [4], "type": [4]}
        # The city's own filter makes no difference to its facet, but one to the others.
        assert counts("city=austin") == {"city": [3], "type": [4]}
        vocabulary.forget()
        assert counts("page=1") == {"city": [4], "type": [4]}

    def test_what_was_typed_is_not_remembered(self, api, monkeypatch):
        monkeypatch.setattr(facets, "BROAD", 0)
        make("Judo")
        assert api.get(f"{LIST}?q=judo&facets=type").meta["facets"]["type"] == [{"value": "single_session", "count": 1}]
        assert any(name.startswith("type:") for name in vocabulary._kept)
        assert "judo" not in " ".join(vocabulary._kept)

    def test_only_so_much_is_remembered(self, monkeypatch):
        monkeypatch.setattr(vocabulary, "MAX_KEPT", 3)
        for number in range(10):
            vocabulary.keep(f"type:{number}", 60, "[]")
            assert vocabulary.recall(f"type:{number}") == "[]"
            assert len(vocabulary._kept) <= 3

    def test_facets_of_nothing_are_empty(self, api):
        facets = api.get(f"{LIST}?q=zzz&facets=category,type,age").meta["facets"]
        assert (facets["category"], facets["type"], {each["count"] for each in facets["age"]}) == ([], [], {0})


class TestSuggestions:
    def test_an_empty_result_tells_which_step_back_finds_how_much(self, api):
        make("Judo", starts_at=next_weekday(5, 16))
        answer = api.get(f"{LIST}?age=13&weekday=sat&city=austin")
        assert answer.data == []
        assert answer.meta["suggestions"] == [
            {
                "message": "A year younger or older",
                "query": "city=austin&ageMin=12&ageMax=14&weekday=sat",
                "total": 1,
            },
            {"message": "For any age", "query": "city=austin&weekday=sat", "total": 1},
        ]
        again = api.get(f"{LIST}?{answer.meta['suggestions'][0]['query']}")
        assert again.meta["total"] == 1

    def test_a_birth_date_tells_from_when_a_child_may_come(self, api):
        make("Judo", age_min=5, age_max=7)
        birthday = datetime.now(UTC).date() + timedelta(days=10)
        born = birthday.replace(year=birthday.year - 5) if (birthday.month, birthday.day) != (2, 29) else birthday
        answer = api.get(f"{LIST}?birthDate={born}")
        assert answer.data == []
        assert answer.meta["suggestions"][0] == {
            "message": f"Eligible from {birthday:%-d %B %Y}",
            "query": "ageMin=5&ageMax=5",
            "total": 1,
        }
        assert str(born) not in answer.content.decode()
        assert answer.headers["Cache-Control"] == "private, no-store"
        assert "ETag" not in answer.headers

    @pytest.mark.parametrize("query", ["birthDate=2020-01-01&age=6", "birthDate=1990-01-01", "birthDate=2999-01-01"])
    def test_a_birth_date_must_be_a_childs(self, api, query):
        answer = api.get(f"{LIST}?{query}")
        assert answer.code == (400, "VALIDATION_ERROR")
        assert answer.error["details"][0]["field"] == "birthDate"

    def test_a_wider_circle_is_suggested(self, api):
        make("Far", location={"latitude": 30.5083, "longitude": -97.6789})
        messages = [each["message"] for each in api.get(f"{LIST}?lat=30.27&lng=-97.74&radiusKm=10").meta["suggestions"]]
        assert messages == ["Within 50 km", "Anywhere"]

    def test_a_result_needs_no_suggestions(self, api):
        make("Judo")
        assert "suggestions" not in api.get(LIST).meta


class TestCursors:
    @pytest.mark.parametrize("sort", ["soonest", "price", "-price", "rating", "newest"])
    def test_pages_by_cursor_show_everything_once(self, api, sort):
        for number in range(7):
            make(f"Class {number}", offering={"price_cents": 1000 * (number % 3)}, starts_at=in_days(3 + number % 2))
        seen, cursor = [], ""
        for _ in range(5):
            answer = api.get(f"{LIST}?limit=2&sort={sort}{cursor}")
            seen += [each["title"] for each in answer.data]
            if "nextCursor" not in answer.meta:
                break
            cursor = f"&cursor={answer.meta['nextCursor']}"
        assert seen == titles(api, f"?sort={sort}")
        assert len(set(seen)) == 7

    @pytest.mark.parametrize("cursor", ["x", "W10", quote("é"), "WyJwcmljZSIsICIxIiwgIngiXQ", "a" * 200])
    def test_a_cursor_of_somebody_elses_making_is_refused(self, api, cursor):
        answer = api.get(f"{LIST}?cursor={cursor}")
        assert answer.code == (400, "VALIDATION_ERROR")
        assert answer.error["details"][0]["field"] == "cursor"

    def test_pages_end_where_cursors_begin(self, api):
        assert api.get(f"{LIST}?page=10001&limit=1").code == (400, "VALIDATION_ERROR")
        assert api.get(f"{LIST}?page=102&limit=100").code == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("weekday=monday", "weekday"),
        ("timeOfDay=night", "timeOfDay"),
        ("minRating=6", "minRating"),
        ("lat=30", "lng"),
        ("lng=30", "lat"),
        ("lat=91&lng=0", "lat"),
        ("lat=NaN&lng=0", "lat"),
        ("lat=1e2&lng=0", "lat"),
        ("radiusKm=5", "lat"),
        ("lat=1&lng=1&radiusKm=501", "radiusKm"),
        ("facets=colour", "facets"),
        ("sort=distance", "lat"),
        ("sort=relevance", "sort"),
        ("from=2026-01-01&to=2028-01-01", "to"),
        ("category=a%20b", "category"),
    ],
)
def test_bad_values_are_named(api, query, field):
    answer = api.get(f"{LIST}?{query}")
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in answer.error["details"]] == [field]


def test_the_category_tree_is_asked_for_once_in_a_while(api, django_assert_num_queries):
    make("Judo", category=CategoryFactory(name="Martial Arts"))
    vocabulary.forget()
    with django_assert_num_queries(2):
        titles(api, "?category=martial-arts&q=judo&age=8&facets=category,city,age,price,type&sort=price")
    with django_assert_num_queries(1):
        titles(api, "?category=martial-arts&q=judo&age=8&facets=category,city,age,price,type&sort=price")


def test_rows_of_activities_without_sessions_show_where_the_provider_is(api):
    activity = ActivityFactory(title="On request")
    LocationFactory(provider=activity.provider)
    assert titles(api) == ["On request"]
    card = api.get(LIST).data[0]
    assert (card["city"]["slug"], card["nextSessionAt"], card["spotsLeft"]) == ("austin", None, 0)
    assert SearchRow.objects.get().next_session_at.year == 9999
