"""The folder that a data set is prepared in: whose it is, and what an earlier command left in it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from fhpt_eval.datasets.origins import ORIGINS, Origin, parse_origins, write_origins
from fhpt_eval.files.owned_folder import RECIPE, OwnedFolder, claiming
from fhpt_eval.pairing.naming import parse_deepfashion

_COMMAND = "fhpt-eval data deepfashion"
_SUFFIXES = {".png", ".jpg"}


def earlier_copy(folder: Path, name: str) -> Path | None:
    """Return the file of this name that an earlier command left in its folder, or None."""
    file = folder / name
    return file if OwnedFolder(folder, _COMMAND).recipe() is not None and file.is_file() else None


class CropFolder(OwnedFolder):
    """A folder with a sub-folder of images for each split.

    Attributes:
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
        super().__init__(path, _COMMAND)
        self._images = images
        self._files = {RECIPE, ORIGINS, *files}
        before = self.recipe()
        self.claim(self._owns, known=before is not None)
        if overwrite:
            self.clear(lambda file: self._owns(file) and file not in kept)
        elif before is not None:
            self.require_same(before, recipe)
            self.refuse_foreign(self._is_asked_for)
        with claiming(path):
            for name in files:
                if name not in kept:
                    self.remove(name)
            self.remove_half_written(self._owns)
            self.write_recipe(recipe)
            for split in images:
                (path / split).mkdir(exist_ok=True)
            self.origins = parse_origins((path / ORIGINS).read_bytes()) if (path / ORIGINS).exists() else {}

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

    def _owns(self, file: str) -> bool:
        split, slash, name = file.partition("/")
        return split in self._images and (not name or _is_crop(name)) if slash else file in self._files

    def _is_asked_for(self, file: str) -> bool:
        split, _, name = file.partition("/")
        return not name or name in self._images[split]


def _is_crop(name: str) -> bool:
    return "/" not in name and Path(name).suffix in _SUFFIXES and parse_deepfashion(name) is not None
