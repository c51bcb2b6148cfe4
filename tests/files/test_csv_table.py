from __future__ import annotations

import csv
from pathlib import Path

import pytest

from fhpt_eval.errors import UserError
from fhpt_eval.files.csv_table import csv_text, read_table


def table(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        b"From,to\n a , b \n\n , \nc,d",
        b"\xef\xbb\xbfFROM\tTo\r\na\tb\r\n\r\n\t\r\nc\td\r\n",
        b"from;to\na;b\n\n;\nc;d\n",
        b"from  to\na b\n\n \n c   d\n",
        b",from,to\n0,a,b\n\n,,\n1,c,d\n",
    ],
)
def test_rows_are_read_whatever_wrote_them(tmp_path: Path, content: bytes) -> None:
    read = read_table(table(tmp_path, content), "--pairs")
    assert read.header == ("from", "to")
    assert list(read.rows()) == [(2, {"from": "a", "to": "b"}), (5, {"from": "c", "to": "d"})]
    assert next(iter(read.rows(("x", "y")))) == (2, {"x": "a", "y": "b"})
    assert read.content == content


@pytest.mark.parametrize("content", [b"", b"\n\n", b" , \na,b\n"])
def test_a_table_that_begins_empty_has_no_header(tmp_path: Path, content: bytes) -> None:
    assert read_table(table(tmp_path, content), "--pairs").header == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,b\n1,2\n1\n", "{path}, row 3: 1 cells where the header has 2;"),
        (b'a,b\n"x\ny",2,3\n', "{path}, row 3: 3 cells where the header has 2;"),
        (b'a,b\n"1,2\n', "{path}, row 2: not readable as CSV ("),
        (b'a,b\n"1"x,2\n', "{path}, row 2: not readable as CSV ("),
        (b"a,\xff\n", "{path} is not UTF-8 text (byte 2); save it as UTF-8."),
    ],
)
def test_what_cannot_be_read_is_told_with_its_row(tmp_path: Path, content: bytes, told: str) -> None:
    path = table(tmp_path, content)
    with pytest.raises(UserError) as error:
        list(read_table(path, "--pairs").rows())
    assert str(error.value).startswith(told.format(path=path))


def test_a_table_that_is_not_there_is_told_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no\.csv cannot be read \(No such file or directory\); check --labels\."):
        read_table(tmp_path / "no.csv", "--labels")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    text = csv_text([("name", "why"), ("a,b", 'says "no"'), ("c", 3)])
    assert text == 'name,why\n"a,b","says ""no"""\nc,3\n'
    rows = read_table(table(tmp_path, text.encode()), "--pairs").rows()
    assert [list(cells.values()) for _, cells in rows] == [["a,b", 'says "no"'], ["c", "3"]]


def test_no_cell_of_ours_is_a_formula_or_holds_a_control_character() -> None:
    row = ["=1+1", "+1", "-1.5", "-x", "@a", "\t=1", "\r", "a\nb", "\x1b[2J", "\u202e", -3, 0.5, None]
    (written,) = csv.reader(csv_text([row]).splitlines())
    assert written == [
        *("'=1+1", "+1", "-1.5", "'-x", "'@a", r"'\u0009=1", r"'\u000d", r"a\u000ab", r"\u001b[2J", r"\u202e"),
        *("-3", "0.5", ""),
    ]
