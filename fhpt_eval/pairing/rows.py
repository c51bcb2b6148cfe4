"""The rows of a table of pairs: from the names of a pair to its files, with a report of what did not fit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fhpt_eval.errors import UserError
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.pairing.conventions import nothing_matches
from fhpt_eval.pairing.folders import Folders, PairRole, same_tail
from fhpt_eval.pairing.matching import NamedPair, NamedPairs
from fhpt_eval.pairing.naming import Gender, one_spelling, parse_deepfashion, picture_key, without_suffix


@dataclass(frozen=True, slots=True)
class Pair:
    """One row: a generated image and what it is compared with.

    Attributes:
        pair: Identity that does not depend on the method: ``<source>__<target>`` for names that say both (DeepFashion
            names in the flat spelling), otherwise the relative path without suffix.
        generated: None where no file was found, or more than one.
        target: None where no file was found, more than one, or the run has no targets.
        source: As ``target``.
        item: What retrieval counts as the same item, e.g. ``WOMEN/Tees_Tanks/id_00007624``.
        item_colour: The item in one colour, e.g. ``WOMEN/Tees_Tanks/id_00007624/03``.
        gender: ``MEN`` or ``WOMEN``.
        view: View of the target, e.g. ``front``.
        target_name: Name of the target picture in one spelling, known without its file.
        source_name: As ``target_name``.
    """

    pair: str
    generated: ImageRef | None
    target: ImageRef | None
    source: ImageRef | None
    item: str | None = None
    item_colour: str | None = None
    gender: Gender | None = None
    view: str | None = None
    target_name: str | None = None
    source_name: str | None = None

    def names(self, role: Literal["generated", "target"]) -> tuple[str, ...]:
        """Return what an image is called, its own name first; nothing where there is no image."""
        image = self.generated if role == "generated" else self.target
        if image is None:
            return ()
        listed = self.target_name if role == "target" else None
        return (image.name, listed) if listed else (image.name,)


@dataclass(frozen=True)
class PairReport:
    """How files and names met; each phrase names the file, pair or row.

    Attributes:
        matched: Number of pairs that have every file that was asked for.
        missing: Pairs that cannot be evaluated for want of a file.
        extra: Generated files that are not listed, or whose name does not follow the convention.
        ambiguous: Names that more than one file, or more than one pair, fits.
        duplicate: Rows that list a pair a second time; the first one counts.
    """

    matched: int
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()
    duplicate: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the evaluation from being complete: missing and ambiguous."""
        return self.missing + self.ambiguous

    def __str__(self) -> str:
        return (
            f"{self.matched} matched, {len(self.missing)} missing, {len(self.extra)} extra, "
            f"{len(self.ambiguous)} ambiguous, {len(self.duplicate)} duplicate"
        )


def with_images(named: NamedPair, generated: ImageRef | None, target: ImageRef | None, source: ImageRef | None) -> Pair:
    """Return the pair of some names with its images, and with what DeepFashion's names tell of it."""
    of_target = parse_deepfashion(named.target)
    known = of_target or parse_deepfashion(named.source)
    return Pair(
        pair=named.pair,
        generated=generated,
        target=target,
        source=source,
        item=named.item or (known.item if known else None),
        item_colour=named.item_colour or (known.item_colour if known else None),
        gender=named.gender or (known.gender if known else None),
        view=named.view or (of_target.view if of_target else None),
        target_name=picture_key(named.target) or None,
        source_name=picture_key(named.source) or None,
    )


def find_files(named: NamedPairs, folders: Folders) -> tuple[tuple[Pair, ...], PairReport]:
    """Look up the files of every pair.

    Returns:
        The rows, sorted by ``Pair.pair``, also those with a missing file; and the report.

    Raises:
        UserError: Not a single pair has all of its files.
    """
    search = _Search(named, folders)
    rows = tuple(search.row(pair) for _, pair in sorted(named.pairs.items()))
    if not search.matched:
        if search.ambiguous:
            raise UserError(f"no pair can be told: {search.ambiguous[0]}; rename or remove files, or choose --naming.")
        if named.convention is None:
            raise UserError(f"no listed pair has all of its files: {search.missing[0]}; check the folders.")
        raise nothing_matches(folders, [named.convention.name])
    report = PairReport(
        search.matched, tuple(search.missing), tuple(named.extra), tuple(search.ambiguous), tuple(named.duplicate)
    )
    return rows, report


class _Search:
    """Looks up the files of one pair after the other, and keeps account of what it did not find."""

    def __init__(self, named: NamedPairs, folders: Folders) -> None:
        self.folders = folders
        self.strip = named.convention.strip if named.convention else ()
        self.matched = 0
        self.missing: list[str] = []
        self.stands_for: dict[tuple[str, str], str] = {}
        self.ambiguous = list(named.ambiguous)
        self.real: dict[tuple[Path, str], ImageRef] = {}

    def row(self, named: NamedPair) -> Pair:
        generated = self._generated(named)
        target = self._real(named, "target", generated)
        source = self._real(named, "source", generated)
        if generated and (target or not self.folders.target) and (source or not self.folders.source):
            self.matched += 1
        return with_images(named, generated, target, source)

    def _generated(self, named: NamedPair) -> ImageRef | None:
        if len(named.files) == 1:
            file = named.files[0]
            path = self.folders.generated.path / file
            return self._panel(path, "generated", file) if self.strip else ImageRef(path, name=one_spelling(file))
        if named.files:
            two = " and ".join(sorted(named.files)[:2])
            self.ambiguous.append(f"{named.pair}: more than one generated image, {two}")
        else:
            self.missing.append(f"{named.pair}: no generated image")
        return None

    def _real(self, named: NamedPair, role: Literal["target", "source"], generated: ImageRef | None) -> ImageRef | None:
        name = named.target if role == "target" else named.source
        folder = self.folders.target if role == "target" else self.folders.source
        if folder is None:
            # A folder that is given goes before the panel: it holds the picture without the strip's compression.
            if self.strip and generated:
                return self._panel(generated.path, role, name or f"{generated.name}#{role}")
            return None
        if not name:
            self.missing.append(f"{named.pair}: no {role} is listed")
            return None
        hits = folder.find_same(name) if named.same_name else folder.find(name)
        if len(hits) == 1:
            key = without_suffix(picture_key(name))
            other = self.stands_for.setdefault((role, hits[0]), key)
            if same_tail(key, other):
                # One value for one image: where it stands in many pairs, comparing it takes no time.
                at = folder.path, hits[0]
                if at not in self.real:
                    self.real[at] = ImageRef(folder.path / hits[0], name=one_spelling(hits[0]))
                return self.real[at]
            self.ambiguous.append(f"{named.pair}: {role} '{hits[0]}' stands for '{other}' and for '{key}'")
        elif hits:
            self.ambiguous.append(f"{named.pair}: {role} '{name}' can be {' and '.join(hits[:2])}")
        else:
            self.missing.append(f"{named.pair}: no {role} image '{name}'")
        return None

    def _panel(self, path: Path, role: PairRole, name: str) -> ImageRef:
        return ImageRef(path, self.strip.index(role), len(self.strip), one_spelling(name))
