"""Canaries: details of people who do not exist, unlike any other text, and the search for them where they must not be.

Who lets the system work with these may search whatever it leaves behind: `found_in(dump)` names those that got out.
"""

import base64
import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from redis import Redis
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

PERSONAL = {
    "parent's first name": "Quillonette",
    "parent's last name": "Varnhagenova",
    "parent's e-mail": "quillonette.canary@mail.example",
    "child's first name": "Peregrinella",
    "child's last name": "Varnhagenchild",
    "child's birth date": "2018-03-19",
    "provider's first name": "Ottokarine",
    "provider's last name": "Zwerschke",
    "provider's e-mail": "ottokarine.canary@mail.example",
    "invited e-mail": "invited.canary@mail.example",
    "business's e-mail": "office.canary@mail.example",
    "address": "17 Kanarienvogel Crescent",
    "reason of a cancellation": "broken collarbone canary",
    "subject of a conversation": "peanut allergy canary",
    "message": "she carries an epipen canary",
    "review": "the changing room canary",
    "report": "insulting tone canary",
    "interest typed into the search": "wheelchair canary",
    "payer's name": "Cardholda Canarius",
    "payer's e-mail": "payer.canary@mail.example",
    "UPI address": "quillonette.canary@okbank",
    "card's last digits": "card-4519-canary",
    "bank account": "50100canary7788",
    "wallet": "wallet-canary",
    "idempotency key": "my-kid-peregrinella-key-canary",
}
PHONES = {
    "us": {"parent's phone": "+15125550187", "business's phone": "+15125550143", "payer's phone": "+15125550176"},
    "in": {"parent's phone": "+919876500187", "business's phone": "+919876500143", "payer's phone": "+919876500176"},
}


def canaries(region: str) -> dict[str, str]:
    """All of them, by what they are; phones are of the region's country."""
    return PERSONAL | PHONES[region]


def forms(text: str) -> tuple[set[bytes], set[bytes]]:
    """How `text` may stand in stored or sent bytes: in lower case in any of the first, or exactly as one of the second.

    As it is, in an address, escaped as JSON does, without a phone's plus sign; and within base64, at any offset.
    """
    text = text.removeprefix("+") if text.startswith("+") else text
    raw = text.encode()
    plain = {raw, quote(text, safe="").encode(), text.encode("ascii", "backslashreplace"), raw.replace(b" ", b"+")}
    encoded = set()
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw)
        encoded.add(whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return {each.lower() for each in plain}, encoded


def found_in(data: bytes | str, among: Mapping[str, str]) -> list[str]:
    """Which of `among` stand in `data`, by what they are; members of a ZIP file are unpacked."""
    data = data.encode() if isinstance(data, str) else data
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as files:
            data = b"\n".join([*(name.encode() for name in files.namelist()), *map(files.read, files.namelist())])
    lower = data.lower()
    found = []
    for what, text in among.items():
        plain, encoded = forms(text)
        if any(each in lower for each in plain) or any(each in data for each in encoded):
            found.append(what)
    return found


def dump_redis(redis: Redis) -> bytes:
    """All keys and values of one Redis database."""
    readers: dict[bytes, Any] = {
        b"string": redis.get,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"hash": redis.hgetall,
        b"zset": lambda key: redis.zrange(key, 0, -1),
    }
    return b"\n".join(flat([key, readers[redis.type(key)](key)]) for key in redis.scan_iter("*"))


def flat(value: Any) -> bytes:
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    if isinstance(value, Iterable) and not isinstance(value, bytes | str):
        return b"\n".join(map(flat, value))
    return value if isinstance(value, bytes) else str(value).encode()


def dump_database(connection: Any) -> bytes:
    """All rows of all tables of a Django connection's database, as COPY writes them."""
    parts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            with cursor.copy(f'COPY "{table}" TO STDOUT') as rows:
                parts += [table.encode(), *(bytes(row) for row in rows)]
    return b"\n".join(parts)


class CapturedReports(Transport):
    """The last step of Sentry's SDK, which keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent.append(envelope.serialize())
