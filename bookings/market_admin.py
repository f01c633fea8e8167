"""Markets: ops open and close countries, cities and localities, one by one, a market at once, or by CSV.

Geography knows nothing of activities and bookings; here is where all of them are known, and so what a switch hides.
"""

from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.db.models import Count, Q, QuerySet
from django.forms import CheckboxSelectMultiple, Form, ModelMultipleChoiceField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from import_export.admin import ImportExportModelAdmin
from import_export.formats.base_formats import CSV
from import_export.results import Result
from import_export.tmp_storages import CacheStorage
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.contrib.import_export.forms import ExportForm, ImportForm
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from bookings.models import Booking
from core.admin import Admin, counted, links, verb
from core.models import Region
from geography import services
from geography.models import City, Country, Locality
from geography.resources import CityResource, CountryResource, LocalityResource
from marketplace.models import Activity, Offering, SearchRow, Session

# --- What a switch shows and hides -----------------------------------------------------------------------------------


def hidden_with(cities: QuerySet[City], *, now: datetime) -> list[str]:
    """What leaves the catalogue with these open cities."""
    shown = SearchRow.objects.filter(city__in=cities).aggregate(
        activities=Count("activity", distinct=True), providers=Count("activity__provider", distinct=True)
    )
    bookings = Booking.objects.filter(
        session__location__city__in=cities,
        session__starts_at__gt=now,
        status__in=[Booking.Status.PENDING_PAYMENT, Booking.Status.CONFIRMED],
    ).count()
    return [
        f"{counted(shown['activities'], 'activity', 'activities')} of"
        f" {counted(shown['providers'], 'provider', 'providers')} can no longer be found or booked there.",
        f"{counted(bookings, 'booking', 'bookings')} to come there: they stay, and no money goes back by itself.",
    ]


def shown_with(cities: QuerySet[City], *, now: datetime) -> dict[Any, Any]:
    """What appears in the catalogue with each of these cities, by its id: activities with sessions to come."""
    coming = Session.objects.filter(
        location__city__in=cities,
        starts_at__gt=now,
        status=Session.Status.SCHEDULED,
        offering__status=Offering.Status.ACTIVE,
        activity__in=Activity.objects.public(),
    )
    found = (
        coming.order_by()
        .values("location__city")
        .annotate(activities=Count("activity", distinct=True), providers=Count("activity__provider", distinct=True))
    )
    return {each["location__city"]: each for each in found}


def appears(found: dict[str, int] | None) -> str:
    if not found:
        return "nothing to book yet"
    return (
        f"{counted(found['activities'], 'activity', 'activities')} of"
        f" {counted(found['providers'], 'provider', 'providers')}"
    )


def of_opening_cities(rows: list[City], *, now: datetime) -> list[str]:
    shown = shown_with(City.objects.filter(pk__in=[row.pk for row in rows]), now=now)
    lines = [f"{row} appears with {appears(shown.get(row.pk))}." for row in rows]
    return lines + [
        f"{country} is closed: nothing of it appears until it is opened, too."
        for country in sorted({row.country.name for row in rows if not row.country.is_active})
    ]


def of_closing_cities(rows: list[City], *, now: datetime) -> list[str]:
    cities = City.objects.filter(pk__in=[row.pk for row in rows])
    return [*hidden_with(cities, now=now), "Providers there can still work; new ones can no longer choose it."]


def of_closing_countries(rows: list[Country], *, now: datetime) -> list[str]:
    cities = City.objects.filter(country__in=rows, is_active=True)
    return [
        f"{counted(cities.count(), 'open city closes', 'open cities close')} with it, and open with it again.",
        *hidden_with(cities, now=now),
        "Nobody can choose it as their country any more.",
    ]


def of_opening_localities(rows: list[Locality], *, now: datetime) -> list[str]:
    return ["Parents can look for activities by it, and providers choose it for their places."]


def of_closing_localities(rows: list[Locality], *, now: datetime) -> list[str]:
    chosen = Q()
    for row in rows:
        chosen |= Q(city=row.city_id, locality_slugs__contains=[row.slug])
    activities = SearchRow.objects.filter(chosen).values("activity").distinct().count()
    return [
        f"{counted(activities, 'activity', 'activities')} can no longer be found by it, and stay in their city's list."
    ]


# --- The pages -------------------------------------------------------------------------------------------------------


def opening(tells: Any, when: Any = lambda row: not row.is_active) -> Any:
    return verb(
        title="Open",
        past="Opened",
        when=when,
        run=partial(services.switch, is_active=True),
        tells=tells,
        icon="visibility",
        variant=ActionVariant.SUCCESS,
    )


def closing(tells: Any) -> Any:
    return verb(
        title="Close",
        past="Closed",
        when=lambda row: row.is_active,
        run=partial(services.switch, is_active=False),
        tells=tells,
        icon="visibility_off",
        variant=ActionVariant.DANGER,
    )


class PlaceImportForm(ImportForm):
    def clean_import_file(self) -> Any:
        file = self.cleaned_data["import_file"]
        if file.size > settings.MAX_BODY_BYTES:
            raise ValidationError(f"At most {filesizeformat(settings.MAX_BODY_BYTES)} at once, please.")
        return file


class PlaceAdmin(Admin, ImportExportModelAdmin):
    """Import and export as CSV. The upload waits for its confirmation in Redis, not on this process's disk."""

    import_form_class = PlaceImportForm
    export_form_class = ExportForm
    formats = [CSV]
    tmp_storage_class = CacheStorage
    exclude = ["is_active"]
    readonly_fields = ["opened"]
    actions = ["open", "close"]
    actions_detail = ["open", "close"]

    @display(description="Open", boolean=True, ordering="is_active")
    def opened(self, row: Any) -> bool:
        return row.is_active

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_import_data_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_import_data_kwargs(**kwargs), "rollback_on_validation_errors": True}

    def process_result(self, result: Result, request: HttpRequest) -> HttpResponse:
        if result.has_errors() or result.has_validation_errors():
            # It was in order when it was looked at.
            messages.error(request, "Nothing was imported: something changed in the meantime. Upload the file again.")
            return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_import"))
        return super().process_result(result, request)

    def state_of(self, row: Any) -> str:
        return "open" if row.is_active else "closed"


def is_closed_here(row: City) -> bool:
    """Cities are opened on the servers of their own region: nobody could book there through another's."""
    return not row.is_active and row.country.region == settings.REGION


class MarketForm(Form):
    cities = ModelMultipleChoiceField(City.objects.none(), widget=CheckboxSelectMultiple, required=False)


@admin.register(Country)
class CountryAdmin(PlaceAdmin):
    resource_classes = [CountryResource]
    list_display = ["name", "code", "currency", "phone_prefix", "region", "open_cities", "opened"]
    list_filter = ["region", "is_active"]
    search_fields = ["name", "=code"]
    ordering = ["name"]
    actions = ["close"]
    actions_detail = ["open_market", "close"]
    close = closing(of_closing_countries)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # Accounts and cities hang on them.
        return [*super().get_readonly_fields(request, obj), *(["code", "currency", "region"] if obj else [])]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Country]:
        cities = Count("cities", filter=Q(cities__is_active=True))
        return super().get_queryset(request).annotate(open_count=cities)

    def get_list_display(self, request: HttpRequest) -> list[str]:
        return [*super().get_list_display(request), *(["market"] if self.has_change_permission(request) else [])]

    @display(description="Open cities", ordering="open_count")
    def open_cities(self, row: Any) -> int:
        return row.open_count

    @display(description="Market")
    def market(self, row: Country) -> SafeString | None:
        if row.region != settings.REGION:
            return None
        return links(**{"Open market": reverse("admin:geography_country_open_market", args=[row.pk])})

    @action(description="Open market", permissions=["change"], icon="rocket_launch", variant=ActionVariant.SUCCESS)
    def open_market(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The country and its cities at once: a page that says what appears, and the switch."""
        country = self.get_object(request, object_id)
        if country is None:
            raise Http404
        if not request.user.has_perm("geography.change_city"):  # type: ignore[union-attr]
            raise PermissionDenied
        back = reverse(self.change_url_name(), args=[country.pk])
        if country.region != settings.REGION:
            messages.error(request, f"{country} is opened in the region {Region(country.region).label}, not here.")
            return HttpResponseRedirect(back)
        cities = City.objects.filter(country=country).annotate(quarters=Count("localities")).order_by("name")
        form = MarketForm(request.POST if request.method == "POST" else None)
        form.fields["cities"].queryset = cities  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            with transaction.atomic():
                opened = services.open_market(country=country, cities=form.cleaned_data["cities"], now=timezone.now())
                for row in opened:
                    self.log_change(request, row, "Opened.")
            names = ", ".join(map(str, opened)) or "nothing that was not open already"
            messages.success(request, f"Opened: {names}.")
            return HttpResponseRedirect(back)
        shown = shown_with(cities, now=timezone.now())
        # What was open before, or has something to show; a market without either opens as a whole.
        likely = {city.pk for city in cities if city.is_active or city.pk in shown} or {city.pk for city in cities}
        rows = [(city, appears(shown.get(city.pk))) for city in cities]
        context = {
            **self.admin_site.each_context(request),
            "title": f"Open the market {country}",
            "opts": self.opts,
            "country": country,
            "rows": sorted(rows, key=lambda row: row[0].pk not in likely),
            "chosen": likely,
            "form": form,
            "back": back,
        }
        return TemplateResponse(request, "bookings/open_market.html", context)


@admin.register(City)
class CityAdmin(PlaceAdmin):
    resource_classes = [CityResource]
    list_display = ["name", "country", "timezone", "population", "opened"]
    list_filter = ["is_active", ("country", AutocompleteSelectFilter)]
    list_select_related = ["country"]
    search_fields = ["name", "slug"]
    autocomplete_fields = ["country"]
    prepopulated_fields = {"slug": ["name"]}
    ordering = ["name"]
    open = opening(of_opening_cities, is_closed_here)
    close = closing(of_closing_cities)

    def state_of(self, row: City) -> str:
        if row.country.region != settings.REGION:
            return f"opened in the region {Region(row.country.region).label}"
        return super().state_of(row)


@admin.register(Locality)
class LocalityAdmin(PlaceAdmin):
    resource_classes = [LocalityResource]
    list_display = ["name", "city", "country", "opened"]
    list_filter = ["is_active", ("city", AutocompleteSelectFilter)]
    list_select_related = ["city__country"]
    search_fields = ["name", "slug"]
    autocomplete_fields = ["city"]
    prepopulated_fields = {"slug": ["name"]}
    ordering = ["name"]
    open = opening(
        lambda rows, now: ["Parents can look for activities by it, and providers choose it for their places."]
    )
    close = closing(of_closing_localities)

    @display(description="Country", ordering="city__country")
    def country(self, row: Locality) -> models.Model:
        return row.city.country
