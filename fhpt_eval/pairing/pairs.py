"""Which generated image belongs to which target and source: one table, with a report of what did not fit.

Nothing is dropped in silence: a pair without its files stays in the table, and every file or row that could not be
placed is named in the report.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import overload

import pandas as pd

from fhpt_eval.errors import UserError
from fhpt_eval.files.remote import path_at
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.listing import Listing
from fhpt_eval.pairing.conventions import convention_named
from fhpt_eval.pairing.folders import Folder, Folders, PairRole
from fhpt_eval.pairing.lists import PAIR_COLUMNS, read_pair_list
from fhpt_eval.pairing.matching import NamedPairs, match_folders, match_list
from fhpt_eval.pairing.naming import one_spelling
from fhpt_eval.pairing.rows import Pair, PairReport, find_files

__all__ = ["Pair", "PairReport", "Pairs", "ReferenceSet", "list_images"]


@dataclass(frozen=True)
class Pairs:
    """The table that an evaluation runs on.

    Attributes:
        rows: Every pair once, sorted by ``Pair.pair``, also those with a missing file.
        report: What did not fit.
        naming: Key of the naming convention used, or ``csv`` where the list names every file.
        listed: Whether a list said which pairs there are.
        listings: All that the folders hold.
        list_sha256: Of the file of that list; None without one.
    """

    rows: tuple[Pair, ...]
    report: PairReport
    naming: str
    listed: bool = True
    listings: tuple[Listing, ...] = ()
    list_sha256: str | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.rows)

    @classmethod
    def from_folders(
        cls,
        generated: str | Path,
        target: str | Path | None = None,
        source: str | Path | None = None,
        naming: str = "auto",
    ) -> Pairs:
        """Pair the images of folders (walked recursively) by their names; `listings` has all else that is in them.

        Args:
            generated: Folder of generated images.
            target: Folder of ground truth; not needed for strips, or for a run without targets.
            source: Folder of source images; not needed for strips.
            naming: A key of :data:`fhpt_eval.pairing.naming.NAMINGS`, or ``auto``: the convention that fits most files.

        Raises:
            UserError: A folder is not there or has no images, the convention is unknown or cannot be told, or not a
                single pair is complete.
        """
        convention = convention_named(naming)
        folders = Folders.open(*_paths(generated, target, source))
        return cls._found(match_folders(folders, convention), folders)

    @classmethod
    def from_csv(
        cls,
        csv: str | Path,
        generated: str | Path,
        target: str | Path | None = None,
        source: str | Path | None = None,
        naming: str = "auto",
    ) -> Pairs:
        """Pair the images that a list names.

        The list is a CSV (separated by comma, tab, semicolon or space; UTF-8) or a list of objects in JSON. Its header
        is either ``from,to``, as in the field's lists, with generated images found through the naming convention; or
        ``generated`` and any of ``target,source,item,item_colour,gender,view``, with paths relative to the folders;
        PCDMs' ``source_image,target_image`` are ``from,to``. Other columns say nothing. Lines of two names without a
        header are read in the order that the names of generated images have. Names that a list of generated files
        leaves out come from the naming convention; where it
        leaves out none, ``auto`` takes files as they are, and strips have to be named (``patn-strip``, ``dsc-strip``).

        Args:
            csv: The list.
            generated: Folder of generated images.
            target: Folder of ground truth; not needed for strips, or for a run without targets.
            source: Folder of source images; not needed for strips.
            naming: A key of :data:`fhpt_eval.pairing.naming.NAMINGS`, or ``auto``: the convention that fits most files.

        Raises:
            UserError: As :meth:`from_folders`; or the list has no known header, no rows, or a row that is not valid.
        """
        convention = convention_named(naming)
        given = _paths(generated, target, source)
        listed, folders = read_pair_list(path_at(csv), *given), Folders.open(*given)
        sha256 = hashlib.sha256(listed.table.content).hexdigest()
        return cls._found(match_list(listed, folders, convention), folders, sha256)

    @classmethod
    def _found(cls, named: NamedPairs, folders: Folders, list_sha256: str | None = None) -> Pairs:
        rows, report = find_files(named, folders)
        naming = named.convention.name if named.convention else "csv"
        return cls(rows, report, naming, list_sha256 is not None, folders.listings, list_sha256)

    def require_complete(self) -> None:
        """Refuse to go on with missing or ambiguous pairs.

        Raises:
            UserError: Names the first problems and ``--allow-missing``.
        """
        problems = self.report.problems
        if problems:
            shown = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
            raise UserError(
                f"{len(problems)} problem(s) with the {len(self)} pairs: {shown}. "
                "Add the files, or go on without these pairs with --allow-missing."
            )

    @property
    def table(self) -> pd.DataFrame:
        """One row a pair: pair, generated, target, source (paths as text), item, item_colour, gender, view.

        What is not known or not found is None.
        """
        records = [
            (
                row.pair,
                *(str(ref.path) if ref else None for ref in (row.generated, row.target, row.source)),
                row.item,
                row.item_colour,
                row.gender,
                row.view,
            )
            for row in self.rows
        ]
        table: pd.DataFrame = pd.DataFrame(records, columns=PAIR_COLUMNS, dtype=object)
        return table

    @property
    def hash(self) -> str:
        """SHA-256 (hexadecimal) of the pair ids with their target and source names.

        Folders, file types and the method do not enter, so that two methods on the same list have the same hash.
        """
        lines = sorted("\t".join((row.pair, row.target_name or "", row.source_name or "")) for row in self.rows)
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def unique(self, role: PairRole) -> tuple[ImageRef, ...]:
        """Return the distinct pictures of a role, by ``ImageRef.name`` and in its order.

        Where several files hold one picture (a target that stands in several strips), the first path counts.
        """
        return self._unique[role]

    @cached_property
    def _unique(self) -> dict[PairRole, tuple[ImageRef, ...]]:
        roles: tuple[PairRole, ...] = ("generated", "target", "source")
        return {role: _first_of_each(getattr(row, role) for row in self.rows) for role in roles}


def _first_of_each(refs: Iterable[ImageRef | None]) -> tuple[ImageRef, ...]:
    first: dict[str, ImageRef] = {}
    for ref in refs:
        if ref is not None and (seen := first.setdefault(ref.name, ref)) is not ref and ref.path < seen.path:
            first[ref.name] = ref
    return tuple(first[name] for name in sorted(first))


def _paths(
    generated: str | Path, target: str | Path | None, source: str | Path | None
) -> tuple[Path, Path | None, Path | None]:
    return path_at(generated), None if target is None else path_at(target), None if source is None else path_at(source)


@dataclass(frozen=True)
class ReferenceSet(Sequence[ImageRef]):
    """Every image below a folder, in the order of names."""

    images: tuple[ImageRef, ...]
    listing: Listing

    @overload
    def __getitem__(self, index: int) -> ImageRef: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ImageRef, ...]: ...
    def __getitem__(self, index: int | slice) -> ImageRef | tuple[ImageRef, ...]:
        return self.images[index]

    def __len__(self) -> int:
        return len(self.images)


def list_images(folder: str | Path) -> ReferenceSet:
    """List a reference set.

    Raises:
        UserError: If it is no folder, or holds no image.
    """
    at = path_at(folder)
    listing = Folder(at, "reference").listing
    spelled = Counter(map(one_spelling, listing.images))
    # Two files may be called alike but for the spelling of an accent, and a record lists no image twice.
    names = [name if spelled[one_spelling(name)] > 1 else one_spelling(name) for name in listing.images]
    refs = (ImageRef(at / file, name=name) for file, name in zip(listing.images, names, strict=True))
    return ReferenceSet(tuple(refs), listing)
