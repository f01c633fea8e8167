"""Every address: `/v1` for the API, `/admin/` for ops, `/health` for those who watch over it."""

from django.contrib import admin
from django.urls import include, path

from core.metrics import metrics
from core.views import HealthView, ReadyView

urlpatterns = [
    path("health", HealthView.as_view()),
    path("health/ready", ReadyView.as_view()),
    path("metrics", metrics),
    path("admin/", admin.site.urls),
    path("v1/", include("core.urls")),
    path("v1/", include("geography.urls")),
    path("v1/", include("users.urls")),
    path("v1/", include("providers.urls")),
    path("v1/", include("marketplace.urls")),
    path("v1/", include("bookings.urls")),
    path("v1/", include("payments.urls")),
    path("v1/", include("messaging.urls")),
]

handler400 = "core.exceptions.bad_request"
handler403 = "core.exceptions.permission_denied"
handler404 = "core.exceptions.not_found"
handler500 = "core.exceptions.server_error"
