"""Validators for reads: an ETag over the bytes, and 304 where the caller has them already."""

import hashlib

from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags, quote_etag
from rest_framework.request import Request
from rest_framework.response import Response


def with_etag(request: Request, response: Response, *, max_age: int) -> HttpResponse:
    """`response` with `ETag` and `Cache-Control: public`, or a 304 if `If-None-Match` names the same bytes."""
    response.accepted_renderer = request.accepted_renderer
    response.accepted_media_type = request.accepted_media_type
    setattr(response, "renderer_context", {"request": request, "response": response})  # noqa: B010
    response.render()
    return validated(
        request, response, cache_control=f"public, max-age={max_age}, stale-while-revalidate={max_age * 5}"
    )


def validated(request: Request, response: HttpResponse, *, cache_control: str) -> HttpResponse:
    """`response`, rendered already, with its `ETag` and `cache_control`, or the 304 in its place."""
    etag = quote_etag(hashlib.sha256(response.content).hexdigest()[:32])
    known = parse_etags(request.META.get("HTTP_IF_NONE_MATCH", ""))
    answer = response
    if "*" in known or etag in (tag.removeprefix("W/") for tag in known):
        answer = HttpResponseNotModified()
    answer["ETag"] = etag
    answer["Cache-Control"] = cache_control
    return answer
