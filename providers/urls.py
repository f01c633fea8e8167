from django.urls import path

from providers.views import (
    AcceptInvitationView,
    AccountList,
    InvitationViewSet,
    OwnMembershipView,
    ProviderProfileView,
    StaffViewSet,
)

urlpatterns = [
    path("provider/accounts", AccountList.as_view()),
    path("provider/profile", ProviderProfileView.as_view()),
    path("provider/staff", StaffViewSet.as_view({"get": "list", "post": "create"})),
    path("provider/staff/me", OwnMembershipView.as_view()),
    path("provider/staff/transfer-ownership", StaffViewSet.as_view({"post": "transfer_ownership"})),
    path("provider/staff/<uuid:pk>", StaffViewSet.as_view({"patch": "partial_update", "delete": "destroy"})),
    path("provider/invitations", InvitationViewSet.as_view({"get": "list"})),
    path("provider/invitations/<uuid:pk>", InvitationViewSet.as_view({"delete": "destroy"})),
    path("provider/invitations/<uuid:pk>/resend", InvitationViewSet.as_view({"post": "resend"})),
    path("provider/invitations/<str:token>/accept", AcceptInvitationView.as_view()),
]
