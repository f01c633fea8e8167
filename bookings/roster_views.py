"""`/v1/provider/sessions/{id}/roster` and `…/attendance`: the day of a session, for those who work there."""

from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings import attendance, roster
from bookings.models import Attendance, RosterView, Seat
from bookings.provider_serializers import (
    AttendanceRequestSerializer,
    AttendanceSerializer,
    RosterSerializer,
)
from core import query
from core.errors import InvalidState, NotFound
from core.middleware import current_request_id
from core.spreadsheets import csv_answer
from marketplace.models import Session
from marketplace.views import parameter
from providers.permissions import STAFF_ONLY, own_account
from users.permissions import caller

COLUMNS = [
    "Booking",
    "Status",
    "First name",
    "Last name",
    "Age",
    "Parent's phone",
    "Initials",
    "Attendance",
    "Noted at",
]
# A page to print needs nothing from anywhere, and may fetch nothing.
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def wants_csv(request: Request) -> bool:
    """Whether `Accept` asks for CSV rather than for what the API speaks otherwise."""
    accepted = [each.partition(";")[0].strip().lower() for each in request.headers.get("Accept", "").split(",")]
    return "text/csv" in accepted and "application/json" not in accepted


def own_session(request: Request, session_id: UUID) -> Session:
    """A session of the caller's provider account. Raises `NotFound`."""
    mine = Session.objects.filter(activity__provider=own_account(request))
    found = mine.select_related("activity__provider", "location__city").filter(pk=session_id).first()
    if found is None:
        raise NotFound
    return found


class RosterPage(APIView):
    """Who sits in a session. Children's details from 24 hours before it begins to 24 hours after it has ended only."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"GET": "view", "HEAD": "view", "OPTIONS": "view"}

    @extend_schema(
        parameters=[
            parameter("format", "json, csv, or html for a page to print", enum=RosterView.Format.values),
            OpenApiParameter("Accept", str, OpenApiParameter.HEADER, description="text/csv does as format=csv"),
        ],
        responses={
            (200, "application/json"): RosterSerializer,
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "text/html"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request, session_id: UUID) -> HttpResponse:
        """Each look that shows details is kept with who looked, and when."""
        asked = query.one_of(query.known_only(request, "format", paged=False), "format", RosterView.Format.values)
        format = asked or (RosterView.Format.CSV if wants_csv(request) else RosterView.Format.JSON)
        found = roster.read(
            session=own_session(request, session_id),
            viewer=caller(request),
            format=format,
            request_id=current_request_id(),
            now=timezone.now(),
        )
        answer = {"json": as_json, "csv": as_csv, "html": as_page}[format](found)
        answer["Cache-Control"] = "private, no-store"
        return answer


def as_json(found: roster.Roster) -> HttpResponse:
    return Response(RosterSerializer(found).data)


def as_csv(found: roster.Roster) -> HttpResponse:
    zone = ZoneInfo(found.session.location.city.timezone)
    return csv_answer(
        f"roster-{found.session.local_date()}-{found.session.pk}.csv",
        header=COLUMNS,
        rows=(
            [
                each.booking_id,
                each.status,
                *(
                    [each.child.first_name, each.child.last_name, each.child.age, each.child.parent_phone]
                    if each.child
                    else [""] * 4
                ),
                each.initials,
                each.attendance,
                each.attendance_at and f"{each.attendance_at.astimezone(zone):%Y-%m-%d %H:%M}",
            ]
            for each in found.seats
        ),
    )


def as_page(found: roster.Roster) -> HttpResponse:
    session = found.session
    context: dict[str, Any] = {
        "roster": found,
        "session": session,
        "zone": ZoneInfo(session.location.city.timezone),
        "provider": session.activity.provider,
    }
    answer = HttpResponse(render_to_string("bookings/roster.html", context))
    answer["Content-Security-Policy"] = PAGE_POLICY
    return answer


class AttendanceView(APIView):
    """Notes who came, from an hour before a session begins until 24 hours after it has ended."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {"POST": "create", "OPTIONS": "view"}
    errors = {"POST": (InvalidState,)}

    @extend_schema(request=AttendanceRequestSerializer, responses=AttendanceSerializer)
    def post(self, request: Request, session_id: UUID) -> Response:
        """All entries or none; the same again changes nothing. Answers with what is noted of the whole session."""
        body = AttendanceRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        session = own_session(request, session_id)
        attendance.note(session_id=session.pk, entries=body.validated_data["entries"], now=timezone.now())
        return Response(AttendanceSerializer(noted(session)).data)


def noted(session: Session) -> dict[str, Any]:
    seats = Seat.objects.held().filter(session=session, booking__status__in=roster.COMING).order_by("pk")
    found = list(seats.values_list("booking_id", "attendance", "attendance_at"))
    statuses = [status for _, status, _ in found]
    return {
        "session_id": session.pk,
        "present": statuses.count(Attendance.PRESENT),
        "absent": statuses.count(Attendance.ABSENT),
        "not_noted": statuses.count(None),
        "entries": [{"booking_id": pk, "status": status, "noted_at": at} for pk, status, at in found],
    }
