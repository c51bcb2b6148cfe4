"""What files hold: the content keys under which results are computed once and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, compress
from pathlib import Path
from typing import TypeAlias

from fhpt_eval.engine.opening import hash_file
from fhpt_eval.engine.processes import threads
from fhpt_eval.files.remote import RemotePath
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing

_READERS = 4

READERS_OF_REMOTE = 32
"""Files at an address that are read at once: one takes tens of milliseconds, of which nearly all is waiting."""

_AT_ONCE = 32
"""Files that a reader takes at once: handing one over costs as much as reading a small one."""

_WAITING = 8
"""How many times longer than it works a reader takes, where it waits for the disk."""


HashFiles: TypeAlias = Callable[[Sequence[Path], Progress], Iterator[str | Missing]]


class Contents:
    """The hash of each file's bytes, or why it cannot be opened.

    Args:
        paths: Are read once.
        progress: Called for each file.
        hash_all: Who reads them; otherwise this process.
    """

    def __init__(self, paths: Iterable[Path], progress: Progress, hash_all: HashFiles | None = None) -> None:
        ordered = sorted(set(paths), key=str)
        self._found = dict(zip(ordered, (hash_all or hash_files)(ordered, progress), strict=True))
        self._keys: dict[ImageRef, str | None] = {}

    def of_file(self, path: Path) -> str | None:
        """Return the hash of a file's bytes; None where it is not known."""
        content = self._found.get(path)
        return content if isinstance(content, str) else None

    def key(self, ref: ImageRef) -> str | None:
        """Return the content key of an image: of the file's bytes, the panel, and the mask; None if it is unknown."""
        if ref.panel is None and ref.mask is None:
            return self.of_file(ref.path)
        try:
            return self._keys[ref]
        except KeyError:
            return self._keys.setdefault(ref, self._key(ref))

    def _key(self, ref: ImageRef) -> str | None:
        if (content := self.of_file(ref.path)) is None:
            return None
        panel = "" if ref.panel is None else f"#{ref.panel}/{ref.panels}"
        return content + panel + ("" if ref.mask is None else f"#{ref.mask.key}")

    def content(self, ref: ImageRef) -> str | None:
        """Return a hash of what an image shows; None where the file could not be opened, or is to be cut first."""
        return self.key(ref) if ref.panel is None else None

    def lacks(self, ref: ImageRef) -> Missing | None:
        """Return why an image's file could not be opened; None where it could."""
        if self.key(ref) is not None:
            return None
        content = self._found.get(ref.path, NOT_READ)
        return content if isinstance(content, Missing) else None


NOT_READ = Missing("not read", "not asked")


def hash_files(
    paths: Sequence[Path],
    progress: Progress | None = None,
    hash_remote: Callable[[Sequence[Path]], Iterator[str | Missing]] | None = None,
) -> Iterator[str | Missing]:
    """Yield the hash of each file's bytes, or why it cannot be opened, in the order of the paths.

    Args:
        paths: Of local files, and of such at an address.
        progress: Called with ``reading files``, the files read and their number.
        hash_remote: Who reads those at an address; otherwise this process, many at once.
    """
    remote = [isinstance(path, RemotePath) for path in paths]
    here = [path for path, away in zip(paths, remote, strict=True) if not away]
    parts = [here[start : start + _AT_ONCE] for start in range(0, len(here), _AT_ONCE)]
    with threads(_READERS) as readers, threads(READERS_OF_REMOTE) as readers_of_remote:
        addresses = [*compress(paths, remote)]
        asked = hash_remote(addresses) if hash_remote else readers_of_remote.map(hash_file, addresses)
        found = {False: chain.from_iterable(_hashed(parts, readers)), True: asked}
        for done, away in enumerate(remote):
            if progress is not None and done % _AT_ONCE == 0:
                progress("reading files", done, len(paths))
            yield next(found[away])
    if progress is not None:
        progress("reading files", len(paths), len(paths))


def _hashed(parts: Sequence[Sequence[Path]], readers: ThreadPoolExecutor) -> Iterator[list[str | Missing]]:
    """Yield the hashes of each part: read by this thread, or where it mostly waits for the disk, by several."""
    for done, part in enumerate(parts):
        began, worked = time.perf_counter(), time.thread_time()
        yield _hash_files(part)
        if time.perf_counter() - began > _WAITING * (time.thread_time() - worked):
            yield from readers.map(_hash_files, parts[done + 1 :])
            return


def _hash_files(paths: Sequence[Path]) -> list[str | Missing]:
    return [hash_file(path) for path in paths]
