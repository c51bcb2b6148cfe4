"""What a folder holds: its images, what may be images and is left out, and what cannot be any. Nothing is skipped."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fhpt_eval.errors import UserError
from fhpt_eval.files.regular import not_regular, read_head
from fhpt_eval.files.remote import RemotePath
from fhpt_eval.images.suffixes import READ, SUFFIXES
from fhpt_eval.text import unsafe

_NO_IMAGES = frozenset(
    {".csv", ".tsv", ".txt", ".lst", ".md", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".xml", ".html", ".log"}
    | {".py", ".sh", ".ipynb", ".npy", ".npz", ".pkl", ".pt", ".pth", ".safetensors", ".mat", ".h5", ".mp4", ".zip"}
)
"""Endings of which whole folders are full, and that no picture has: such files are not opened."""

_APPLE_DOUBLE = b"\x00\x05\x16\x07"


@dataclass(frozen=True)
class Listing:
    """Every entry below a folder, by its relative posix path, in one of three places.

    Attributes:
        folder: As given.
        images: Files with the ending of an image, sorted. Whether they can be read is found when they are: one that
            cannot be is named then.
        left_out: What may be an image and is not looked at, and why.
        others: What cannot be an image, such as a README or a list; sorted.
    """

    folder: Path
    images: tuple[str, ...]
    left_out: Mapping[str, str]
    others: tuple[str, ...]

    def no_images(self) -> str:
        """Say what there is where there are no images."""
        first = next(iter(self.left_out.items()), None)
        why = f", and {len(self.left_out)} are left out ({first[0]}: {first[1]})" if first else ""
        return f"files ending in {', '.join(sorted(READ))} count{why}"


def list_folder(folder: Path) -> Listing:
    """Walk a folder; linked folders are followed, and each real one is read once.

    Raises:
        UserError: A folder cannot be read, or the name of a file that counts could stand in no record.
    """
    images: list[str] = []
    left_out: dict[str, str] = {}
    others: list[str] = []
    for name, why in _found_below(folder) if isinstance(folder, RemotePath) else _walk(folder, "", {}):
        hidden = name.startswith(".") or "/." in name
        if why is None and not hidden and _suffix(name) in SUFFIXES:
            images.append(_storable(name, folder))
        elif why := why or _why_left_out(folder / name, hidden=hidden):
            left_out[_storable(name, folder)] = why
        else:
            others.append(name.encode(errors="backslashreplace").decode())
    left_out |= _second_best(folder, images)
    return Listing(
        folder,
        tuple(sorted(name for name in images if name not in left_out)),
        dict(sorted(left_out.items())),
        tuple(sorted(others)),
    )


def _found_below(folder: RemotePath) -> Iterator[tuple[str, str | None]]:
    """Yield every file below a folder at an address, and why one cannot be read whose name is no path."""
    try:
        names = folder.files_below()
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror} (docs/remote.md).") from None
    for name in names:
        is_path = {"", ".", ".."}.isdisjoint(name.split("/"))
        yield name, None if is_path else "its name is no path: a part of it is empty, '.' or '..'"


def _walk(folder: Path, at: str, seen: dict[tuple[int, int], str]) -> Iterator[tuple[str, str | None]]:
    """Yield every entry that is no folder, and every folder that is not entered with the reason."""
    try:
        status = (folder / at).stat()
        seen[status.st_dev, status.st_ino] = at
        with os.scandir(folder / at) as entries:
            # Real folders first: what a link leads to as well is called by its own name.
            ordered = sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError as error:
        raise UserError(f"cannot read the folder {folder / at}: {error.strerror}; change its permissions.") from None
    for entry in ordered:
        name = f"{at}/{entry.name}" if at else entry.name
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link to itself
            is_folder = False
        if not is_folder:
            yield name, None
            continue
        status = (folder / name).stat()
        if (there := seen.get((status.st_dev, status.st_ino))) is not None:
            same = there or "the folder itself"
            yield name, f"a link to {same}, which is looked at already"
        else:
            yield from _walk(folder, name, seen)


def _why_left_out(path: Path, *, hidden: bool) -> str | None:
    """Return why an entry that may be an image does not count; None where it cannot be one."""
    suffix = _suffix(path.name)
    of_image = suffix in SUFFIXES
    # Of what has no ending and cannot be opened, nothing is known.
    if (what := not_regular(path)) is not None:
        return what if of_image or not suffix else None
    if suffix in _NO_IMAGES:
        return None
    try:
        found = _format(path)
    except OSError as error:
        return error.strerror if of_image or not suffix else None
    if hidden:
        return "hidden: a name begins with a dot" if found or (of_image and found is None) else None
    return f"{found}, but the name does not end as an image's does" if found else None


def _format(path: Path) -> str | None:
    """Return the format of a picture, nothing for what macOS keeps beside one, None for what is not known."""
    from fhpt_eval.images.formats import HEAD, picture_format

    head = read_head(path, HEAD)
    return "" if head.startswith(_APPLE_DOUBLE) else picture_format(head)


def _second_best(folder: Path, images: Sequence[str]) -> dict[str, str]:
    """Return the images that cannot be read where one of the same name can, and that one."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in images:
        same[name.rpartition(".")[0]].append(name)
    found: dict[str, str] = {}
    for names in (names for names in same.values() if len(names) > 1):
        readable = [name for name in names if _suffix(name) in READ and not_regular(folder / name) is None]
        found |= {name: f"{readable[0]} is read instead" for name in names if readable and name not in readable}
    return found


def _suffix(name: str) -> str:
    stem, _, ending = name.rpartition("/")[2].rpartition(".")
    return f".{ending.lower()}" if stem and ending else ""


def _storable(name: str, folder: Path) -> str:
    """Refuse names that no record could hold, or that would do something to whoever reads them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        try:
            os.fsencode(name).decode()
        except UnicodeDecodeError:
            raise UserError(f"a file name in {folder} is not UTF-8 ('{name}'): rename the file.") from None
        raise UserError(
            f"the file name '{name}' in {folder} cannot be read where names are {sys.getfilesystemencoding()}: set"
            " PYTHONUTF8=1, and run again."
        ) from None
    if unsafe(name):
        raise UserError(f"a file name in {folder} holds a control character ('{name}'): rename the file.")
    return name
