"""Files of strangers: announced, posted past us straight to the storage, then looked at before anybody sees them.

What was uploaded lies under a name that nobody can read, with its row's id at the end. docs/decisions/0015 says why.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.files.storage import FileSystemStorage, default_storage

from core.envelope import Verbatim
from core.errors import Forbidden, InvalidState, ValidationFailed

MOST_BYTES = 10 * 1024 * 1024
FORM_VALID_FOR = timedelta(hours=1)
KEPT_UNFINISHED = timedelta(days=1)


def form(name: str, *, path: str, content_type: str, announced_at: datetime) -> dict[str, Any]:
    """What a client posts the file with, as multipart/form-data: to whom, and which fields before `file`.

    Into a folder the file comes through our own API at `path`, into a bucket it goes straight, with a form that Google
    checks.
    """
    if isinstance(default_storage, FileSystemStorage):
        address = f"{settings.REGION_API_URLS[settings.REGION]}{path}"
        made: dict[str, Any] = {"url": address, "fields": {"token": signer().sign(name)}}
    else:
        storage: Any = default_storage
        made = storage.client.generate_signed_post_policy_v4(
            storage.bucket_name,
            "/".join(filter(None, (storage.location, name))),
            FORM_VALID_FOR,
            conditions=[["content-length-range", 1, MOST_BYTES]],
            fields={"Content-Type": content_type},
        )
    return {
        "url": made["url"],
        "fields": Verbatim(made["fields"]),
        "max_bytes": MOST_BYTES,
        "expires_at": announced_at + FORM_VALID_FOR,
    }


def signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt="core.uploads")


def check_token(token: str, name: str) -> None:
    """Raises `Forbidden` unless `token` is that of a form for `name`, and not too old."""
    try:
        signed = signer().unsign(token, max_age=FORM_VALID_FOR)
    except signing.BadSignature:
        signed = ""
    if signed != name:
        raise Forbidden("This form is not valid, or no longer. Announce the file again.")


def read(name: str) -> bytes:
    """What was uploaded as `name`. Raises `InvalidState` where nothing was, `ValidationFailed` for too much."""
    try:
        with default_storage.open(name) as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise InvalidState("Nothing has been uploaded yet. Post the file to the form's address first.") from None
    if len(raw) > MOST_BYTES:
        raise refused(f"The file may be {MOST_BYTES // 1024 // 1024} MiB at most.")
    return raw


def refused(message: str) -> ValidationFailed:
    return ValidationFailed(message, field="file")


def delete_file(name: str) -> None:
    with suppress(FileNotFoundError):
        default_storage.delete(name)


def tidy_folder(folder: str, *, alive: Callable[[Collection[UUID]], set[UUID]]) -> int:
    """Deletes the files of `folder` whose row is not among the `alive` ones of the ids; returns how many."""
    done = 0
    names = files_in(folder)
    for start in range(0, len(names), 500):
        ids = {name: id_in(name) for name in names[start : start + 500]}
        kept = alive(list(filter(None, ids.values())))
        for name in [name for name, row_id in ids.items() if row_id not in kept]:
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
        return UUID(name.partition(".")[0])
    except ValueError:
        return None
