"""Silhouettes of targets that a user gives as a folder of image files, joined to the targets by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fhpt_eval.engine.contents import hash_files
from fhpt_eval.errors import UserError
from fhpt_eval.files.given import GivenFile
from fhpt_eval.files.remote import path_at
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.listing import list_folder
from fhpt_eval.pairing.naming import picture_key, without_suffix
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.by_name import Named
from fhpt_eval.records import Missing

_ENDINGS = ("_sil", "_mask")
"""What may stand after a target's name: pose-with-style's, and the usual one."""


@dataclass(frozen=True)
class MaskFiles:
    """Masks of many images; two folders with the same content are equal, wherever they lie.

    Attributes:
        sha256: Hash of the names inside of the folder and the content of its images.
        path: The folder.
        files: For each image, by `fhpt_eval.pairing.naming.picture_key` of its name, the file; or why it cannot be
            opened.
    """

    sha256: str
    path: Path = field(compare=False)
    files: Mapping[str, GivenFile | Missing] = field(compare=False, repr=False)

    @classmethod
    def at(cls, path: str | Path) -> MaskFiles:
        """List the image files below a folder, ``NAME``, ``NAME_sil`` or ``NAME_mask`` with any ending of an image.

        Raises:
            UserError: It is no folder or cannot be read, holds no image, or two different masks of one picture.
        """
        path = path_at(path)
        if not path.is_dir():
            raise UserError(f"{path} is not a folder: give the folder of the targets' masks, a file for each target.")
        listing = list_folder(path)
        if not listing.images:
            raise UserError(f"no masks in {path}: {listing.no_images()}.")
        files: dict[str, GivenFile | Missing] = {}
        first: dict[str, str] = {}
        lines = []
        contents = hash_files([path / name for name in listing.images])
        for name, content in zip(listing.images, contents, strict=True):
            lines.append(f"{content if isinstance(content, str) else ''} {name}")
            mask = _closed(content) if isinstance(content, Missing) else GivenFile(content, path / name)
            key = _key(name)
            other = first.setdefault(key, name)
            if files.setdefault(key, mask) != mask:
                raise UserError(
                    f"{path / name} and {path / other} are masks of one picture, '{key}', and not the same: keep one of"
                    " them."
                )
        sha256 = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        return cls(sha256, path, files)

    def __str__(self) -> str:
        return f"sha256:{self.sha256}"


@dataclass(frozen=True)
class GivenMasks:
    """Masks of the targets of pairs.

    Attributes:
        files: Where they lie.
        entries: The file of each target, or why there is none.
    """

    files: MaskFiles
    entries: Mapping[ImageRef, GivenFile | Missing]

    @classmethod
    def of_pairs(cls, files: MaskFiles, pairs: Pairs) -> GivenMasks:
        """Join masks to targets by their names, or else those in the list of pairs.

        Raises:
            UserError: There is a mask of none of them.
        """
        named = Named(files.files, files.path, "masks", "the folder of masks")
        return cls(files, named.of_pairs(pairs, "target"))


def _closed(why: Missing) -> Missing:
    return Missing(f"a file that cannot be opened: {why.reason}")


def _key(name: str) -> str:
    """Return the key of the picture that a mask's file is called after."""
    stem = without_suffix(name)
    ending = next((ending for ending in _ENDINGS if stem.endswith(ending)), "")
    return picture_key(stem.removesuffix(ending))
