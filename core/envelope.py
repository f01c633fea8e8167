"""JSON in and out: the envelope around every answer, camelCase outside and snake_case inside."""

import re
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import Promise
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from core import errors

# No body of ours comes near it; Python's own recursion and orjson's encoder end at some hundreds.
MAX_DEPTH = 32


class Verbatim(dict):
    """A dict whose keys are data, not field names: neither renamed nor looked into."""


class Envelope(dict):
    """A whole answer, `success` included, that the renderer sends as it is."""


def camelize_key(key: str) -> str:
    head, *tail = key.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in tail)


def snake_key(key: str) -> str:
    if key.islower():
        return key
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match.group(1).lower(), key)


def camelize(data: Any) -> Any:
    """`data` with every key in camelCase, except inside `Verbatim`."""
    if isinstance(data, Verbatim):
        return dict(data)
    if isinstance(data, dict):
        return {camelize_key(key): camelize(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [camelize(value) for value in data]
    return data


def to_json(data: Any) -> bytes:
    """The one encoder: UUIDs as strings, datetimes as ISO 8601 UTC with `Z`, lazy texts as texts."""
    return orjson.dumps(data, default=_default, option=orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_SUBCLASS)


def _default(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    if isinstance(value, str | Promise):
        return str(value)
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def error_envelope(error: errors.Error) -> Envelope:
    return Envelope(
        success=False,
        error={"code": error.code, "message": error.message, "details": [camelize(row) for row in error.details]},
    )


class EnvelopeRenderer(BaseRenderer):
    """Wraps `response.data` as `{"success": true, "data": …}`, with `response.meta` as `meta` where a list set it."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if isinstance(data, Envelope):
            return to_json(data)
        body = {"success": True, "data": data if isinstance(data, orjson.Fragment) else camelize(data)}
        meta = getattr((renderer_context or {}).get("response"), "meta", None)
        if meta is not None:
            body["meta"] = camelize(meta)
        return to_json(body)


class CamelCaseParser(BaseParser):
    """Reads a JSON body of at most 1 MiB, taking `camelCase` and `snake_case` names alike."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        request: HttpRequest = (parser_context or {})["request"]
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0
        if length > settings.MAX_BODY_BYTES:
            raise errors.PayloadTooLarge
        return loads(stream.read(settings.MAX_BODY_BYTES + 1))


def loads(raw: bytes) -> Any:
    """A request body as Python data with snake_case keys. Raises `PayloadTooLarge` and `MalformedRequest`."""
    if len(raw) > settings.MAX_BODY_BYTES:
        raise errors.PayloadTooLarge
    if b"\x00" in raw or b"\\u0000" in raw:
        raise errors.MalformedRequest("The body holds a NUL character.")
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise errors.MalformedRequest from None
    return _snake(data)


def _snake(data: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        raise errors.MalformedRequest("The body is nested too deep.")
    if isinstance(data, dict):
        snake = {snake_key(key): _snake(value, depth + 1) for key, value in data.items()}
        if len(snake) != len(data):
            raise errors.MalformedRequest("A field is given twice, in camelCase and in snake_case.")
        return snake
    if isinstance(data, list):
        return [_snake(value, depth + 1) for value in data]
    return data


class AlwaysJSON(BaseContentNegotiation):
    """The API speaks JSON whatever `Accept` says, so that even a browser's answer is in the envelope."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        given = (request.content_type or "").split(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == given), None)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        return renderers[0], renderers[0].media_type
