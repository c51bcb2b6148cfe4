"""Files on their way to a worker that cannot read them where they lie."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from fhpt_eval.engine.contract import Work
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.files.given import GivenFile
from fhpt_eval.files.regular import read_regular
from fhpt_eval.files.remote import RemotePath
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.masks import Silhouette

T = TypeVar("T")

Places = Mapping[str, Path]
"""Where files lie on a worker, by the hash of what is in them."""


def files_of(key: str, ref: ImageRef) -> Iterator[GivenFile]:
    """Yield the files of an image: its own, and that of its mask."""
    yield GivenFile(key.partition("#")[0], ref.path)
    if isinstance(ref.mask, Silhouette) and isinstance(ref.mask.file, GivenFile):
        yield ref.mask.file


def brought(work: Work) -> list[GivenFile]:
    """Return the files that extractors of some work load: weights, and what the user gave."""
    every: tuple[Extractor, ...] = (*work.images, *work.pairs)
    given = [file for extractor in every for file in extractor.brought().values()]
    weights = {w.name: w.sha256 for extractor in every for w in extractor.weights()}
    return [*dict.fromkeys([*given, *(GivenFile(sha, work.weights[name]) for name, sha in weights.items())])]


def contents(files: Iterator[GivenFile]) -> dict[str, bytes]:
    """Return what is in files, by its hash; those left out that cannot be read or are no longer what they were."""
    read: dict[str, bytes] = {}
    for file in files:
        if file.sha256 not in read and (data := _read(file)) is not None:
            read[file.sha256] = data
    return read


def there(file: GivenFile) -> bool:
    """Whether a file lies where it should, and is what it should be."""
    digest = hashlib.sha256()
    try:
        with file.path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == file.sha256


class Kept:
    """Files that were sent: they lie in memory, where nothing is left of them when this process ends, however it does.

    Args:
        data: What is in them, by its hash.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._files = {sha256: os.memfd_create(sha256) for sha256 in data}
        for sha256, file in self._files.items():
            with open(file, "wb", closefd=False) as stream:
                stream.write(data[sha256])

    @property
    def places(self) -> dict[str, Path]:
        """Where processes of this machine can read them."""
        return {sha256: Path(f"/proc/{os.getpid()}/fd/{file}") for sha256, file in self._files.items()}

    def close(self) -> None:
        """Forget them."""
        for file in self._files.values():
            os.close(file)
        self._files = {}


def placed(work: Work, folder: Path, places: Places) -> Work:
    """Return some work with the paths of a worker.

    Args:
        work: With the paths of the driver.
        folder: The current one of the driver, which relative paths start from.
        places: Of files that were sent.
    """
    files = {key: _placed_image(key, ref, folder, places) for key, ref in work.files.items()}
    return dataclasses.replace(work, files=files)


def with_files(value: T, places: Places) -> T:
    """Return an extractor, or what stands in one, with the paths of a worker for the user's files."""
    if isinstance(value, GivenFile):
        return dataclasses.replace(value, path=places.get(value.sha256, value.path))
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    old = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
    new = {name: with_files(part, places) for name, part in old.items()}
    return value if all(new[name] is old[name] for name in old) else dataclasses.replace(value, **new)


def absolute(path: Path, folder: Path) -> Path:
    """Return a path that starts from a folder, unless it starts from the root; an address stays what it is."""
    return path if isinstance(path, RemotePath) else folder / path


def _placed_image(key: str, ref: ImageRef, folder: Path, places: Places) -> ImageRef:
    path = places.get(key.partition("#")[0]) or absolute(ref.path, folder)
    mask = ref.mask
    if isinstance(mask, Silhouette) and isinstance(mask.file, GivenFile):
        at = places.get(mask.file.sha256) or absolute(mask.file.path, folder)
        mask = dataclasses.replace(mask, file=dataclasses.replace(mask.file, path=at))
    return dataclasses.replace(ref, path=path, mask=mask)


def _read(file: GivenFile) -> bytes | None:
    try:
        data = read_regular(file.path)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == file.sha256 else None
