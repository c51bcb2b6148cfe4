"""What files hold: the content keys under which results are computed once and kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fhpt_eval.engine.opening import hash_file
from fhpt_eval.engine.processes import threads
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing

_READERS = 4

_AT_ONCE = 32
"""Files that a reader takes at once: handing one over costs as much as reading a small one."""

_WAITING = 8
"""How many times longer than it works a reader takes, where it waits for the disk."""


class Contents:
    """The hash of each file's bytes, or why it cannot be opened.

    Args:
        paths: Are read once.
        progress: Called for each file.
    """

    def __init__(self, paths: Iterable[Path], progress: Progress) -> None:
        ordered = sorted(set(paths), key=str)
        parts = [ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)]
        self._found: dict[Path, str | Missing] = {}
        self._keys: dict[ImageRef, str | None] = {}
        progress("reading files", 0, len(ordered))
        with threads(_READERS) as readers:
            for part, contents in zip(parts, _hashed(parts, readers), strict=True):
                self._found.update(zip(part, contents, strict=True))
                progress("reading files", len(self._found), len(ordered))

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
