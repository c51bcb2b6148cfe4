"""Tables: reading those of a user, as CSV with any usual separator or as JSON; writing ours, as CSV."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhpt_eval.errors import UserError
from fhpt_eval.text import cell, unsafe

_INDEX = ("", "unnamed: 0")
"""What pandas calls the column of its index, which says nothing."""


@dataclass(frozen=True)
class CsvTable:
    """A table as read, its cells in Unicode's composed form and without the space around them.

    Attributes:
        path: The file.
        content: Its bytes.
        header: The cells of the first line, in lower case; none where that is empty.
        lines: Number in the file and cells of each line that is not empty, the first one too; a cell may hold several
            lines, and the number is that of the last one. In JSON, lines are the objects of the list, from 1, below a
            line 0 with their keys.
    """

    path: Path
    content: bytes
    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]

    def where(self, row: int) -> str:
        """Name a row in an error."""
        return _where(self.path, row)

    def rows(
        self, columns: tuple[str, ...] | None = None, *, headed: bool = True
    ) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield the number and the cells of each row, by the header or by what its columns are called otherwise.

        Args:
            columns: What they are called.
            headed: Whether the first line is a header, and no row.

        Raises:
            UserError: A row has more or fewer cells than the first line, or a control character in one.
        """
        columns = columns or self.header
        for row, cells in self.lines[headed:]:
            if len(cells) != len(columns):
                first = "the header" if headed else "the first line"
                raise UserError(f"{self.where(row)}: {len(cells)} cells where {first} has {len(columns)}; fix the row.")
            for text in cells:
                if unsafe(text):
                    raise UserError(f"{self.where(row)}: '{text}' holds a control character; fix the row.")
            yield row, dict(zip(columns, cells, strict=True))


def read_table(path: Path, option: str) -> CsvTable:
    """Read a table; what its header should be is for the caller to say.

    Cells are separated by tab, comma, semicolon or space, whichever of them the first line has, in this order. JSON is
    a list of objects. A first column without a name, which is pandas' index, is left out.

    Args:
        path: The file.
        option: The option that it was given with, for errors.

    Raises:
        UserError: It cannot be read, is not UTF-8, or is neither CSV nor such JSON.
    """
    content, text = read_text(path, option)
    lines = _of_json(path, text) if text.lstrip()[:1] in {"[", "{"} else _of_csv(path, text)
    lines = [(row, tuple(unicodedata.normalize("NFC", text).strip() for text in cells)) for row, cells in lines]
    header = tuple(text.lower() for text in lines[0][1]) if lines else ()
    if len(header) > 1 and header[0] in _INDEX and any(header):
        header = header[1:]
        # A line that is cut short is for `rows` to complain of.
        lines = [(row, cells[1:] if len(cells) > 1 else cells) for row, cells in lines]
    return CsvTable(path, content, header if any(header) else (), tuple(line for line in lines if any(line[1])))


def _of_csv(path: Path, text: str) -> list[tuple[int, tuple[str, ...]]]:
    first = next(iter(text.splitlines()), "")
    delimiter = next((separator for separator in "\t,;" if separator in first), None)
    if delimiter is None and len(first.split()) > 1:
        return [(row, tuple(line.split())) for row, line in enumerate(io.StringIO(text), start=1)]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or ",", strict=True)
    try:
        return [(reader.line_num, tuple(cells)) for cells in reader]
    except csv.Error as error:
        raise UserError(f"{_where(path, reader.line_num)}: not readable as CSV ({error}); fix the row.") from None


def _of_json(path: Path, text: str) -> list[tuple[int, tuple[str, ...]]]:
    try:
        entries = parse_json(text)
    except ValueError as error:
        raise UserError(f"{path} is not readable as JSON ({error}); fix it, or write a CSV.") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(
            f"{path} is JSON, but no list of objects with a name for each cell; write such a list, or a CSV."
        )
    columns = tuple(dict.fromkeys(key for entry in entries for key in entry))
    lines = [(row, tuple(_text(path, row, entry.get(key)) for key in columns)) for row, entry in enumerate(entries, 1)]
    return [(0, columns), *lines]


def _text(path: Path, row: int, value: object) -> str:
    if isinstance(value, dict | list):
        raise UserError(f"{_where(path, row)}: a list or an object stands where a name should be; fix the row.")
    return "" if value is None else str(value)


def parse_json(text: str) -> Any:
    """Return what JSON says.

    Raises:
        ValueError: It is none, or is nested without end.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists within lists without end") from None


def read_text(path: Path, option: str) -> tuple[bytes, str]:
    """Return a file's bytes, and the text that they are in UTF-8.

    Args:
        path: The file.
        option: The option that it was given with, for errors.

    Raises:
        UserError: It cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check {option}.") from None
    return content, as_text(content, path)


def as_text(content: bytes, path: Path) -> str:
    """Return the text that a file's bytes are in UTF-8.

    Raises:
        UserError: They are not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV, the header among them, with commas and one line feed a row; see `fhpt_eval.text.cell`."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(map(cell, row) for row in rows)
    return stream.getvalue()


def _where(path: Path, row: int) -> str:
    return f"{path}, row {row}"
