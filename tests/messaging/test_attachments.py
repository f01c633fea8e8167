"""POST /v1/conversations/{id}/attachments, complete and DELETE; sending them with a message; opening them."""

import re
import zipfile
from datetime import timedelta
from io import BytesIO

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import ExifTags, Image

from core import uploads
from juniro.settings import uploads as storage
from messaging import attachments, tasks
from messaging.models import Attachment, Conversation, Message
from tests.factories import BookingFactory, ProviderUserFactory, UserFactory
from tests.messaging.conftest import CONVERSATIONS
from tests.uploading import files, post, service_account

pytestmark = pytest.mark.django_db(databases=["default", "global"])
REAL = pytest.mark.django_db(transaction=True, databases=["default", "global"])

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    """Uploads lie in a folder of this test."""
    settings.STORAGES = settings.STORAGES | {"default": storage(f"file://{tmp_path}")}
    return tmp_path


@pytest.fixture
def path(conversation):
    return f"{CONVERSATIONS}/{conversation.pk}"


def picture(kind="JPEG", **options) -> bytes:
    out = BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, kind, **options)
    return out.getvalue()


def announce(caller, path, content_type="image/jpeg", name="pool.jpg"):
    return caller.post(f"{path}/attachments", {"contentType": content_type, "name": name})


def complete(caller, path, attachment_id):
    return caller.post(f"{path}/attachments/{attachment_id}/complete")


def upload(api, caller, path, data=None, content_type="image/jpeg", name="pool.jpg"):
    """Announces, posts and completes a file; the last answer."""
    announced = announce(caller, path, content_type, name).data
    assert post(api, announced["upload"], picture() if data is None else data, content_type).status == 201
    return complete(caller, path, announced["id"])


def send(caller, path, *ids, content=""):
    return caller.post(f"{path}/messages", {"content": content, "attachmentIds": list(ids)})


def fetch(api, url):
    return api.client.get("/v1/" + url.split("/v1/")[1])


# --- The way of a file ----------------------------------------------------------------------------------------------


def test_a_picture_is_announced_uploaded_checked_sent_and_seen_by_the_other_side(api, two, path, folder, settings):
    answer = announce(two.owner, path, "image/png", "Our pool.PNG")
    assert answer.status == 201
    row = Attachment.objects.get()
    form = answer.data.pop("upload")
    assert answer.data == {
        "id": str(row.pk), "conversationId": path.split("/")[-1], "status": "pending", "url": None,
        "type": "image/png", "name": "Our pool.PNG", "sizeBytes": None, "createdAt": answer.data["createdAt"],
    }  # fmt: skip
    assert form["url"] == f"{settings.REGION_API_URLS['us']}/v1/uploads/attachments/{row.pk}"
    assert post(api, form, picture("PNG"), "image/png").status == 201
    assert files(folder) == [f"attachments/incoming/{row.pk}"]

    ready = complete(two.owner, path, row.pk).data
    assert (ready["status"], ready["type"], ready["name"]) == ("ready", "image/jpeg", "Our pool.jpg")
    assert files(folder) == [f"attachments/{row.pk}.jpg"]
    assert complete(two.owner, path, row.pk).data["sizeBytes"] == ready["sizeBytes"]
    assert two.ana.get(f"{path}/messages").data[-1]["attachments"] is None

    sent = send(two.owner, path, row.pk, content="Look")
    assert sent.status == 201
    assert Message.objects.get(number=2).attachments == [
        {"id": str(row.pk), "url": f"attachments/{row.pk}.jpg", "type": "image/jpeg", "name": "Our pool.jpg",
         "size_bytes": ready["sizeBytes"]}
    ]  # fmt: skip
    [seen] = two.ana.get(f"{path}/messages").data[-1]["attachments"]
    assert seen == {
        "id": str(row.pk), "url": seen["url"], "type": "image/jpeg", "name": "Our pool.jpg",
        "sizeBytes": ready["sizeBytes"],
    }  # fmt: skip
    response = fetch(api, seen["url"])
    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    assert response["Content-Disposition"] == 'inline; filename="Our pool.jpg"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Cache-Control"] == "private, max-age=900"
    assert len(b"".join(response.streaming_content)) == ready["sizeBytes"]


def test_a_pdf_is_passed_on_as_it_is_and_only_downloaded(api, two, path, folder):
    ready = upload(api, two.owner, path, PDF, "application/pdf", "Prices 2026.pdf").data
    send(two.owner, path, ready["id"])
    [seen] = two.ana.get(f"{path}/messages").data[-1]["attachments"]
    response = fetch(api, seen["url"])
    assert b"".join(response.streaming_content) == PDF
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"] == 'attachment; filename="Prices 2026.pdf"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert files(folder) == [f"attachments/{ready['id']}.pdf"]


def test_files_alone_are_a_message_and_keep_their_order(api, two, path):
    ids = [upload(api, two.ana, path, name=f"{number}.jpg").data["id"] for number in (1, 2, 3)]
    ids = [ids[2], ids[0], ids[1]]
    answer = send(two.ana, path, *ids)
    assert answer.status == 201
    assert [each["id"] for each in answer.data["attachments"]] == ids
    assert two.owner.get(CONVERSATIONS).data[0]["lastMessage"] == "3 files"
    assert set(Attachment.objects.values_list("status", "message__number")) == {("sent", 2)}


def test_neither_text_nor_file_is_no_message(two, path):
    answer = send(two.ana, path)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert answer.error["details"] == [{"field": "content", "message": "Write something, or attach a file."}]


def test_what_was_changed_ones_mind_about_is_deleted(api, two, path, folder):
    ready = upload(api, two.ana, path).data
    assert two.ana.delete(f"{path}/attachments/{ready['id']}").status == 200
    assert files(folder) == []
    assert two.ana.delete(f"{path}/attachments/{ready['id']}").code == (404, "NOT_FOUND")
    assert send(two.ana, path, ready["id"]).code == (404, "NOT_FOUND")


# --- What is not taken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["image/gif", "image/svg+xml", "text/html", "application/zip", "", None])
def test_other_kinds_of_files_are_not_welcome(two, path, content_type):
    answer = announce(two.ana, path, content_type)
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == ["contentType"]
    assert not Attachment.objects.exists()


def zipped() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "hidden")
    return out.getvalue()


BAD = {
    "empty": (b"", "application/pdf"),
    "a page": (b"<script>alert(1)</script>", "application/pdf"),
    "a picture called PDF": (picture(), "application/pdf"),
    "a PDF called picture": (PDF, "image/jpeg"),
    "half a PDF": (PDF[:-20], "application/pdf"),
    "a PDF behind something else": (b"GIF89a" + PDF, "application/pdf"),
    "a PDF with an archive behind it": (PDF + zipped(), "application/pdf"),
    "a PDF with a page behind it": (PDF + b"<html><script>alert(1)</script>", "application/pdf"),
    "a PDF with a script": (PDF.replace(b"/Pages", b"/OpenAction<</S/JavaScript/JS(x)>>/Pages"), "application/pdf"),
    "a script in disguise": (PDF.replace(b"/Pages", b"/S/Java#53cript/Pages"), "application/pdf"),
    "a PDF that starts programs": (PDF.replace(b"/Pages", b"/S/Launch/Pages"), "application/pdf"),
    "a PDF with a file in it": (PDF.replace(b"/Pages", b"/EmbeddedFiles 3 0 R/Pages"), "application/pdf"),
    "a damaged picture": (picture()[:100], "image/jpeg"),
    "a PNG called JPEG": (picture("PNG"), "image/jpeg"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_such_file_is_never_ready(api, two, path, folder, name):
    data, content_type = BAD[name]
    announced = announce(two.ana, path, content_type).data
    assert post(api, announced["upload"], data, content_type).status == 201
    answer = complete(two.ana, path, announced["id"])
    assert answer.code == (400, "VALIDATION_ERROR")
    assert [each["field"] for each in answer.error["details"]] == ["file"]
    assert files(folder) == []
    assert send(two.ana, path, announced["id"]).code == (409, "INVALID_STATE")
    assert Message.objects.count() == 1
    # The form may be used again.
    good = PDF if content_type == "application/pdf" else picture()
    assert post(api, announced["upload"], good, content_type).status == 201
    assert complete(two.ana, path, announced["id"]).data["status"] == "ready"


def test_what_came_along_with_a_picture_stays_behind(api, two, path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SecretCam"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (30.0, 16.0, 12.3)
    data = picture(exif=exif, comment=b"Mia Lopez") + b"<script>alert(1)</script>" + zipped() + PDF
    ready = upload(api, two.ana, path, data).data
    raw = b"".join(fetch(api, ready["url"]).streaming_content)
    assert raw[:2] == b"\xff\xd8"
    for secret in (b"SecretCam", b"Mia", b"script", b"hidden", b"%PDF"):
        assert secret not in raw
    assert dict(Image.open(BytesIO(raw)).getexif()) == {}


def test_a_file_is_not_larger_than_10_mib(api, two, path, folder):
    form = announce(two.ana, path, "application/pdf").data["upload"]
    huge = PDF[:-30] + b" " * uploads.MOST_BYTES + PDF[-30:]
    assert post(api, form, huge, "application/pdf").code == (413, "PAYLOAD_TOO_LARGE")
    assert post(api, form, huge + b" " * 70_000, "application/pdf").code == (413, "PAYLOAD_TOO_LARGE")
    assert files(folder) == []
    # Past us, into a bucket that did not look at the form.
    default_storage.save(attachments.incoming(Attachment.objects.get().pk), ContentFile(huge))
    assert complete(two.ana, path, Attachment.objects.get().pk).code == (400, "VALIDATION_ERROR")
    assert files(folder) == []


def test_only_the_form_may_upload_and_only_for_an_hour(api, two, path, folder, now):
    announced, other = announce(two.ana, path).data, announce(two.ana, path).data
    form = announced["upload"]
    of_an_image = uploads.signer().sign(f"incoming/{announced['id']}")
    for token in ("", "x", other["upload"]["fields"]["token"], of_an_image):
        assert post(api, form, picture(), token=token).code == (403, "FORBIDDEN")
    with time_machine.travel(now - timedelta(minutes=62), tick=False):
        old = uploads.signer().sign(attachments.incoming(announced["id"]))
    assert post(api, form, picture(), token=old).code == (403, "FORBIDDEN")
    assert post(api, form, picture("PNG"), "image/png").code == (400, "VALIDATION_ERROR")
    assert files(folder) == []
    assert post(api, form, picture()).status == 201
    complete(two.ana, path, announced["id"])
    assert post(api, form, picture()).code == (409, "INVALID_STATE")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd.jpg"),
        ("C:\\pool\\plan.jpeg", "plan.jpg"),
        ('a"b<c>.jpg', "a_b_c_.jpg"),
        ("gpj.\u202eexe.png", "gpj.exe.jpg"),
        ("a\r\nSet-Cookie: x=1.jpg", "aSet-Cookie_ x=1.jpg"),
        ("...", "file.jpg"),
        ("योजना 2026.jpg", "योजना 2026.jpg"),
        ("x" * 200, "x" * 90 + ".jpg"),
    ],
)
def test_a_name_is_the_name_of_a_file_and_no_more(api, two, path, given, kept):
    ready = upload(api, two.ana, path, name=given)
    assert ready.data["name"] == kept
    assert "\n" not in fetch(api, ready.data["url"])["Content-Disposition"]


def test_contacts_in_names_stay_hidden_until_a_booking_is_confirmed(api, two, path):
    ready = upload(api, two.owner, path, name="Call +1 512 555 0123 now.jpg").data
    send(two.owner, path, ready["id"])
    [seen] = two.ana.get(f"{path}/messages").data[-1]["attachments"]
    assert seen["name"] == "Call ••• now.jpg"
    assert "555" not in fetch(api, seen["url"])["Content-Disposition"]
    BookingFactory(
        child__parent=two.ana_user.parent, session__offering__activity__provider=two.provider, status="confirmed"
    )
    [seen] = two.ana.get(f"{path}/messages").data[-1]["attachments"]
    assert seen["name"] == "Call +1 512 555 0123 now.jpg"


# --- Whose it is ----------------------------------------------------------------------------------------------------


def test_somebody_elses_upload_does_not_exist(api, two, path):
    ready = upload(api, two.owner, path).data
    mate = api.as_user(ProviderUserFactory(provider_account=two.provider).user)
    one = f"{path}/attachments/{ready['id']}"
    for caller in (two.ana, mate):
        assert caller.post(f"{one}/complete").code == (404, "NOT_FOUND")
        assert caller.delete(one).code == (404, "NOT_FOUND")
        answer = send(caller, path, ready["id"], content="Mine")
        assert answer.code == (404, "NOT_FOUND")
        assert answer.error["details"][0]["field"] == "attachmentIds"
    stranger = api.as_user(UserFactory())
    assert announce(stranger, path).code == (404, "NOT_FOUND")
    assert announce(api, path).code == (401, "UNAUTHORIZED")
    assert Message.objects.count() == 1
    assert send(two.owner, path, ready["id"]).status == 201


def test_a_file_stays_in_its_conversation(api, two, path):
    ready = upload(api, two.ana, path).data
    other = ProviderUserFactory().provider_account
    begun = two.ana.post(CONVERSATIONS, {"providerId": str(other.pk), "content": "Hello"}).data
    assert send(two.ana, f"{CONVERSATIONS}/{begun['id']}", ready["id"]).code == (404, "NOT_FOUND")


def test_a_file_is_sent_once(api, two, path):
    ready = upload(api, two.ana, path).data
    assert send(two.ana, path, ready["id"]).status == 201
    assert send(two.ana, path, ready["id"]).code == (409, "INVALID_STATE")
    assert send(two.ana, path, ready["id"], ready["id"]).code == (400, "VALIDATION_ERROR")
    assert two.ana.delete(f"{path}/attachments/{ready['id']}").code == (409, "INVALID_STATE")
    assert Message.objects.count() == 2


@pytest.mark.parametrize("ids", [["x"], "x", [None], ["019b76da-a815-7000-a6a5-4dd67170151d"] * 6])
def test_ids_are_few_and_ids(two, path, ids):
    answer = two.ana.post(f"{path}/messages", {"content": "Hi", "attachmentIds": ids})
    assert answer.code == (400, "VALIDATION_ERROR")
    assert Message.objects.count() == 1


def test_a_blocked_conversation_takes_none(api, two, path, folder):
    ready, announced = upload(api, two.ana, path).data, announce(two.ana, path).data
    two.owner.post(f"{path}/block")
    assert announce(two.ana, path).code == (409, "INVALID_STATE")
    assert post(api, announced["upload"], picture()).code == (409, "INVALID_STATE")
    assert complete(two.ana, path, announced["id"]).code == (409, "INVALID_STATE")
    assert send(two.ana, path, ready["id"]).code == (409, "INVALID_STATE")
    assert files(folder) == [f"attachments/{ready['id']}.jpg"]


def test_a_user_has_ten_at_most_that_wait_and_lost_ones_do_not_count(two, path, now):
    for _ in range(10):
        assert announce(two.ana, path).status == 201
    assert announce(two.ana, path).code == (409, "INVALID_STATE")
    assert announce(two.owner, path).status == 201
    first = Attachment.objects.filter(uploader=two.ana_user).earliest("pk")
    Attachment.objects.filter(pk=first.pk).update(created_at=now - timedelta(hours=2))
    assert announce(two.ana, path).status == 201


# --- Links ----------------------------------------------------------------------------------------------------------


def test_a_link_opens_one_file_for_some_minutes(api, two, path, now):
    ready = upload(api, two.ana, path).data
    other = upload(api, two.ana, path).data
    moment = now.replace(minute=20)
    with time_machine.travel(moment, tick=False) as clock:
        url = attachments.link(ready["id"], now=moment)
        assert fetch(api, url).status_code == 200
        token = url.rpartition("/")[2]
        for bad in (
            token[:-1],
            token.replace(token[:32], other["id"].replace("-", "")),
            "x",
            f"{token[:33]}9999999999",
        ):
            assert api.get(f"/v1/attachments/{bad}").code == (404, "NOT_FOUND")
        clock.move_to(moment.replace(minute=44))
        assert fetch(api, url).status_code == 200
        clock.move_to(moment.replace(minute=45))
        assert api.get("/v1/" + url.split("/v1/")[1]).code == (404, "NOT_FOUND")


def test_an_answer_with_a_link_keeps_its_etag_for_a_while(api, two, path, now):
    send(two.ana, path, upload(api, two.ana, path).data["id"])
    with time_machine.travel(now.replace(minute=20), tick=False) as clock:
        owner = api.as_user(two.owner_user)
        tag = owner.get(f"{path}/messages?after=1").headers["ETag"]
        clock.move_to(now.replace(minute=29))
        assert owner.get(f"{path}/messages?after=1", If_None_Match=tag).status == 304
        clock.move_to(now.replace(minute=31))
        assert owner.get(f"{path}/messages?after=1", If_None_Match=tag).status == 200


def test_what_was_uploaded_but_not_checked_is_not_opened(api, two, path, now):
    announced = announce(two.ana, path).data
    post(api, announced["upload"], picture())
    assert fetch(api, attachments.link(announced["id"], now=now)).status_code == 404


def test_neither_names_nor_links_stand_in_the_log(api, two, path, capfd):
    ready = upload(api, two.ana, path, name="canary-5551.jpg").data
    send(two.ana, path, ready["id"])
    out = capfd.readouterr()
    assert "canary-5551" not in out.out + out.err


# --- Upkeep ---------------------------------------------------------------------------------------------------------


def test_what_was_left_behind_is_tidied_away(api, two, path, folder, now):
    sent, kept, old = (upload(api, two.ana, path).data["id"] for _ in range(3))
    send(two.ana, path, sent)
    waiting = announce(two.ana, path).data
    post(api, waiting["upload"], picture())
    Attachment.objects.filter(pk__in=[sent, old]).update(created_at=now - timedelta(days=2))
    gone = "01a1fbf9-4878-7649-8bf6-6dcf95dc5ee4"
    for name in (f"attachments/{gone}.pdf", f"attachments/incoming/{gone}", f"attachments/incoming/{sent}"):
        default_storage.save(name, ContentFile(b"x"))
    assert tasks.tidy_attachments() == 5  # the old row, its file, and the three
    ready = sorted(f"attachments/{each}.jpg" for each in (sent, kept))
    assert files(folder) == sorted([*ready, f"attachments/incoming/{waiting['id']}"])
    assert tasks.tidy_attachments() == 0


def test_an_empty_storage_is_tidy():
    assert tasks.tidy_attachments() == 0


# --- Two at once ----------------------------------------------------------------------------------------------------


@REAL
def test_of_two_messages_at_once_one_has_the_file(api, two, path, at_once):
    ready = upload(api, two.ana, path).data
    answers = at_once(lambda text: send(two.ana, path, ready["id"], content=text).status, list("abcd"))
    assert sorted(answers) == [201, 409, 409, 409]
    assert Message.objects.exclude(attachments=None).count() == 1


@REAL
def test_control_without_the_locks_several_would_have_it(api, two, path, at_once, monkeypatch):
    ready = upload(api, two.ana, path).data
    row, conversation = Attachment.objects.get(pk=ready["id"]), Conversation.objects.get()
    monkeypatch.setattr(type(Attachment.objects.all()), "select_for_update", lambda self, **_: self._chain())
    given = at_once(lambda _: attachments.take([row.pk], conversation=conversation, sender=two.ana_user), [1, 2, 3])
    assert [[each.pk for each in one] for one in given] == [[row.pk]] * 3


@REAL
def test_two_who_complete_at_once_make_one_file(api, two, path, at_once, folder):
    announced = announce(two.ana, path).data
    post(api, announced["upload"], picture())
    answers = at_once(lambda _: complete(two.ana, path, announced["id"]).status, [1, 2, 3])
    # Whoever came when the upload was put away already finds nothing to complete, or all of it complete.
    assert set(answers) <= {200, 409} and 200 in answers
    assert files(folder) == [f"attachments/{announced['id']}.jpg"]


@REAL
def test_a_user_has_ten_at_most_whoever_asks_at_once(two, path, at_once):
    for _ in range(8):
        announce(two.ana, path)
    answers = at_once(lambda _: announce(two.ana, path).status, [1, 2, 3, 4])
    assert sorted(answers) == [201, 201, 409, 409]


@REAL
def test_a_file_that_is_sent_while_it_is_deleted_is_one_or_the_other(api, two, path, at_once, folder):
    for _ in range(3):
        ready = upload(api, two.ana, path).data
        jobs = [
            lambda ready=ready: send(two.ana, path, ready["id"]).status,
            lambda ready=ready: two.ana.delete(f"{path}/attachments/{ready['id']}").status,
        ]
        sent, deleted = at_once(lambda job: job(), jobs)
        assert (sent, deleted) in {(201, 409), (404, 200)}
        assert (f"attachments/{ready['id']}.jpg" in files(folder)) is (sent == 201)


@REAL
def test_what_is_sent_while_the_sweep_comes_by_stays(api, two, path, at_once, folder, now):
    ready = upload(api, two.ana, path).data
    Attachment.objects.update(created_at=now - timedelta(days=2))
    jobs = [lambda: send(two.ana, path, ready["id"]).status, tasks.tidy_attachments]
    sent, _ = at_once(lambda job: job(), jobs)
    assert sent in (201, 404)
    assert files(folder) == ([f"attachments/{ready['id']}.jpg"] if sent == 201 else [])
    assert Attachment.objects.exists() is (sent == 201)


# --- A bucket -------------------------------------------------------------------------------------------------------


def test_the_form_of_a_bucket_leads_into_the_folder_of_uploads(two, path, settings, monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", service_account(tmp_path))
    settings.STORAGES = settings.STORAGES | {"default": storage("gs://juniro-us/region")}
    announced = announce(two.ana, path, "application/pdf").data
    assert announced["upload"]["fields"]["key"] == f"region/attachments/incoming/{announced['id']}"
    assert announced["upload"]["fields"]["Content-Type"] == "application/pdf"
    assert re.match(r"https://storage\.googleapis\.com/juniro-us/", announced["upload"]["url"])


def test_the_link_to_a_file_of_a_hidden_message_opens_nothing(api, two, path, now):
    made = upload(api, two.ana, path).data
    sent = send(two.ana, path, made["id"]).data
    (shown,) = sent["attachments"]
    assert fetch(api, shown["url"]).status_code == 200
    Message.objects.filter(pk=sent["id"]).update(hidden_at=now)
    assert fetch(api, shown["url"]).status_code == 404
    assert two.owner.get(f"{path}/messages").data[-1]["attachments"] is None
