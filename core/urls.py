from django.urls import path
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import TemplateHTMLRenderer

urlpatterns = [
    path("openapi.json", SpectacularAPIView.as_view(renderer_classes=[OpenApiJsonRenderer]), name="openapi"),
    # Its script has an address of its own, so that no script need stand in the page.
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="openapi", renderer_classes=[TemplateHTMLRenderer])),
]
