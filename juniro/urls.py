"""Every address: `/v1` for the API, `/admin/` for ops, `/media` for pictures, `/health` for those who watch over it."""

from importlib import import_module

from django.contrib import admin
from django.urls import include, path

from core.metrics import metrics
from core.views import HealthView, ReadyView
from marketplace.image_views import ImageFileView
from users.signin_views import second_factor_page, sign_in

# In the order in which an address is looked for: what everybody reads comes first.
APPS = (
    "marketplace",
    "core",
    "geography",
    "users",
    "notifications",
    "providers",
    "bookings",
    "payments",
    "messaging",
    "privacy",
)

urlpatterns = [
    path("health", HealthView.as_view()),
    path("health/ready", ReadyView.as_view()),
    path("metrics", metrics),
    path("admin/login/", sign_in),
    path("admin/second-factor/", second_factor_page, name="second_factor"),
    path("admin/", admin.site.urls),
    path("media/images/<uuid:image_id>.jpg", ImageFileView.as_view()),
    path("v1/", include([route for app in APPS for route in import_module(f"{app}.urls").urlpatterns])),
]

handler400 = "core.exceptions.bad_request"
handler403 = "core.exceptions.permission_denied"
handler404 = "core.exceptions.not_found"
handler500 = "core.exceptions.server_error"
