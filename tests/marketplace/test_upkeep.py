"""The search rows follow every change, and a check proves it."""

import pytest
from django.core.management import call_command
from django.db import connection

from geography.models import City, Country, Locality
from marketplace import tasks, upkeep
from marketplace.models import Activity, Category, Offering, SearchRow, SearchStale, Session
from providers.models import Location, ProviderAccount
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


@pytest.fixture
def session():
    category = CategoryFactory(name="Judo", parent=CategoryFactory(name="Sports"))
    activity = ActivityFactory(title="Judo Starters", category=category)
    LocationFactory(provider=activity.provider, is_default=True)
    row = SessionFactory(offering=OfferingFactory(activity=activity))
    upkeep.catch_up()
    assert SearchRow.objects.count() == 1
    return row


def hide_activity():
    Activity.objects.update(status="draft")


def suspend_provider():
    ProviderAccount.objects.update(status="suspended")


def close_city():
    City.objects.update(is_active=False)


def close_country():
    Country.objects.update(is_active=False)


def close_category():
    Category.objects.filter(name="Judo").update(is_active=False)


def close_parent_category():
    Category.objects.filter(name="Sports").update(is_active=False)


@pytest.mark.parametrize(
    "hide", [hide_activity, suspend_provider, close_city, close_country, close_category, close_parent_category]
)
def test_what_must_not_show_is_gone_in_the_same_transaction(session, hide):
    hide()
    assert SearchRow.objects.count() == 0
    assert upkeep.drift() == []


def test_with_sessions_in_a_closed_city_alone_it_is_at_home_also_once_they_have_begun(session):
    home = LocationFactory(provider=session.activity.provider, city=CityFactory(name="Dallas", slug="dallas"))
    Location.objects.update(is_default=False)
    Location.objects.filter(pk=home.pk).update(is_default=True)
    City.objects.filter(pk=session.location.city_id).update(is_active=False)
    row = SearchRow.objects.get()
    assert (row.city_id, row.slots) == (home.city_id, [])
    Session.objects.update(starts_at=in_days(-1), ends_at=in_days(-0.9))
    upkeep.catch_up()
    assert SearchRow.objects.get().city_id == home.city_id
    assert upkeep.drift() == []


def rename():
    Activity.objects.update(title="Judo for all")


def reprice():
    Offering.objects.update(price_cents=900)


def withdraw_offering():
    Offering.objects.update(status="inactive")


def rename_provider():
    ProviderAccount.objects.update(business_name="Tatami House")


def move_location():
    Location.objects.update(latitude=30.0, longitude=-97.0)


def rename_city():
    City.objects.update(name="Austin, Texas")


def rename_category():
    Category.objects.filter(name="Judo").update(name="Judo & Aikido")


def rename_in_raw_sql():
    with connection.cursor() as cursor:
        cursor.execute("UPDATE marketplace_activity SET title = 'Raw'")


@pytest.mark.parametrize(
    "change",
    [
        rename,
        reprice,
        withdraw_offering,
        rename_provider,
        move_location,
        rename_city,
        rename_category,
        rename_in_raw_sql,
    ],
)
def test_a_change_is_in_the_row_in_the_same_transaction(session, change):
    before = SearchRow.objects.values().get()
    change()
    assert SearchRow.objects.values().get() != before
    assert upkeep.drift() == []


def test_a_new_locality_is_in_the_row(session):
    locality = Locality.objects.create(city=session.location.city, name="Downtown", slug="downtown", is_active=True)
    Location.objects.update(locality=locality)
    assert SearchRow.objects.get().locality_slugs == ["downtown"]
    Locality.objects.update(is_active=False)
    assert SearchRow.objects.get().locality_slugs == []


def test_seats_follow_with_the_next_run(session):
    Session.objects.update(enrolled=4)
    assert '"spotsLeft":10' in SearchRow.objects.get().card
    assert upkeep.catch_up() == 1
    assert '"spotsLeft":6' in SearchRow.objects.get().card
    assert (upkeep.catch_up(), SearchStale.objects.count()) == (0, 0)


def test_a_session_that_has_begun_makes_way_for_the_next(session):
    following = SessionFactory(offering=session.offering, starts_at=in_days(9))
    Session.objects.filter(pk=session.pk).update(starts_at=in_days(-1), ends_at=in_days(-0.9))
    upkeep.catch_up()
    assert SearchRow.objects.get().next_session_at == following.starts_at


def test_a_deleted_provider_takes_its_rows_along(session):
    ProviderAccount.objects.all().delete()
    assert SearchRow.objects.count() == 0


def test_a_bulk_load_may_refresh_once_at_its_end(session):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL juniro.search = 'off'")
        rename()
        cursor.execute("SET LOCAL juniro.search = 'on'")
    assert upkeep.drift() == [session.activity_id]
    assert upkeep.rebuild() == 1
    assert (upkeep.drift(), SearchRow.objects.get().title) == ([], "Judo for all")


def test_drift_is_mended_and_reported(session, caplog):
    SearchRow.objects.update(title="Wrong")
    tasks.check_drift()
    assert SearchRow.objects.get().title == "Judo Starters"
    assert "search rows had drifted" in caplog.text


def test_the_command_counts_and_mends(session, capsys):
    SearchRow.objects.all().delete()
    call_command("repair_search")
    assert capsys.readouterr().out == "1 activities had drifted.\n"
    call_command("repair_search", "--mend")
    call_command("repair_search")
    assert capsys.readouterr().out == "1 activities had drifted and were mended.\n0 activities had drifted.\n"


@pytest.mark.django_db(transaction=True)
def test_two_workers_share_the_notes_and_both_end_well(session, at_once):
    for _ in range(5):
        SessionFactory(offering=OfferingFactory(activity=session.activity))
        at_once(lambda _: upkeep.catch_up(), [1, 2, 3])
    assert (SearchStale.objects.count(), upkeep.drift()) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_writers_of_one_activity_at_once_leave_it_true(session, at_once):
    def write(number):
        Activity.objects.filter(pk=session.activity_id).update(title=f"Judo {number}")

    assert at_once(write, list(range(8))) == [None] * 8
    assert (upkeep.drift(), SearchRow.objects.count()) == ([], 1)
