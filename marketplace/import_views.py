"""`POST /v1/provider/import`: a timetable that a provider has, as a CSV file."""

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import BaseParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import query
from core.errors import MalformedRequest, PayloadTooLarge, ValidationFailed
from core.serializers import Serializer
from marketplace.importing import import_timetable
from marketplace.views import parameter
from providers.permissions import STAFF_ONLY, own_account


class CsvParser(BaseParser):
    """The body itself is the file."""

    media_type = "text/csv"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        check_size(parser_context)
        return stream.read(settings.MAX_BODY_BYTES + 1)


class UploadParser(MultiPartParser):
    """A form as browsers send it, with the file in `file` and nothing beside it."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        check_size(parser_context)
        try:
            form: Any = super().parse(stream, media_type, parser_context)
        except SuspiciousOperation:
            raise MalformedRequest("The form cannot be read.") from None
        if list(form.files) != ["file"] or len(form.files.getlist("file")) != 1 or form.data:
            raise ValidationFailed("Send one file, and nothing else.", field="file")
        return form.files["file"].read()


def check_size(parser_context: Any) -> None:
    """Raises `PayloadTooLarge` before anything is read."""
    length = parser_context["request"].META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > settings.MAX_BODY_BYTES:
        raise PayloadTooLarge


class CreatedSerializer(Serializer):
    activities = serializers.IntegerField()
    offerings = serializers.IntegerField()
    sessions = serializers.IntegerField()


class ImportedActivitySerializer(Serializer):
    id = serializers.UUIDField(allow_null=True, help_text="None on a dry run")
    title = serializers.CharField()
    slug = serializers.CharField()


class ImportWarningSerializer(Serializer):
    row = serializers.IntegerField(help_text="As spreadsheets count: the header is row 1")
    field = serializers.CharField(help_text="The column")
    message = serializers.CharField()


class ImportSerializer(Serializer):
    """What came of the file; `activities` are the new drafts, `unchanged` the rows whose session was there already."""

    dry_run = serializers.BooleanField()
    rows = serializers.IntegerField()
    created = CreatedSerializer()
    unchanged = serializers.IntegerField()
    activities = ImportedActivitySerializer(many=True)
    warnings = ImportWarningSerializer(many=True)


class ImportView(APIView):
    """Takes over a timetable: all of the file, or, with an error in any row, nothing."""

    permission_classes = STAFF_ONLY
    # It makes whole catalogues, and so is no everyday "create".
    staff_actions: ClassVar[dict[str, str]] = {"POST": "edit", "OPTIONS": "view"}
    parser_classes = (CsvParser, UploadParser)

    @extend_schema(
        parameters=[parameter("dryRun", "true: only tell what would come of it", bool)],
        request={
            "text/csv": OpenApiTypes.STR,
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            },
        },
        responses={200: ImportSerializer, 201: ImportSerializer},
    )
    def post(self, request: Request) -> Response:
        """Adds activities (as drafts), offerings and sessions that are not there yet; what is there stays as it is.
        An error's `details` name row, column and message."""
        dry_run = bool(query.boolean(query.known_only(request, "dry_run", paged=False), "dry_run"))
        outcome = import_timetable(
            account=own_account(request),
            # An empty body never gets to a parser.
            file=request.data if isinstance(request.data, bytes) else b"",
            dry_run=dry_run,
            now=timezone.now(),
        )
        shown = {
            "dry_run": dry_run,
            "rows": outcome.rows,
            "created": {
                "activities": len(outcome.activities),
                "offerings": outcome.offerings,
                "sessions": outcome.sessions,
            },
            "unchanged": outcome.unchanged,
            "activities": [
                {"id": None if dry_run else each.pk, "title": each.title, "slug": each.slug}
                for each in outcome.activities
            ],
            "warnings": outcome.warnings,
        }
        return Response(ImportSerializer(shown).data, status.HTTP_200_OK if dry_run else status.HTTP_201_CREATED)
