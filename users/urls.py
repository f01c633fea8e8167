from django.urls import path

from users.views import ConsentView, RegionView, SyncView

urlpatterns = [
    path("auth/sync", SyncView.as_view()),
    path("me/region", RegionView.as_view()),
    path("me/consents", ConsentView.as_view()),
]
