from django.urls import path

from geography.views import CityList, CountryList, LocalityList

urlpatterns = [
    path("countries", CountryList.as_view()),
    path("cities", CityList.as_view()),
    path("localities", LocalityList.as_view()),
]
