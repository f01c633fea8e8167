"""`/v1/provider/activities/{id}/sessions`: planning sessions, and looking at the plan."""

from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from core import query
from core.errors import InvalidState, NotFound
from core.idempotency import IdempotencyInProgress, IdempotencyKeyRequired, IdempotencyKeyReused, idempotent
from marketplace import sessions
from marketplace.models import Activity, Session
from marketplace.schedule_serializers import (
    CreatedSessionsSerializer,
    PreviewSerializer,
    ProviderSessionSerializer,
    SessionsRequestSerializer,
)
from marketplace.views import parameter
from providers.permissions import STAFF_ONLY, own_account

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="1 to 255 printable ASCII characters; optional"
)


class ScheduleViewSet(mixins.ListModelMixin, GenericViewSet[Session]):
    """An activity's sessions, past and cancelled ones included, soonest first; and new ones."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"GET": "view", "HEAD": "view", "OPTIONS": "view", "POST": "create"}
    serializer_class = ProviderSessionSerializer
    errors = {"create": (InvalidState, IdempotencyKeyRequired, IdempotencyKeyReused, IdempotencyInProgress)}
    queryset = Session.objects.none()

    def get_activity(self) -> Activity:
        mine = Activity.objects.filter(provider=own_account(self.request))
        found = mine.filter(pk=self.kwargs["activity_id"]).first()
        if found is None:
            raise NotFound
        return found

    def get_queryset(self) -> QuerySet[Session]:
        given = query.known_only(self.request, "from", "to", "status", "offering", "series")
        first, last = query.day(given, "from"), query.day(given, "to")
        if first and last and last < first:
            raise query.invalid("to", "The range ends before it begins.")
        found = Session.objects.filter(activity=self.get_activity()).on_days(first, last)
        wanted = {
            "status": query.one_of(given, "status", Session.Status.values),
            "offering": query.uuid(given, "offering"),
            "series_id": query.uuid(given, "series"),
        }
        found = found.filter(**{name: value for name, value in wanted.items() if value is not None})
        return found.select_related("location__city").order_by("starts_at", "pk")

    @extend_schema(
        parameters=[
            parameter("from", "First day, in the location's calendar", OpenApiTypes.DATE),
            parameter("to", "Last day, in the location's calendar", OpenApiTypes.DATE),
            parameter("status", "Of this status", enum=Session.Status.values),
            parameter("offering", "Of this offering", OpenApiTypes.UUID),
            parameter("series", "Of this weekly recurrence", OpenApiTypes.UUID),
        ]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        request=SessionsRequestSerializer,
        responses={200: PreviewSerializer, 201: CreatedSessionsSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    def create(self, request: Request, activity_id: UUID) -> Response:
        """Creates one session or a weekly series of at most 500; with `preview`, only tells (200) what would be."""
        body = SessionsRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return self.preview(body) if body.validated_data["preview"] else self.write(request, body)

    def preview(self, body: SessionsRequestSerializer) -> Response:
        plan = sessions.plan(activity=self.get_activity(), wanted=body.wanted, now=timezone.now())
        zone = plan.location.city.timezone
        shown = {
            "count": len(plan.slots),
            "timezone": zone,
            "sessions": plan.slots,
            "skipped": plan.skipped,
            "warnings": plan.warnings,
        }
        return Response(PreviewSerializer(shown, context={"zone": ZoneInfo(zone)}).data)

    @idempotent(required=False)
    def write(self, request: Request, body: SessionsRequestSerializer) -> Response:
        plan, made = sessions.create(activity=self.get_activity(), wanted=body.wanted, now=timezone.now())
        shown = {
            "count": len(made),
            "series_id": made[0].series_id,
            "sessions": made,
            "skipped": plan.skipped,
            "warnings": plan.warnings,
        }
        return Response(CreatedSessionsSerializer(shown).data, status.HTTP_201_CREATED)
