"""Tables that people open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpResponse

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
    answer = HttpResponse(text.getvalue().encode("utf-8-sig"), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "private, no-store"
    return answer
