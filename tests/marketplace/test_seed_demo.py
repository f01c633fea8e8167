"""`manage.py seed_demo`."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import Count, F, Max, Min, Q

from geography.management.commands import seed_geography
from geography.models import City
from marketplace.demo.content import load
from marketplace.management.commands import seed_categories
from marketplace.management.commands.seed_demo import seed
from marketplace.models import Activity, Category, Offering, Session
from providers.models import Location, ProviderAccount, ProviderUser
from regions.models import SlugReservation
from tests.factories import ProviderAccountFactory
from users.models import User

pytestmark = pytest.mark.django_db(databases=["default", "global"])

# A Tuesday; the clocks go back in most of the United States on Sunday 1 November 2026.
NOW = datetime(2026, 10, 20, 18, tzinfo=UTC)


@pytest.fixture(autouse=True)
def places(db, request, settings):
    """The seeded geography and categories of the region under test."""
    if "in_india" in request.fixturenames:
        request.getfixturevalue("india")
    seed_geography.seed()
    seed_categories.seed()


@pytest.fixture
def in_india(india):
    """Names the region before `places` asks for it."""


def snapshot():
    """Everything that the seed wrote, without the ids of sessions and the times of writing."""
    sessions = Session.objects.values_list("offering", "location", "starts_at", "ends_at", "capacity")
    tables = [User, ProviderAccount, ProviderUser, Location, Activity, Offering]
    rows = [[drop_stamps(row) for row in table.objects.order_by("id").values()] for table in tables]
    return [*rows, sorted(sessions, key=str)]


def drop_stamps(row):
    return {name: value for name, value in row.items() if name not in ("updated_at", "password", "created_at")}


def leaves():
    return set(
        Category.objects.filter(is_active=True, children=None, parent__is_active=True).values_list("slug", flat=True)
    )


def test_seeding_twice_adds_nothing_the_second_time():
    assert seed(activities=30, now=NOW) == 30
    before = snapshot()

    assert seed(activities=30, now=NOW) == 0

    assert snapshot() == before


def test_a_larger_number_adds_the_difference_and_ends_where_one_run_would():
    seed(activities=12, now=NOW)
    assert seed(activities=30, now=NOW) == 18
    in_two_runs = snapshot()
    for table in (Session, Offering, Activity, Location, ProviderUser, ProviderAccount, User, SlugReservation):
        table.objects.all().delete()

    seed(activities=30, now=NOW)

    assert snapshot() == in_two_runs


def test_a_smaller_number_removes_nothing():
    seed(activities=20, now=NOW)

    assert seed(activities=5, now=NOW) == 0

    assert Activity.objects.count() == 20


def test_another_seed_gives_another_catalogue_beside_the_first():
    seed(activities=10, seed=1, now=NOW)

    assert seed(activities=10, seed=2, now=NOW) == 10

    assert Activity.objects.count() == 20
    assert Activity.objects.order_by("id").values_list("title", flat=True).distinct().count() > 10


def test_what_an_activity_that_is_there_became_is_left_alone():
    seed(activities=10, now=NOW)
    first = Activity.objects.order_by("id").first()
    Activity.objects.filter(pk=first.pk).update(title="Renamed by its provider", status="archived")

    seed(activities=20, now=NOW)

    assert Activity.objects.values_list("title", "status").get(pk=first.pk) == ("Renamed by its provider", "archived")


def test_three_hundred_activities_fill_every_open_category_and_every_open_city():
    seed(activities=300, now=NOW)

    public = Activity.objects.public()
    assert set(public.values_list("category__slug", flat=True)) == leaves()
    assert len(leaves()) == 19
    assert Counter(Activity.objects.values_list("status", flat=True)) == {"published": 285, "draft": 12, "archived": 3}
    assert public.count() == 285
    cities = Counter(Location.objects.values_list("city__slug", flat=True))
    assert len(cities) == 10
    assert cities.most_common(1)[0][0] == "austin"
    assert set(Offering.objects.values_list("type", flat=True)) == {"single_session", "multi_session", "camp", "term"}


def test_three_hundred_activities_do_not_look_cloned():
    seed(activities=300, now=NOW)

    assert Activity.objects.values("title").distinct().count() >= 250
    assert Activity.objects.values("description").distinct().count() >= 295
    assert ProviderAccount.objects.values("business_name").distinct().count() == ProviderAccount.objects.count()


def test_providers_have_an_owner_a_default_location_and_a_reserved_slug():
    seed(activities=100, now=NOW)

    accounts = ProviderAccount.objects.annotate(places=Count("locations"))
    assert 15 <= accounts.count() <= 30
    assert set(accounts.values_list("type", flat=True)) == {"business", "individual"}
    assert Counter(accounts.values_list("status", flat=True))["pending"] == 1
    assert {1, 2} <= set(accounts.values_list("places", flat=True)) <= {1, 2, 3}
    assert Location.objects.filter(is_default=True).count() == accounts.count()
    assert list(ProviderUser.objects.values_list("role", "user__role", "user__home_region").distinct()) == [
        ("owner", "provider", "us")
    ]
    assert ProviderUser.objects.filter(user__parent__isnull=False).count() == accounts.count()
    assert set(SlugReservation.objects.values_list("slug", "region")) == {
        (slug, "us") for slug in accounts.values_list("slug", flat=True)
    }


def test_locations_are_near_the_centre_of_an_open_city():
    seed(activities=60, now=NOW)

    for location in Location.objects.select_related("city", "locality"):
        assert location.city.is_active
        assert location.locality.city_id == location.city_id
        assert abs(location.latitude - location.city.latitude) < 0.05
        assert abs(location.longitude - location.city.longitude) < 0.05
        assert location.city.name in location.address


def test_a_pending_provider_has_only_drafts():
    seed(activities=100, now=NOW)

    pending = Activity.objects.filter(provider__status="pending")
    assert pending.count() == 2
    assert set(pending.values_list("status", flat=True)) == {"draft"}
    assert not Session.objects.filter(activity__provider__status="pending").exists()


def test_no_session_lies_in_the_past_and_none_is_enrolled():
    seed(activities=60, now=NOW)

    sessions = Session.objects.exclude(activity__category__slug="summer-camps")
    span = sessions.aggregate(first=Min("starts_at"), last=Max("starts_at"))
    assert span["first"] > NOW
    assert span["last"] < NOW + timedelta(weeks=8, days=2)
    assert Session.objects.exclude(enrolled=0).count() == 0
    assert Session.objects.filter(ends_at__lte=F("starts_at")).count() == 0
    assert Session.objects.exclude(activity__status="published").count() == 0
    assert Offering.objects.filter(activity__status="published", sessions=None).count() == 0


def test_weekly_sessions_keep_their_wall_clock_time_when_the_clocks_change():
    seed(activities=60, now=NOW)

    offering = Offering.objects.filter(
        type="multi_session", sessions__location__city__timezone="America/Chicago"
    ).order_by("id")[0]
    starts = list(offering.sessions.order_by("starts_at").values_list("starts_at", flat=True))
    zone = ZoneInfo("America/Chicago")

    assert len(starts) == 8
    assert len({start.astimezone(zone).strftime("%a %H:%M") for start in starts}) == 1
    assert len({start.strftime("%H:%M") for start in starts}) == 2
    assert {start.astimezone(zone).utcoffset() for start in starts} == {timedelta(hours=-5), timedelta(hours=-6)}


def test_every_class_starts_on_the_half_hour_by_day_where_it_takes_place():
    seed(activities=60, now=NOW)

    for starts_at, zone in Session.objects.values_list("starts_at", "location__city__timezone"):
        local = starts_at.astimezone(ZoneInfo(zone))
        assert 6 <= local.hour <= 19
        assert local.minute in (0, 30)


def test_summer_camps_wait_for_the_school_summer():
    seed(activities=60, now=NOW)

    camps = Session.objects.filter(activity__category__slug="summer-camps").select_related("location__city")
    days = [session.local_date() for session in camps]
    assert days
    assert {day.year for day in days} == {2027}
    assert {day.month for day in days} <= {6, 7, 8}
    assert {day.weekday() for day in days} == {0}


def test_a_camp_is_one_session_over_all_its_days():
    seed(activities=60, now=NOW)

    weeks = Session.objects.filter(offering__type="camp", offering__name="Camp Week")
    assert weeks
    for session in weeks:
        assert (session.ends_at - session.starts_at).days == 4


def test_a_package_covers_fewer_sessions_than_are_planned():
    seed(activities=60, now=NOW)

    packages = Offering.objects.filter(type="multi_session", activity__status="published").annotate(
        planned=Count("sessions")
    )
    assert packages
    assert all(package.session_count < package.planned for package in packages)


def test_prices_are_whole_dollars_in_the_us():
    seed(activities=100, now=NOW)

    assert set(Offering.objects.values_list("currency", flat=True)) == {"USD"}
    paid = list(Offering.objects.exclude(price_cents=0).values_list("price_cents", flat=True))
    assert all(price % 100 == 0 for price in paid)
    assert min(paid) >= 1000
    assert max(paid) <= 300_000


def test_prices_are_round_rupees_in_india(in_india):
    seed(activities=100, now=NOW)

    assert set(Offering.objects.values_list("currency", flat=True)) == {"INR"}
    paid = [price // 100 for price in Offering.objects.exclude(price_cents=0).values_list("price_cents", flat=True)]
    assert all(price % 50 in (0, 49) for price in paid)
    assert min(paid) >= 200
    assert max(paid) <= 40_000


def test_each_market_has_subjects_of_its_own(in_india):
    seed(activities=300, now=NOW)

    titles = " ".join(Activity.objects.values_list("title", flat=True))
    assert "Cricket" in titles
    assert "Tabla for Beginners" in titles
    assert "Baseball" not in titles
    assert set(Location.objects.values_list("city__country__code", flat=True)) == {"IN"}
    assert set(User.objects.values_list("home_region", flat=True)) == {"in"}
    assert Counter(Location.objects.values_list("city__slug", flat=True)).most_common(1)[0][0] == "bangalore"
    zones = Session.objects.values_list("location__city__timezone", flat=True).distinct()
    assert list(zones) == ["Asia/Kolkata"]


def test_offerings_whose_sessions_are_over_get_new_ones():
    seed(activities=20, now=NOW)
    sold = set(Offering.objects.exclude(sessions=None).values_list("id", flat=True))
    later = NOW + timedelta(days=400)

    assert seed(activities=20, now=later) == 0

    renewed = Session.objects.filter(starts_at__gt=later)
    assert set(renewed.values_list("offering", flat=True)) == sold
    after = snapshot()
    seed(activities=20, now=later)
    assert snapshot() == after


def test_a_category_that_ops_closed_gets_nothing():
    Category.objects.filter(slug="dance").update(is_active=False)
    Category.objects.filter(slug="parties-and-events").update(is_active=False)

    seed(activities=80, now=NOW)

    seeded = set(Activity.objects.values_list("category__slug", flat=True))
    assert seeded.isdisjoint({"dance", "entertainers", "party-places", "mobile-services"})


def test_a_catalogue_grows_around_what_ops_closed_in_the_meantime():
    seed(activities=60, now=NOW)
    Category.objects.filter(slug="dance").update(is_active=False)
    City.objects.filter(slug="austin").update(is_active=False)
    closed = Q(category__slug="dance") | Q(provider__locations__city__slug="austin")
    before = set(Activity.objects.filter(closed).values_list("id", flat=True))
    assert before

    assert seed(activities=90, now=NOW) == 30 + len(before)

    assert set(Activity.objects.filter(closed).values_list("id", flat=True)) == before
    assert Activity.objects.exclude(closed).count() == 90


def test_a_slug_that_someone_else_has_is_left_to_them():
    seed(activities=1, now=NOW)
    slug = ProviderAccount.objects.get().slug
    Session.objects.all().delete()
    ProviderAccount.objects.all().delete()
    SlugReservation.objects.filter(slug=slug).update(region="in")
    ProviderAccountFactory(slug=f"{slug}-2")

    seed(activities=1, now=NOW)

    assert set(ProviderAccount.objects.values_list("slug", flat=True)) == {f"{slug}-2", f"{slug}-3"}


def test_a_provider_who_was_removed_comes_back_to_the_owner_who_stayed():
    seed(activities=10, now=NOW)
    before = snapshot()
    Session.objects.all().delete()
    ProviderAccount.objects.all().delete()

    assert seed(activities=10, now=NOW) == 10

    assert snapshot() == before


def test_without_places_or_categories_it_says_what_to_run_first():
    Category.objects.all().update(is_active=False)

    with pytest.raises(CommandError, match="run seed_geography and seed_categories first"):
        seed(activities=1, now=NOW)

    assert Activity.objects.count() == 0


def test_the_command_takes_a_number_a_seed_and_a_moment():
    out = StringIO()

    call_command("seed_demo", activities=5, seed=7, now=datetime(2027, 2, 1), stdout=out)

    assert out.getvalue() == "Added 5 activities.\n"
    assert Session.objects.aggregate(first=Min("starts_at"))["first"] > datetime(2027, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("market", ["us", "in"])
def test_every_category_has_at_least_seven_topics_that_fit_the_columns(market):
    content = load(market)

    for slug, kit in content.kits.items():
        titles = [topic.title for topic in kit.topics]
        assert len(set(titles)) == len(titles) >= 7, slug
        assert all(len(topic.summary) <= 300 and topic.ages[0] <= topic.ages[1] for topic in kit.topics)
        assert len(kit.does) >= 3
    assert {slug for family in content.families for slug in family.categories} == content.kits.keys()
