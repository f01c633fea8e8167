"""`/v1/me/calendar`, `/v1/provider/calendar` and the feeds behind their addresses."""

from typing import ClassVar
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings import calendars
from core import query
from core.caching import validated
from core.errors import NotFound
from core.serializers import Serializer
from marketplace.views import parameter
from providers.models import Location
from providers.permissions import STAFF_ONLY, own_account
from regions.permissions import HomeRegion
from users.permissions import caller


class CalendarRequestSerializer(Serializer):
    """Nothing: there is one calendar."""


class ProviderCalendarRequestSerializer(Serializer):
    location_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="One place; without it the whole account"
    )


class CalendarSerializer(Serializer):
    url = serializers.URLField(help_text="For a calendar program; it is shown this once, so a lost one is made anew")


class MyCalendarView(APIView):
    """The address at which a calendar program reads the caller's bookings."""

    permission_classes = (IsAuthenticated, HomeRegion)

    @extend_schema(request=CalendarRequestSerializer, responses={201: CalendarSerializer})
    def post(self, request: Request) -> Response:
        """Makes the address; an older one stops working."""
        CalendarRequestSerializer(data=request.data).is_valid(raise_exception=True)
        return Response({"url": calendars.open_feed(user=caller(request))}, status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        """The address stops working."""
        query.known_only(request, paged=False)
        calendars.close_feed(user=caller(request))
        return Response(None)


class ProviderCalendarView(APIView):
    """The caller's own address for the sessions of the account or of one of its places. It ends when they leave."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"POST": "view", "DELETE": "view", "OPTIONS": "view"}
    errors = {"POST": (NotFound,), "DELETE": (NotFound,)}

    def get_location(self, location_id: UUID | None) -> Location | None:
        if location_id is None:
            return None
        found = Location.objects.filter(provider=own_account(self.request), pk=location_id).first()
        if found is None:
            raise NotFound("There is no such location.", field="locationId")
        return found

    @extend_schema(request=ProviderCalendarRequestSerializer, responses={201: CalendarSerializer})
    def post(self, request: Request) -> Response:
        """Makes the address; the caller's older one of the same stops working."""
        body = ProviderCalendarRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        location = self.get_location(body.validated_data.get("location_id"))
        url = calendars.open_feed(user=caller(request), account=own_account(request), location=location)
        return Response({"url": url}, status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[parameter("locationId", "One place; without it the whole account", OpenApiTypes.UUID)],
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        """The caller's address stops working."""
        given = query.known_only(request, "location_id", paged=False)
        location = self.get_location(query.uuid(given, "location_id"))
        calendars.close_feed(user=caller(request), account=own_account(request), location=location)
        return Response(None)


class CalendarView(APIView):
    """A calendar, for programs that subscribe to it. The address is the only key, and can be taken back."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(responses={(200, "text/calendar"): OpenApiTypes.STR})
    def get(self, request: Request, token: str) -> HttpResponse:
        query.known_only(request, paged=False)
        content = calendars.read(calendars.find_feed(token), now=timezone.now())
        answer = HttpResponse(content, content_type="text/calendar; charset=utf-8")
        answer["Content-Disposition"] = 'inline; filename="juniro.ics"'
        # Whoever knows the address may read it, and nobody else may keep it.
        answer["X-Robots-Tag"] = "noindex"
        return validated(request, answer, cache_control="private, max-age=300")
