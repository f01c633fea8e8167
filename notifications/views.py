"""`/v1/me/notifications` and its preferences, and what mail programs and mail providers tell us."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import query
from core.errors import NotFound, ValidationFailed
from notifications import bounces, preferences, services
from notifications.contents import letters
from notifications.models import OPTIONAL, Notification, NotificationKind
from notifications.serializers import (
    BounceReceivedSerializer,
    NotificationSerializer,
    PreferencesRequestSerializer,
    PreferencesSerializer,
    ReadRequestSerializer,
    ReadSerializer,
    UnsubscribedSerializer,
)
from users.permissions import caller

# --- The inbox -------------------------------------------------------------------------------------------------------

# One page with a style of its own and one form.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def unread_of(request: Request) -> int:
    return Notification.objects.inbox().filter(user=caller(request), read_at=None).count()


def shown(request: Request, rows: list[Notification]) -> Any:
    context = {"letters": letters(rows, user=caller(request))}
    return NotificationSerializer(rows, many=True, context=context).data


class NotificationList(ListAPIView[Notification]):
    """What the caller was told, latest first, in the words of today. `meta.unread` counts what is not read yet."""

    serializer_class = NotificationSerializer
    queryset = Notification.objects.none()

    @extend_schema(parameters=[OpenApiParameter("unread", bool, description="true: only what is not read yet")])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        given = query.known_only(request, "unread")
        rows = Notification.objects.inbox().filter(user=caller(request))
        if query.boolean(given, "unread"):
            rows = rows.filter(read_at=None)
        page = self.paginate_queryset(rows)
        response: Any = self.get_paginated_response(shown(request, list(page or [])))
        response.meta["unread"] = unread_of(request)
        return response


class ReadView(APIView):
    """Marks a notification as read."""

    @extend_schema(request=None, responses=NotificationSerializer)
    def post(self, request: Request, notification_id: UUID) -> Response:
        mine = Notification.objects.inbox().filter(user=caller(request), pk=notification_id)
        if not mine.exists():
            raise NotFound
        services.mark_read(user=caller(request), notification_id=notification_id, now=timezone.now())
        return Response(shown(request, list(mine))[0])


class ReadAllView(APIView):
    """Marks all notifications as read, or those no newer than `upTo`; answers how many are left."""

    @extend_schema(operation_id="me_notifications_read_all", request=ReadRequestSerializer, responses=ReadSerializer)
    def post(self, request: Request) -> Response:
        body = ReadRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.mark_read(user=caller(request), up_to=body.validated_data.get("up_to"), now=timezone.now())
        return Response({"unread": unread_of(request)})


# --- Preferences -----------------------------------------------------------------------------------------------------


class PreferencesView(APIView):
    """What the caller gets by e-mail, kind by kind. In the app they see everything."""

    @extend_schema(responses=PreferencesSerializer)
    def get(self, request: Request) -> Response:
        query.known_only(request, paged=False)
        return self.answer(request)

    @extend_schema(request=PreferencesRequestSerializer, responses=PreferencesSerializer)
    def patch(self, request: Request) -> Response:
        body = PreferencesRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        choices = {each["kind"]: each["email"] for each in body.validated_data["kinds"] if each["kind"] in OPTIONAL}
        preferences.choose(caller(request).pk, choices, now=timezone.now())
        return self.answer(request)

    def answer(self, request: Request) -> Response:
        user = caller(request)
        bounce = preferences.bounce_of(user)
        kinds = [
            {"kind": kind.value, "title": kind.label, "email": email, "required": kind not in OPTIONAL}
            for kind, email in preferences.of(user).items()
        ]
        return Response(PreferencesSerializer({"trouble": bounce and bounce.reason, "kinds": kinds}).data)


class UnsubscribeView(APIView):
    """Stops one kind of mail without signing in, by the address that stands in each of them (RFC 8058).

    Looking at the address changes nothing; a POST does, whatever its body. A browser gets a page with a button.
    """

    authentication_classes = ()
    permission_classes = ()
    # Mailbox providers post for all of their users from a few addresses, and the token is proof enough.
    throttle_classes = ()
    errors = {"GET": (NotFound,), "POST": (NotFound,)}

    @extend_schema(responses=UnsubscribedSerializer, auth=[])
    def get(self, request: Request, token: str) -> HttpResponse:
        user, kind = preferences.read_token(token)
        return self.answer(request, kind, email=preferences.wants(user, kind))

    @extend_schema(request=None, responses=UnsubscribedSerializer, auth=[])
    def post(self, request: Request, token: str) -> HttpResponse:
        user, kind = preferences.read_token(token)
        preferences.choose(user.pk, {kind: False}, now=timezone.now())
        return self.answer(request, kind, email=False)

    def answer(self, request: Request, kind: NotificationKind, *, email: bool) -> HttpResponse:
        answer: HttpResponse
        if "text/html" in request.headers.get("Accept", ""):
            answer = render(request, "notifications/unsubscribe.html", {"title": kind.label, "email": email})
            answer["Content-Security-Policy"] = PAGE_POLICY
        else:
            body = {"kind": kind.value, "title": kind.label, "email": email}
            answer = Response(UnsubscribedSerializer(body).data)
        # The address is a key: it must not travel on, or stay behind.
        answer["Referrer-Policy"] = "no-referrer"
        answer["Cache-Control"] = "no-store"
        return answer


# --- Bounces ---------------------------------------------------------------------------------------------------------


class BounceView(APIView):
    """What the mail provider tells of bounces and complaints, in its own format and with its own proof."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    errors = {"POST": (bounces.InvalidSignature, NotFound, ValidationFailed)}

    @extend_schema(request=dict, responses=BounceReceivedSerializer, auth=[])
    def post(self, request: Request, provider: str) -> Response:
        bounces.record(bounces.read(provider, request._request), now=timezone.now())
        return Response({"received": True})
