"""A file's bytes become records, and not one physical line is lost on the way."""

import csv
import io
import random
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uploads.files import records
from uploads.files.records import MAX_LINE, BadRecord, RecordReader

IN_TMP_PATH = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)


def read(
    path: Path, content: str | bytes, delimiter: str = ";", encoding: str = "utf-8"
) -> list[list[str] | BadRecord]:
    path = path / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return list(RecordReader(path, encoding, delimiter))


def reasons(found: list[list[str] | BadRecord]) -> list[str]:
    return [record.reason if isinstance(record, BadRecord) else "" for record in found]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_cells_quotes_and_line_breaks(tmp_path: Path, line_end: str) -> None:
    lines = ["a;b;c", '"x;1";"say ""hi""" ;  "two', 'lines"', ' 5" pipe ;O"Neil;', "", '"";;"z"', "last"]
    assert read(tmp_path, line_end.join(lines)) == [
        ["a", "b", "c"],
        ["x;1", 'say "hi"', "two\nlines"],
        ['5" pipe', 'O"Neil', ""],
        [""],
        ["", "", "z"],
        ["last"],
    ]


def test_the_final_line_end_is_no_row(tmp_path: Path) -> None:
    assert read(tmp_path, "a\nb\n") == [["a"], ["b"]]
    assert read(tmp_path, "a\nb\n\n") == [["a"], ["b"], [""]]
    assert read(tmp_path, "") == []


def test_an_unclosed_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    found = read(tmp_path, 'a;1\nb;"2\nc;3\nd;"4"\n')
    assert found == [["a", "1"], BadRecord("unclosed_quote", 'b;"2'), ["c", "3"], ["d", "4"]]


def test_an_unclosed_quote_before_a_million_characters_costs_its_own_line_only(tmp_path: Path) -> None:
    found = read(tmp_path, 'b;"2\n' + "c;3\n" * 300_000)
    assert reasons(found[:2]) == ["unclosed_quote", ""]
    assert len(found) == 300_001


def test_many_unclosed_quotes_are_read_in_linear_time(tmp_path: Path) -> None:
    found = read(tmp_path, '"a""b\n' * 50_000)
    assert reasons(found) == ["unclosed_quote"] * 50_000
    nested = read(tmp_path, '"' + '""\n' * 100_000)
    assert len(nested) > 1000


def test_text_after_a_closing_quote_is_a_malformed_row(tmp_path: Path) -> None:
    assert reasons(read(tmp_path, 'a;1\n"b"x;2\nc;3\n')) == ["", "malformed_row", ""]


def test_a_line_over_the_limit_is_one_bad_record_and_never_held(tmp_path: Path) -> None:
    content = b"a;1\n" + b"x" * 10_000_000 + b"\nb;2\n" + b"y" * (MAX_LINE + 1)
    (tmp_path / "long.csv").write_bytes(content)
    tracemalloc.start()
    found = list(RecordReader(tmp_path / "long.csv", "utf-8", ";"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(found) == ["", "too_long", "", "too_long"]
    assert peak < 3_000_000
    assert reasons(read(tmp_path, b"z" * 2000 + b";" + b"z" * 2000)) == [""]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a\x00b;1", "bad_characters"),
        ("a\x1b[0m;1", "bad_characters"),
        ("a\x85;1", "bad_characters"),
        ("a\tb;1", ""),
        ("a\ufffd;1", "bad_characters"),
        ('"a\x07\nb";1', "bad_characters"),
        ("\ta\t;1", ""),
        ("x" * 2000 + ";1", ""),
        ("x" * 2001 + ";1", "cell_too_long"),
        (";".join("x" * 100), ""),
        (";".join("x" * 101), "too_many_columns"),
    ],
)
def test_what_no_row_may_contain(tmp_path: Path, line: str, reason: str) -> None:
    assert reasons(read(tmp_path, f"ok;1\n{line}\nok;2\n")) == ["", reason, ""]


def test_bytes_that_are_no_utf8_spoil_their_own_row(tmp_path: Path) -> None:
    assert reasons(read(tmp_path, "Zoë;1\n".encode() + b"M\xfcller;2\n" + "Ян;3\n".encode())) == [
        "",
        "bad_characters",
        "",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1251"])
def test_every_encoding_is_read_alike(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "Анна;+49\r\nЯн;1\r\n", encoding=encoding) == [["Анна", "+49"], ["Ян", "1"]]


def test_without_a_delimiter_a_line_is_a_cell(tmp_path: Path) -> None:
    assert read(tmp_path, ' +49 1;2,3 \n"+49 2"\n', delimiter="") == [["+49 1;2,3"], ["+49 2"]]


@IN_TMP_PATH
@given(st.lists(st.lists(st.text(alphabet='ab1 ;,"\n', max_size=12), min_size=2, max_size=4), min_size=1, max_size=6))
def test_what_a_csv_writer_has_written_is_read_back(tmp_path: Path, table: list[list[str]]) -> None:
    target = io.StringIO()
    csv.writer(target, delimiter=";", lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
    assert read(tmp_path, target.getvalue()) == [[cell.strip() for cell in row] for row in table]


EDGE = st.text(alphabet='a;" ', max_size=5)


@IN_TMP_PATH
@given(
    edges=st.lists(st.tuples(EDGE, EDGE, st.sampled_from(["\n", "\r\n", "\r"])), max_size=12), block=st.integers(1, 9)
)
def test_every_line_is_in_exactly_one_record(tmp_path: Path, edges: list[tuple[str, str, str]], block: int) -> None:
    content = "".join(f"{before}<{n}>{after}{end}" for n, (before, after, end) in enumerate(edges))
    whole = read(tmp_path, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_BLOCK", block)
        assert read(tmp_path, content) == whole
    texts = [record.text if isinstance(record, BadRecord) else ";".join(record) for record in whole]
    assert re.findall(r"<(\d+)>", "\n".join(texts)) == [str(n) for n in range(len(edges))]


def test_random_bytes_never_raise(tmp_path: Path) -> None:
    chance = random.Random(5)
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-32", "cp1251", "cp1252"):
        for _ in range(30):
            mark = "".encode(encoding)  # a decoder that wants a byte order mark is only chosen where there is one
            content = mark + bytes(
                chance.choice(b'\x00\xff\xd8;,"\n\r\xc3\xa9ab1') for _ in range(chance.randrange(400))
            )
            for record in read(tmp_path, content, encoding=encoding):
                assert isinstance(record, list | BadRecord)
