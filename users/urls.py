from django.urls import path

from users.views import RegionView, SyncView

urlpatterns = [
    path("auth/sync", SyncView.as_view()),
    path("me/region", RegionView.as_view()),
]
