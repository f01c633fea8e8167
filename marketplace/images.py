"""Pictures of activities: announced, uploaded past us, then looked at closely before anybody sees them.

A client asks for a form (`add`), posts the file with it straight to the storage, and reports back (`complete`). What
was uploaded is only ever read here: what is shown is a JPEG that we wrote anew, without anything that came along with
the picture. Files are named for their image's id: `incoming/{id}` as uploaded, `images/{id}.jpg` as shown.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import transaction
from django.db.models import Max, Q, QuerySet
from PIL import Image, ImageCms, ImageOps

from core.dispatch import after_commit
from core.envelope import Verbatim
from core.errors import InvalidState, NotFound, ServiceUnavailable, ValidationFailed
from marketplace.catalogue import lock_activity, refuse_archived
from marketplace.models import Activity, ActivityImage

log = structlog.get_logger("juniro.images")

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
MOST_BYTES = 10 * 1024 * 1024
MOST_PIXELS = 25_000_000
LONGEST_SIDE = 2000
MOST_IMAGES = 10
FORM_VALID_FOR = timedelta(hours=1)
KEPT_UNFINISHED = timedelta(days=1)

# A picture of 25 megapixels takes some 200 MB while it is open: one at a time in each process. Whoever would have to
# wait for long comes again, so that not all threads end up waiting here.
_desk = threading.Lock()
PATIENCE_SECONDS = 3


class Busy(ServiceUnavailable):
    message = "We are busy with other pictures. Try again shortly."


# --- Verbs ----------------------------------------------------------------------------------------------------------


def add(*, activity: Activity, content_type: str, alt: str = "", now: datetime) -> ActivityImage:
    """Announces a picture, the last of its activity. Raises `InvalidState` for too many."""
    with transaction.atomic():
        activity = lock_activity(activity)
        refuse_archived(activity)
        lost = Q(status=ActivityImage.Status.PENDING, created_at__lt=now - FORM_VALID_FOR)
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
    raw = read_upload(image)
    try:
        picture = redraw(raw, content_type=image.content_type)
    except ValidationFailed:
        delete_file(incoming(image.pk))
        raise
    out = BytesIO()
    # Nothing is passed on: no EXIF with the place where a child was, no profile, no comment, no thumbnail.
    picture.save(out, "JPEG", quality=85, optimize=True, progressive=True)
    default_storage.save(shown(image.pk), ContentFile(out.getvalue()))
    with transaction.atomic():
        activity = lock_activity(image.activity)
        image = find(image)
        if image.status == ActivityImage.Status.PENDING:
            # Announcements that seemed lost did not count.
            check_room(activity.images.filter(status=ActivityImage.Status.READY))
            image.move(ActivityImage.Status.READY, width=picture.width, height=picture.height)
            show_first(activity)
    delete_file(incoming(image.pk))
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
    """What a client posts the file with, as multipart/form-data: to whom, and which fields before `file`.

    Into a folder the file comes through our own API, into a bucket it goes straight, with a form that Google checks.
    """
    if isinstance(default_storage, FileSystemStorage):
        address = f"{settings.REGION_API_URLS[settings.REGION]}/v1/uploads/{image.pk}"
        form: dict[str, Any] = {"url": address, "fields": {"token": signer().sign(str(image.pk))}}
    else:
        storage: Any = default_storage
        form = storage.client.generate_signed_post_policy_v4(
            storage.bucket_name,
            "/".join(filter(None, (storage.location, incoming(image.pk)))),
            FORM_VALID_FOR,
            conditions=[["content-length-range", 1, MOST_BYTES]],
            fields={"Content-Type": image.content_type},
        )
    return {
        "url": form["url"],
        "fields": Verbatim(form["fields"]),
        "max_bytes": MOST_BYTES,
        "expires_at": image.created_at + FORM_VALID_FOR,
    }


def signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt="marketplace.images")


def read_upload(image: ActivityImage) -> bytes:
    try:
        with default_storage.open(incoming(image.pk)) as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise InvalidState("Nothing has been uploaded yet. Post the file to the form's address first.") from None


def delete_file(name: str) -> None:
    with suppress(FileNotFoundError):
        default_storage.delete(name)


def delete_files(image_ids: Iterable[UUID]) -> None:
    for image_id in image_ids:
        delete_file(incoming(image_id))
        delete_file(shown(image_id))


def tidy(*, now: datetime) -> int:
    """Deletes uploads that were never finished, and files whose image is gone; returns how many."""
    unfinished = ActivityImage.objects.filter(status=ActivityImage.Status.PENDING, created_at__lt=now - KEPT_UNFINISHED)
    done = unfinished.delete()[0]
    for folder in ("incoming", "images"):
        names = files_in(folder)
        for start in range(0, len(names), 500):
            ids = {name: id_in(name) for name in names[start : start + 500]}
            alive = set(ActivityImage.objects.filter(pk__in=filter(None, ids.values())).values_list("pk", flat=True))
            for name, image_id in ids.items():
                if image_id not in alive:
                    delete_file(f"{folder}/{name}")
                    done += 1
    return done


def files_in(folder: str) -> list[str]:
    try:
        return default_storage.listdir(folder)[1]
    except FileNotFoundError:
        return []


def id_in(name: str) -> UUID | None:
    try:
        return UUID(name.removesuffix(".jpg"))
    except ValueError:
        return None


# --- Pictures -------------------------------------------------------------------------------------------------------


def redraw(raw: bytes, *, content_type: str) -> Image.Image:
    """The picture in `raw`, upright, in sRGB on white, at most 2000 pixels long; nothing else that was in the file.

    Raises `ValidationFailed` for what is too large, damaged, or another kind of file than was announced, and `Busy`.
    """
    if len(raw) > MOST_BYTES:
        raise refused(f"The file may be {MOST_BYTES // 1024 // 1024} MiB at most.")
    with at_the_desk():
        try:
            with Image.open(BytesIO(raw), formats=[FORMATS[content_type]]) as image:
                width, height = image.size
                image.verify()
        except Exception as error:
            # Whatever a decoder raises over a stranger's bytes, they are no picture that we show.
            raise refused(f"This is no readable picture of the type {content_type}.") from error
        if width * height > MOST_PIXELS:
            # Known from the file's head, before any of it is unpacked.
            raise refused(f"At most {MOST_PIXELS // 1_000_000} megapixels, please.")
        try:
            with Image.open(BytesIO(raw), formats=[FORMATS[content_type]]) as image:
                return upright(image)
        except Exception as error:
            raise refused("The picture is damaged.") from error


@contextmanager
def at_the_desk() -> Iterator[None]:
    if not _desk.acquire(timeout=PATIENCE_SECONDS):
        raise Busy
    try:
        yield
    finally:
        _desk.release()


def upright(image: Image.Image) -> Image.Image:
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    ImageOps.exif_transpose(image, in_place=True)
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    elif image.mode not in ("RGB", "CMYK"):
        image = image.convert("RGB")
    if profile:
        with suppress(ImageCms.PyCMSError, OSError):
            image = ImageCms.profileToProfile(  # type: ignore[assignment]
                image, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
    picture = image.convert("RGB")
    picture.info.clear()
    return picture


def refused(message: str) -> ValidationFailed:
    return ValidationFailed(message, field="file")
