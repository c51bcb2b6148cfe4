"""Reading a list of pairs: a CSV with the header ``from,to``, or one that names the generated files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.files.csv_table import CsvTable, read_table
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.pairing.naming import Gender

PAIR_COLUMNS = ("pair", "generated", "target", "source", "item", "item_colour", "gender", "view")
"""What is known of a pair, in every table of pairs; all but the identity can be listed."""

_COLUMNS = PAIR_COLUMNS[1:]
_ALIASES = {"from": "source", "to": "target"}
GENDERS: dict[str, Gender] = {
    **dict.fromkeys(("men", "man", "male", "m"), "MEN"),
    **dict.fromkeys(("women", "woman", "female", "f"), "WOMEN"),
}
"""What lists call them, in lower case."""
_FLAT = re.compile(r"6|(?:6[-_ ]?)?flat(?:[-_ ]?lay)?")
_HEADERS = f"'from,to', or 'generated' with any of '{','.join(_COLUMNS[1:])}'"


@dataclass(frozen=True)
class ListedPair:
    """One row of a list; empty (the gender: None) where the list has no such column or the cell is empty.

    Attributes:
        row: Number of the row's last line in the file, from 1.
        generated: Posix path of the image relative to its folder; never empty where the list has the column.
        target: As ``generated``; never empty in a list without generated files.
        source: As ``generated``; never empty in a list without generated files.
        item: What retrieval counts as the same item.
        item_colour: The item in one colour.
        gender: ``MEN`` or ``WOMEN``, whichever usual word the list has.
        view: View of the target, as `view_of` writes it.
    """

    row: int
    generated: str
    target: str
    source: str
    item: str
    item_colour: str
    gender: Gender | None
    view: str


@dataclass(frozen=True)
class PairList:
    """A list as read.

    Attributes:
        table: The file as a table.
        columns: The header in lower case, with ``from,to`` as ``source,target``; lists without generated files may
            have others beside the known ones.
        pairs: The rows that are not empty, at least one.
    """

    table: CsvTable
    columns: tuple[str, ...]
    pairs: tuple[ListedPair, ...]

    def where(self, row: int) -> str:
        """Name a row in an error."""
        return self.table.where(row)


def view_of(cell: str) -> str:
    """Return the view that a cell names: in lower case, and ``flat`` for every usual word for a flat-lay picture.

    Only ``flat`` changes what is done with a picture. Any other view is a label, which a data set may have of its own.
    """
    view = cell.lower()
    return "flat" if _FLAT.fullmatch(view) else view


def read_pair_list(path: Path, generated: Path, target: Path | None, source: Path | None) -> PairList:
    """Read a list (comma or tab, UTF-8); whether its files exist is not looked at.

    Args:
        path: The list.
        generated: Folder that the paths of generated images are in.
        target: Folder that the paths of targets are in; None in a run without one.
        source: As ``target``.

    Raises:
        UserError: The file is not there or not UTF-8, has no known header or no rows, or a row has a wrong number of
            cells, no name where there should be one, an unknown gender, or a path that leads out of its folder.
    """
    table = read_table(path, "--pairs")
    columns = _columns(path, table.header)
    folders: dict[PairRole, Path | None] = {"generated": generated, "target": target, "source": source}
    pairs = tuple(_listed_pair(table.where(row), row, cells, folders) for row, cells in table.rows(columns))
    if not pairs:
        raise UserError(f"the list of pairs has a header but no rows: {path}; add a row for each pair.")
    return PairList(table, columns, pairs)


def _columns(path: Path, header: tuple[str, ...]) -> tuple[str, ...]:
    if not header:
        raise UserError(
            f"the list of pairs is empty or begins with an empty line: {path}; its header should be {_HEADERS}."
        )
    columns = tuple(_ALIASES.get(cell, cell) for cell in header)
    if not ("generated" in columns or {"source", "target"} <= set(columns)):
        raise UserError(
            f"{path} has no known header (its first line begins with '{header[0]}'): it should be {_HEADERS}; "
            "NTED's and PIDM's lists have lines 'target,source' without header: put 'to,from' on top of them."
        )
    repeated = [column for column in _COLUMNS if columns.count(column) > 1]
    if repeated:
        raise UserError(f"{path} has two columns for '{repeated[0]}'; keep one of them.")
    if "generated" in columns:
        for column in columns:
            if column not in _COLUMNS:
                raise UserError(f"{path} has an unknown column '{column}'.{did_you_mean(column, _COLUMNS)}")
    return columns


def _listed_pair(where: str, row: int, cells: Mapping[str, str], folders: Mapping[PairRole, Path | None]) -> ListedPair:
    names = {
        role: _relative(cells[role], role, folder, where) if cells.get(role) else "" for role, folder in folders.items()
    }
    if "generated" in cells and not names["generated"]:
        raise UserError(f"{where}: no generated image is named; fill it in or remove the row.")
    if "generated" not in cells and not (names["source"] and names["target"]):
        raise UserError(f"{where}: an empty name; fill in both names or remove the row.")
    gender = cells.get("gender", "")
    if gender and gender.lower() not in GENDERS:
        raise UserError(f"{where}: gender '{gender}' is not known; write MEN or WOMEN, or leave it empty.")
    return ListedPair(
        row,
        names["generated"],
        names["target"],
        names["source"],
        cells.get("item", ""),
        cells.get("item_colour", ""),
        GENDERS.get(gender.lower()),
        view_of(cells.get("view", "")),
    )


def _relative(cell: str, role: PairRole, folder: Path | None, where: str) -> str:
    """Return a listed path relative to its folder; an absolute one may lie inside of it."""
    path = PurePosixPath(cell)
    if folder and path.is_absolute():
        for root in (folder, folder.resolve()):
            if path.is_relative_to(root.as_posix()):
                path = path.relative_to(root.as_posix())
                break
    if not path.is_absolute() and ".." not in path.parts:
        return path.as_posix()
    if folder:
        raise UserError(
            f"{where}: '{cell}' leads out of the folder of {role} images; write it relative to --{role} {folder}."
        )
    raise UserError(f"{where}: '{cell}' is not a path inside of a folder, and --{role} is not given; give it.")
