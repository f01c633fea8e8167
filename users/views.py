"""`/v1/auth` and the parts of `/v1/me` that are the user's own: region and children."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from regions.permissions import HomeRegion
from regions.services import RegionMismatch, describe_region
from users import services
from users.authentication import AccountSuspended, TokenAuthentication, UserNotFound, claims_of, user_of
from users.models import Child
from users.permissions import IsParent, caller
from users.serializers import ChildSerializer, HomeRegionSerializer, SyncSerializer, UserSerializer


class SyncView(APIView):
    """Brings a Supabase user into this region's database, or notes that they are back."""

    errors = {"POST": (RegionMismatch, AccountSuspended)}

    authentication_classes = [TokenAuthentication]
    permission_classes: list = []

    @extend_schema(request=SyncSerializer, responses={201: UserSerializer, 200: UserSerializer})
    def post(self, request: Request) -> Response:
        body = SyncSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        user, created = services.sync(
            claims=claims_of(request), home_region=body.validated_data["home_region"], now=timezone.now()
        )
        return Response(UserSerializer(user).data, status=status.HTTP_201_CREATED if created else status.HTTP_200_OK)


class RegionView(APIView):
    """Tells where the caller is at home, so that an app can switch to the right API (multi-region §3)."""

    errors = {"GET": (UserNotFound, AccountSuspended)}

    authentication_classes = [TokenAuthentication]
    permission_classes: list = []

    @extend_schema(responses=HomeRegionSerializer)
    def get(self, request: Request) -> Response:
        claims = claims_of(request)
        try:
            home_region = (claims.from_peer and claims.region) or user_of(claims).home_region
        except UserNotFound:
            if claims.region is None:
                raise
            home_region = claims.region
        return Response(describe_region(home_region))


class ChildViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    GenericViewSet[Child],
):
    """The caller's children. Removing one asks the bookings, and so lives there."""

    permission_classes = [IsAuthenticated, HomeRegion, IsParent]
    serializer_class = ChildSerializer
    queryset = Child.objects.none()
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def get_queryset(self) -> QuerySet[Child]:
        children = Child.objects.present().filter(parent=caller(self.request).parent).order_by("id")
        # A removal at the same time waits, or has left nothing to change: saving must not bring the child back.
        return children.select_for_update() if self.action == "partial_update" else children

    @transaction.atomic
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().partial_update(request, *args, **kwargs)

    def perform_update(self, serializer: BaseSerializer[Any]) -> None:
        services.require_consent(caller(self.request), serializer.instance)
        serializer.save()

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        serializer.instance = services.add_child(parent=caller(self.request).parent, **serializer.validated_data)
