"""Pictures of strangers: opened with care and drawn anew, without anything that came along with them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

from PIL import Image, ImageCms, ImageOps

from core.errors import ServiceUnavailable
from core.uploads import refused

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
MOST_PIXELS = 25_000_000
LONGEST_SIDE = 2000

# A picture of 25 megapixels takes some 200 MB while it is open: one at a time in each process. Whoever would have to
# wait for long comes again, so that not all threads end up waiting here.
_desk = threading.Lock()
PATIENCE_SECONDS = 3


class Busy(ServiceUnavailable):
    message = "We are busy with other pictures. Try again shortly."


def redraw(raw: bytes, *, content_type: str) -> Image.Image:
    """The picture in `raw`, upright, in sRGB on white, at most 2000 pixels long; nothing else that was in the file.

    Raises `ValidationFailed` for what is too large, damaged, or another kind of file than was announced, and `Busy`.
    """
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


def jpeg(picture: Image.Image) -> bytes:
    """`picture` as a file: no EXIF with the place where a child was, no profile, no comment, no thumbnail."""
    out = BytesIO()
    picture.save(out, "JPEG", quality=85, optimize=True, progressive=True)
    return out.getvalue()


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
