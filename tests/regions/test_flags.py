"""Feature flags over both regions, and what holds while their stores are down."""

import pytest
from django_redis import get_redis_connection

from core.errors import FeatureDisabled
from regions import flags
from regions.models import FeatureFlag
from regions.shared import CACHE_SECONDS

pytestmark = pytest.mark.django_db(databases=["default", "global"])

FLAG = "MESSAGING_ENABLED"


def test_an_unknown_flag_is_off():
    assert flags.is_enabled(FLAG) is False
    with pytest.raises(FeatureDisabled):
        flags.require(FLAG)


def test_a_flag_is_switched_on_and_off_at_once():
    flags.switch(FLAG, True)
    assert flags.is_enabled(FLAG) is True
    assert flags.require(FLAG) is None
    flags.switch(FLAG, False)
    assert flags.is_enabled(FLAG) is False
    assert FeatureFlag.objects.count() == 1


def test_flags_do_not_speak_for_each_other():
    flags.switch(FLAG, True)
    assert flags.is_enabled("AI_SEARCH_ENABLED") is False


def test_a_read_flag_is_kept_in_redis_for_seconds(django_assert_num_queries):
    FeatureFlag.objects.create(key=FLAG, value=True)
    with django_assert_num_queries(1, using="global"):
        assert [flags.is_enabled(FLAG) for _ in range(5)] == [True] * 5
    assert 0 < get_redis_connection("global").ttl(f"flag:{FLAG}") <= CACHE_SECONDS


def test_no_query_goes_to_this_regions_database(django_assert_num_queries):
    with django_assert_num_queries(0, using="default"):
        flags.switch(FLAG, True)
        flags.is_enabled(FLAG)


def test_with_redis_down_the_database_knows(broken_redis):
    FeatureFlag.objects.create(key=FLAG, value=True)
    broken_redis()
    assert flags.is_enabled(FLAG) is True
    flags.switch(FLAG, False)
    assert flags.is_enabled(FLAG) is False


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_with_both_down_the_last_known_value_stands(broken_redis, broken_database):
    FeatureFlag.objects.create(key=FLAG, value=True)
    assert flags.is_enabled(FLAG) is True
    broken_database()
    broken_redis()
    assert flags.is_enabled(FLAG) is True
    assert flags.is_enabled("AI_SEARCH_ENABLED") is False


@pytest.mark.django_db(transaction=True, databases=["default", "global"])
def test_with_the_database_down_redis_knows(broken_database):
    flags.switch(FLAG, True)
    flags.is_enabled(FLAG)
    broken_database()
    flags.shared.last_known.clear()  # as in a process that has just started
    assert flags.is_enabled(FLAG) is True
    get_redis_connection("global").delete(f"flag:{FLAG}")  # as after some seconds
    assert flags.is_enabled(FLAG) is True


def test_a_store_that_is_down_is_not_asked_again_at_once(settings, broken_redis, django_assert_num_queries):
    FeatureFlag.objects.create(key=FLAG, value=True)
    broken_redis()
    assert flags.is_enabled(FLAG) is True
    settings.CACHES = settings.CACHES | {"global": {"BACKEND": "no.such.cache"}}  # would not even import
    # And while Redis cannot keep it, the process does, for as many seconds.
    with django_assert_num_queries(0, using="global"):
        assert [flags.is_enabled(FLAG) for _ in range(2)] == [True, True]
    flags.shared.fresh[FLAG] = 0
    with django_assert_num_queries(1, using="global"):
        assert [flags.is_enabled(FLAG) for _ in range(2)] == [True, True]
