"""Tables that grow with a training: a row of numbers by name, in the order of iterations."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.csv_table import csv_text

Row = dict[str, float]

_WHOLE = {"step", "pairs"}


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a table whose rows have the names of the first one; no file where there are no rows."""
    if rows:
        columns = list(rows[0])
        table = ([row[column] for column in columns] for row in rows)
        write_atomic(path, csv_text([columns, *table]))


def read_rows(path: Path, step: int) -> list[Row]:
    """Read the rows up to an iteration, none where there is no file.

    Raises:
        ValueError: It holds something other than numbers.
        KeyError: It has no column of iterations.
    """
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [{k: int(v) if k in _WHOLE else float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
    return [row for row in rows if row["step"] <= step]
