"""Reading a list of pairs: ``from,to``, with or without such a header, or a table that names the generated files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from fhpt_eval.errors import UserError
from fhpt_eval.files.csv_table import CsvTable, read_table
from fhpt_eval.files.remote import in_lower_case
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.pairing.naming import Gender, is_picture, one_spelling

PAIR_COLUMNS = ("pair", "generated", "target", "source", "item", "item_colour", "gender", "view")
"""What is known of a pair, in every table of pairs; all but the identity can be listed."""

_COLUMNS = PAIR_COLUMNS[1:]
_ALIASES = {"from": "source", "to": "target", "source_image": "source", "target_image": "target"}
"""What the field's lists call them, and PCDMs'."""

_TYPO = 0.8
"""How alike a column and one of ours are, of 1, where the one is taken for a misspelling of the other."""

GENDERS: dict[str, Gender] = {
    **dict.fromkeys(("men", "man", "male", "m"), "MEN"),
    **dict.fromkeys(("women", "woman", "female", "f"), "WOMEN"),
}
"""What lists call them, in lower case."""
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""A name that needs no look at its parts, as nearly all have."""

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
        columns: The header in lower case, with ``from,to`` as ``source,target``; there may be others beside the known
            ones, which say nothing.
        pairs: The rows that are not empty, at least one.
        headed: Whether there is a header. Without, each line has two names, and both orders are in use (GFLA and VITON
            have the source first, NTED and PIDM the target): here, the first one is called the source.
    """

    table: CsvTable
    columns: tuple[str, ...]
    pairs: tuple[ListedPair, ...]
    headed: bool = True

    def where(self, row: int) -> str:
        """Name a row in an error."""
        return self.table.where(row)

    def swapped(self) -> PairList:
        """Return the list with sources for targets."""
        pairs = (replace(pair, source=pair.target, target=pair.source) for pair in self.pairs)
        return replace(self, pairs=tuple(pairs))

    @property
    def wants_header(self) -> UserError:
        """The error that it cannot be told which of two names is the source's."""
        return UserError(
            f"{self.table.path} has no header, and it cannot be told which of its two names is the source's: put "
            "'from,to' or 'to,from' on top of them."
        )


def view_of(cell: str) -> str:
    """Return the view that a cell names: in lower case, and ``flat`` for every usual word for a flat-lay picture.

    Only ``flat`` changes what is done with a picture. Any other view is a label, which a data set may have of its own.
    """
    view = cell.lower()
    return "flat" if _FLAT.fullmatch(view) else view


def read_pair_list(path: Path, generated: Path, target: Path | None, source: Path | None) -> PairList:
    """Read a list, as `read_table` reads tables; whether its files exist is not looked at.

    Args:
        path: The list.
        generated: Folder that the paths of generated images are in.
        target: Folder that the paths of targets are in; None in a run without one.
        source: As ``target``.

    Raises:
        UserError: The file is not there or no table, has neither a known header nor lines of two names, or no rows, or
            a row has a wrong number of cells, no name where there should be one, an unknown gender, or a path that
            leads out of its folder.
    """
    table = read_table(path, "--pairs")
    names = _of_names(table)
    columns = names or _columns(path, table.header)
    folders: dict[PairRole, Path | None] = {"generated": generated, "target": target, "source": source}
    rows = table.rows(columns, headed=not names)
    pairs = tuple(_listed_pair(table.where(row), row, cells, folders) for row, cells in rows)
    if not pairs:
        raise UserError(f"the list of pairs has a header but no rows: {path}; add a row for each pair.")
    return PairList(table, columns, pairs, headed=not names)


def _of_names(table: CsvTable) -> tuple[str, ...]:
    """Return what columns are called where the first line names pictures already; nothing where it is a header.

    Raises:
        UserError: It names others than two.
    """
    first = table.lines[0][1] if table.header else ()
    at = [index for index, cell in enumerate(first) if is_picture(cell)]
    if not at:
        return ()
    if len(at) != 2:
        raise UserError(
            f"{table.where(table.lines[0][0])}: {len(at)} of {len(first)} cells name a picture, and no header says "
            f"what they are: put one on top, which should be {_HEADERS}."
        )
    roles = dict(zip(at, ("source", "target"), strict=True))
    return tuple(roles.get(index, f"column {index + 1}") for index in range(len(first)))


def _columns(path: Path, header: tuple[str, ...]) -> tuple[str, ...]:
    if not header:
        raise UserError(
            f"the list of pairs is empty or begins with an empty line: {path}; its header should be {_HEADERS}."
        )
    columns = tuple(_ALIASES.get(cell, cell) for cell in header)
    for column in columns:
        # Others say nothing; but a name that is misspelled must not be taken for one of them.
        if column not in _COLUMNS and (meant := get_close_matches(column, _COLUMNS, n=1, cutoff=_TYPO)):
            raise UserError(f"{path} has an unknown column '{column}'. Did you mean '{meant[0]}'?")
    if not ("generated" in columns or {"source", "target"} <= set(columns)):
        raise UserError(
            f"{path} has no known header (its first line begins with '{header[0]}'): it should be {_HEADERS}."
        )
    repeated = [column for column in _COLUMNS if columns.count(column) > 1]
    if repeated:
        raise UserError(f"{path} has two columns for '{repeated[0]}'; keep one of them.")
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
    if _PLAIN.fullmatch(cell):
        return cell
    path = PurePosixPath(one_spelling(in_lower_case(cell) if "://" in cell else cell))
    # An address is absolute, too, if not for `PurePosixPath`.
    absolute = path.is_absolute() or "://" in cell
    if folder and absolute:
        for root in (folder, folder.resolve()):
            if path.is_relative_to(root.as_posix()):
                path = path.relative_to(root.as_posix())
                absolute = False
                break
    if not absolute and ".." not in path.parts:
        return path.as_posix()
    if folder:
        raise UserError(
            f"{where}: '{cell}' leads out of the folder of {role} images; write it relative to --{role} {folder}."
        )
    raise UserError(f"{where}: '{cell}' is not a path inside of a folder, and --{role} is not given; give it.")
