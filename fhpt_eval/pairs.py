"""Which generated image belongs to which target and source: one table, with a report of what did not fit.

Nothing is dropped in silence: a pair without its files stays in the table, and every file or row that could not be
placed is named in the report.
"""

from __future__ import annotations

import csv as csv_format
import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.images import SUFFIXES, ImageError, ImageRef, decode
from fhpt_eval.naming import NAMINGS, Gender, Naming, parse_deepfashion, picture_key, without_suffix

Role = Literal["generated", "target", "source"]


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Pairs:
    """The table that an evaluation runs on.

    Attributes:
        rows: Every pair once, sorted by ``Pair.pair``, also those with a missing file.
        report: What did not fit.
        naming: Key of the naming convention used, or ``csv`` where the list names every file.
    """

    rows: tuple[Pair, ...]
    report: PairReport
    naming: str

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.rows)

    @classmethod
    def from_folders(
        cls, generated: Path, target: Path | None = None, source: Path | None = None, naming: str = "auto"
    ) -> Pairs:
        """Pair the images of folders (walked recursively; hidden files and other files are ignored) by their names.

        Args:
            generated: Folder of generated images.
            target: Folder of ground truth; not needed for strips, or for a run without targets.
            source: Folder of source images; not needed for strips.
            naming: A key of :data:`fhpt_eval.naming.NAMINGS`, or ``auto``: the convention that fits most files.

        Raises:
            UserError: A folder is not there or has no images, the convention is unknown or cannot be told, or not a
                single pair is complete.
        """
        _check_naming(naming)
        folders = _Folders.open(generated, target, source)
        files = folders.generated.files
        convention = _convention(naming, folders, lambda tried: _fitting_files(tried, files, folders))
        found = _Findings()
        for file in files:
            splits = _splits(convention, file, folders)
            if len(splits) == 1:
                found.entry(_named(convention, file, *splits[0], folders)).files.append(file)
            elif splits:
                found.ambiguous.append(f"{file}: its name can be split into source and target in {len(splits)} ways")
            else:
                found.extra.append(f"{file}: not named as '{convention.name}'")
        if not convention.separator and folders.target:
            met = {hit for entry in found.entries.values() for hit in folders.target.find_same(entry.target or "")}
            for file in folders.target.files:
                if file not in met:
                    stem = without_suffix(file)
                    found.entry(_Entry(stem, target=file, source=file, same_name=True))
        return _assemble(found, folders, convention)

    @classmethod
    def from_csv(
        cls,
        csv: Path,
        generated: Path,
        target: Path | None = None,
        source: Path | None = None,
        naming: str = "auto",
    ) -> Pairs:
        """Pair the images that a list names.

        The header (comma or tab, UTF-8) is either ``from,to``, as in the field's lists, with generated images found
        through the naming convention; or ``generated`` and any of ``target,source,item,gender,view``, with paths
        relative to the folders. Names that such a list leaves out come from the naming convention; where it leaves out
        none, ``auto`` takes files as they are, and strips have to be named (``patn-strip``, ``dsc-strip``).

        Args:
            csv: The list.
            generated: Folder of generated images.
            target: Folder of ground truth; not needed for strips, or for a run without targets.
            source: Folder of source images; not needed for strips.
            naming: A key of :data:`fhpt_eval.naming.NAMINGS`, or ``auto``: the convention that fits most files.

        Raises:
            UserError: As :meth:`from_folders`; or the list has no known header, no rows, or a row that is not valid.
        """
        _check_naming(naming)
        listed = _read_list(csv)
        folders = _Folders.open(generated, target, source)
        if "generated" in listed.columns:
            return _from_listed_files(listed, folders, naming)
        return _from_listed_names(listed, folders, naming)

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
        columns = ["pair", "generated", "target", "source", "item", "item_colour", "gender", "view"]
        table: pd.DataFrame = pd.DataFrame(records, columns=columns, dtype=object)
        return table

    @property
    def hash(self) -> str:
        """SHA-256 (hexadecimal) of the pair ids with their target and source names.

        Folders, file types and the method do not enter, so that two methods on the same list have the same hash.
        """
        lines = sorted("\t".join((row.pair, row.target_name or "", row.source_name or "")) for row in self.rows)
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()

    def unique(self, role: Role) -> tuple[ImageRef, ...]:
        """Return the distinct pictures of a role, by ``ImageRef.name`` and in its order.

        Where several files hold one picture (a target that stands in several strips), the first path counts.
        """
        refs: list[ImageRef | None] = [getattr(row, role) for row in self.rows]
        first: dict[str, ImageRef] = {}
        for ref in sorted((ref for ref in refs if ref), key=lambda ref: (ref.name, ref.path)):
            first.setdefault(ref.name, ref)
        return tuple(first.values())


class _Folder:
    """The images of a folder, found by the names that lists and generated files use for them."""

    def __init__(self, path: Path, role: Role | Literal["reference"]) -> None:
        if not path.exists():
            raise UserError(f"The folder of {role} images does not exist: {path}; check --{role}.")
        if not path.is_dir():
            raise UserError(
                f"--{role} expects a folder of images, but {path} is a file; give the folder that it is in."
            )
        self.path = path
        self.role = role
        self.files = tuple(sorted(_image_files(path)))
        if not self.files:
            raise UserError(
                f"No images in the folder of {role} images, {path}: files ending in "
                f"{', '.join(sorted(SUFFIXES))} count; check --{role}."
            )

    @cached_property
    def _by_file_name(self) -> dict[str, list[str]]:
        return _grouped(self.files, _file_name)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped(self.files, lambda file: without_suffix(_file_name(file)))

    @cached_property
    def _by_path_stem(self) -> dict[str, list[str]]:
        return _grouped(self.files, without_suffix)

    @cached_property
    def _by_deepfashion(self) -> dict[str, list[str]]:
        return _grouped([file for file in self.files if parse_deepfashion(file)], picture_key)

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.files)

    def find(self, name: str) -> tuple[str, ...]:
        """Return the files that ``name`` can mean; more than one where it cannot be told.

        The first that has any: the exact relative path, the file name, the stem with any image suffix, the other
        DeepFashion spelling. Folders in the name and in the path must not contradict each other.
        """
        if name in self._known:
            return (name,)
        stem = without_suffix(name)
        return (
            tuple(file for file in self._by_file_name.get(_file_name(name), ()) if _same_tail(file, name))
            or tuple(f for f in self._by_stem.get(_file_name(stem), ()) if _same_tail(without_suffix(f), stem))
            or tuple(self._by_deepfashion.get(picture_key(name), ()))
        )

    def find_same(self, name: str) -> tuple[str, ...]:
        """Return the files at the relative path ``name`` with any suffix, or with the same DeepFashion name."""
        stems = self._by_path_stem.get(without_suffix(name), ())
        return tuple(stems) or tuple(self._by_deepfashion.get(picture_key(name), ()))

    def relative(self, cell: str, where: str) -> str:
        """Return a listed path relative to this folder, or raise where it leads out of it."""
        path = PurePosixPath(cell)
        if path.is_absolute():
            for root in (self.path, self.path.resolve()):
                if path.is_relative_to(root.as_posix()):
                    path = path.relative_to(root.as_posix())
                    break
        if path.is_absolute() or ".." in path.parts:
            raise UserError(
                f"{where}: '{cell}' leads out of the folder of {self.role} images; "
                f"write it relative to --{self.role} {self.path}."
            )
        return path.as_posix()


def _image_files(folder: Path) -> Iterator[str]:
    """Yield relative posix paths; linked folders are followed, each real folder once."""

    def refuse(error: OSError) -> None:
        raise UserError(f"Cannot read the folder {error.filename}: {error.strerror}; change its permissions.")

    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        status = Path(root).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        prefix = Path(root).relative_to(folder).as_posix()
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield name if prefix == "." else f"{prefix}/{name}"


def list_images(folder: Path) -> tuple[ImageRef, ...]:
    """Every image below a folder, in the order of names: a reference set.

    Raises:
        UserError: If it is no folder, or holds no image.
    """
    return tuple(ImageRef(folder / name, name=name) for name in _Folder(folder, "reference").files)


def _grouped(files: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[key(file)].append(file)
    return dict(groups)


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _same_tail(one: str, other: str) -> bool:
    """Whether the shorter path is the end of the longer one, so that ``b/x.jpg`` does not stand for ``a/x.jpg``."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")


@dataclass(frozen=True)
class _Folders:
    generated: _Folder
    target: _Folder | None
    source: _Folder | None

    @classmethod
    def open(cls, generated: Path, target: Path | None, source: Path | None) -> _Folders:
        return cls(
            _Folder(generated, "generated"),
            _Folder(target, "target") if target else None,
            _Folder(source, "source") if source else None,
        )

    def know(self, source: str, target: str) -> bool:
        """Whether every folder that was given has the file."""
        if not (self.target or self.source):
            return False
        return bool((not self.target or self.target.find(target)) and (not self.source or self.source.find(source)))


@dataclass
class _Entry:
    """A pair on its way: the names to look for, and the generated files that claim to be it."""

    pair: str
    target: str | None = None
    source: str | None = None
    same_name: bool = False
    item: str | None = None
    gender: Gender | None = None
    view: str | None = None
    row: int = 0
    files: list[str] = field(default_factory=list)


@dataclass
class _Findings:
    entries: dict[str, _Entry] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)

    def entry(self, new: _Entry) -> _Entry:
        return self.entries.setdefault(new.pair, new)


def _check_naming(naming: str) -> None:
    if naming != "auto" and naming not in NAMINGS:
        raise UserError(f"Unknown --naming '{naming}'.{did_you_mean(naming, ['auto', *NAMINGS])}")


def _convention(naming: str, folders: _Folders, fitting: Callable[[Naming], int]) -> Naming:
    """Return the named convention, or the one that ``fitting`` counts most files for."""
    if naming != "auto":
        return NAMINGS[naming]
    counts = {key: fitting(tried) for key, tried in NAMINGS.items() if not tried.strip}
    best = max(counts.values())
    if best == 0:
        raise _nothing_matches(folders, list(counts))
    winners = [key for key, count in counts.items() if count == best]
    if len(winners) > 1:
        raise UserError(
            f"The names in {folders.generated.path} fit '{winners[0]}' as well as '{winners[1]}'; "
            "choose one with --naming."
        )
    plain = NAMINGS[winners[0]]
    for strip in NAMINGS.values():
        same_names = (strip.separator, strip.suffixed) == (plain.separator, plain.suffixed)
        if strip.strip and same_names and _are_strips(folders.generated, strip):
            return strip
    return plain


def _nothing_matches(folders: _Folders, tried: Sequence[str]) -> UserError:
    given = [folder for folder in (folders.target, folders.source) if folder]
    names = " and ".join(f"{folder.role} '{folder.files[0]}'" for folder in (folders.generated, *given))
    return UserError(
        f"No generated image could be paired by its name in {folders.generated.path} "
        f"(first names: {names}; naming tried: {', '.join(tried)}); "
        "choose another --naming, or list them in a CSV with the columns generated,target,source for --pairs."
    )


def _fitting_files(naming: Naming, files: Sequence[str], folders: _Folders) -> int:
    """Count the files whose target is there (or source, in a run without targets).

    With neither folder only the names speak. Every file fits ``same-name`` then, so that files count twice for a
    convention of two names: it wins where more than half of them follow it.
    """
    if folders.target:
        find = folders.target.find if naming.separator else folders.target.find_same
        return sum(any(find(target) for _, target in naming.splits(file)) for file in files)
    if folders.source:
        find = folders.source.find if naming.separator else folders.source.find_same
        return sum(any(find(source) for source, _ in naming.splits(file)) for file in files)
    return 2 * sum(bool(naming.splits(file)) for file in files) if naming.separator else len(files)


def _are_strips(folder: _Folder, strip: Naming) -> bool:
    """Look at the first, middle and last file: a strip divides into its panels, and a person is not wider than high."""
    panels = len(strip.strip)
    sizes = []
    for file in {folder.files[0], folder.files[len(folder.files) // 2], folder.files[-1]}:
        try:
            height, width, _ = decode((folder.path / file).read_bytes()).pixels.shape
        except (ImageError, OSError):
            continue  # broken files are named when they are evaluated
        sizes.append((width, height))
    return bool(sizes) and all(w % panels == 0 and w > h >= w // panels for w, h in sizes)


def _splits(convention: Naming, file: str, folders: _Folders) -> tuple[tuple[str, str], ...]:
    """Return the (source, target) names of a generated file: none, the one, or several that cannot be told apart."""
    splits = convention.splits(file)
    if len(splits) > 1:
        known = tuple(split for split in splits if folders.know(*split))
        if known:
            return known
    by_rule = convention.parse(file)
    return (by_rule,) if by_rule else ()


def _named(convention: Naming, file: str, source: str | None, target: str | None, folders: _Folders) -> _Entry:
    """Return the pair that names stand for; ``file`` is the generated image that they were read from or listed with."""
    if not convention.separator:
        hits = folders.target.find_same(file) if folders.target else ()
        return _Entry(without_suffix(hits[0] if hits else file), target=file, source=file, same_name=True)
    if source and target:
        return _Entry(_two_names(source, target), target=target, source=source)
    return _Entry(picture_key(file), target=target, source=source)


def _two_names(source: str, target: str) -> str:
    return f"{picture_key(source)}__{picture_key(target)}"


def _assemble(found: _Findings, folders: _Folders, convention: Naming | None) -> Pairs:
    """Look up the files of every pair and settle the report."""
    strip = convention.strip if convention else ()
    rows = []
    matched = 0
    for _, entry in sorted(found.entries.items()):
        problems = len(found.missing) + len(found.ambiguous)
        generated = _generated_ref(entry, folders.generated, strip, found)
        target = _side_ref(entry, "target", folders.target, strip, generated, found)
        source = _side_ref(entry, "source", folders.source, strip, generated, found)
        matched += problems == len(found.missing) + len(found.ambiguous)
        rows.append(_row(entry, generated, target, source))
    naming = convention.name if convention else "csv"
    if not matched:
        if found.ambiguous:
            raise UserError(f"No pair can be told: {found.ambiguous[0]}; rename or remove files, or choose --naming.")
        if convention is None:
            raise UserError(f"No listed pair has all of its files: {found.missing[0]}; check the folders.")
        raise _nothing_matches(folders, [naming])
    report = PairReport(
        matched, tuple(found.missing), tuple(found.extra), tuple(found.ambiguous), tuple(found.duplicate)
    )
    return Pairs(tuple(rows), report, naming)


def _generated_ref(entry: _Entry, folder: _Folder, strip: tuple[str, ...], found: _Findings) -> ImageRef | None:
    if not entry.files:
        found.missing.append(f"{entry.pair}: no generated image")
        return None
    if len(entry.files) > 1:
        found.ambiguous.append(f"{entry.pair}: more than one generated image, {' and '.join(sorted(entry.files)[:2])}")
        return None
    file = entry.files[0]
    if strip:
        return ImageRef(folder.path / file, strip.index("generated"), len(strip), file)
    return ImageRef(folder.path / file, name=file)


def _side_ref(
    entry: _Entry,
    role: Literal["target", "source"],
    folder: _Folder | None,
    strip: tuple[str, ...],
    generated: ImageRef | None,
    found: _Findings,
) -> ImageRef | None:
    name = entry.target if role == "target" else entry.source
    if folder is None:
        # A folder that is given goes before the panel: it holds the picture without the strip's compression.
        return (
            ImageRef(generated.path, strip.index(role), len(strip), name or f"{generated.name}#{role}")
            if strip and generated
            else None
        )
    if name is None:
        found.missing.append(f"{entry.pair}: no {role} is listed")
        return None
    hits = folder.find_same(name) if entry.same_name else folder.find(name)
    if len(hits) == 1:
        return ImageRef(folder.path / hits[0], name=hits[0])
    if hits:
        found.ambiguous.append(f"{entry.pair}: {role} '{name}' can be {' and '.join(hits[:2])}")
    else:
        found.missing.append(f"{entry.pair}: no {role} image '{name}'")
    return None


def _row(entry: _Entry, generated: ImageRef | None, target: ImageRef | None, source: ImageRef | None) -> Pair:
    of_target = parse_deepfashion(entry.target) if entry.target else None
    known = of_target or (parse_deepfashion(entry.source) if entry.source else None)
    return Pair(
        pair=entry.pair,
        generated=generated,
        target=target,
        source=source,
        item=entry.item or (known.item if known else None),
        item_colour=known.item_colour if known else None,
        gender=entry.gender or (known.gender if known else None),
        view=entry.view or (of_target.view if of_target else None),
        target_name=picture_key(entry.target) if entry.target else None,
        source_name=picture_key(entry.source) if entry.source else None,
    )


_COLUMNS = ("generated", "target", "source", "item", "gender", "view")
_ALIASES = {"from": "source", "to": "target"}
_GENDERS: dict[str, Gender] = {
    **dict.fromkeys(("men", "man", "male", "m"), "MEN"),
    **dict.fromkeys(("women", "woman", "female", "f"), "WOMEN"),
}
_HEADERS = "'from,to', or 'generated' with any of 'target,source,item,gender,view'"


@dataclass(frozen=True)
class _List:
    """A pair list: its columns (``from,to`` read as ``source,target``) and its rows with their number in the file."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]

    def where(self, row: int) -> str:
        return f"{self.path}, row {row}"

    def entry_facts(self, row: int, cells: dict[str, str]) -> tuple[str | None, Gender | None, str | None]:
        """Return item, gender and view as listed."""
        gender = cells.get("gender", "")
        if gender and gender.lower() not in _GENDERS:
            raise UserError(
                f"{self.where(row)}: gender '{gender}' is not known; write MEN or WOMEN, or leave it empty."
            )
        return cells.get("item") or None, _GENDERS.get(gender.lower()), cells.get("view") or None


def _read_list(path: Path) -> _List:
    if not path.exists():
        raise UserError(f"The list of pairs does not exist: {path}; check --pairs.")
    if path.is_dir():
        raise UserError(f"--pairs expects a CSV file, but {path} is a folder; give the file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    if not text.partition("\n")[0].strip():
        raise UserError(
            f"The list of pairs is empty or begins with an empty line: {path}; its header should be {_HEADERS}."
        )
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv_format.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv_format.Error as error:
        raise UserError(f"{path}, row {reader.line_num}: not readable as CSV ({error}); mend the row.") from error
    columns = _header(path, [cell.lower() for cell in lines[0][1]])
    rows = []
    for number, cells in lines[1:]:
        if any(cells):
            if len(cells) != len(columns):
                raise UserError(
                    f"{path}, row {number}: {len(cells)} cells where the header has {len(columns)}; mend the row."
                )
            rows.append((number, dict(zip(columns, cells, strict=True))))
    if not rows:
        raise UserError(f"The list of pairs has a header but no rows: {path}; add a row for each pair.")
    return _List(path, columns, tuple(rows))


def _header(path: Path, cells: list[str]) -> tuple[str, ...]:
    columns = tuple(_ALIASES.get(cell, cell) for cell in cells)
    if not ("generated" in columns or {"source", "target"} <= set(columns)):
        raise UserError(
            f"{path} has no known header (its first line begins with '{cells[0]}'): it should be {_HEADERS}; "
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


def _listed_name(listed: _List, row: int, cells: dict[str, str], role: Role, folder: _Folder | None) -> str | None:
    cell = cells.get(role)
    if not cell:
        return None
    if folder:
        return folder.relative(cell, listed.where(row))
    path = PurePosixPath(cell)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(
            f"{listed.where(row)}: '{cell}' is not a path inside of a folder, and --{role} is not given; give it."
        )
    return path.as_posix()


def _from_listed_names(listed: _List, folders: _Folders, naming: str) -> Pairs:
    """Build from ``from,to``: the list says which pairs there are, generated files are found by their names."""
    found = _Findings()
    for row, cells in listed.rows:
        source = _listed_name(listed, row, cells, "source", folders.source)
        target = _listed_name(listed, row, cells, "target", folders.target)
        if source is None or target is None:
            raise UserError(f"{listed.where(row)}: an empty name; fill in both names or remove the row.")
        item, gender, view = listed.entry_facts(row, cells)
        entry = _Entry(_two_names(source, target), target, source, item=item, gender=gender, view=view, row=row)
        first = found.entry(entry)
        if first is not entry:
            found.duplicate.append(f"row {row}: {entry.pair} is listed in row {first.row} already")

    # Generated files rarely repeat the folders of listed names.
    by_names: dict[tuple[str, str], list[_Entry]] = defaultdict(list)
    by_target: dict[str, list[_Entry]] = defaultdict(list)
    for entry in found.entries.values():
        source, target = (picture_key(name or "") for name in (entry.source, entry.target))
        by_names[_file_name(source), _file_name(target)].append(entry)
        by_target[target].append(entry)

    def candidates(convention: Naming, file: str) -> list[_Entry]:
        if not convention.separator:
            return by_target.get(picture_key(file), [])
        keys = ((picture_key(source), picture_key(target)) for source, target in convention.splits(file))
        return [entry for key in keys for entry in by_names.get(key, ())]

    files = folders.generated.files
    convention = _convention(naming, folders, lambda tried: sum(bool(candidates(tried, file)) for file in files))
    for file in files:
        entries = candidates(convention, file)
        if len(entries) == 1:
            entries[0].files.append(file)
        elif entries:
            found.ambiguous.append(f"{file}: fits {len(entries)} listed pairs, {entries[0].pair} and {entries[1].pair}")
        else:
            found.extra.append(f"{file}: not a listed pair")
    return _assemble(found, folders, convention)


def _from_listed_files(listed: _List, folders: _Folders, naming: str) -> Pairs:
    """Build from ``generated,…``: the list names the files; a convention supplies names that it leaves out."""
    rows = []
    for row, cells in listed.rows:
        file = _listed_name(listed, row, cells, "generated", folders.generated)
        if file is None:
            raise UserError(f"{listed.where(row)}: no generated image is named; fill it in or remove the row.")
        rows.append((row, cells, file))
    convention: Naming | None = None
    names_all = "target" in listed.columns and (folders.source is None or "source" in listed.columns)
    if naming != "auto" or not names_all:
        files = [file for _, _, file in rows]
        convention = _convention(naming, folders, lambda tried: _fitting_files(tried, files, folders))

    found = _Findings()
    used: set[str] = set()
    for row, cells, file in rows:
        entry = _listed_entry(listed, row, cells, file, folders, convention)
        hits = folders.generated.find(file)
        used.update(hits)
        first = found.entry(entry)
        if first is not entry:
            if (first.target, first.source) != (entry.target, entry.source):
                raise UserError(
                    f"{listed.where(row)}: '{file}' has other names in row {first.row}; keep one of the two rows."
                )
            if set(hits) <= set(first.files):
                found.duplicate.append(f"row {row}: {entry.pair} is listed in row {first.row} already")
        first.files.extend(hit for hit in hits if hit not in first.files)
    found.extra.extend(f"{file}: not listed" for file in folders.generated.files if file not in used)
    return _assemble(found, folders, convention)


def _listed_entry(
    listed: _List, row: int, cells: dict[str, str], file: str, folders: _Folders, convention: Naming | None
) -> _Entry:
    source = _listed_name(listed, row, cells, "source", folders.source)
    target = _listed_name(listed, row, cells, "target", folders.target)
    entry: _Entry
    if convention and not convention.separator and target is None:
        entry = _named(convention, file, None, None, folders)
        entry.source = source or entry.source
    else:
        read = _splits(convention, file, folders) if convention and convention.separator else ()
        if len(read) == 1:
            source, target = source or read[0][0], target or read[0][1]
        pair = _two_names(source, target) if source and target else picture_key(file)
        entry = _Entry(pair, target, source)
    entry.row = row
    entry.item, entry.gender, entry.view = listed.entry_facts(row, cells)
    return entry
