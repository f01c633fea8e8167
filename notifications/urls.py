from django.urls import path

from notifications.views import (
    BounceView,
    NotificationList,
    PreferencesView,
    ReadAllView,
    ReadView,
    UnsubscribeView,
)

urlpatterns = [
    path("me/notifications", NotificationList.as_view()),
    path("me/notifications/read", ReadAllView.as_view()),
    path("me/notifications/<uuid:notification_id>/read", ReadView.as_view()),
    path("me/notification-preferences", PreferencesView.as_view()),
    path("notifications/unsubscribe/<str:token>", UnsubscribeView.as_view()),
    path("notifications/bounces/<str:provider>", BounceView.as_view()),
]
