"""The folder that a data set is prepared in: whose it is, and what an earlier command left in it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from fhpt_eval.errors import UserError
from fhpt_eval.files import write_atomic
from fhpt_eval.naming import parse_deepfashion

RECIPE = "recipe.json"
_KIND = "fhpt-eval data deepfashion"
_SUFFIXES = {".png", ".jpg"}


class CropFolder:
    """A folder with a sub-folder of images for each split, which belongs to this command alone.

    Attributes:
        path: The folder.
        present: The images that an earlier command with the same recipe left, for each split; never half-written ones.
    """

    def __init__(
        self,
        path: Path,
        recipe: Mapping[str, str],
        images: Mapping[str, Collection[str]],
        files: Collection[str],
        *,
        overwrite: bool = False,
    ) -> None:
        """Make the folder, or take over what an earlier command made.

        Args:
            path: The folder.
            recipe: What its images depend on. It is the first file that is written, and what the folder is known by.
            images: Names of the images in each sub-folder.
            files: Names of the files beside them; those of an earlier command are removed, as they tell of it.
            overwrite: Whether to delete an earlier command's images, whatever its recipe.

        Raises:
            UserError: It cannot be written, holds something that is not this command's, or was made by another recipe.
        """
        self.path = path
        self._images = images
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign({RECIPE, *images, *files})
            if overwrite:
                self._clear()
            elif (path / RECIPE).exists():
                self._require(recipe)
            for name in files:
                (path / name).unlink(missing_ok=True)
            self.write(RECIPE, json.dumps({"made_by": _KIND, **recipe}, indent=2))
            for split in images:
                (path / split).mkdir(exist_ok=True)
            self.present = {split: self._left(split) for split in images}
        except OSError as error:
            what = error.filename or path
            raise UserError(f"cannot write to {what} ({error.strerror}): choose another folder with -o.") from None

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file at once.

        Raises:
            UserError: If the disk is full, for example.
        """
        write_atomic(self.path / name, content)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def _refuse_foreign(self, ours: Collection[str]) -> None:
        visible = sorted(entry for entry in self.path.iterdir() if not entry.name.startswith("."))
        if visible and self._recipe().get("made_by") != _KIND:
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

    def _recipe(self) -> dict[str, Any]:
        try:
            recipe = json.loads((self.path / RECIPE).read_bytes())
        except (OSError, ValueError):
            return {}
        return recipe if isinstance(recipe, dict) else {}

    def _require(self, recipe: Mapping[str, str]) -> None:
        before = self._recipe()
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
        for split in self._images:
            for image in self._entries(split):
                image.unlink()

    def _left(self, split: str) -> frozenset[str]:
        """Return the images that are there, and remove what a killed command left of others."""
        for entry in (self.path / split).glob(".*"):
            if _is_crop(entry.name[1:].rpartition(".")[0]):
                entry.unlink()
        return frozenset(image.name for image in self._entries(split))

    def _entries(self, split: str) -> list[Path]:
        folder = self.path / split
        return [e for e in folder.iterdir() if not e.name.startswith(".")] if folder.is_dir() else []


def _is_crop(name: str) -> bool:
    return Path(name).suffix in _SUFFIXES and parse_deepfashion(name) is not None
