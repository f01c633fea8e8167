"""Tables that people open in a spreadsheet."""

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, TypeVar

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

CSV = "text/csv; charset=utf-8"

# What makes a spreadsheet take a cell for a formula, and could so make it fetch an address with a child's name in it.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(value: Any) -> str:
    """`value` as text that no spreadsheet runs: what looks like a formula gets an apostrophe before it."""
    text = "" if value is None else str(value).replace("\x00", "")
    return f"'{text}" if text.lstrip(" \xa0").startswith(FORMULAS) else text


def csv_answer(name: str, *, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """A CSV file to keep as `name`, in UTF-8 with the mark by which spreadsheets know it. Nobody may cache it."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(header)
    lines.writerows([cell(value) for value in row] for row in rows)
    return to_keep(name, HttpResponse(text.getvalue().encode("utf-8-sig"), content_type=CSV))


def csv_stream(name: str, *, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """The same for more rows than one wants to hold in memory."""
    lines = csv.writer(Echo())
    told = chain([header], rows)
    text = (lines.writerow([cell(value) for value in row]) for row in told)
    return to_keep(name, StreamingHttpResponse(chain([codecs.BOM_UTF8], text), content_type=CSV))


class Echo:
    """A file that gives each line back instead of keeping it."""

    def write(self, line: str) -> bytes:
        return line.encode()


Answer = TypeVar("Answer", bound=HttpResponseBase)


def to_keep(name: str, answer: Answer) -> Answer:
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "private, no-store"
    return answer
