"""The folder that a data set is prepared in: whose it is, and what an earlier command left in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from fhpt_eval.datasets.origins import ORIGINS, Origin, parse_origins, write_origins
from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import claiming, write_atomic
from fhpt_eval.pairing.naming import parse_deepfashion

RECIPE = "recipe.json"
_KIND = "fhpt-eval data deepfashion"
_SUFFIXES = {".png", ".jpg"}


def earlier_copy(folder: Path, name: str) -> Path | None:
    """Return the file of this name that an earlier command left in its folder, or None."""
    file = folder / name
    return file if _recipe(folder).get("made_by") == _KIND and file.is_file() else None


class CropFolder:
    """A folder with a sub-folder of images for each split, which belongs to this command alone.

    Attributes:
        path: The folder.
        origins: What the images were made of that an earlier command with the same recipe left, by their paths in the
            folder; whether they are still there and whole is for `holds` to say.
    """

    def __init__(
        self,
        path: Path,
        recipe: Mapping[str, str],
        images: Mapping[str, Collection[str]],
        files: Collection[str],
        kept: Collection[str],
        *,
        overwrite: bool = False,
    ) -> None:
        """Make the folder, or take over what an earlier command made.

        Args:
            path: The folder.
            recipe: What its images depend on. It is the first file that is written, and what the folder is known by.
            images: Names of the images in each sub-folder.
            files: Names of the files beside them; those of an earlier command are removed, as they tell of it.
            kept: Those of ``files`` that are not removed.
            overwrite: Whether to delete an earlier command's images, whatever its recipe.

        Raises:
            UserError: It cannot be written, holds something that is not this command's, or was made by another recipe.
        """
        self.path = path
        self._images = images
        with claiming(path):
            path.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign({RECIPE, ORIGINS, *images, *files})
            if overwrite:
                self._clear()
            elif (path / RECIPE).exists():
                self._require(recipe)
            for name in files:
                if name not in kept:
                    self.remove(name)
            _remove_half_written(path, {RECIPE, ORIGINS, *files}.__contains__)
            self.write(RECIPE, json.dumps({"made_by": _KIND, **recipe}, indent=2))
            for split in images:
                (path / split).mkdir(exist_ok=True)
                _remove_half_written(path / split, _is_crop)
            self.origins = parse_origins((path / ORIGINS).read_bytes()) if (path / ORIGINS).exists() else {}

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file at once.

        Raises:
            UserError: If the disk is full, for example.
        """
        write_atomic(self.path / name, content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def holds(self, image: str, source: str) -> bool:
        """Whether an image is there, whole, and made of the source with this SHA-256."""
        origin = self.origins.get(image)
        if origin is None or origin.source != source:
            return False
        try:
            return hashlib.sha256((self.path / image).read_bytes()).hexdigest() == origin.crop
        except OSError:
            return False

    def write_origins(self, origins: Mapping[str, Origin]) -> None:
        """Write down what the images were made of.

        Raises:
            UserError: If the disk is full, for example.
        """
        self.write(ORIGINS, write_origins(origins))

    def _refuse_foreign(self, ours: Collection[str]) -> None:
        visible = sorted(entry for entry in self.path.iterdir() if not entry.name.startswith("."))
        if visible and _recipe(self.path).get("made_by") != _KIND:
            raise self._foreign(visible[0])
        for entry in visible:
            # Through a link, something outside of the folder would be written.
            if entry.name not in ours or entry.is_symlink() or entry.is_dir() != (entry.name in self._images):
                raise self._foreign(entry)
            for image in self._entries(entry.name) if entry.is_dir() else ():
                if not _is_crop(image.name) or image.is_dir():
                    raise self._foreign(image)

    def _foreign(self, entry: Path) -> UserError:
        return UserError(f"{entry} was not made by `{_KIND}`: choose a new or an empty folder with -o.")

    def _require(self, recipe: Mapping[str, str]) -> None:
        before = _recipe(self.path)
        differing = [f"{key} {before.get(key)} there and {value} here" for key, value in recipe.items()
                     if before.get(key) != value]  # fmt: skip
        if differing:
            raise UserError(
                f"{self.path} was made otherwise ({'; '.join(differing)}): choose another folder with -o, or make it"
                " anew with --overwrite."
            )
        for split, names in self._images.items():
            for image in self._entries(split):
                if image.name not in names:
                    raise self._foreign(image)

    def _clear(self) -> None:
        self.remove(ORIGINS)
        for split in self._images:
            for image in self._entries(split):
                image.unlink()

    def _entries(self, split: str) -> list[Path]:
        folder = self.path / split
        return [e for e in folder.iterdir() if not e.name.startswith(".")] if folder.is_dir() else []


def _remove_half_written(folder: Path, ours: Callable[[str], bool]) -> None:
    """Remove what a killed command left of files while it wrote them: `write_atomic` calls them ``.NAME.x``."""
    for entry in folder.glob(".*"):
        if ours(entry.name[1:].rpartition(".")[0]):
            entry.unlink()


def _is_crop(name: str) -> bool:
    return Path(name).suffix in _SUFFIXES and parse_deepfashion(name) is not None


def _recipe(folder: Path) -> dict[str, Any]:
    try:
        recipe = json.loads((folder / RECIPE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return recipe if isinstance(recipe, dict) else {}
