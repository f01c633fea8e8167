"""A person's own data: `/v1/me/consents`, `/v1/me/export`, `/v1/me/exports` and the end of the account."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core import signing
from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import FileResponse, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView, ListCreateAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from core.envelope import Verbatim
from core.errors import InvalidState, NotFound
from core.serializers import ModelSerializer
from privacy import consents, erasure, export
from privacy.models import ErasureRequest, ExportRequest
from providers.staff import LastOwner
from regions.permissions import HomeRegion
from users.models import Consent
from users.permissions import caller
from users.serializers import ConsentSerializer

MINE = (IsAuthenticated, HomeRegion)
LINK_SECONDS = 15 * 60
SIGNER = signing.TimestampSigner(salt="privacy.export")


class ConsentView(ListCreateAPIView[Consent]):
    """The caller's consents, latest first. Append-only: a withdrawal is one more entry. Each has a receipt by mail."""

    serializer_class = ConsentSerializer
    queryset = Consent.objects.none()

    def get_queryset(self) -> QuerySet[Consent]:
        return Consent.objects.filter(user=caller(self.request)).order_by("-id")

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        given = serializer.validated_data
        serializer.instance = consents.decide(user=caller(self.request), now=timezone.now(), **given)


class ExportSerializer(ModelSerializer):
    """An archive. Its link works for fifteen minutes; asking again gives a fresh one until `expiresAt`."""

    download_url = serializers.SerializerMethodField()

    class Meta:
        model = ExportRequest
        fields = ["id", "status", "progress", "download_url", "expires_at", "created_at"]

    @extend_schema_field(OpenApiTypes.URI)
    def get_download_url(self, made: ExportRequest) -> str | None:
        if made.status != ExportRequest.Status.READY:
            return None
        return f"/v1/exports/{SIGNER.sign(str(made.pk))}"


class ExportView(APIView):
    """Everything held about the caller, at once."""

    permission_classes = MINE
    throttle_scope = "export"

    @extend_schema(responses=dict)
    def get(self, request: Request) -> Response:
        data = export.everything_about(caller(request), now=timezone.now())
        return Response(Verbatim(data), headers={"Cache-Control": "private, no-store"})


class ExportList(ListAPIView[ExportRequest]):
    """The caller's archives, latest first; and asking for one."""

    permission_classes = MINE
    serializer_class = ExportSerializer
    queryset = ExportRequest.objects.none()

    @property
    def throttle_scope(self) -> str | None:
        return "export" if self.request.method == "POST" else None

    def get_queryset(self) -> Any:
        return ExportRequest.objects.filter(user=caller(self.request)).order_by("-id")

    @extend_schema(request=None, responses={202: ExportSerializer})
    def post(self, request: Request) -> Response:
        made = export.request_export(user=caller(request), now=timezone.now())
        return Response(ExportSerializer(made).data, status.HTTP_202_ACCEPTED)


class ExportDetail(APIView):
    """One of the caller's archives, and how far it is."""

    permission_classes = MINE

    @extend_schema(responses=ExportSerializer)
    def get(self, request: Request, export_id: UUID) -> Response:
        made = ExportRequest.objects.filter(user=caller(request), pk=export_id).first()
        if made is None:
            raise NotFound
        return Response(ExportSerializer(made).data)


class DownloadView(APIView):
    """The archive behind a signed link, which is all the sign-in that a browser's download has."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY}, auth=[])
    def get(self, request: Request, token: str) -> HttpResponse:
        try:
            export_id = SIGNER.unsign(token, max_age=LINK_SECONDS)
        except signing.BadSignature:
            raise NotFound from None
        ready = ExportRequest.objects.filter(status=ExportRequest.Status.READY, expires_at__gt=timezone.now())
        made = ready.filter(pk=export_id).first()
        if made is None:
            raise NotFound
        try:
            file = default_storage.open(made.file)
        except FileNotFoundError:
            # Deleted in this very moment.
            raise NotFound from None
        answer = FileResponse(file, as_attachment=True, filename="juniro-export.zip")
        answer["Cache-Control"] = "private, no-store"
        return answer  # type: ignore[return-value]


class ErasureSerializer(ModelSerializer):
    """A deletion. `dueAt` is when it is carried out; the other times say what has been done."""

    due_at = serializers.SerializerMethodField()

    class Meta:
        model = ErasureRequest
        fields = ["id", "status", "due_at", "erased_at", "auth_deleted_at", "completed_at", "created_at"]

    @extend_schema_field(OpenApiTypes.DATETIME)
    def get_due_at(self, made: ErasureRequest) -> datetime | None:
        return made.next_step_at if made.status == ErasureRequest.Status.REQUESTED else made.erased_at


class AccountView(APIView):
    """The end of the caller's account."""

    permission_classes = MINE
    errors = {"DELETE": (erasure.OpenBalance, LastOwner)}

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        """Erases the caller's personal data, keeps the books without it, and deletes the Supabase user.

        The header `Location` names the receipt, which anybody who knows its address can read, without signing in.
        With a grace period (`ERASURE_GRACE_DAYS`) the account lives on until it is over, and can be restored.
        """
        now = timezone.now()
        made = erasure.request_erasure(user=caller(request), now=now)
        # The account is closed. What fails from here on is the sweep's to do, and no reason to tell of an error.
        erasure.go_on(made.pk, now=now)
        return Response(None, headers={"Location": f"/v1/erasures/{made.pk}"})


class RestoreView(APIView):
    """Keeps the account after all, while its grace period lasts."""

    permission_classes = MINE
    errors = {"POST": (InvalidState,)}

    @extend_schema(request=None, responses=ErasureSerializer)
    def post(self, request: Request) -> Response:
        return Response(ErasureSerializer(erasure.cancel_request(user=caller(request))).data)


class ErasureView(APIView):
    """The receipt of a deletion: what was done and when, and not a word on whose account it was."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(responses=ErasureSerializer, auth=[])
    def get(self, request: Request, erasure_id: UUID) -> Response:
        made = ErasureRequest.objects.filter(pk=erasure_id).first()
        if made is None:
            raise NotFound
        return Response(ErasureSerializer(made).data, headers={"Cache-Control": "private, no-store"})
