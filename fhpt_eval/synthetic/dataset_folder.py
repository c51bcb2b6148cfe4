"""The folder of a data set: what it holds, whose it is, and what an earlier, stopped command left in it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fhpt_eval.datasets.report import SPLITS
from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import claiming, write_atomic
from fhpt_eval.pairing.folders import file_name
from fhpt_eval.synthetic.truth import Truth

SUFFIXES: Mapping[str, str] = MappingProxyType({"img": ".jpg", "masks": ".png", "openpose": "_keypoints.json"})
"""The folders, and how their files end; all files of a photograph have one stem."""

RECIPE, TRUTH, CARD = "recipe.json", "truth.jsonl", "README.md"
JOURNAL = "unfinished.jsonl"
"""The rows of :data:`TRUTH` that are known so far, in the order in which they were made."""

LABELLED = MappingProxyType({split: f"{split}-labels.csv" for split in SPLITS})
ANNOTATIONS = MappingProxyType({split: f"{split}-annotation.csv" for split in SPLITS})
PAIRS = MappingProxyType({split: f"{split}-pairs.csv" for split in SPLITS})

_FILES = (RECIPE, TRUTH, CARD, JOURNAL, *ANNOTATIONS.values(), *LABELLED.values(), *PAIRS.values())
_KIND = "fhpt-eval synth"
_STEMS = "photographs"


def files_of(stem: str) -> dict[str, str]:
    """The relative paths of a photograph's files by their folder."""
    return {folder: f"{folder}/{stem}{suffix}" for folder, suffix in SUFFIXES.items()}


class DataSetFolder:
    """A folder that belongs to this command alone.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, recipe: Mapping[str, Any], stems: Sequence[str], *, overwrite: bool = False) -> None:
        """Make the folder, or take over what an earlier command made.

        Args:
            path: The folder.
            recipe: What the data set depends on.
            stems: Of all photographs. With the recipe they are the first file that is written, and what the folder is
                known by: no other file is ever deleted.
            overwrite: Whether to delete an earlier command's files, whatever its recipe.

        Raises:
            UserError: It cannot be written, holds something that is not this command's, or was made by another recipe.
        """
        self.path = path
        recipe = {"made_by": _KIND, **recipe, _STEMS: list(stems)}
        with claiming(path):
            path.mkdir(parents=True, exist_ok=True)
            before = self._recipe()
            earlier = _ours(before[_STEMS]) if before else frozenset()
            there = list(_walk(path))
            for file in there:
                # Through a link, something outside of the folder would be written.
                if not _is_hidden(file) and (file not in earlier or (path / file).is_symlink()):
                    raise UserError(
                        f"{path / file} was not made by `{_KIND}`: choose a new or an empty folder with -o."
                    )
            if before and not overwrite:
                self._require(before, recipe)
            ours = earlier | _ours(stems)
            half_written = {file for file in there if _is_hidden(file) and _whole(file) in ours}
            # Until there is another, the recipe tells whose the rest is.
            cleared = earlier.intersection(there) - {RECIPE} if overwrite else set()
            for file in half_written | cleared:
                (path / file).unlink()
            if overwrite:
                _remove_empty(path)
            if overwrite or not before:
                self.write(RECIPE, json.dumps(recipe, indent=1) + "\n")

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file at once.

        Raises:
            UserError: If the disk is full, for example.
        """
        write_atomic(self.path / name, content)

    def write_if_other(self, name: str, content: str) -> None:
        """Write a file at once, unless it holds that already.

        Raises:
            UserError: As `write`.
        """
        path = self.path / name
        if not (path.is_file() and path.read_bytes() == content.encode()):
            self.write(name, content)

    def known(self) -> dict[str, str]:
        """The rows of photographs that are there and whole, by their names."""
        rows = {}
        for file in (self.path / TRUTH, self.path / JOURNAL):
            for line in _lines(file):
                truth = Truth.parse(line)
                if truth is not None and self._holds(truth):
                    rows[truth.name] = line
        return rows

    @contextmanager
    def journal(self, rows: Iterable[str]) -> Iterator[Callable[[str], None]]:
        """Keep rows and those that are added, so that a killed command has lost none.

        Raises:
            UserError: If the disk is full, for example.
        """
        path = self.path / JOURNAL
        self.write(JOURNAL, "".join(f"{row}\n" for row in rows))
        with path.open("ab", buffering=0) as stream:

            def add(row: str) -> None:
                line = f"{row}\n".encode()
                try:
                    if stream.write(line) < len(line):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError as error:
                    raise UserError(
                        f"cannot write {path} ({error.strerror}): free some room and give the command again."
                    ) from None

            yield add

    def finish(self) -> None:
        """Remove the journal."""
        (self.path / JOURNAL).unlink(missing_ok=True)

    def _holds(self, truth: Truth) -> bool:
        try:
            return truth.sha256 == {
                folder: hashlib.sha256((self.path / file).read_bytes()).hexdigest()
                for folder, file in files_of(truth.name.removesuffix(SUFFIXES["img"])).items()
            }
        except OSError:
            return False

    def _recipe(self) -> dict[str, Any] | None:
        """The recipe of an earlier command, with its photographs."""
        try:
            recipe = json.loads((self.path / RECIPE).read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        ours = isinstance(recipe, dict) and recipe.get("made_by") == _KIND
        return recipe if ours and isinstance(recipe.get(_STEMS), list) else None

    def _require(self, before: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
        differing = [key for key, value in recipe.items() if before.get(key) != value]
        if differing:
            told = [f"{key} {before.get(key)} there and {recipe[key]} here" for key in differing if key != _STEMS]
            raise UserError(
                f"{self.path} holds another data set ({'; '.join(told) or 'other photographs'}): choose another folder"
                " with -o, or make it anew with --overwrite."
            )


def read_truth(folder: Path) -> Iterator[Truth]:
    """Yield the rows of ``truth.jsonl``."""
    for line in _lines(folder / TRUTH):
        truth = Truth.parse(line)
        if truth is not None:
            yield truth


def _ours(stems: Iterable[Any]) -> frozenset[str]:
    return frozenset({*_FILES, *(file for stem in stems for file in files_of(stem).values())})


def _walk(root: Path) -> Iterator[str]:
    """Yield the relative posix paths of all files and links that are not in a hidden folder."""

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in (*(name for name in folders if Path(folder, name).is_symlink()), *sorted(files)):
            yield Path(folder, name).relative_to(root).as_posix()


def _is_hidden(file: str) -> bool:
    return file_name(file).startswith(".")


def _whole(file: str) -> str:
    """What a killed command was writing: `write_atomic` calls it ``.NAME.x``."""
    folder, slash, name = file.rpartition("/")
    return f"{folder}{slash}{name[1:].rpartition('.')[0]}"


def _remove_empty(root: Path) -> None:
    for top in SUFFIXES:
        for folder, _, _ in os.walk(root / top, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def _lines(file: Path) -> Iterator[str]:
    """Yield the lines of a file that may not be there, without their ends; a half one may be among them."""
    with suppress(FileNotFoundError), file.open(encoding="utf-8", errors="replace", newline="\n") as stream:
        for line in stream:
            yield line.rstrip("\n")
