"""The field's text files about DeepFashion: split lists (one name a line) and lists of pairs (``from,to``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fhpt_eval.errors import UserError
from fhpt_eval.files.csv_table import read_table, read_text
from fhpt_eval.pairing.naming import DeepFashionName, parse_deepfashion, without_suffix

_EXAMPLE = "fashionWOMENDressesid0000020303_1front.jpg"


@dataclass(frozen=True)
class Listed:
    """One picture in a list.

    Attributes:
        row: Number of its line in the file, from 1.
        name: As the list has it; in a split list without folders.
        shows: What the name says.
    """

    row: int
    name: str
    shows: DeepFashionName

    @property
    def stem(self) -> str:
        """The name without image suffix."""
        return without_suffix(self.name)


@dataclass(frozen=True)
class SplitList:
    """A split list.

    Attributes:
        path: The file.
        content: Its bytes.
        images: What it lists, at least one picture and none twice.
    """

    path: Path
    content: bytes
    images: tuple[Listed, ...]


@dataclass(frozen=True)
class ListOfPairs:
    """A list of pairs.

    Attributes:
        path: The file.
        content: Its bytes.
        pairs: Source and target of each row, at least one row.
    """

    path: Path
    content: bytes
    pairs: tuple[tuple[Listed, Listed], ...]


def read_split_list(path: Path, option: str) -> SplitList:
    """Read a list of flat names, one a line, in UTF-8; empty lines do not count.

    Args:
        path: The list.
        option: The option that it was given with, for errors.

    Raises:
        UserError: It cannot be read or names nothing, or a line is not the name of a DeepFashion picture, has a folder
            in it, or names a picture a second time.
    """
    content, text = read_text(path, option)
    images: list[Listed] = []
    first: dict[str, int] = {}
    for row, line in enumerate(text.split("\n"), 1):
        name = line.strip()
        if not name:
            continue
        listed = _listed(row, name, f"{path}, line {row}")
        if "/" in name:
            raise UserError(
                f"{path}, line {row}: {name!r} has a folder in it; write flat names like {listed.shows.flat_name}.jpg."
            )
        before = first.setdefault(listed.shows.flat_name, row)
        if before != row:
            raise UserError(f"{path}, line {row}: '{name}' is already listed in line {before}; keep one of them.")
        images.append(listed)
    if not images:
        raise UserError(f"{path} lists no images: {option} expects one name per line, for example {_EXAMPLE}.")
    return SplitList(path, content, tuple(images))


def read_list_of_pairs(path: Path, option: str) -> ListOfPairs:
    """Read a CSV (comma or tab, UTF-8) whose header has the columns ``from`` and ``to``.

    Args:
        path: The list.
        option: The option that it was given with, for errors.

    Raises:
        UserError: It cannot be read, has another header or no rows, or a cell is not the name of a DeepFashion picture.
    """
    table = read_table(path, option)
    if table.header.count("from") != 1 or table.header.count("to") != 1:
        raise UserError(
            f"{path}: {option} expects a CSV with the header from,to; lists with lines 'target,source' and no"
            " header (NTED, PIDM) want to,from on top."
        )
    pairs = tuple(
        (_listed(row, cells["from"], table.where(row)), _listed(row, cells["to"], table.where(row)))
        for row, cells in table.rows()
    )
    if not pairs:
        raise UserError(f"{path} lists no pairs: below the header write a row for each, or leave out {option}.")
    return ListOfPairs(path, table.content, pairs)


def _listed(row: int, name: str, where: str) -> Listed:
    shows = parse_deepfashion(name)
    if shows is None:
        shown = name if len(name) <= 80 else f"{name[:80]}…"
        raise UserError(f"{where}: {shown!r} names no DeepFashion picture; it should look like {_EXAMPLE}.")
    return Listed(row, name, shows)
