"""The search for details of people where they must not be, in whatever the system leaves behind."""

import base64
import io
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote


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


def dump_redis(redis: Any) -> bytes:
    """All keys and values of one Redis database."""
    readers: dict[bytes, Any] = {
        b"none": lambda key: b"",  # it expired in this very moment
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
