from django.urls import path

from marketplace.image_views import ActivityImageViewSet, ImageUploadView, ImageViewSet
from marketplace.import_views import ImportView
from marketplace.provider_views import (
    ActivityOfferingViewSet,
    LocationViewSet,
    OfferingViewSet,
    OnboardingView,
    ProviderActivityViewSet,
    SubmitView,
)
from marketplace.schedule_views import ScheduleViewSet
from marketplace.views import ActivityViewSet, CategoryList, ProfileView, ProviderView, SessionList, SuggestView

urlpatterns = [
    path("categories", CategoryList.as_view()),
    path("activities", ActivityViewSet.as_view({"get": "list"})),
    path("activities/<str:key>", ActivityViewSet.as_view({"get": "retrieve"})),
    path("activities/<uuid:activity_id>/sessions", SessionList.as_view()),
    path("search/suggest", SuggestView.as_view()),
    path("providers/<str:slug>", ProviderView.as_view()),
    path("provider/onboarding", OnboardingView.as_view()),
    path("provider/profile/submit", SubmitView.as_view()),
    path("provider/locations", LocationViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "provider/locations/<uuid:pk>",
        LocationViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path("provider/activities", ProviderActivityViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "provider/activities/<uuid:pk>",
        ProviderActivityViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    *(
        path(f"provider/activities/<uuid:pk>/{verb}", ProviderActivityViewSet.as_view({"post": verb}))
        for verb in ("publish", "unpublish", "archive", "restore")
    ),
    path(
        "provider/activities/<uuid:activity_id>/offerings",
        ActivityOfferingViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "provider/offerings/<uuid:pk>",
        OfferingViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path(
        "provider/activities/<uuid:activity_id>/images",
        ActivityImageViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path("provider/images/<uuid:pk>", ImageViewSet.as_view({"patch": "partial_update", "delete": "destroy"})),
    path("provider/images/<uuid:pk>/complete", ImageViewSet.as_view({"post": "complete"})),
    path("uploads/<uuid:upload_id>", ImageUploadView.as_view()),
    path(
        "provider/activities/<uuid:activity_id>/sessions",
        ScheduleViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path("provider/import", ImportView.as_view()),
    path("me", ProfileView.as_view()),
]
