"""App config over both regions: what callers get, whatever ops have written and whatever is down."""

import pytest

from regions import config
from regions.models import AppConfig

pytestmark = pytest.mark.django_db(databases=["default", "global"])

KEY = "SOME_LIMITS"
LIMITS = {"USD": 20_000, "INR": 1_500_000}


def put(value) -> None:
    AppConfig.objects.update_or_create(key=KEY, defaults={"value": value})
    config.forget(KEY)


def test_without_a_row_the_default_stands():
    assert config.get(KEY, LIMITS) == LIMITS
    assert config.get(KEY, 5) == 5


def test_what_ops_have_set_is_read_at_once_and_cached(django_assert_num_queries):
    put(5)
    with django_assert_num_queries(1, using="global"), django_assert_num_queries(0, using="default"):
        assert [config.get(KEY, 1) for _ in range(3)] == [5, 5, 5]
    put(6)
    assert config.get(KEY, 1) == 6


def test_what_an_object_leaves_out_is_as_in_the_default():
    put({"USD": 100})
    assert config.get(KEY, LIMITS) == {"USD": 100, "INR": 1_500_000}


@pytest.mark.parametrize(
    ("value", "default"),
    [
        ("5", 1),
        (True, 1),
        (5.5, 1),
        (1, True),
        (1, "text"),
        ([1], 1),
        ({"USD": "100"}, LIMITS),
        ({"USD": None}, LIMITS),
        ([], LIMITS),
        ([1, "2"], [0]),
        (True, 1.0),
    ],
)
def test_a_value_of_another_shape_is_not_used(value, default):
    put(value)
    assert config.get(KEY, default) == default


@pytest.mark.parametrize(("value", "default"), [(5, 1.0), (0.5, 1.0), ([], [0]), ([2], [0]), (False, True), ("", "a")])
def test_a_value_of_the_same_shape_is_used(value, default):
    put(value)
    assert config.get(KEY, default) == value


def test_with_redis_down_the_database_knows(broken_redis):
    put(5)
    broken_redis()
    assert config.get(KEY, 1) == 5


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_with_both_down_the_last_known_value_stands_and_else_the_default(broken_redis, broken_database):
    put(5)
    assert config.get(KEY, 1) == 5
    broken_database()
    broken_redis()
    assert config.get(KEY, 1) == 5
    assert config.get("ANOTHER", 1) == 1
