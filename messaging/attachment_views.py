"""`/v1/conversations/{id}/attachments`: files on their way into a message, and what a link to one opens."""

from uuid import UUID

from django.core.files.storage import default_storage
from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.errors import InvalidState, NotFound
from core.upload_views import UploadView
from messaging import attachments, services
from messaging.masking import mask
from messaging.models import Attachment
from messaging.serializers import AnnouncedAttachmentSerializer, AttachmentSerializer, NewAttachmentSerializer
from messaging.views import MessagingView
from users.permissions import caller


class AttachmentList(MessagingView):
    """Announces a file and answers with the form to post it with. Then call `…/complete`, and name it in a message."""

    errors = {"POST": (InvalidState,)}

    @extend_schema(request=NewAttachmentSerializer, responses={201: AnnouncedAttachmentSerializer})
    def post(self, request: Request, conversation_id: UUID) -> Response:
        body = NewAttachmentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        conversation, _ = self.find(conversation_id, to="create")
        made = attachments.announce(
            conversation=conversation, uploader=caller(request), now=timezone.now(), **body.validated_data
        )
        # Beside the serializer, which would rename the form's fields.
        shown = AttachmentSerializer(made).data | {"upload": attachments.upload_form(made)}
        return Response(shown, status.HTTP_201_CREATED)


class OwnAttachmentView(MessagingView):
    """A file that the caller announced."""

    def own(self, conversation_id: UUID, attachment_id: UUID) -> Attachment:
        conversation, _ = self.find(conversation_id, to="create")
        rows = conversation.attachments.filter(uploader=caller(self.request)).select_related("conversation")
        found = rows.filter(pk=attachment_id).first()
        if found is None:
            raise NotFound
        return found


class AttachmentView(OwnAttachmentView):
    """A file that is not sent yet."""

    errors = {"DELETE": (InvalidState,)}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, conversation_id: UUID, attachment_id: UUID) -> Response:
        attachments.remove(attachment=self.own(conversation_id, attachment_id))
        return Response(None)


class CompleteView(OwnAttachmentView):
    """Checks what was uploaded, and makes it ready for a message."""

    errors = {"POST": (InvalidState,)}

    @extend_schema(request=None, responses=AttachmentSerializer)
    def post(self, request: Request, conversation_id: UUID, attachment_id: UUID) -> Response:
        done = attachments.complete(attachment=self.own(conversation_id, attachment_id))
        return Response(AttachmentSerializer(done).data)


class AttachmentUploadView(UploadView):
    """Takes in the file of an attachment that was announced."""

    def name(self, upload_id: UUID) -> str:
        return attachments.incoming(upload_id)

    def announced(self, upload_id: UUID) -> Attachment | None:
        row = Attachment.objects.select_related("conversation").filter(pk=upload_id).first()
        if row:
            attachments.refuse_blocked(row.conversation)
            if row.status != Attachment.Status.PENDING:
                raise InvalidState("This file is complete. Announce another one.")
        return row


class FileView(APIView):
    """The file behind a link of a message, which is all the sign-in that a browser's download has."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}, auth=[])
    def get(self, request: Request, token: str) -> FileResponse:
        row = attachments.read_link(token, now=timezone.now())
        try:
            file = default_storage.open(attachments.file_name(row.pk, row.content_type))
        except FileNotFoundError:
            raise NotFound from None
        name = row.name if services.acquainted([row.conversation]) else mask(row.name)
        is_document = row.content_type == attachments.PDF
        answer = FileResponse(file, content_type=row.content_type, as_attachment=is_document, filename=name)
        # As long as the link itself; and should the file hold anything else, no browser runs it.
        answer["Cache-Control"] = f"private, max-age={attachments.LINK_VALID_FOR.seconds}"
        answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
        answer["Cross-Origin-Resource-Policy"] = "cross-origin"
        answer["Referrer-Policy"] = "no-referrer"
        return answer
