"""Markets: ops switch countries, cities and localities on and off, one by one or by CSV."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from import_export.admin import ImportExportModelAdmin
from import_export.fields import Field
from import_export.formats.base_formats import CSV
from import_export.resources import ModelResource
from import_export.tmp_storages import CacheStorage
from import_export.widgets import ForeignKeyWidget
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.contrib.import_export.forms import ExportForm, ImportForm

from core.admin import Admin, SwitchMixin
from geography.models import City, Country, Locality


class CityOfCountry(ForeignKeyWidget):
    """A city by its slug and the row's country code: two countries may have a city of one name."""

    def get_queryset(self, value: Any, row: dict[str, Any], *args: Any, **kwargs: Any) -> QuerySet[City]:
        return City.objects.filter(country__code=row.get("country"))


class MarketResource(ModelResource):
    """Rows are known by their slug; each is checked as a form would check it, and all go in or none."""

    class Meta:
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True
        use_transactions = True


class CityResource(MarketResource):
    country = Field(column_name="country", attribute="country", widget=ForeignKeyWidget(Country, "code"))

    class Meta(MarketResource.Meta):
        model = City
        import_id_fields = ["country", "slug"]
        fields = ["country", "slug", "name", "timezone", "latitude", "longitude", "population", "is_active"]
        export_order = fields


class LocalityResource(MarketResource):
    country = Field(column_name="country", attribute="city__country__code", readonly=True)
    city = Field(column_name="city", attribute="city", widget=CityOfCountry(City, "slug"))

    class Meta(MarketResource.Meta):
        model = Locality
        import_id_fields = ["city", "slug"]
        fields = ["country", "city", "slug", "name", "is_active"]
        export_order = fields


class CsvAdmin(ImportExportModelAdmin):
    """Import and export as CSV. The upload waits for its confirmation in Redis, not on this process's disk."""

    import_form_class = ImportForm
    export_form_class = ExportForm
    formats = [CSV]
    tmp_storage_class = CacheStorage

    def has_import_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


@admin.register(Country)
class CountryAdmin(SwitchMixin, Admin):
    list_display = ["name", "code", "currency", "phone_prefix", "region", "is_active"]
    list_editable = ["is_active"]
    list_filter = ["region", "is_active"]
    search_fields = ["name", "=code"]
    ordering = ["name"]


@admin.register(City)
class CityAdmin(SwitchMixin, Admin, CsvAdmin):
    resource_classes = [CityResource]
    list_display = ["name", "country", "timezone", "population", "is_active"]
    list_editable = ["is_active"]
    list_filter = ["is_active", ("country", AutocompleteSelectFilter)]
    list_select_related = ["country"]
    search_fields = ["name", "slug"]
    autocomplete_fields = ["country"]
    prepopulated_fields = {"slug": ["name"]}
    ordering = ["name"]


@admin.register(Locality)
class LocalityAdmin(SwitchMixin, Admin, CsvAdmin):
    resource_classes = [LocalityResource]
    list_display = ["name", "city", "country", "is_active"]
    list_editable = ["is_active"]
    list_filter = ["is_active", ("city", AutocompleteSelectFilter)]
    list_select_related = ["city__country"]
    search_fields = ["name", "slug"]
    autocomplete_fields = ["city"]
    prepopulated_fields = {"slug": ["name"]}
    ordering = ["name"]

    @admin.display(ordering="city__country")
    def country(self, row: Locality) -> Model:
        return row.city.country
