"""`manage.py seed_geography`."""

import csv
import zoneinfo

import pytest
from django.core.management import call_command

from geography.management.commands.seed_geography import DATA, seed
from geography.models import City, Country, Locality

pytestmark = pytest.mark.django_db


def lines(name):
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def open_cities():
    return set(City.objects.active().values_list("country__code", "slug"))


def launch_cities(code):
    return {
        (row["country"], row["slug"])
        for row in lines("cities.csv")
        if row["country"] == code and row["launch"] == "yes"
    }


def test_seeding_adds_every_line_of_the_files():
    assert seed(region="us") == {"countries": 2, "cities": 110, "localities": 209}

    assert set(Country.objects.values_list("code", "currency", "phone_prefix", "region", "is_active")) == {
        ("US", "USD", "+1", "us", True),
        ("IN", "INR", "+91", "in", True),
    }
    assert City.objects.filter(country__code="US").count() == 60
    assert City.objects.filter(country__code="IN").count() == 50
    assert Locality.objects.filter(city__slug="bangalore", slug="koramangala", name="Koramangala").count() == 1


def test_seeding_twice_changes_nothing():
    seed(region="us")
    before = list(City.objects.order_by("id").values()), list(Locality.objects.order_by("id").values())

    assert seed(region="us") == {"countries": 0, "cities": 0, "localities": 0}

    assert (list(City.objects.order_by("id").values()), list(Locality.objects.order_by("id").values())) == before


@pytest.mark.parametrize(("region", "code", "flagship"), [("us", "US", "austin"), ("in", "IN", "bangalore")])
def test_only_the_launch_cities_of_the_region_and_their_localities_are_open(region, code, flagship):
    seed(region=region)

    assert open_cities() == launch_cities(code)
    assert len(open_cities()) == 10
    assert (code, flagship) in open_cities()
    assert set(Locality.objects.active().values_list("city__country__code", flat=True)) == {code}
    assert not Locality.objects.filter(is_active=True, city__is_active=False).exists()
    assert not Locality.objects.filter(is_active=False, city__is_active=True).exists()


def test_the_running_region_decides_when_none_is_named(settings):
    settings.REGION = "in"

    call_command("seed_geography", verbosity=0)

    assert open_cities() == launch_cities("IN")


def test_what_ops_staff_changed_stays():
    seed(region="us")
    City.objects.filter(slug="austin").update(is_active=False, name="Austin, Texas")
    City.objects.filter(slug="houston").update(is_active=True)
    Country.objects.filter(code="IN").update(is_active=False)
    Locality.objects.filter(city__slug="austin", slug="zilker").update(is_active=False)

    seed(region="us")

    assert City.objects.values_list("name", "is_active").get(slug="austin") == ("Austin, Texas", False)
    assert City.objects.get(slug="houston").is_active is True
    assert Country.objects.get(code="IN").is_active is False
    assert Locality.objects.get(city__slug="austin", slug="zilker").is_active is False


def test_a_place_that_is_missing_comes_back_and_a_locality_opens_with_its_city():
    seed(region="us")
    City.objects.filter(slug="austin").update(is_active=False)
    Locality.objects.filter(city__slug__in=("austin", "denver"), slug__in=("downtown", "baker")).delete()

    assert seed(region="us") == {"countries": 0, "cities": 0, "localities": 2}

    assert Locality.objects.get(city__slug="austin", slug="downtown").is_active is False
    assert Locality.objects.get(city__slug="denver", slug="baker").is_active is True


def test_the_files_hold_only_real_time_zones_and_plausible_coordinates():
    boxes = {"US": ((18, 72), (-170, -66)), "IN": ((6, 36), (68, 98))}
    for row in lines("cities.csv"):
        (south, north), (west, east) = boxes[row["country"]]
        assert row["timezone"] in zoneinfo.available_timezones()
        assert south < float(row["latitude"]) < north
        assert west < float(row["longitude"]) < east


def test_the_cities_cover_places_without_clock_changes_and_far_from_the_mainland():
    zones = {row["slug"]: row["timezone"] for row in lines("cities.csv")}

    assert zones["phoenix"] == "America/Phoenix"
    assert zones["honolulu"] == "Pacific/Honolulu"
    assert zones["anchorage"] == "America/Anchorage"
    assert {zone for slug, zone in zones.items() if slug in ("bangalore", "mumbai", "delhi")} == {"Asia/Kolkata"}


@pytest.mark.parametrize("code", ["US", "IN"])
def test_every_launch_city_has_six_to_twelve_localities(code):
    for _, slug in launch_cities(code):
        assert 6 <= sum(row["city"] == slug and row["country"] == code for row in lines("localities.csv")) <= 12
