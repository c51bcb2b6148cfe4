"""Tables in CSV: reading those of a user, with comma or tab and with or without a byte order mark; writing ours."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fhpt_eval.errors import UserError


@dataclass(frozen=True)
class CsvTable:
    """A table as read, its cells without the space around them.

    Attributes:
        path: The file.
        content: Its bytes.
        header: The cells of the first line, in lower case; none where that is empty.
        lines: Number in the file and cells of each line below it that is not empty; a cell may hold several lines, and
            the number is that of the last one.
    """

    path: Path
    content: bytes
    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]

    def where(self, row: int) -> str:
        """Name a row in an error."""
        return _where(self.path, row)

    def rows(self, columns: tuple[str, ...] | None = None) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield the number and the cells of each row, by the header or by what its columns are called otherwise.

        Raises:
            UserError: A row has more or fewer cells than the header.
        """
        columns = columns or self.header
        for row, cells in self.lines:
            if len(cells) != len(columns):
                raise UserError(
                    f"{self.where(row)}: {len(cells)} cells where the header has {len(columns)}; fix the row."
                )
            yield row, dict(zip(columns, cells, strict=True))


def read_table(path: Path, option: str) -> CsvTable:
    """Read a table; what its header should be is for the caller to say.

    Args:
        path: The file.
        option: The option that it was given with, for errors.

    Raises:
        UserError: It cannot be read, or is not UTF-8 or no CSV.
    """
    content, text = read_text(path, option)
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, tuple(cell.strip() for cell in cells)) for cells in reader]
    except csv.Error as error:
        raise UserError(f"{_where(path, reader.line_num)}: not readable as CSV ({error}); fix the row.") from None
    header = tuple(cell.lower() for cell in lines[0][1]) if lines else ()
    return CsvTable(path, content, header if any(header) else (), tuple(line for line in lines[1:] if any(line[1])))


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
    try:
        return content, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV, the header among them, with commas and one line feed a row."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _where(path: Path, row: int) -> str:
    return f"{path}, row {row}"
