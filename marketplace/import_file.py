"""A timetable as a CSV file: from bytes to rows of cells with types. docs/import.md has the columns."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any

from django.conf import settings

from core.errors import ValidationFailed
from marketplace.models import Offering

MOST_ROWS = 1000
# More would not be read, and say the same.
MOST_ERRORS = 100

TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
# Beside 2027-03-31, which always counts: as spreadsheets write dates there.
DATES = {"us": ("%m/%d/%Y",), "in": ("%d/%m/%Y", "%d-%m-%Y")}


class BadCell(ValueError):
    """What is wrong with a cell, for people."""


@dataclass(frozen=True)
class Row:
    """A row, numbered as spreadsheets do (the header is row 1): what its cells hold, and which of them are wrong."""

    number: int
    cells: dict[str, Any]
    wrong: frozenset[str] = frozenset()

    def get(self, column: str) -> Any:
        return self.cells.get(column)


@dataclass
class Report:
    """What is wrong with a file, and what is worth a look, row by row."""

    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def error(self, row: int, column: str, message: str) -> None:
        self.errors.append({"row": row, "field": column, "message": message})

    def warn(self, row: int, column: str, message: str) -> None:
        self.warnings.append({"row": row, "field": column, "message": message})

    def refuse_errors(self) -> None:
        """Raises `ValidationFailed` with all errors, up to a hundred of them, in the order of the file."""
        if not self.errors:
            return
        details = sorted(self.errors, key=lambda each: each["row"])[:MOST_ERRORS]
        if len(self.errors) > MOST_ERRORS:
            message = f"And {len(self.errors) - MOST_ERRORS} more."
            details.append({"row": None, "field": "", "message": message})
        raise ValidationFailed("The file has errors, and nothing of it was imported.", details=details)


def whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadCell("Must be a whole number.")
    return int(text)


def cents(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", text):
        raise BadCell("Must be an amount such as 25 or 25.50, without a currency.")
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0"))


def day(text: str) -> date:
    try:
        found = parsed(text, ("%Y-%m-%d", *DATES[settings.REGION])).date()
    except ValueError:
        raise BadCell("Must be a date such as 2027-03-31.") from None
    if not 2000 <= found.year < 2100:
        raise BadCell("Must lie in this century.")
    return found


def clock(text: str) -> time:
    try:
        return parsed(text.upper(), TIMES).time()
    except ValueError:
        raise BadCell("Must be a time such as 16:30.") from None


def parsed(text: str, formats: tuple[str, ...]) -> datetime:
    for each in formats:
        try:
            return datetime.strptime(text, each)
        except ValueError:
            continue
    raise ValueError


def offering_type(text: str) -> str:
    found = re.sub(r"[\s-]+", "_", text.lower())
    if found not in Offering.Type.values:
        raise BadCell(f"Must be one of {', '.join(Offering.Type.values)}.")
    return found


# What may stand in the file: each column by its name, with what makes a value of its text.
COLUMNS: dict[str, Callable[[str], Any]] = {
    "activity": str,
    "category": str,
    "summary": str,
    "description": str,
    "ageMin": whole_number,
    "ageMax": whole_number,
    "offering": str,
    "offeringType": offering_type,
    "price": cents,
    "sessionCount": whole_number,
    "refundWindowHours": whole_number,
    "location": str,
    "date": day,
    "startTime": clock,
    "durationMinutes": whole_number,
    "endDate": day,
    "endTime": clock,
    "capacity": whole_number,
}
NEEDED = ("activity", "offeringType", "date", "startTime", "capacity")
# Start time, start_time and startTime are one.
BY_LETTERS = {name.lower(): name for name in COLUMNS}


def read(raw: bytes, report: Report) -> list[Row]:
    """The rows of a file; cells that cannot be read are told to `report`.

    Takes UTF-8 and UTF-16, with commas, semicolons or tabs. Raises `ValidationFailed` for a file that is no such table.
    """
    lines = table(text_of(raw))
    header = header_of(next(lines, []))
    rows: list[Row] = []
    for number, cells in enumerate(lines, start=2):
        if not any(each.strip() for each in cells):
            continue
        if len(rows) == MOST_ROWS:
            raise unreadable(number, f"A file has at most {MOST_ROWS} rows. Split it.")
        rows.append(row_of(number, header, cells, report))
    if not rows:
        raise unreadable(2, "The file has no row below its header.")
    return rows


def unreadable(row: int, message: str, column: str = "") -> ValidationFailed:
    return ValidationFailed(
        "The file cannot be read as a timetable.", details=[{"row": row, "field": column, "message": message}]
    )


def text_of(raw: bytes) -> str:
    utf_16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = raw.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise unreadable(1, "The file is in another encoding than UTF-8 or UTF-16. Save it as CSV UTF-8.")
    if not text.strip():
        raise unreadable(1, "The file is empty.")
    return text


def table(text: str) -> Iterator[list[str]]:
    first, _, rest = text.partition("\n")
    if told := re.fullmatch(r'"?sep=(.)"?\s*', first.lstrip(), re.IGNORECASE):
        # A line that only spreadsheets know, and count as none.
        delimiter, text = told.group(1), rest
    else:
        delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):  # noqa: B007 - told of below
            yield cells
    except csv.Error:
        raise unreadable(number + 1, "A quotation mark is missing, or a cell is too long.") from None


def header_of(cells: list[str]) -> list[str]:
    """The columns by name, an empty one for none."""
    names = []
    for cell in cells:
        letters = re.sub(r"[\s_-]+", "", cell).lower()
        if letters and letters not in BY_LETTERS:
            raise unreadable(1, f"Unknown column. Known ones: {', '.join(COLUMNS)}.", cell.strip()[:50])
        names.append(BY_LETTERS.get(letters, ""))
    for name in COLUMNS:
        if names.count(name) > 1:
            raise unreadable(1, "This column is there twice.", name)
    if missing := [name for name in NEEDED if name not in names]:
        raise unreadable(1, f"These columns are missing: {', '.join(missing)}.", missing[0])
    return names


def row_of(number: int, header: list[str], cells: list[str], report: Report) -> Row:
    found: dict[str, Any] = {}
    wrong: set[str] = set()
    for position, cell in enumerate(cells):
        text = cell.strip()
        column = header[position] if position < len(header) else ""
        try:
            if text and not column:
                raise BadCell("This cell has no column in the header.")
            if text:
                found[column] = COLUMNS[column](text)
        except BadCell as error:
            report.error(number, column, str(error))
            wrong.add(column)
    for column in NEEDED:
        if column not in found and column not in wrong:
            report.error(number, column, "This cell must not be empty.")
            wrong.add(column)
    return Row(number, found, frozenset(wrong))
