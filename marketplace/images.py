"""Pictures of activities: announced, uploaded past us, then looked at closely before anybody sees them.

A client asks for a form (`add`), posts the file with it straight to the storage, and reports back (`complete`). What
was uploaded is only ever read here: what is shown is a JPEG that we wrote anew, without anything that came along with
the picture. Files are named for their image's id: `incoming/{id}` as uploaded, `images/{id}.jpg` as shown.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Max, Q, QuerySet

from core import pictures, uploads
from core.dispatch import after_commit
from core.errors import InvalidState, NotFound, ValidationFailed
from marketplace.catalogue import lock_activity, refuse_archived
from marketplace.models import Activity, ActivityImage

MOST_IMAGES = 10


# --- Verbs ----------------------------------------------------------------------------------------------------------


def add(*, activity: Activity, content_type: str, alt: str = "", now: datetime) -> ActivityImage:
    """Announces a picture, the last of its activity. Raises `InvalidState` for too many."""
    with transaction.atomic():
        activity = lock_activity(activity)
        refuse_archived(activity)
        lost = Q(status=ActivityImage.Status.PENDING, created_at__lt=now - uploads.FORM_VALID_FOR)
        check_room(activity.images.exclude(lost))
        last = activity.images.aggregate(last=Max("position"))["last"]
        position = 0 if last is None else last + 1
        return activity.images.create(content_type=content_type, alt=alt, position=position)


def complete(*, image: ActivityImage) -> ActivityImage:
    """Checks what was uploaded and shows it. Twice does no harm.

    Raises `InvalidState` if nothing was uploaded or there are too many, and `ValidationFailed` for what is no such
    picture; the form may then be used again.
    """
    if image.status == ActivityImage.Status.READY:
        return image
    try:
        picture = pictures.redraw(uploads.read(incoming(image.pk)), content_type=image.content_type)
    except ValidationFailed:
        uploads.delete_file(incoming(image.pk))
        raise
    default_storage.save(shown(image.pk), ContentFile(pictures.jpeg(picture)))
    with transaction.atomic():
        activity = lock_activity(image.activity)
        image = find(image)
        if image.status == ActivityImage.Status.PENDING:
            # Announcements that seemed lost did not count.
            check_room(activity.images.filter(status=ActivityImage.Status.READY))
            image.move(ActivityImage.Status.READY, width=picture.width, height=picture.height)
            show_first(activity)
    uploads.delete_file(incoming(image.pk))
    return image


def change(*, image: ActivityImage, alt: str | None = None, position: int | None = None) -> ActivityImage:
    """Changes what an image says, or its place among its siblings, from 0; past the end is the end."""
    with transaction.atomic():
        activity = lock_activity(image.activity)
        image = find(image)
        if alt is not None:
            image.alt = alt
            image.save(update_fields=["alt", "updated_at"])
        if position is not None:
            order = [each for each in activity.images.order_by("position", "id") if each.pk != image.pk]
            order.insert(position, image)
            for number, each in enumerate(order):
                each.position = number
            ActivityImage.objects.bulk_update(order, ["position"])
            show_first(activity)
        return image


def remove(*, image: ActivityImage) -> None:
    """Deletes an image, and its files after commit."""
    with transaction.atomic():
        activity = lock_activity(image.activity)
        image = find(image)
        image_id = image.pk
        image.delete()
        show_first(activity)
        after_commit("marketplace.tasks.delete_image_files", image_id)


def check_room(others: QuerySet[ActivityImage]) -> None:
    if others.count() >= MOST_IMAGES:
        raise InvalidState(f"An activity has at most {MOST_IMAGES} images.")


def find(image: ActivityImage) -> ActivityImage:
    """The image as it is now. Raises `NotFound` if it is gone."""
    found = ActivityImage.objects.filter(pk=image.pk).first()
    if found is None:
        raise NotFound
    return found


def show_first(activity: Activity) -> None:
    """Makes the first image the activity's own, which its card shows; one from elsewhere stays until there is any."""
    first = activity.images.filter(status=ActivityImage.Status.READY).order_by("position", "id").first()
    address = url(first.pk) if first else ""
    if address or activity.image_url.startswith(folder_url()):
        activity.image_url = address
        activity.save(update_fields=["image_url", "updated_at"])


# --- Files ----------------------------------------------------------------------------------------------------------


def incoming(image_id: UUID) -> str:
    return f"incoming/{image_id}"


def shown(image_id: UUID) -> str:
    return f"images/{image_id}.jpg"


def url(image_id: UUID) -> str:
    """Where everybody can see a picture that is ready."""
    return f"{folder_url()}/{image_id}.jpg"


def folder_url() -> str:
    return f"{settings.REGION_API_URLS[settings.REGION]}/media/images"


def upload_form(image: ActivityImage) -> dict[str, Any]:
    """What a client posts the file with."""
    return uploads.form(
        incoming(image.pk),
        path=f"/v1/uploads/{image.pk}",
        content_type=image.content_type,
        announced_at=image.created_at,
    )


def delete_files(image_ids: Iterable[UUID]) -> None:
    for image_id in image_ids:
        uploads.delete_file(incoming(image_id))
        uploads.delete_file(shown(image_id))


def tidy(*, now: datetime) -> int:
    """Deletes uploads that were never finished, and files whose image is gone; returns how many."""
    pending = ActivityImage.objects.filter(status=ActivityImage.Status.PENDING)
    done = pending.filter(created_at__lt=now - uploads.KEPT_UNFINISHED).delete()[0]
    done += uploads.tidy_folder("incoming", alive=lambda ids: ids_of(pending, ids))
    return done + uploads.tidy_folder("images", alive=lambda ids: ids_of(ActivityImage.objects.all(), ids))


def ids_of(rows: QuerySet[ActivityImage], ids: Collection[UUID]) -> set[UUID]:
    return set(rows.filter(pk__in=ids).values_list("pk", flat=True))
