"""`/v1/conversations`: parents and providers writing to each other, behind the flag MESSAGING_ENABLED.

The caller's side of a conversation follows from who they are in it, so both sides use the same addresses.
"""

from typing import Any
from uuid import UUID

from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.generics import ListAPIView
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import query
from core.caching import with_etag
from core.errors import FeatureDisabled, Forbidden, InvalidState, NotFound
from core.idempotency import IdempotencyInProgress, IdempotencyKeyReused, idempotent
from core.pagination import DEFAULT_LIMIT, MAX_LIMIT, MAX_PAGE, ListResponse
from messaging import services
from messaging.models import Conversation, Message, Side
from messaging.serializers import (
    ConversationRequestSerializer,
    ConversationSerializer,
    MessageRequestSerializer,
    MessageSerializer,
    ReportRequestSerializer,
    ReportSerializer,
    SeenRequestSerializer,
)
from providers.models import ProviderUser
from providers.permissions import ALLOWED
from regions import flags
from regions.permissions import HomeRegion
from users.permissions import IsParent, caller

# What a repeated request may be answered besides; the key itself is optional.
RETRIED = (IdempotencyInProgress, IdempotencyKeyReused)


class MessagingEnabled(BasePermission):
    """The flag MESSAGING_ENABLED is on."""

    errors = (FeatureDisabled,)

    def has_permission(self, request: Request, view: Any) -> bool:
        flags.require("MESSAGING_ENABLED")
        return True


class MessagingView(APIView):
    """What all views of messaging share: who the caller is in which conversation."""

    # Every synced user has a parent's abilities; the staff roles are looked at conversation by conversation.
    permission_classes = (IsAuthenticated, HomeRegion, IsParent, MessagingEnabled)
    # How often somebody may write: to people less often than to us.
    write_scope = "write"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.throttle_scope = None if request.method in SAFE_METHODS else self.write_scope
        super().initial(request, *args, **kwargs)

    def roles(self) -> dict[UUID, str]:
        """The caller's staff role by provider account; `X-Provider-Account` narrows it down to one."""
        memberships = ProviderUser.objects.filter(user=caller(self.request))
        roles = dict(memberships.values_list("provider_account", "role"))
        named = self.request.headers.get("X-Provider-Account")
        if not named:
            return roles
        one = {account: role for account, role in roles.items() if str(account) == named.lower()}
        if not one:
            raise NotFound("There is no such provider account.", field="X-Provider-Account")
        return one

    def mine(self, roles: dict[UUID, str]) -> QuerySet[Conversation]:
        """The conversations that the caller takes part in, on either side; as an account's staff, that account's."""
        of_accounts = Q(provider__in=roles)
        if self.request.headers.get("X-Provider-Account"):
            return Conversation.objects.filter(of_accounts)
        return Conversation.objects.filter(of_accounts | Q(parent=caller(self.request).parent))

    def side(self, conversation: Conversation) -> Side:
        return Side.PARENT if conversation.parent_id == caller(self.request).parent.pk else Side.PROVIDER

    def find(self, conversation_id: UUID, *, to: str) -> tuple[Conversation, Side]:
        """The caller's conversation and side. Raises `NotFound`, and `Forbidden` where the staff role does not do."""
        roles = self.roles()
        conversation = self.mine(roles).filter(pk=conversation_id).first()
        if conversation is None:
            raise NotFound
        side = self.side(conversation)
        if side is Side.PROVIDER and roles[conversation.provider_id] not in ALLOWED[to]:
            raise Forbidden
        return conversation, side

    def shown(self, rows: list[Conversation]) -> Any:
        context = {
            "sides": {each.pk: self.side(each) for each in rows},
            "acquainted": services.acquainted(rows),
        }
        return ConversationSerializer(rows, many=True, context=context).data

    def one(self, conversation_id: UUID) -> Any:
        return self.shown([for_display(Conversation.objects.filter(pk=conversation_id)).get()])[0]


def for_display(conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
    last = Message.objects.filter(conversation=OuterRef("pk"), hidden_at=None).order_by("-number")
    rows = conversations.with_unread()  # type: ignore[attr-defined]
    return rows.annotate(
        last_content=Subquery(last.values("content")[:1]), last_attachments=Subquery(last.values("attachments")[:1])
    ).select_related("provider", "parent")


class ConversationList(MessagingView, ListAPIView[Conversation]):
    """The caller's conversations, latest first; and beginning one."""

    errors = {"POST": (NotFound, InvalidState, *RETRIED)}
    write_scope = "message"
    serializer_class = ConversationSerializer
    queryset = Conversation.objects.none()

    @extend_schema(
        parameters=[
            OpenApiParameter("status", str, enum=Conversation.Status.values),
            OpenApiParameter("unread", bool, description="true: only with messages that wait to be read"),
        ]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        given = query.known_only(request, "status", "unread")
        rows = self.mine(self.roles()).order_by("-last_message_at", "-pk")
        wanted = query.one_of(given, "status", Conversation.Status.values)
        if wanted:
            rows = rows.filter(status=wanted)
        if query.boolean(given, "unread"):
            # Of one's own side: as a parent what providers wrote, as staff what parents wrote.
            as_parent = Q(parent=caller(request).parent)
            rows = rows.with_unread().filter(  # type: ignore[attr-defined]
                (as_parent & Q(unread_by_parent__gt=0)) | (~as_parent & Q(unread_by_provider__gt=0))
            )
        page = self.paginate_queryset(for_display(rows))
        return self.get_paginated_response(self.shown(list(page or [])))

    @extend_schema(request=ConversationRequestSerializer, responses={201: ConversationSerializer})
    @idempotent(required=False)
    def post(self, request: Request) -> Response:
        body = ConversationRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        conversation = services.write_to_provider(
            parent=caller(request).parent,
            provider_id=given["provider_id"],
            booking_id=given.get("booking_id"),
            subject=given.get("subject") or None,
            content=given["content"],
            now=timezone.now(),
        )
        return Response(self.one(conversation.pk), status.HTTP_201_CREATED)


class ConversationView(MessagingView):
    """One of the caller's conversations."""

    @extend_schema(responses=ConversationSerializer)
    def get(self, request: Request, conversation_id: UUID) -> Response:
        self.find(conversation_id, to="view")
        return Response(self.one(conversation_id))


class MessageList(MessagingView):
    """A conversation's messages, each page in the order in which they were written; and writing one.

    The first page has the latest. `before` and `after` go on from a message's number; asking again and again with the
    number of the last message seen, and the `ETag` of the last answer, costs next to nothing where nothing is new.
    """

    errors = {"POST": (InvalidState, *RETRIED)}
    write_scope = "message"

    @extend_schema(
        responses=MessageSerializer(many=True),
        parameters=[
            OpenApiParameter("after", int, description="Only what came after the message of this number"),
            OpenApiParameter("before", int, description="Only what came before the message of this number"),
            OpenApiParameter("page", int),
            OpenApiParameter("limit", int),
        ],
    )
    def get(self, request: Request, conversation_id: UUID) -> HttpResponse:
        given = query.known_only(request, "after", "before")
        after = query.whole_number(given, "after")
        before = query.whole_number(given, "before", at_least=1)
        page = query.whole_number(given, "page", at_least=1, most=MAX_PAGE) or 1
        limit = query.whole_number(given, "limit", at_least=1, most=MAX_LIMIT) or DEFAULT_LIMIT
        if sum(name in given for name in ("after", "before", "page")) > 1:
            raise query.invalid("after", "Give one of after, before and page.")
        conversation, side = self.find(conversation_id, to="view")
        total = conversation.messages.aggregate(last=Max("number"))["last"] or 0
        # Numbers have no gaps, so a page is a range of them.
        last = min(after + limit, total) if after is not None else total - (page - 1) * limit
        if before is not None:
            last = min(before - 1, total)
        first = max(after + 1 if after is not None else last - limit + 1, 1)
        rows = list(conversation.messages.filter(number__range=(first, last)).order_by("number"))
        context = {"side": side, "acquainted": services.acquainted([conversation])}
        meta = {"page": page, "limit": limit, "total": total, "before": first if rows and first > 1 else None}
        response = ListResponse(MessageSerializer(rows, many=True, context=context).data, meta=meta)
        answer = with_etag(request, response, max_age=0)
        answer["Cache-Control"] = "private, no-cache"
        return answer

    @extend_schema(request=MessageRequestSerializer, responses={201: MessageSerializer})
    @idempotent(required=False)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        body = MessageRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        conversation, side = self.find(conversation_id, to="create")
        message = services.send(
            conversation_id=conversation.pk,
            sender=caller(request),
            side=side,
            now=timezone.now(),
            **body.validated_data,
        )
        context = {"side": side, "acquainted": services.acquainted([conversation])}
        return Response(MessageSerializer(message, context=context).data, status.HTTP_201_CREATED)


class ReadView(MessagingView):
    """Marks the other side's messages as read."""

    @extend_schema(request=SeenRequestSerializer, responses=ConversationSerializer)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        body = SeenRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        _, side = self.find(conversation_id, to="view")
        up_to = body.validated_data.get("up_to")
        services.mark_read(conversation_id=conversation_id, side=side, up_to=up_to, now=timezone.now())
        return Response(self.one(conversation_id))


class ArchiveView(MessagingView):
    """Puts a conversation away until somebody writes again; DELETE takes it out."""

    errors = {"POST": (InvalidState,), "DELETE": (InvalidState,)}

    @extend_schema(request=None, responses=ConversationSerializer)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        self.find(conversation_id, to="create")
        services.archive(conversation_id=conversation_id)
        return Response(self.one(conversation_id))

    @extend_schema(responses=ConversationSerializer)
    def delete(self, request: Request, conversation_id: UUID) -> Response:
        self.find(conversation_id, to="create")
        services.unarchive(conversation_id=conversation_id)
        return Response(self.one(conversation_id))


class BlockView(MessagingView):
    """Ends the writing in both directions; DELETE opens the conversation again, for the side that blocked it."""

    errors = {"POST": (InvalidState,), "DELETE": (InvalidState,)}

    @extend_schema(request=None, responses=ConversationSerializer)
    def post(self, request: Request, conversation_id: UUID) -> Response:
        _, side = self.find(conversation_id, to="edit")
        services.block(conversation_id=conversation_id, side=side)
        return Response(self.one(conversation_id))

    @extend_schema(responses=ConversationSerializer)
    def delete(self, request: Request, conversation_id: UUID) -> Response:
        _, side = self.find(conversation_id, to="edit")
        services.unblock(conversation_id=conversation_id, side=side)
        return Response(self.one(conversation_id))


class ReportView(MessagingView):
    """Asks Juniro to look at a message of the other side."""

    errors = {"POST": (services.AlreadyReported,)}
    write_scope = "message"

    @extend_schema(request=ReportRequestSerializer, responses={201: ReportSerializer})
    def post(self, request: Request, conversation_id: UUID, number: int) -> Response:
        body = ReportRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        conversation, side = self.find(conversation_id, to="view")
        message = conversation.messages.filter(number=number, sender_type=side.other).first()
        if message is None:
            raise NotFound("There is no such message of the other side.")
        report = services.report(message=message, reporter=caller(request), reason=body.validated_data["reason"])
        return Response(ReportSerializer(report).data, status.HTTP_201_CREATED)
