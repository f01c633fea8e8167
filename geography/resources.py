"""Countries, cities and localities as CSV: what an upload may change, and what is wrong with a row."""

from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Model, QuerySet
from import_export.fields import Field
from import_export.instance_loaders import BaseInstanceLoader
from import_export.resources import ModelResource
from import_export.results import Error
from import_export.widgets import ForeignKeyWidget

from geography.models import City, Country, Locality


class Named(ForeignKeyWidget):
    """A row that must be there already, known by its code or slug."""

    def clean(self, value: Any, row: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        try:
            return super().clean(value, row=row, **kwargs)
        except ObjectDoesNotExist:
            raise ValueError(f"There is no {self.model._meta.verbose_name} {value} here.") from None


class CityOfCountry(Named):
    """A city by its slug and the row's country code: two countries may have a city of one name."""

    def get_queryset(self, value: Any, row: dict[str, Any], *args: Any, **kwargs: Any) -> QuerySet[City]:
        return City.objects.filter(country__code=row.get("country"))


class Said(Error):
    """What is wrong, without the lines of code that found it."""

    traceback = ""


class PlaceResource(ModelResource):
    """Rows are known by their code or slug; each is checked as a form would check it, and all go in or none.

    An upload may open places and never closes one: that is a verb, which first says what it hides.
    """

    class Meta:
        clean_model_instances = True
        skip_unchanged = True
        report_skipped = True
        use_transactions = True

    def get_error_result_class(self) -> type[Error]:
        return Said

    def get_instance(self, instance_loader: BaseInstanceLoader, row: dict[str, Any]) -> Model | None:
        try:
            return super().get_instance(instance_loader, row)
        except ValueError:
            # Said once more of the field, when the row is read.
            return None

    def import_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        was_active = instance.is_active and not instance._state.adding
        super().import_instance(instance, row, **kwargs)
        if was_active and not instance.is_active:
            raise ValidationError(
                {"is_active": "It is open. Close it by the action of the list, which says first what that hides."}
            )


class CountryResource(PlaceResource):
    class Meta(PlaceResource.Meta):
        model = Country
        import_id_fields = ["code"]
        fields = ["code", "name", "currency", "phone_prefix", "region", "is_active"]
        export_order = fields


class CityResource(PlaceResource):
    country = Field(column_name="country", attribute="country", widget=Named(Country, "code"))

    class Meta(PlaceResource.Meta):
        model = City
        import_id_fields = ["country", "slug"]
        fields = ["country", "slug", "name", "timezone", "latitude", "longitude", "population", "is_active"]
        export_order = fields


class LocalityResource(PlaceResource):
    country = Field(column_name="country", attribute="city__country__code", readonly=True)
    city = Field(column_name="city", attribute="city", widget=CityOfCountry(City, "slug"))

    class Meta(PlaceResource.Meta):
        model = Locality
        import_id_fields = ["city", "slug"]
        fields = ["country", "city", "slug", "name", "is_active"]
        export_order = fields
