"""Images of activities: announcing and arranging them, taking in their files, and showing them to everybody."""

from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from core import query
from core.errors import InvalidState, NotFound
from core.upload_views import UploadView
from marketplace import images
from marketplace.models import ActivityImage
from marketplace.provider_serializers import (
    AnnouncedImageSerializer,
    ImageSerializer,
    NewImageSerializer,
)
from marketplace.provider_views import STAFF_ACTIONS, own_activity
from providers.permissions import STAFF_ONLY, own_account

A_YEAR = 31_536_000


class ActivityImageViewSet(mixins.ListModelMixin, GenericViewSet[ActivityImage]):
    """The images of one of the account's activities, in their order, announced ones included."""

    permission_classes = STAFF_ONLY
    staff_actions = STAFF_ACTIONS
    errors = {"create": (InvalidState,)}
    serializer_class = ImageSerializer
    queryset = ActivityImage.objects.none()

    def get_queryset(self) -> QuerySet[ActivityImage]:
        query.known_only(self.request)
        return own_activity(self.request, self.kwargs["activity_id"]).images.order_by("position", "id")

    @extend_schema(request=NewImageSerializer, responses={201: AnnouncedImageSerializer})
    def create(self, request: Request, activity_id: UUID) -> Response:
        """Announces a picture and answers with the form to post it with. Then call `…/complete`."""
        activity = own_activity(request, activity_id)
        body = NewImageSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        image = images.add(activity=activity, now=timezone.now(), **body.validated_data)
        # Beside the serializer, which would rename the form's fields.
        shown = ImageSerializer(image).data | {"upload": images.upload_form(image)}
        return Response(shown, status.HTTP_201_CREATED)


class ImageViewSet(GenericViewSet[ActivityImage]):
    """One image of the account's activities."""

    permission_classes = STAFF_ONLY
    staff_actions = STAFF_ACTIONS
    errors = {"complete": (InvalidState,)}
    serializer_class = ImageSerializer
    queryset = ActivityImage.objects.none()

    def get_queryset(self) -> QuerySet[ActivityImage]:
        mine = ActivityImage.objects.filter(activity__provider=own_account(self.request))
        return mine.select_related("activity")

    @extend_schema(request=None, responses=ImageSerializer)
    def complete(self, request: Request, pk: Any) -> Response:
        """Checks what was uploaded and shows it."""
        return Response(ImageSerializer(images.complete(image=self.get_object())).data)

    def partial_update(self, request: Request, pk: Any) -> Response:
        """Changes the text beside it, or its place among its siblings, from 0; the first is the activity's card."""
        image = self.get_object()
        body = self.get_serializer(image, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        return Response(self.get_serializer(images.change(image=image, **body.validated_data)).data)

    def destroy(self, request: Request, pk: Any) -> Response:
        images.remove(image=self.get_object())
        return Response(None)


class ImageUploadView(UploadView):
    """Takes in the file of a picture that was announced."""

    def name(self, upload_id: UUID) -> str:
        return images.incoming(upload_id)

    def announced(self, upload_id: UUID) -> ActivityImage | None:
        image = ActivityImage.objects.filter(pk=upload_id).first()
        if image and image.status != ActivityImage.Status.PENDING:
            raise InvalidState("This picture is complete. Announce another one.")
        return image


class ImageFileView(APIView):
    """A picture for everybody. It never changes: another picture has another address."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request, image_id: UUID) -> Any:
        try:
            file = default_storage.open(images.shown(image_id))
        except FileNotFoundError:
            raise NotFound from None
        response = FileResponse(file, content_type="image/jpeg")
        response["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
        response["Content-Disposition"] = "inline"
        # We wrote it ourselves; should it hold anything else all the same, no browser runs it.
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response
