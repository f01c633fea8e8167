"""`/v1/provider`: a provider's catalogue in the hands of its staff. Its schedule has a file of its own."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from core import query
from core.errors import InvalidState, NotFound
from marketplace import catalogue, onboarding
from marketplace.models import Activity, ActivityImage, Offering
from marketplace.provider_serializers import (
    NewOfferingSerializer,
    OnboardingSerializer,
    ProviderActivitySerializer,
    ProviderOfferingSerializer,
)
from marketplace.views import parameter
from providers import locations
from providers.permissions import STAFF_ONLY, own_account
from providers.serializers import ProviderAccountSerializer
from providers.views import LocationViewSet as BaseLocationViewSet

STAFF_ACTIONS = {
    "GET": "view",
    "HEAD": "view",
    "OPTIONS": "view",
    "POST": "create",
    "PATCH": "edit",
    "DELETE": "delete",
}


def own_activity(request: Request, activity_id: UUID) -> Activity:
    """The activity, if it is the account's. Raises `NotFound`."""
    found = Activity.objects.filter(provider=own_account(request), pk=activity_id).first()
    if found is None:
        raise NotFound
    return found


# --- Onboarding -----------------------------------------------------------------------------------------------------


class OnboardingView(APIView):
    """What the account still has to do before it is live."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"GET": "view", "HEAD": "view", "OPTIONS": "view"}

    @extend_schema(responses=OnboardingSerializer)
    def get(self, request: Request) -> Response:
        query.known_only(request, paged=False)
        account = own_account(request)
        steps = onboarding.steps(account=account, now=timezone.now())
        done = {step.key: step.done for step in steps}
        shown = {
            "status": account.status,
            "status_reason": account.status_reason,
            "can_submit": not done["submitted"] and all(step.done for step in steps if step.needed),
            "is_live": done["verified"] and done["published"],
            "steps": steps,
        }
        return Response(OnboardingSerializer(shown).data)


class SubmitView(APIView):
    """Asks for verification, for the first time or after a rejection."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"POST": "edit_profile", "OPTIONS": "view"}
    errors = {"POST": (InvalidState,)}

    @extend_schema(request=None, responses=ProviderAccountSerializer)
    def post(self, request: Request) -> Response:
        account = onboarding.submit(account=own_account(request), now=timezone.now())
        return Response(ProviderAccountSerializer(account).data)


# --- Activities -----------------------------------------------------------------------------------------------------


class ProviderActivityViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    GenericViewSet[Activity],
):
    """The account's activities in any state, latest first."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {
        **STAFF_ACTIONS,
        "publish": "edit",
        "unpublish": "edit",
        "archive": "edit",
        "restore": "edit",
    }
    errors = dict.fromkeys(("partial_update", "destroy", "publish", "unpublish", "archive", "restore"), (InvalidState,))
    serializer_class = ProviderActivitySerializer
    queryset = Activity.objects.none()

    def get_queryset(self) -> QuerySet[Activity]:
        given = query.known_only(self.request, "status")
        mine = Activity.objects.filter(provider=own_account(self.request))
        if state := query.one_of(given, "status", Activity.Status.values):
            mine = mine.filter(status=state)
        images = ActivityImage.objects.order_by("position", "id")
        return (
            mine.select_related("category")
            .prefetch_related(Prefetch("offerings", Offering.objects.order_by("id")), Prefetch("images", images))
            .order_by("-id")
        )

    @extend_schema(parameters=[parameter("status", "Of this status", enum=Activity.Status.values)])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        activity = catalogue.add_activity(provider=own_account(self.request), **serializer.validated_data)
        serializer.instance = self.get_queryset().get(pk=activity.pk)

    def partial_update(self, request: Request, pk: Any) -> Response:
        activity = self.get_object()
        body = self.get_serializer(activity, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        return self.shown(catalogue.change_activity(activity=activity, **body.validated_data))

    def destroy(self, request: Request, pk: Any) -> Response:
        """Deletes what nobody ever booked; anything else can be archived."""
        catalogue.remove_activity(activity=self.get_object())
        return Response(None)

    @extend_schema(request=None, responses=ProviderActivitySerializer)
    def publish(self, request: Request, pk: Any) -> Response:
        """Shows it to parents, once the account is verified. It needs a description, an open category, an active
        offering and a location; `details` say what is missing."""
        return self.shown(catalogue.publish(activity=self.get_object(), now=timezone.now()))

    @extend_schema(request=None, responses=ProviderActivitySerializer)
    def unpublish(self, request: Request, pk: Any) -> Response:
        """Takes it out of the catalogue; what is booked stays booked."""
        return self.shown(catalogue.unpublish(activity=self.get_object()))

    @extend_schema(request=None, responses=ProviderActivitySerializer)
    def archive(self, request: Request, pk: Any) -> Response:
        """Puts it away, unless children are booked into sessions to come."""
        return self.shown(catalogue.archive(activity=self.get_object(), now=timezone.now()))

    @extend_schema(request=None, responses=ProviderActivitySerializer)
    def restore(self, request: Request, pk: Any) -> Response:
        """Takes it out of the archive, as a draft."""
        return self.shown(catalogue.restore(activity=self.get_object()))

    def shown(self, activity: Activity) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=activity.pk)).data)


# --- Offerings ------------------------------------------------------------------------------------------------------


class ActivityOfferingViewSet(mixins.ListModelMixin, GenericViewSet[Offering]):
    """All offerings of one of the account's activities, inactive ones included."""

    permission_classes = STAFF_ONLY
    staff_actions = STAFF_ACTIONS
    errors = {"create": (InvalidState,)}
    serializer_class = ProviderOfferingSerializer
    queryset = Offering.objects.none()

    def get_queryset(self) -> QuerySet[Offering]:
        query.known_only(self.request)
        return own_activity(self.request, self.kwargs["activity_id"]).offerings.order_by("id")

    @extend_schema(request=NewOfferingSerializer, responses={201: ProviderOfferingSerializer})
    def create(self, request: Request, activity_id: UUID) -> Response:
        activity = own_activity(request, activity_id)
        body = NewOfferingSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        offering = catalogue.add_offering(activity=activity, **body.validated_data)
        return Response(ProviderOfferingSerializer(offering).data, status.HTTP_201_CREATED)


class OfferingViewSet(mixins.RetrieveModelMixin, GenericViewSet[Offering]):
    """One of the account's offerings."""

    permission_classes = STAFF_ONLY
    staff_actions = STAFF_ACTIONS
    errors = {"partial_update": (InvalidState,), "destroy": (InvalidState,)}
    serializer_class = ProviderOfferingSerializer
    queryset = Offering.objects.none()

    def get_queryset(self) -> QuerySet[Offering]:
        return Offering.objects.filter(activity__provider=own_account(self.request)).select_related("activity")

    def partial_update(self, request: Request, pk: Any) -> Response:
        offering = self.get_object()
        body = self.get_serializer(offering, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        offering = catalogue.change_offering(offering=offering, now=timezone.now(), **body.validated_data)
        return Response(self.get_serializer(offering).data)

    def destroy(self, request: Request, pk: Any) -> Response:
        """Deletes it with its sessions, or makes it inactive where it was ever booked."""
        catalogue.remove_offering(offering=self.get_object())
        return Response(None)


# --- Locations ------------------------------------------------------------------------------------------------------


class LocationViewSet(BaseLocationViewSet):
    """The account's places, with the changes that ask their sessions first."""

    errors = {"partial_update": (locations.LocationInUse,), "destroy": (locations.LocationInUse,)}

    def partial_update(self, request: Request, pk: Any) -> Response:
        location = self.get_object()
        body = self.get_serializer(location, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        return Response(self.get_serializer(catalogue.change_location(location=location, **body.validated_data)).data)

    def destroy(self, request: Request, pk: Any) -> Response:
        """Deletes a place where no session ever was."""
        locations.remove(location=self.get_object())
        return Response(None)
