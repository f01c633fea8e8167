from django.urls import path

from providers.views import ProviderProfileView

urlpatterns = [path("provider/profile", ProviderProfileView.as_view())]
