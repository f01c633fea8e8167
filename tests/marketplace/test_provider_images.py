"""Images of activities: announced, uploaded with a signed form, checked, drawn anew, shown, arranged, deleted."""

import base64
import json
import threading
import zlib
from datetime import timedelta
from io import BytesIO

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.db.models import Max
from PIL import ExifTags, Image, ImageCms, ImageDraw

from core import pictures, uploads
from core.errors import ValidationFailed
from juniro.settings import uploads as storage
from marketplace import images, upkeep
from marketplace.models import ActivityImage
from marketplace.tasks import delete_image_files, tidy_images
from tests.factories import ActivityFactory, LocationFactory, OfferingFactory, ProviderUserFactory
from tests.uploading import BOUNDARY, FORM, files, post, service_account

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    """Uploads lie in a folder of this test."""
    settings.STORAGES = settings.STORAGES | {"default": storage(f"file://{tmp_path}")}
    return tmp_path


@pytest.fixture
def owner():
    return ProviderUserFactory()


@pytest.fixture
def caller(api, owner):
    return api.as_user(owner.user)


@pytest.fixture
def activity(owner):
    LocationFactory(provider=owner.provider_account)
    return OfferingFactory(activity__provider=owner.provider_account).activity


def picture(kind="JPEG", size=(40, 30), mode="RGB", color="red", **options) -> bytes:
    out = BytesIO()
    Image.new(mode, size, color).save(out, kind, **options)
    return out.getvalue()


def announce(caller, activity, content_type="image/jpeg", **more):
    return caller.post(f"/v1/provider/activities/{activity.pk}/images", {"contentType": content_type, **more})


def complete(caller, image_id):
    return caller.post(f"/v1/provider/images/{image_id}/complete")


def upload(api, caller, activity, data=None, content_type="image/jpeg", **more):
    """All three steps; the last answer."""
    announced = announce(caller, activity, content_type, **more).data
    assert post(api, announced["upload"], picture() if data is None else data, content_type).status == 201
    return complete(caller, announced["id"])


def mine_of(caller, activity):
    return caller.get(f"/v1/provider/activities/{activity.pk}").data


def fetch(api, address):
    return api.client.get("/media/" + address.split("/media/")[1])


def shown(api, address) -> Image.Image:
    return Image.open(BytesIO(b"".join(fetch(api, address).streaming_content)))


# --- The three steps ------------------------------------------------------------------------------------------------


def test_a_picture_is_announced_uploaded_and_shown(api, caller, activity, folder, settings):
    answer = announce(caller, activity, "image/png", alt="Children  in a pool")
    assert answer.status == 201
    image = ActivityImage.objects.get()
    form = answer.data.pop("upload")
    assert answer.data == {
        "id": str(image.pk), "activityId": str(activity.pk), "url": None, "alt": "Children in a pool", "position": 0,
        "status": "pending", "width": None, "height": None, "createdAt": answer.data["createdAt"],
    }  # fmt: skip
    assert form["url"] == f"{settings.REGION_API_URLS['us']}/v1/uploads/{image.pk}"
    assert (set(form["fields"]), form["maxBytes"]) == ({"token"}, 10_485_760)

    data = picture("PNG")
    assert post(api, form, data, "image/png").data == {"sizeBytes": len(data)}
    assert files(folder) == [f"incoming/{image.pk}"]

    ready = complete(caller, image.pk)
    address = f"{settings.REGION_API_URLS['us']}/media/images/{image.pk}.jpg"
    assert ready.status == 200
    assert (ready.data["url"], ready.data["status"]) == (address, "ready")
    assert (ready.data["width"], ready.data["height"]) == (40, 30)
    assert files(folder) == [f"images/{image.pk}.jpg"]

    response = fetch(api, address)
    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert b"".join(response.streaming_content)[:2] == b"\xff\xd8"


def test_the_first_picture_is_on_the_card_at_once(api, caller, activity):
    upkeep.catch_up()
    address = upload(api, caller, activity).data["url"]
    upload(api, caller, activity)
    announce(caller, activity)
    assert [each["imageUrl"] for each in api.get("/v1/activities").data] == [address]
    detail = api.get(f"/v1/activities/{activity.slug}").data
    assert detail["imageUrl"] == address
    assert [each["url"] for each in detail["images"]] == [address, mine_of(caller, activity)["images"][1]["url"]]
    assert {name: detail["images"][0][name] for name in ("alt", "width", "height", "position")} == {
        "alt": "", "width": 40, "height": 30, "position": 0,
    }  # fmt: skip
    mine = mine_of(caller, activity)
    assert (mine["imageUrl"], mine["images"][0]["url"]) == (address, address)


def test_completing_twice_does_no_harm(api, caller, activity):
    first = upload(api, caller, activity)
    assert complete(caller, first.data["id"]).data == first.data


def test_nothing_is_complete_before_it_is_uploaded(caller, activity):
    announced = announce(caller, activity).data
    assert complete(caller, announced["id"]).code == (409, "INVALID_STATE")
    assert ActivityImage.objects.get().status == "pending"


@pytest.mark.parametrize("content_type", ["image/gif", "image/svg+xml", "text/html", "application/pdf", "", None])
def test_other_kinds_of_files_are_not_welcome(caller, activity, content_type):
    assert announce(caller, activity, content_type).code == (400, "VALIDATION_ERROR")
    assert ActivityImage.objects.count() == 0


def test_an_activity_has_ten_at_most_and_lost_ones_do_not_count(caller, activity):
    for _ in range(10):
        assert announce(caller, activity).status == 201
    assert announce(caller, activity).code == (409, "INVALID_STATE")
    ActivityImage.objects.filter(position=3).update(created_at="2026-01-01T00:00Z")
    assert announce(caller, activity).status == 201


def test_who_comes_late_finds_no_room_either(api, caller, activity):
    late = announce(caller, activity).data
    post(api, late["upload"], picture())
    activity.images.bulk_create(
        ActivityImage(activity=activity, content_type="image/png", status="ready") for _ in range(10)
    )
    assert complete(caller, late["id"]).code == (409, "INVALID_STATE")
    assert ActivityImage.objects.get(pk=late["id"]).status == "pending"


def test_a_picture_from_elsewhere_stays_until_there_is_one(api, caller, activity):
    activity.image_url = "https://img.example/a.jpg"
    activity.save()
    announced = announce(caller, activity).data
    caller.delete(f"/v1/provider/images/{announced['id']}")
    activity.refresh_from_db()
    assert activity.image_url == "https://img.example/a.jpg"
    address = upload(api, caller, activity).data["url"]
    activity.refresh_from_db()
    assert activity.image_url == address


# --- Uploading ------------------------------------------------------------------------------------------------------


def test_only_the_form_may_upload_and_only_for_an_hour(api, caller, activity, folder, now):
    form = announce(caller, activity).data["upload"]
    other = announce(caller, activity).data["upload"]
    for token in ("", "x", other["fields"]["token"], form["fields"]["token"][:-1]):
        assert post(api, form, picture(), token=token).code == (403, "FORBIDDEN")
    with time_machine.travel(now - timedelta(minutes=62), tick=False):
        old = uploads.signer().sign("incoming/" + form["url"].rpartition("/")[2])
    assert post(api, form, picture(), token=old).code == (403, "FORBIDDEN")
    assert files(folder) == []
    assert post(api, form, picture()).status == 201


def test_a_file_is_of_the_kind_that_was_announced(api, caller, activity, folder):
    form = announce(caller, activity).data["upload"]
    assert post(api, form, picture("PNG"), "image/png").code == (400, "VALIDATION_ERROR")
    assert files(folder) == []


def test_a_file_is_not_larger_than_10_mib(api, caller, activity, folder):
    form = announce(caller, activity).data["upload"]
    just_too_much = post(api, form, b"x" * (uploads.MOST_BYTES + 1))
    assert just_too_much.code == (413, "PAYLOAD_TOO_LARGE")
    assert "10 MiB" in just_too_much.error["message"]
    assert post(api, form, b"x" * (uploads.MOST_BYTES + 70_000)).code == (413, "PAYLOAD_TOO_LARGE")
    assert files(folder) == []


def test_a_form_without_a_file_is_named(api, caller, activity):
    form = announce(caller, activity).data["upload"]
    address = "/v1/" + form["url"].split("/v1/")[1]
    kind = FORM
    token = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="token"\r\n\r\n{form["fields"]["token"]}\r\n'
    answer = api.post(address, raw=f"{token}--{BOUNDARY}--\r\n".encode(), **{"Content-Type": kind})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert api.post(address, {"token": "x"}).code == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert api.post(address, raw=b"garbage", **{"Content-Type": kind}).status in (400, 403)
    assert api.get(address).code == (405, "METHOD_NOT_ALLOWED")


def test_a_form_with_a_thousand_files_is_refused(api, caller, activity, folder):
    form = announce(caller, activity).data["upload"]
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nx\r\n'.encode()
    kind = FORM
    raw = part * 1000 + f"--{BOUNDARY}--\r\n".encode()
    assert api.post("/v1/" + form["url"].split("/v1/")[1], raw=raw, **{"Content-Type": kind}).status == 400
    assert files(folder) == []


def test_what_is_complete_takes_no_other_file(api, caller, activity):
    announced = announce(caller, activity).data
    post(api, announced["upload"], picture())
    complete(caller, announced["id"])
    assert post(api, announced["upload"], picture()).code == (409, "INVALID_STATE")


def test_an_image_that_is_gone_takes_no_file(api, caller, activity, folder):
    announced = announce(caller, activity).data
    caller.delete(f"/v1/provider/images/{announced['id']}")
    assert post(api, announced["upload"], picture()).code == (404, "NOT_FOUND")
    assert files(folder) == []


# --- What is no picture ---------------------------------------------------------------------------------------------


BAD = {
    "empty": (b"", "image/jpeg"),
    "text": (b"<script>alert(1)</script>", "image/jpeg"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "image/png"),
    "truncated": (picture(size=(400, 300))[:-200], "image/jpeg"),
    "head only": (picture("PNG")[:40], "image/png"),
    "a PNG called JPEG": (picture("PNG"), "image/jpeg"),
    "a GIF called PNG": (picture("GIF", mode="P", color=0), "image/png"),
    "many pixels": (picture("PNG", size=(6000, 5000), mode="1", color=0), "image/png"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_is_never_shown(api, caller, activity, folder, name):
    data, content_type = BAD[name]
    announced = announce(caller, activity, content_type).data
    assert post(api, announced["upload"], data, content_type).status == 201
    answer = complete(caller, announced["id"])
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [{"field": "file", "message": answer.error["message"]}]
    assert files(folder) == []
    activity.refresh_from_db()
    assert (ActivityImage.objects.get().status, activity.image_url) == ("pending", "")
    # The form may be used again.
    assert post(api, announced["upload"], picture(pictures.FORMATS[content_type]), content_type).status == 201
    assert complete(caller, announced["id"]).status == 200


@pytest.mark.parametrize(("side", "reason"), [(6_000, "megapixels"), (30_000, "no readable picture")])
def test_a_bomb_is_not_unpacked(side, reason):
    """A file of some bytes is refused for the size that its head promises."""
    data = bytearray(picture("PNG"))
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ValidationFailed, match=reason):
        pictures.redraw(bytes(data), content_type="image/png")


def test_a_picture_with_a_script_behind_it_is_drawn_without(api, caller, activity):
    data = picture() + b"<script>alert(1)</script><?php system($_GET['c']); ?>"
    address = upload(api, caller, activity, data).data["url"]
    assert b"script" not in b"".join(fetch(api, address).streaming_content)


# --- What is left of a picture --------------------------------------------------------------------------------------


def test_where_a_child_was_is_not_told(api, caller, activity):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SecretCam"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (30.0, 16.0, 12.3)
    data = picture(exif=exif, comment=b"Mia Lopez")
    assert b"SecretCam" in data
    address = upload(api, caller, activity, data).data["url"]
    result = shown(api, address)
    assert dict(result.getexif()) == {}
    assert not {"exif", "comment", "icc_profile", "xmp"} & result.info.keys()
    raw = b"".join(fetch(api, address).streaming_content)
    assert b"SecretCam" not in raw
    assert b"Mia" not in raw


def test_a_picture_taken_sideways_stands_upright(api, caller, activity):
    image = Image.new("RGB", (40, 20), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 9, 19), fill="red")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # a quarter turn clockwise
    out = BytesIO()
    image.save(out, "JPEG", exif=exif, quality=95)
    data = upload(api, caller, activity, out.getvalue()).data
    assert (data["width"], data["height"]) == (20, 40)
    red, _, blue = shown(api, data["url"]).getpixel((10, 3))
    assert (red > 200, blue < 80) == (True, True)


def test_large_pictures_become_smaller(api, caller, activity):
    data = upload(api, caller, activity, picture(size=(4000, 3000))).data
    assert (data["width"], data["height"]) == (2000, 1500)
    assert shown(api, data["url"]).size == (2000, 1500)


@pytest.mark.parametrize(
    ("kind", "mode", "color"),
    [
        ("PNG", "RGBA", (255, 0, 0, 0)),
        ("PNG", "LA", (0, 0)),
        ("WEBP", "RGBA", (255, 0, 0, 0)),
    ],
)
def test_what_is_transparent_becomes_white(api, caller, activity, kind, mode, color):
    content_type = f"image/{kind.lower()}"
    data = upload(api, caller, activity, picture(kind, mode=mode, color=color), content_type).data
    assert shown(api, data["url"]).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("kind", "mode", "color"),
    [("JPEG", "L", 128), ("JPEG", "CMYK", (0, 255, 255, 0)), ("PNG", "P", 0), ("PNG", "1", 1), ("PNG", "I;16", 40_000)],
)
def test_every_way_to_store_colours_can_be_shown(api, caller, activity, kind, mode, color):
    data = picture(kind, mode=mode, color=color)
    answer = upload(api, caller, activity, data, f"image/{kind.lower()}")
    assert shown(api, answer.data["url"]).mode == "RGB"


def test_colours_of_another_space_are_brought_into_the_webs(api, caller, activity):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for broken in (profile, b"no profile at all"):
        assert upload(api, caller, activity, picture(icc_profile=broken)).status == 200
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    address = upload(api, caller, activity, picture(icc_profile=srgb)).data["url"]
    red, green, _ = shown(api, address).getpixel((5, 5))
    assert (red > 240, green < 20) == (True, True)


# --- Arranging and deleting -----------------------------------------------------------------------------------------


def test_the_order_can_be_changed_and_the_card_follows(api, caller, activity):
    ids = [upload(api, caller, activity).data["id"] for _ in range(3)]
    listed = f"/v1/provider/activities/{activity.pk}/images"

    def order():
        return [ids.index(each["id"]) for each in caller.get(listed).data]

    assert order() == [0, 1, 2]
    assert caller.patch(f"/v1/provider/images/{ids[2]}", {"position": 0}).data["position"] == 0
    assert order() == [2, 0, 1]
    caller.patch(f"/v1/provider/images/{ids[2]}", {"position": 9})
    assert order() == [0, 1, 2]
    caller.patch(f"/v1/provider/images/{ids[0]}", {"position": 1, "alt": "A pool"})
    assert order() == [1, 0, 2]
    activity.refresh_from_db()
    assert ids[1] in activity.image_url
    assert [each["position"] for each in caller.get(listed).data] == [0, 1, 2]
    assert ActivityImage.objects.get(pk=ids[0]).alt == "A pool"


def test_what_is_only_announced_is_not_on_the_card(api, caller, activity):
    announced = announce(caller, activity).data["id"]
    address = upload(api, caller, activity).data["url"]
    activity.refresh_from_db()
    assert activity.image_url == address
    caller.patch(f"/v1/provider/images/{announced}", {"position": 0})
    activity.refresh_from_db()
    assert activity.image_url == address


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"position": -1}, "position"),
        ({"position": "first"}, "position"),
        ({"alt": "x" * 301}, "alt"),
        ({"status": "ready"}, "status"),
        ({"url": "https://evil.example"}, "url"),
        ({"contentType": "image/png"}, "contentType"),
    ],
)
def test_what_is_wrong_is_named(caller, activity, body, field):
    image = activity.images.create(content_type="image/png")
    answer = caller.patch(f"/v1/provider/images/{image.pk}", body)
    assert [each["field"] for each in answer.error["details"]] == [field]


def test_a_deleted_picture_is_gone_for_everybody(
    api, caller, activity, folder, tasks, django_capture_on_commit_callbacks
):
    first, second = (upload(api, caller, activity).data for _ in range(2))
    with django_capture_on_commit_callbacks(execute=True):
        assert caller.delete(f"/v1/provider/images/{first['id']}").body == {"success": True, "data": None}
    activity.refresh_from_db()
    assert activity.image_url == second["url"]
    assert tasks == [("marketplace.tasks.delete_image_files", (first["id"],))]
    delete_image_files(*tasks[0][1])
    delete_image_files(*tasks[0][1])
    assert files(folder) == [f"images/{second['id']}.jpg"]
    assert fetch(api, first["url"]).status_code == 404
    caller.delete(f"/v1/provider/images/{second['id']}")
    activity.refresh_from_db()
    assert activity.image_url == ""


@pytest.mark.parametrize("path", ["/media/images/x.jpg", "/media/images/../incoming/x", "/media/", "/media/incoming/x"])
def test_nothing_else_is_served(api, path):
    answer = api.get(path)
    assert answer.code == (404, "NOT_FOUND")


def test_an_upload_that_was_never_checked_is_not_served(api, caller, activity):
    announced = announce(caller, activity).data
    post(api, announced["upload"], picture())
    assert api.get(f"/media/images/{announced['id']}.jpg").code == (404, "NOT_FOUND")
    assert api.post(f"/media/images/{announced['id']}.jpg").code == (405, "METHOD_NOT_ALLOWED")


def test_what_was_left_behind_is_tidied_away(api, caller, activity, folder, now):
    kept = upload(api, caller, activity).data["id"]
    waiting = announce(caller, activity).data
    post(api, waiting["upload"], picture())
    old = announce(caller, activity).data
    post(api, old["upload"], picture())
    ActivityImage.objects.filter(pk=old["id"]).update(created_at=now - timedelta(days=2))
    gone = "01a1fbf9-4878-7649-8bf6-6dcf95dc5ee4"
    for name in (f"images/{gone}.jpg", f"incoming/{gone}", "images/notes.txt"):
        default_storage.save(name, ContentFile(b"x"))
    assert tidy_images() == 5  # the old row, its file, and the three
    assert files(folder) == [f"images/{kept}.jpg", f"incoming/{waiting['id']}"]
    assert tidy_images() == 0


def test_an_empty_storage_is_tidy():
    assert tidy_images() == 0


# --- The list -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_and_for_three(caller, activity, rows, django_assert_num_queries):
    for _ in range(rows):
        activity.images.create(content_type="image/png")
    with django_assert_num_queries(5):  # user, membership, activity, count, images
        answer = caller.get(f"/v1/provider/activities/{activity.pk}/images")
    assert len(answer.data) == answer.meta["total"] == rows


def test_a_strangers_picture_does_not_exist(caller):
    image = ActivityFactory().images.create(content_type="image/png")
    path = f"/v1/provider/images/{image.pk}"
    for answer in (caller.patch(path, {"alt": "Mine"}), caller.delete(path), caller.post(f"{path}/complete")):
        assert answer.code == (404, "NOT_FOUND")
    assert ActivityImage.objects.count() == 1


# --- Two at once ----------------------------------------------------------------------------------------------------

REAL = pytest.mark.django_db(transaction=True)


@REAL
def test_two_who_complete_at_once_show_one_picture(api, at_once, folder):
    owner = ProviderUserFactory()
    activity = ActivityFactory(provider=owner.provider_account)
    caller = api.as_user(owner.user)
    announced = announce(caller, activity).data
    post(api, announced["upload"], picture())
    answers = at_once(lambda _: complete(api.as_user(owner.user), announced["id"]), [1, 2, 3])
    # Whoever came when the upload was put away already finds nothing to complete, or all of it complete.
    assert {answer.status for answer in answers} <= {200, 409}
    assert [answer.status for answer in answers].count(200) >= 1
    assert complete(caller, announced["id"]).status == 200
    assert files(folder) == [f"images/{announced['id']}.jpg"]


def test_who_would_wait_for_long_comes_again(api, caller, activity, monkeypatch):
    monkeypatch.setattr(pictures, "PATIENCE_SECONDS", 0.01)
    announced = announce(caller, activity).data
    post(api, announced["upload"], picture())
    with pictures.at_the_desk():
        answer = complete(caller, announced["id"])
    assert answer.code == (503, "SERVICE_UNAVAILABLE")
    assert complete(caller, announced["id"]).status == 200


@REAL
def test_an_activity_has_ten_at_most_whoever_asks_at_once(api, at_once):
    owner = ProviderUserFactory()
    activity = ActivityFactory(provider=owner.provider_account)
    activity.images.bulk_create(ActivityImage(activity=activity, content_type="image/png") for _ in range(8))
    answers = at_once(lambda _: announce(api.as_user(owner.user), activity), [1, 2, 3, 4])
    assert sorted(answer.status for answer in answers) == [201, 201, 409, 409]
    assert activity.images.count() == 10


@REAL
def test_control_without_the_lock_there_are_more(api, at_once, monkeypatch):
    owner = ProviderUserFactory()
    activity = ActivityFactory(provider=owner.provider_account)
    activity.images.bulk_create(ActivityImage(activity=activity, content_type="image/png") for _ in range(8))
    everybody_looked = threading.Barrier(4)
    monkeypatch.setattr(images, "lock_activity", lambda activity: activity)

    def last(field):
        everybody_looked.wait(timeout=10)
        return Max(field)

    monkeypatch.setattr(images, "Max", last)
    answers = at_once(lambda _: announce(api.as_user(owner.user), activity), [1, 2, 3, 4])
    assert [answer.status for answer in answers] == [201] * 4
    assert activity.images.count() == 12


# --- A bucket -------------------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(settings, tmp_path, monkeypatch):
    """The settings of a bucket; nothing is sent anywhere."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", service_account(tmp_path))
    settings.STORAGES = settings.STORAGES | {"default": storage("gs://juniro-us/region")}
    return storages["default"]


def test_a_bucket_gets_a_form_that_google_checks(caller, activity, bucket):
    announced = announce(caller, activity, "image/webp").data
    form = announced["upload"]
    assert form["url"] == "https://storage.googleapis.com/juniro-us/"
    assert form["fields"]["key"] == f"region/incoming/{announced['id']}"
    assert form["fields"]["Content-Type"] == "image/webp"
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    assert ["content-length-range", 1, 10_485_760] in policy["conditions"]
    assert {"key": f"region/incoming/{announced['id']}"} in policy["conditions"]
    assert {"Content-Type": "image/webp"} in policy["conditions"]
    assert "x-goog-signature" in form["fields"]


def test_with_a_bucket_nothing_is_uploaded_through_us(api, caller, activity, bucket):
    announced = announce(caller, activity).data
    token = uploads.signer().sign(f"incoming/{announced['id']}")
    form = {"url": f"/v1/uploads/{announced['id']}", "fields": {"token": token}}
    assert post(api, form, picture()).code == (404, "NOT_FOUND")
