from django.urls import path

from marketplace.schedule_views import ScheduleViewSet
from marketplace.views import ActivityViewSet, CategoryList, ProfileView, ProviderView, SessionList, SuggestView

urlpatterns = [
    path("categories", CategoryList.as_view()),
    path("activities", ActivityViewSet.as_view({"get": "list"})),
    path("activities/<str:key>", ActivityViewSet.as_view({"get": "retrieve"})),
    path("activities/<uuid:activity_id>/sessions", SessionList.as_view()),
    path("search/suggest", SuggestView.as_view()),
    path("providers/<str:slug>", ProviderView.as_view()),
    path(
        "provider/activities/<uuid:activity_id>/sessions",
        ScheduleViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path("me", ProfileView.as_view()),
]
