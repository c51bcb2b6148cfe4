"""The folder of a data set: what it holds, whose it is, and what an earlier, stopped command left in it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fhpt_eval.datasets.report import SPLITS
from fhpt_eval.errors import UserError
from fhpt_eval.files.owned_folder import RECIPE, OwnedFolder, Owns
from fhpt_eval.synthetic.truth import Truth

SUFFIXES: Mapping[str, str] = MappingProxyType({"img": ".jpg", "masks": ".png", "openpose": "_keypoints.json"})
"""The folders, and how their files end; all files of a photograph have one stem."""

TRUTH, CARD = "truth.jsonl", "README.md"
JOURNAL = "unfinished.jsonl"
"""The rows of :data:`TRUTH` that are known so far, in the order in which they were made."""

LABELLED = MappingProxyType({split: f"{split}-labels.csv" for split in SPLITS})
ANNOTATIONS = MappingProxyType({split: f"{split}-annotation.csv" for split in SPLITS})
PAIRS = MappingProxyType({split: f"{split}-pairs.csv" for split in SPLITS})

_FILES = (RECIPE, TRUTH, CARD, JOURNAL, *ANNOTATIONS.values(), *LABELLED.values(), *PAIRS.values())
_COMMAND = "fhpt-eval synth"
_STEMS = "photographs"


def files_of(stem: str) -> dict[str, str]:
    """Return the relative paths of a photograph's files by their folder."""
    return {folder: f"{folder}/{stem}{suffix}" for folder, suffix in SUFFIXES.items()}


class DataSetFolder(OwnedFolder):
    """The folder of a data set, which tells by its recipe which photographs it is to hold."""

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
        super().__init__(path, _COMMAND)
        before = self.recipe()
        photographs = {_STEMS: list(stems)}
        earlier = _owned_by(before[_STEMS]) if before else _owned_by(())
        self.claim(earlier, known=before is not None)
        if before and not overwrite:
            # Other options, which give other photographs, too, are the ones to name.
            for asked in (recipe, photographs):
                self.require_same(before, asked, "holds another data set", {_STEMS: "other photographs"})
        now = _owned_by(stems)
        self.remove_half_written(lambda file: earlier(file) or now(file))
        if overwrite:
            self.clear(earlier)
            _remove_empty(path)
        if overwrite or not before:
            self.write_recipe({**recipe, **photographs})

    def recipe(self) -> dict[str, Any] | None:
        """Return the recipe of an earlier command, with its photographs."""
        recipe = super().recipe()
        return recipe if recipe and isinstance(recipe.get(_STEMS), list) else None

    def write_if_other(self, name: str, content: str) -> None:
        """Write a file at once, unless it holds that already.

        Raises:
            UserError: As `write`.
        """
        path = self.path / name
        if not (path.is_file() and path.read_bytes() == content.encode()):
            self.write(name, content)

    def known(self) -> dict[str, str]:
        """Return the rows of photographs that are there and whole, by their names."""
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


def read_truth(folder: str | Path) -> Iterator[Truth]:
    """Yield the rows of ``truth.jsonl``."""
    for line in _lines(Path(folder) / TRUTH):
        truth = Truth.parse(line)
        if truth is not None:
            yield truth


def _owned_by(stems: Iterable[Any]) -> Owns:
    """Return what a data set of these photographs owns; folders without a file may be left of any other."""
    files = frozenset({*_FILES, *(file for stem in stems for file in files_of(stem).values())})
    return lambda file: file in files or (file.endswith("/") and file.partition("/")[0] in SUFFIXES)


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
