"""`/v1/provider`: a provider account in the hands of its staff."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.generics import ListAPIView, RetrieveUpdateAPIView
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from core.errors import InvalidState, RateLimited
from core.query import known_only
from providers import invitations, locations, services, staff
from providers.models import Invitation, Location, ProviderAccount, ProviderUser
from providers.permissions import STAFF_ONLY, own_account, own_membership
from providers.serializers import (
    InvitationSerializer,
    NewAccountSerializer,
    OwnAccountSerializer,
    ProviderAccountSerializer,
    ProviderLocationSerializer,
    StaffIdSerializer,
    StaffSerializer,
)
from regions.permissions import HomeRegion
from regions.services import SlugTaken
from users.permissions import IsParent, IsProvider, caller


class ProviderProfileView(RetrieveUpdateAPIView[ProviderAccount]):
    """The caller's provider account; POST opens one, for parents, too."""

    errors = {"POST": (SlugTaken, InvalidState)}

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {
        "GET": "view",
        "HEAD": "view",
        "OPTIONS": "view",
        "PATCH": "edit_profile",
    }
    serializer_class = ProviderAccountSerializer
    http_method_names = ("get", "post", "patch", "head", "options")

    def get_permissions(self) -> list[BasePermission]:
        if self.request.method == "POST":
            return [IsAuthenticated(), HomeRegion(), IsParent()]
        return super().get_permissions()  # type: ignore[return-value]

    def get_object(self) -> ProviderAccount:
        return own_account(self.request)

    @extend_schema(request=NewAccountSerializer, responses={201: ProviderAccountSerializer})
    def post(self, request: Request) -> Response:
        """Opens an account with the caller as its owner, and makes a parent a provider."""
        body = NewAccountSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        account = services.open_account(user=caller(request), **body.validated_data)
        return Response(ProviderAccountSerializer(account).data, status.HTTP_201_CREATED)


class AccountList(ListAPIView[ProviderUser]):
    """The accounts that the caller works for, to choose one for `X-Provider-Account`."""

    permission_classes = (IsAuthenticated, HomeRegion, IsProvider)
    serializer_class = OwnAccountSerializer
    queryset = ProviderUser.objects.none()

    def get_queryset(self) -> QuerySet[ProviderUser]:
        known_only(self.request)
        mine = ProviderUser.objects.filter(user=caller(self.request))
        return mine.select_related("provider_account").order_by("id")


class StaffViewSet(mixins.ListModelMixin, GenericViewSet[ProviderUser]):
    """Who works for the account. POST invites somebody by e-mail."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {
        "GET": "manage_staff",
        "HEAD": "manage_staff",
        "OPTIONS": "manage_staff",
        "POST": "manage_staff",
        "PATCH": "manage_staff",
        "DELETE": "manage_staff",
        "transfer_ownership": "transfer_ownership",
    }
    errors = {
        "create": (InvalidState,),
        "partial_update": (staff.LastOwner,),
        "destroy": (staff.LastOwner,),
        "transfer_ownership": (InvalidState,),
    }
    serializer_class = StaffSerializer
    queryset = ProviderUser.objects.none()

    def get_queryset(self) -> QuerySet[ProviderUser]:
        known_only(self.request)
        colleagues = ProviderUser.objects.filter(provider_account=own_account(self.request))
        return colleagues.select_related("user__parent").order_by("id")

    @extend_schema(request=InvitationSerializer, responses={201: InvitationSerializer})
    def create(self, request: Request) -> Response:
        body = InvitationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        invitation = invitations.invite(by=own_membership(request), now=timezone.now(), **body.validated_data)
        return Response(InvitationSerializer(invitation).data, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: Any) -> Response:
        body = StaffSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        member = staff.change_role(by=own_membership(request), member_id=pk, role=body.validated_data["role"])
        return Response(StaffSerializer(member).data)

    def destroy(self, request: Request, pk: Any) -> Response:
        staff.remove(by=own_membership(request), member_id=pk)
        return Response(None)

    @extend_schema(request=StaffIdSerializer, responses=StaffSerializer)
    def transfer_ownership(self, request: Request) -> Response:
        """Makes another member an owner, and the caller an admin."""
        body = StaffIdSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        member = staff.transfer_ownership(by=own_membership(request), member_id=body.validated_data["staff_id"])
        return Response(StaffSerializer(member).data)


class OwnMembershipView(APIView):
    """The caller's own place in the account; DELETE leaves it."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"GET": "view", "HEAD": "view", "OPTIONS": "view", "DELETE": "leave"}
    errors = {"DELETE": (staff.LastOwner,)}

    @extend_schema(responses=StaffSerializer)
    def get(self, request: Request) -> Response:
        return Response(StaffSerializer(own_membership(request)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        me = own_membership(request)
        staff.remove(by=me, member_id=me.pk)
        return Response(None)


class InvitationViewSet(mixins.ListModelMixin, GenericViewSet[Invitation]):
    """Invitations that nobody has accepted yet, expired ones among them, latest first."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {
        "GET": "manage_staff",
        "HEAD": "manage_staff",
        "OPTIONS": "manage_staff",
        "POST": "manage_staff",
        "DELETE": "manage_staff",
    }
    errors = {"resend": (RateLimited,)}
    serializer_class = InvitationSerializer
    queryset = Invitation.objects.none()

    def get_queryset(self) -> QuerySet[Invitation]:
        known_only(self.request)
        return Invitation.objects.open().filter(provider_account=own_account(self.request)).order_by("-id")

    def destroy(self, request: Request, pk: Any) -> Response:
        """Takes the invitation back: its link is dead at once."""
        invitations.revoke(by=own_membership(request), invitation_id=pk)
        return Response(None)

    @extend_schema(request=None, responses=InvitationSerializer)
    def resend(self, request: Request, pk: Any) -> Response:
        """Sends a new link, valid for a week; the old one is dead."""
        invitation = invitations.resend(by=own_membership(request), invitation_id=pk, now=timezone.now())
        return Response(InvitationSerializer(invitation).data)


class AcceptInvitationView(APIView):
    """Makes the caller, whom a provider invited by e-mail, a member of its staff."""

    permission_classes = (IsAuthenticated, HomeRegion, IsParent)
    errors = {"POST": (InvalidState,)}

    @extend_schema(request=None, responses=OwnAccountSerializer)
    def post(self, request: Request, token: str) -> Response:
        member = invitations.accept(token=token, user=caller(request), now=timezone.now())
        return Response(OwnAccountSerializer(member).data)


class LocationViewSet(
    mixins.ListModelMixin, mixins.CreateModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Location]
):
    """The account's places, the default first. Changing one asks its sessions, and so lives in the marketplace."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {
        "GET": "view",
        "HEAD": "view",
        "OPTIONS": "view",
        "POST": "create",
        "PATCH": "edit",
        "DELETE": "delete",
    }
    serializer_class = ProviderLocationSerializer
    queryset = Location.objects.none()

    def get_queryset(self) -> QuerySet[Location]:
        known_only(self.request)
        mine = Location.objects.filter(provider=own_account(self.request))
        return mine.select_related("city", "locality").order_by("-is_default", "id")

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        serializer.instance = locations.add(account=own_account(self.request), **serializer.validated_data)
