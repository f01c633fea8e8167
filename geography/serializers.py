"""Countries, cities and localities as the public sees them."""

from core.serializers import ModelSerializer
from geography.models import City, Country, Locality


class CountrySerializer(ModelSerializer):
    class Meta:
        model = Country
        fields = ["id", "code", "name", "currency", "phone_prefix", "region"]


class CitySerializer(ModelSerializer):
    class Meta:
        model = City
        fields = ["id", "name", "slug", "timezone", "latitude", "longitude", "country"]

    country = CountrySerializer(read_only=True)


class LocalitySerializer(ModelSerializer):
    class Meta:
        model = Locality
        fields = ["id", "name", "slug"]
