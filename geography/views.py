"""`/v1/countries`, `/v1/cities`, `/v1/localities`: the active ones."""

from django.db.models import QuerySet
from rest_framework.generics import ListAPIView

from core.errors import ValidationFailed
from core.query import known_only
from core.views import PublicView
from geography.models import City, Country, Locality
from geography.serializers import CitySerializer, CountrySerializer, LocalitySerializer


class CountryList(PublicView, ListAPIView[Country]):
    serializer_class = CountrySerializer
    queryset = Country.objects.active()

    def get_queryset(self) -> QuerySet[Country]:
        known_only(self.request)
        return super().get_queryset()


class CityList(PublicView, ListAPIView[City]):
    """Active cities, of one `country` (code) or of all."""

    serializer_class = CitySerializer
    # Names repeat (nine Springfields), and a page must not.
    queryset = City.objects.active().filter(country__is_active=True).select_related("country").order_by("name", "pk")

    def get_queryset(self) -> QuerySet[City]:
        country = known_only(self.request, "country").get("country")
        return super().get_queryset().filter(country__code__iexact=country) if country else super().get_queryset()


class LocalityList(PublicView, ListAPIView[Locality]):
    """Active localities of one `city` (slug)."""

    serializer_class = LocalitySerializer
    queryset = (
        Locality.objects.active().filter(city__is_active=True, city__country__is_active=True).order_by("name", "pk")
    )

    def get_queryset(self) -> QuerySet[Locality]:
        city = known_only(self.request, "city").get("city")
        if not city:
            raise ValidationFailed("Name the city: ?city=austin.", field="city")
        return super().get_queryset().filter(city__slug=city)
