"""Taking in files where uploads lie in a folder. With a bucket they do not come through us at all."""

from typing import Any
from uuid import UUID

from django.core.exceptions import SuspiciousOperation
from django.core.files.storage import FileSystemStorage, default_storage
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import uploads
from core.errors import Forbidden, InvalidState, MalformedRequest, NotFound, PayloadTooLarge, ValidationFailed
from core.serializers import UploadedSerializer

# The form around the file.
FORM_BYTES = 64 * 1024


class UploadView(APIView):
    """Takes in the file of one row; the form's token says who may, and until when. An app says which rows."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (MultiPartParser,)
    errors = {"POST": (Forbidden, InvalidState)}

    def name(self, upload_id: UUID) -> str:
        """Where the file of this row goes."""
        raise NotImplementedError

    def announced(self, upload_id: UUID) -> Any:
        """The row with its `content_type`. Raises `InvalidState` if it is complete; None if it is gone."""
        raise NotImplementedError

    @extend_schema(
        request={
            "multipart/form-data": {
                "type": "object",
                "required": ["token", "file"],
                "properties": {"token": {"type": "string"}, "file": {"type": "string", "format": "binary"}},
            }
        },
        responses={201: UploadedSerializer},
    )
    def post(self, request: Request, upload_id: UUID) -> Response:
        if not isinstance(default_storage, FileSystemStorage):
            raise NotFound
        too_large = PayloadTooLarge(f"The file may be {uploads.MOST_BYTES // 1024 // 1024} MiB at most.")
        length = request.META.get("CONTENT_LENGTH") or ""
        if length.isdigit() and int(length) > uploads.MOST_BYTES + FORM_BYTES:
            raise too_large
        try:
            token, file = request.POST.get("token", ""), request.FILES.get("file")
        except SuspiciousOperation:
            raise MalformedRequest("The form is not valid.") from None
        uploads.check_token(str(token), self.name(upload_id))
        row = self.announced(upload_id)
        if row is None:
            raise NotFound
        if file is None:
            raise ValidationFailed("Send the file as the form's field `file`.", field="file")
        if file.size > uploads.MOST_BYTES:
            raise too_large
        if file.content_type != row.content_type:
            raise ValidationFailed(f"A file of the type {row.content_type} was announced.", field="file")
        default_storage.save(self.name(upload_id), file)
        return Response({"size_bytes": file.size}, status.HTTP_201_CREATED)
