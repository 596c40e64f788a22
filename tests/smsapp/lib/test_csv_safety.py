"""No cell of an export runs as a formula, in a spreadsheet of whatever settings; a number stays a number."""

import csv
import io

import pytest

from smsapp.lib.csv_safety import csv_line, plain_cell, safe_cell

FORMULAS = [
    f"{before}{sign}HYPERLINK(1)"
    for before in ("", " ", "\t", "\r", "\n", "\0", "\xa0", "\u200b", "\ufeff", "\r\n", " \t")
    for sign in "=+-@|%＝＋－＠"
]
WITHIN = [f"Ann{separator}{gap}{sign}1+1" for separator in ";,\t\r\n|" for gap in ("", " ") for sign in "=+-@＝"]
HARMLESS = ["Anna", "", "+4915112345678", "1-2", "a=b", "10 % off", "Ann; Bea", "x@example.com", "2026-11-30", "ü, ö"]


def cells(line: str, separator: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator) for cell in row]


@pytest.mark.parametrize("text", FORMULAS + WITHIN)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_begins_as_a_formula(text: str, separator: str) -> None:
    line = csv_line(["first", text, "last"]).decode()
    for cell in cells(line, separator):
        for part in cell.splitlines() or [""]:
            assert not part.strip(' \t\r\n\0\xa0\u200b\ufeff"').startswith(tuple("=+-@|%＝＋－＠"))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_none_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.parametrize("text", FORMULAS + WITHIN + HARMLESS)
def test_what_was_made_safe_is_read_again_as_it_was(text: str) -> None:
    assert plain_cell(safe_cell(text)) == text
