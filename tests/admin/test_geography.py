"""Opening and closing markets, by hand and by CSV."""

import pytest
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from core.errors import InvalidState
from geography import services
from geography.models import City, Country, Locality
from marketplace.models import SearchRow
from tests import factories as make
from tests.admin.conftest import signed_in
from tests.admin.rows import staff
from tests.meeting import Meeting, unlock

pytestmark = pytest.mark.django_db(databases=["default", "global"])
COUNTRIES, CITIES, LOCALITIES = (f"/admin/geography/{name}/" for name in ("country", "city", "locality"))
HEAD = "country,slug,name,timezone,latitude,longitude,population,is_active\n"


def page(row, verb: str = "change") -> str:
    return f"/admin/geography/{row._meta.model_name}/{row.pk}/{verb}/"


def consequences(client, row, verb: str) -> list[str]:
    return client.get(page(row, verb)).context["consequences"]


def public_activity(city: City, **fields):
    """An activity that parents can book in `city`, with one session to come."""
    location = make.LocationFactory(city=city)
    activity = make.ActivityFactory(provider=location.provider, **fields)
    return make.SessionFactory(offering=make.OfferingFactory(activity=activity), location=location)


def entries(row) -> list[str]:
    found = LogEntry.objects.filter(object_id=str(row.pk)).order_by("id")
    return list(found.values_list("change_message", flat=True))


# --- By hand -------------------------------------------------------------------------------------------------------


def test_closing_a_city_says_first_what_it_hides_and_then_hides_just_that(ops):
    austin = make.CityFactory()
    session = public_activity(austin)
    public_activity(make.CityFactory(name="Reno", slug="reno", timezone="America/Los_Angeles"))
    make.BookingFactory(session=session, status="confirmed")
    make.BookingFactory(session=session, status="cancelled")
    assert consequences(ops, austin, "close") == [
        "1 activity of 1 provider can no longer be found or booked there.",
        "1 booking to come there: they stay, and no money goes back by itself.",
        "Providers there can still work; new ones can no longer choose it.",
    ]
    austin.refresh_from_db()
    assert (austin.is_active, SearchRow.objects.count()) == (True, 2)
    ops.post(page(austin, "close"), {"apply": "yes"})
    austin.refresh_from_db()
    assert (austin.is_active, SearchRow.objects.count()) == (False, 1)
    assert entries(austin) == ["Closed."]


def test_opening_a_city_says_first_what_appears(ops):
    austin = make.CityFactory(is_active=False)
    public_activity(austin)
    public_activity(austin, status="draft")
    assert consequences(ops, austin, "open") == ["Austin appears with 1 activity of 1 provider."]
    ops.post(page(austin, "open"), {"apply": "yes"})
    assert SearchRow.objects.count() == 1
    Country.objects.update(is_active=False)
    City.objects.update(is_active=False)
    assert consequences(ops, austin, "open")[1:] == [
        "United States is closed: nothing of it appears until it is opened, too."
    ]


def test_several_cities_are_closed_from_the_list(ops):
    cities = [make.CityFactory(name=name, slug=name.lower()) for name in ("Austin", "Boise")]
    chosen = {"action": "close", "_selected_action": [str(city.pk) for city in cities], "index": "0"}
    assert ops.post(CITIES, chosen).status_code == 200
    assert City.objects.filter(is_active=True).count() == 2
    ops.post(CITIES, chosen | {"apply": "yes"})
    assert City.objects.filter(is_active=True).count() == 0


def test_closing_a_country_or_a_locality_says_what_it_hides(ops):
    austin = make.CityFactory()
    downtown = Locality.objects.create(city=austin, name="Downtown", slug="downtown", is_active=True)
    location = make.LocationFactory(city=austin, locality=downtown)
    offering = make.OfferingFactory(activity=make.ActivityFactory(provider=location.provider))
    make.SessionFactory(offering=offering, location=location)
    assert consequences(ops, austin.country, "close")[:2] == [
        "1 open city closes with it, and open with it again.",
        "1 activity of 1 provider can no longer be found or booked there.",
    ]
    assert consequences(ops, downtown, "close") == [
        "1 activity can no longer be found by it, and stay in their city's list."
    ]


def test_a_form_cannot_switch_a_city(ops):
    austin = make.CityFactory()
    form = {"country": str(austin.country_id), "name": "Austin", "slug": "austin", "timezone": "America/Chicago"}
    assert ops.post(page(austin), form).status_code == 302
    assert ops.post(f"{CITIES}add/", form | {"slug": "other", "is_active": "on"}).status_code == 302
    assert dict(City.objects.values_list("slug", "is_active")) == {"austin": True, "other": False}


@pytest.mark.parametrize(
    ("field", "value"), [("timezone", "America/Dallas"), ("latitude", "91"), ("longitude", "-181"), ("slug", "a b")]
)
def test_a_city_needs_a_real_zone_real_coordinates_and_a_slug(ops, field, value):
    country = make.CountryFactory()
    form = {"country": str(country.pk), "name": "Dallas", "slug": "dallas", "timezone": "America/Chicago"}
    response = ops.post(f"{CITIES}add/", form | {field: value})
    assert list(response.context["adminform"].form.errors) == [field]
    assert City.objects.count() == 0


def test_a_country_with_cities_cannot_be_deleted(ops):
    city = make.CityFactory()
    response = ops.post(f"/admin/geography/country/{city.country_id}/delete/", {"post": "yes"})
    assert response.status_code == 200
    assert "protected" in response.content.decode()
    assert Country.objects.count() == 1


# --- A market at once ----------------------------------------------------------------------------------------------


def test_a_market_opens_with_its_cities_and_their_localities(ops, messages_of):
    country = make.CountryFactory(is_active=False)
    austin, reno, left_out = (
        make.CityFactory(name=name, slug=name.lower(), is_active=False) for name in ("Austin", "Reno", "Waco")
    )
    quarter = Locality.objects.create(city=austin, name="Downtown", slug="downtown")
    public_activity(austin)
    asked = ops.get(page(country, "open_market"))
    assert [(city.name, appears) for city, appears in asked.context["rows"]] == [
        ("Austin", "1 activity of 1 provider"),
        ("Reno", "nothing to book yet"),
        ("Waco", "nothing to book yet"),
    ]
    assert asked.context["chosen"] == {austin.pk}
    assert not Country.objects.filter(is_active=True).exists()
    answer = ops.post(page(country, "open_market"), {"cities": [austin.pk, reno.pk]}, follow=True)
    assert messages_of(answer) == ["Opened: United States, Austin, Reno."]
    for row, is_active in ((country, True), (austin, True), (reno, True), (quarter, True), (left_out, False)):
        row.refresh_from_db()
        assert row.is_active is is_active, row
    assert SearchRow.objects.count() == 1
    assert entries(country) == entries(austin) == entries(reno) == ["Opened."]
    again = ops.post(page(country, "open_market"), {"cities": [austin.pk]}, follow=True)
    assert messages_of(again) == ["Opened: nothing that was not open already."]
    assert entries(austin) == ["Opened."]


def test_a_market_with_nothing_in_it_yet_opens_as_a_whole(ops):
    city = make.CityFactory(country__is_active=False, is_active=False)
    assert ops.get(page(city.country, "open_market")).context["chosen"] == {city.pk}


def test_a_city_of_another_country_does_not_open_along(ops):
    country = make.CountryFactory(is_active=False)
    stranger = make.CityFactory(country=make.CountryFactory(region="in"), is_active=False)
    answer = ops.post(page(country, "open_market"), {"cities": [stranger.pk]})
    assert answer.status_code == 200
    assert "not one of the available choices" in answer.content.decode()
    assert not (City.objects.filter(is_active=True).exists() or Country.objects.get(code="US").is_active)


def test_what_the_other_region_serves_is_opened_there(ops, messages_of):
    bangalore = make.CityFactory(country=make.CountryFactory(region="in"), is_active=False)
    answer = ops.get(page(bangalore.country, "open_market"), follow=True)
    assert messages_of(answer) == ["India is opened in the region India, not here."]
    answer = ops.post(page(bangalore, "open"), {"apply": "yes"}, follow=True)
    assert messages_of(answer) == ["Open is not possible for Bangalore (opened in the region India)."]
    bangalore.refresh_from_db()
    assert bangalore.is_active is False


def test_the_page_of_a_market_takes_as_many_queries_for_three_cities_as_for_one(ops):
    country = make.CountryFactory()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert ops.get(page(country, "open_market")).status_code == 200
        return len(captured)

    public_activity(make.CityFactory())
    queries()
    with_one = queries()
    for name in ("Reno", "Waco"):
        public_activity(make.CityFactory(name=name, slug=name.lower()))
    assert queries() == with_one <= 14


# --- Two at once ---------------------------------------------------------------------------------------------------


def open_twice(monkeypatch, city, now) -> list[list]:
    """What each of two has opened; the first has looked and not yet written when the second comes."""

    def once():
        return services.open_market(country=city.country, cities=[city], now=now)

    return list(Meeting(monkeypatch, (QuerySet, "update")).of(once, once))


@pytest.mark.django_db(transaction=True)
def test_of_two_who_open_a_market_at_once_one_has_opened_it(monkeypatch, now):
    city = make.CityFactory(country__is_active=False, is_active=False)
    assert open_twice(monkeypatch, city, now) == [[city.country, city], []]


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_both_would_have_opened_it(monkeypatch, now):
    city = make.CityFactory(country__is_active=False, is_active=False)
    unlock(monkeypatch)
    first, second = open_twice(monkeypatch, city, now)
    assert city in first
    assert city in second


def test_of_two_who_close_a_city_at_once_one_wins_and_the_other_is_told(now):
    city = make.CityFactory()
    services.switch(city, is_active=False, now=now)
    with pytest.raises(InvalidState, match="changed by someone else in the meantime"):
        services.switch(city, is_active=False, now=now)


# --- Who may -------------------------------------------------------------------------------------------------------


def test_who_may_only_look_neither_opens_nor_closes_nor_imports(db):
    rights = [f"geography.view_{name}" for name in ("country", "city", "locality")]
    client, city = signed_in(staff(rights=rights)), make.CityFactory()
    assert client.get(CITIES).status_code == 200
    assert client.get(page(city, "close")).status_code == 403
    assert client.post(page(city, "close"), {"apply": "yes"}).status_code == 403
    assert client.post(page(city.country, "open_market"), {"cities": []}).status_code == 403
    assert client.get(f"{CITIES}import/").status_code == 403
    assert client.post(f"{CITIES}export/", {"format": "0"}).status_code == 200
    may_change_the_country_alone = signed_in(staff(rights=["geography.view_country", "geography.change_country"]))
    assert may_change_the_country_alone.get(page(city.country, "open_market")).status_code == 403
    city.refresh_from_db()
    assert city.is_active is True


# --- By CSV --------------------------------------------------------------------------------------------------------


def uploaded(ops, path: str, csv: str):
    """The answer of the preview."""
    file = SimpleUploadedFile("rows.csv", csv.encode(), "text/csv")
    answer = ops.post(f"{path}import/", {"import_file": file, "format": "0"})
    assert answer.status_code == 200
    return answer


def confirm(ops, path: str, preview):
    return ops.post(f"{path}process_import/", preview.context["confirm_form"].initial)


def wrong(preview) -> list[tuple[int, dict[str, list[str]]]]:
    """What is wrong, by row."""
    assert "confirm_form" not in preview.context
    assert not preview.context["result"].has_errors()
    return [(row.number, row.error.message_dict) for row in preview.context["result"].invalid_rows]


def test_cities_come_in_by_csv_and_known_ones_change(ops):
    make.CityFactory(is_active=False)
    rows = "US,austin,Austin,America/Chicago,30.27,-97.74,961855,1\nUS,reno,Reno,America/Los_Angeles,,,,0\n"
    preview = uploaded(ops, CITIES, HEAD + rows)
    assert City.objects.count() == 1
    assert confirm(ops, CITIES, preview).status_code == 302
    assert list(City.objects.order_by("slug").values_list("slug", "is_active", "population")) == [
        ("austin", True, 961855),
        ("reno", False, None),
    ]
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize(
    ("row", "field", "why"),
    [
        ("US,reno,Reno,America/Reno,,,,0", "timezone", "America/Reno is not an IANA time zone"),
        ("XX,reno,Reno,America/Los_Angeles,,,,0", "country", "There is no country XX here."),
        ("US,r e,Reno,America/Los_Angeles,,,,0", "slug", "Enter a valid “slug”"),
        ("US,reno,Reno,America/Los_Angeles,99,,,0", "latitude", "Ensure this value is less than or equal to 90."),
        ("US,reno,Reno,America/Los_Angeles,,-181,,0", "longitude", "Ensure this value is greater than or equal"),
        ("US,reno,Reno,America/Los_Angeles,,,-5,0", "population", "Ensure this value is greater than or equal to 0."),
        ("US,austin,Austin,America/Chicago,,,,0", "is_active", "It is open. Close it by the action of the list"),
    ],
    ids=["zone", "country", "slug", "latitude", "longitude", "population", "closing"],
)  # fmt: skip
def test_one_wrong_row_is_named_and_keeps_the_whole_csv_out(ops, row, field, why):
    make.CityFactory()
    preview = uploaded(ops, CITIES, HEAD + "US,ely,Ely,America/Los_Angeles,,,,0\n" + row + "\n")
    [(number, said)] = wrong(preview)
    assert number == 2
    assert said[field][0].startswith(why)
    assert list(City.objects.values_list("slug", "is_active")) == [("austin", True)]


def test_what_went_wrong_after_the_preview_keeps_the_whole_csv_out(ops, messages_of):
    austin = make.CityFactory(is_active=False)
    rows = "US,ely,Ely,America/Los_Angeles,,,,0\nUS,austin,Austin,America/Chicago,,,9,0\n"
    preview = uploaded(ops, CITIES, HEAD + rows)
    ops.post(page(austin, "open"), {"apply": "yes"})
    answer = ops.post(f"{CITIES}process_import/", preview.context["confirm_form"].initial, follow=True)
    assert messages_of(answer)[-1] == "Nothing was imported: something changed in the meantime. Upload the file again."
    assert list(City.objects.values_list("slug", "is_active", "population")) == [("austin", True, None)]


def test_a_csv_without_its_columns_is_refused_in_words(ops):
    make.CountryFactory()
    answer = uploaded(ops, CITIES, "name\nReno\n").content.decode()
    assert "slug" in answer
    assert "Traceback" not in answer
    assert City.objects.count() == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00code", "Ensure you have chosen the correct format for the file"),
        (b"code,name\n" + b"x" * 1024 * 1024, "At most 1.0\xa0MB at once, please."),
        (b"", "The submitted file is empty."),
    ],
    ids=["not UTF-8", "too large", "empty"],
)
def test_what_is_no_csv_is_refused_in_words(ops, content, said):
    file = SimpleUploadedFile("rows.csv", content, "text/csv")
    answer = ops.post(f"{COUNTRIES}import/", {"import_file": file, "format": "0"})
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert Country.objects.count() == 0


def test_localities_go_out_and_come_in_by_csv(ops):
    austin = make.CityFactory()
    Locality.objects.create(city=austin, name="Downtown", slug="downtown")
    out = ops.post(f"{LOCALITIES}export/", {"format": "0"})
    assert out.content.decode() == "country,city,slug,name,is_active\r\nUS,austin,downtown,Downtown,0\r\n"
    text = out.content.decode().replace(",0", ",1") + "US,austin,zilker,Zilker,0\r\n"
    assert confirm(ops, LOCALITIES, uploaded(ops, LOCALITIES, text)).status_code == 302
    assert list(Locality.objects.order_by("slug").values_list("slug", "is_active")) == [
        ("downtown", True),
        ("zilker", False),
    ]
    [(_, said)] = wrong(uploaded(ops, LOCALITIES, "country,city,slug,name,is_active\nUS,reno,x,X,0\n"))
    assert said["city"] == ["There is no city reno here."]


def test_countries_go_out_and_come_in_by_csv(ops):
    make.CountryFactory()
    out = ops.post(f"{COUNTRIES}export/", {"format": "0"}).content.decode()
    assert out == "code,name,currency,phone_prefix,region,is_active\r\nUS,United States,USD,+1,us,1\r\n"
    preview = uploaded(ops, COUNTRIES, out + "CA,Canada,USD,+1,us,0\r\n")
    assert confirm(ops, COUNTRIES, preview).status_code == 302
    assert list(Country.objects.order_by("code").values_list("code", "is_active")) == [("CA", False), ("US", True)]
    [(number, said)] = wrong(uploaded(ops, COUNTRIES, out + "MX,Mexico,MXN,+52,us,0\r\n"))
    assert (number, list(said)) == (2, ["currency"])
