"""`/v1/provider/sessions/{id}`: one planned session, looked at, changed, or deleted before anybody booked it."""

from typing import ClassVar
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings import changes
from bookings.change_serializers import ChangedSessionsSerializer, SessionChangeSerializer
from core import query
from core.errors import InvalidState, NotFound
from marketplace.models import Session
from marketplace.schedule_serializers import ProviderSessionSerializer
from marketplace.views import parameter
from providers.permissions import STAFF_ONLY, own_account


class ProviderSessionView(APIView):
    """A session of the caller's provider account."""

    permission_classes = STAFF_ONLY
    staff_actions: ClassVar[dict[str, str]] = {
        "GET": "view",
        "HEAD": "view",
        "OPTIONS": "view",
        "PATCH": "edit",
        "DELETE": "delete",
    }
    errors = {"PATCH": (InvalidState,), "DELETE": (InvalidState,)}

    def get_session(self, session_id: UUID) -> Session:
        mine = Session.objects.filter(activity__provider=own_account(self.request))
        found = mine.select_related("location__city").filter(pk=session_id).first()
        if found is None:
            raise NotFound
        return found

    @extend_schema(responses=ProviderSessionSerializer)
    def get(self, request: Request, session_id: UUID) -> Response:
        query.known_only(request, paged=False)
        return Response(ProviderSessionSerializer(self.get_session(session_id)).data)

    @extend_schema(request=SessionChangeSerializer, responses=ChangedSessionsSerializer)
    def patch(self, request: Request, session_id: UUID) -> Response:
        """Changes time, place or seats. Parents with a seat are told of another time or place, and may cancel free."""
        body = SessionChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        series, dry_run = body.validated_data["series"], body.validated_data["dry_run"]
        outcome = changes.change_session(
            provider_id=own_account(request).pk,
            session_id=self.get_session(session_id).pk,
            change=body.change,
            series=series,
            dry_run=dry_run,
            now=timezone.now(),
        )
        shown = {
            "dry_run": dry_run,
            "sessions": outcome.sessions,
            "moved": len(outcome.moved),
            "parents_notified": outcome.parents,
            "bookings_refundable": len(outcome.bookings),
            "warnings": outcome.warnings,
        }
        return Response(ChangedSessionsSerializer(shown).data)

    @extend_schema(
        parameters=[parameter("series", "true: the later sessions of its series, too", bool)], responses={204: None}
    )
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Deletes a session that nobody ever booked."""
        series = query.boolean(query.known_only(request, "series", paged=False), "series")
        changes.delete_session(session_id=self.get_session(session_id).pk, series=bool(series))
        return Response(None)
