"""Folders of images, and which of their files a name can mean."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

from fhpt_eval.errors import UserError
from fhpt_eval.images.listing import Listing, list_folder
from fhpt_eval.pairing.naming import one_spelling, parse_deepfashion, picture_key, without_suffix

PairRole: TypeAlias = Literal["generated", "target", "source"]


class Folder:
    """The images of a folder, found by the names that lists and generated files use for them.

    Attributes:
        path: The folder, as given.
        role: What the images are for; also the option that the folder was given with.
        listing: All that is in it.
    """

    def __init__(self, path: Path, role: PairRole | Literal["reference"]) -> None:
        """Walk the folder.

        Raises:
            UserError: It is not there, is a file, cannot be read or holds no image.
        """
        if not path.exists():
            raise UserError(f"the folder of {role} images does not exist: {path}; check --{role}.")
        if not path.is_dir():
            raise UserError(
                f"--{role} expects a folder of images, but {path} is a file; give the folder that it is in."
            )
        self.path = path
        self.role = role
        self.listing = list_folder(path)
        if not self.files:
            raise UserError(
                f"no images in the folder of {role} images, {path}: {self.listing.no_images()}; check --{role}."
            )

    @property
    def files(self) -> tuple[str, ...]:
        """Relative posix paths of all images, sorted; never empty."""
        return self.listing.images

    def find(self, name: str) -> tuple[str, ...]:
        """Return the files that ``name`` can mean; more than one where it cannot be told.

        The first that has any: the exact relative path, the file name, the stem with any image suffix, the other
        DeepFashion spelling. Folders in the name and in the path must not contradict each other. Names and files that
        differ in nothing but `one_spelling` are the same.
        """
        name = one_spelling(name)
        if name in self._by_path:
            return self._by_path[name]
        stem = without_suffix(name)
        return (
            tuple(file for file in self._by_file_name.get(file_name(name), ()) if _same_end(file, name))
            or tuple(file for file in self._by_stem.get(file_name(stem), ()) if _same_end(without_suffix(file), stem))
            or self._by_deepfashion.get(picture_key(name), ())
        )

    def find_same(self, name: str) -> tuple[str, ...]:
        """Return the files at the relative path ``name`` with any suffix, or with the same DeepFashion name."""
        return self._by_path_stem.get(without_suffix(one_spelling(name))) or self._by_deepfashion.get(
            picture_key(name), ()
        )

    @cached_property
    def _by_path(self) -> dict[str, tuple[str, ...]]:
        return _grouped(self.files, lambda file: file)

    @cached_property
    def _by_file_name(self) -> dict[str, tuple[str, ...]]:
        return _grouped(self.files, file_name)

    @cached_property
    def _by_stem(self) -> dict[str, tuple[str, ...]]:
        return _grouped(self.files, lambda file: without_suffix(file_name(file)))

    @cached_property
    def _by_path_stem(self) -> dict[str, tuple[str, ...]]:
        return _grouped(self.files, without_suffix)

    @cached_property
    def _by_deepfashion(self) -> dict[str, tuple[str, ...]]:
        return _grouped((file for file in self.files if parse_deepfashion(file)), picture_key)


@dataclass(frozen=True)
class Folders:
    """The folders that pairs are made from; None for a role without one."""

    generated: Folder
    target: Folder | None
    source: Folder | None

    @classmethod
    def open(cls, generated: Path, target: Path | None, source: Path | None) -> Folders:
        """Walk the folders.

        Raises:
            UserError: As :class:`Folder`.
        """
        return cls(
            Folder(generated, "generated"),
            Folder(target, "target") if target else None,
            Folder(source, "source") if source else None,
        )

    @property
    def listings(self) -> tuple[Listing, ...]:
        """All that is in the folders, each folder once."""
        folders = (self.generated, self.target, self.source)
        return tuple({folder.path: folder.listing for folder in folders if folder}.values())

    def have(self, source: str, target: str) -> bool:
        """Whether every folder of real images has the file of that name; False where there is no such folder."""
        wanted = [(folder, name) for folder, name in ((self.source, source), (self.target, target)) if folder]
        return bool(wanted) and all(folder.find(name) for folder, name in wanted)


def file_name(path: str) -> str:
    """Return the last part of a posix path."""
    return path.rpartition("/")[2]


def _grouped(files: Iterable[str], key: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    """Group files by what is made of their names in one spelling."""
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[key(one_spelling(file))].append(file)
    return {name: tuple(group) for name, group in groups.items()}


def _same_end(file: str, name: str) -> bool:
    return same_tail(one_spelling(file), name)


def same_tail(one: str, other: str) -> bool:
    """Whether the shorter path is the end of the longer one, so that ``b/x.jpg`` does not stand for ``a/x.jpg``."""
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")
