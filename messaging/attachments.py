"""Files of messages: announced, uploaded past us, looked at closely, then sent with one message.

Files are named for their attachment's id: `attachments/incoming/{id}` as uploaded, `attachments/{id}.jpg` or `.pdf` as
the other side gets them. Pictures are drawn anew, PDFs are passed on as they are.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core import pictures, uploads
from core.errors import InvalidState, NotFound, ValidationFailed
from messaging import pdfs
from messaging.models import Attachment, Conversation
from notifications.letters import one_line
from users.models import User

PDF = "application/pdf"
TYPES = (*pictures.FORMATS, PDF)
EXTENSIONS = {"image/jpeg": "jpg", PDF: "pdf"}
ENDING = re.compile(r"\.(?:jpe?g|png|webp|pdf)\Z", re.IGNORECASE)
MOST_ATTACHMENTS = 5  # of one message
MOST_UNSENT = 10  # of one user
LINK_VALID_FOR = timedelta(minutes=15)
SIGNER = signing.Signer(salt="messaging.attachments")
FOLDER, INCOMING = "attachments", "attachments/incoming"


# --- Verbs ----------------------------------------------------------------------------------------------------------


def announce(*, conversation: Conversation, uploader: User, content_type: str, name: str, now: datetime) -> Attachment:
    """Announces a file for one of the next messages. Raises `InvalidState` where it is blocked, or for too many."""
    refuse_blocked(conversation)
    with transaction.atomic():
        User.objects.select_for_update(of=("self",), no_key=True).get(pk=uploader.pk)
        unsent = Attachment.objects.filter(uploader=uploader, message=None)
        lost = unsent.filter(status=Attachment.Status.PENDING, created_at__lt=now - uploads.FORM_VALID_FOR)
        if unsent.count() - lost.count() >= MOST_UNSENT:
            raise InvalidState(f"At most {MOST_UNSENT} files can wait to be sent. Send or delete some first.")
        return Attachment.objects.create(
            conversation=conversation, uploader=uploader, content_type=content_type, name=name, created_at=now
        )


def complete(*, attachment: Attachment) -> Attachment:
    """Checks what was uploaded and makes it ready to be sent. Twice does no harm.

    Raises `InvalidState` if nothing was uploaded, or the conversation is blocked; `ValidationFailed` for what is no
    such file; the form may then be used again.
    """
    refuse_blocked(attachment.conversation)
    if attachment.status != Attachment.Status.PENDING:
        return attachment
    try:
        content_type, content = checked(uploads.read(incoming(attachment.pk)), content_type=attachment.content_type)
    except ValidationFailed:
        uploads.delete_file(incoming(attachment.pk))
        raise
    default_storage.save(file_name(attachment.pk, content_type), ContentFile(content))
    pending = Attachment.objects.filter(pk=attachment.pk, status=Attachment.Status.PENDING)
    pending.update(
        status=Attachment.Status.READY,
        content_type=content_type,
        name=f"{ENDING.sub('', attachment.name)}.{EXTENSIONS[content_type]}",
        size_bytes=len(content),
        updated_at=timezone.now(),
    )
    found = Attachment.objects.filter(pk=attachment.pk).first()
    if found is None:
        # It was deleted meanwhile.
        delete_files([attachment.pk])
        raise NotFound
    uploads.delete_file(incoming(attachment.pk))
    return found


def checked(raw: bytes, *, content_type: str) -> tuple[str, bytes]:
    """What is passed on of an uploaded file, and its type."""
    if content_type == PDF:
        pdfs.check(raw)
        return PDF, raw
    return "image/jpeg", pictures.jpeg(pictures.redraw(raw, content_type=content_type))


def take(ids: Collection[UUID], *, conversation: Conversation, sender: User) -> list[Attachment]:
    """The sender's own files for a message, in this order, locked. Raises `NotFound`, and `InvalidState` where one
    is not ready, or was sent before.
    """
    rows = Attachment.objects.filter(pk__in=ids, conversation=conversation, uploader=sender).order_by("pk")
    found = {row.pk: row for row in rows.select_for_update(no_key=True)}
    if len(found) < len(ids):
        raise NotFound("There is no such attachment.", field="attachmentIds")
    if any(row.status == Attachment.Status.PENDING for row in found.values()):
        raise InvalidState("An attachment is not complete yet.")
    if any(row.status == Attachment.Status.SENT for row in found.values()):
        raise InvalidState("An attachment was sent already.")
    return [found[each] for each in ids]


def remove(*, attachment: Attachment) -> None:
    """Deletes a file that was not sent. Raises `InvalidState` for one that was."""
    if not Attachment.objects.filter(pk=attachment.pk, message=None).delete()[0]:
        raise InvalidState("It was sent already.")
    delete_files([attachment.pk])


def refuse_blocked(conversation: Conversation) -> None:
    if conversation.status == Conversation.Status.BLOCKED:
        raise InvalidState("This conversation is blocked.")


def tidy(*, now: datetime) -> int:
    """Deletes what was never sent, and files whose attachment is gone; returns how many."""
    unsent = Attachment.objects.filter(message=None)
    done = unsent.filter(created_at__lt=now - uploads.KEPT_UNFINISHED).delete()[0]
    pending = unsent.filter(status=Attachment.Status.PENDING)
    done += uploads.tidy_folder(INCOMING, alive=lambda ids: ids_of(pending, ids))
    return done + uploads.tidy_folder(FOLDER, alive=lambda ids: ids_of(Attachment.objects.all(), ids))


def ids_of(rows: QuerySet[Attachment], ids: Collection[UUID]) -> set[UUID]:
    return set(rows.filter(pk__in=ids).values_list("pk", flat=True))


# --- Files ----------------------------------------------------------------------------------------------------------


def incoming(attachment_id: UUID) -> str:
    return f"{INCOMING}/{attachment_id}"


def file_name(attachment_id: UUID, content_type: str) -> str:
    return f"{FOLDER}/{attachment_id}.{EXTENSIONS[content_type]}"


def upload_form(attachment: Attachment) -> dict[str, Any]:
    """What a client posts the file with."""
    return uploads.form(
        incoming(attachment.pk),
        path=f"/v1/uploads/attachments/{attachment.pk}",
        content_type=attachment.content_type,
        announced_at=attachment.created_at,
    )


def delete_files(attachment_ids: Collection[UUID]) -> None:
    for each in attachment_ids:
        uploads.delete_file(incoming(each))
        for content_type in EXTENSIONS:
            uploads.delete_file(file_name(each, content_type))


def told(rows: Sequence[Attachment]) -> list[dict[str, Any]] | None:
    """What a message says of its files (data model: Message.attachments)."""
    return [
        {
            "id": str(row.pk),
            "url": file_name(row.pk, row.content_type),
            "type": row.content_type,
            "name": row.name,
            "size_bytes": row.size_bytes,
        }
        for row in rows
    ] or None


def clean(name: str) -> str:
    """`name` as the name of a file: no folders, nothing that a file system minds, nothing that cannot be seen."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(each for each in last if unicodedata.category(each)[0] != "C")
    return re.sub(r'[<>:"|?*]', "_", one_line(seen)).strip(" .")[:90] or "file"


# --- Links ----------------------------------------------------------------------------------------------------------


def link(attachment_id: UUID | str, *, now: datetime) -> str:
    """An address that opens the file for 15 to 30 minutes, to whoever has it.

    For each quarter of an hour it is the same, so that an answer with it keeps its ETag.
    """
    quarter = int(now.timestamp()) // LINK_VALID_FOR.seconds
    until = (quarter + 2) * LINK_VALID_FOR.seconds
    token = SIGNER.sign(f"{UUID(str(attachment_id)).hex}.{until}")
    return f"{settings.REGION_API_URLS[settings.REGION]}/v1/attachments/{token}"


def read_link(token: str, *, now: datetime) -> Attachment:
    """The file that a link opens. Raises `NotFound`."""
    try:
        attachment_id, _, until = SIGNER.unsign(token).partition(".")
    except signing.BadSignature:
        raise NotFound from None
    if now >= datetime.fromtimestamp(int(until), UTC):
        raise NotFound("This link is no longer valid. Load the conversation again.")
    ready = Attachment.objects.exclude(status=Attachment.Status.PENDING).select_related("conversation")
    # Neither is what belongs to a message that Juniro has hidden.
    found = ready.exclude(message__hidden_at__isnull=False).filter(pk=attachment_id).first()
    if found is None:
        raise NotFound
    return found
