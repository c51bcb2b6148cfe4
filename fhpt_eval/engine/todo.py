"""What of a plan the cache does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fhpt_eval.engine.contract import ImageInfo, Key, PairOfKeys, Plan, Work
from fhpt_eval.engine.opening import DECODING, parse_info
from fhpt_eval.extract.extractor import Extractor, PairExtractor, size_mismatch
from fhpt_eval.files.remote import RemotePath
from fhpt_eval.images.decoding import ImageRef, size_of
from fhpt_eval.images.formats import ImageError
from fhpt_eval.records import Missing, Result


class Known(Protocol):
    """Results by fingerprint and key: what `Cache` is asked here."""

    def known(self, fingerprint: str, keys: Iterable[str]) -> set[str]:
        """Return which of ``keys`` are there."""

    def intact(self, fingerprint: str, keys: Iterable[str]) -> set[str]:
        """Return which of ``keys`` are there and can be read."""

    def get(self, fingerprint: str, key: str) -> Result | None:
        """Return a result."""


@dataclass(frozen=True)
class Todo:
    """What is to be done.

    Attributes:
        work: What has to be computed.
        infos: What decoding told, in this run's plan before, by content key.
        refused: Images that an earlier run decoded and that are over this run's pixel limit, by content key.
        mismatched: Why images cannot be compared whose headers tell that their sizes differ, by extractor and pair.
        found: How many results are known, those of decoding among them.
    """

    work: Work
    infos: Mapping[str, ImageInfo]
    refused: Mapping[str, Missing]
    mismatched: Mapping[tuple[Extractor, Key], Missing]
    found: int


def find_todo(
    plan: Plan,
    key_of: Callable[[ImageRef], str | None],
    cache: Known,
    fingerprints: Mapping[Extractor, str],
    weights: Mapping[str, Path],
    max_pixels: int,
    *,
    read: bool = False,
) -> Todo:
    """Return what of a plan is neither known nor impossible; what was decoded before is decoded again if needed.

    Args:
        plan: What is asked for.
        key_of: From an image to the hash of its file; None where it cannot be read.
        cache: What is known.
        fingerprints: Of the plan's extractors.
        weights: By name; for the work.
        max_pixels: Larger images are refused.
        read: Read what is known, so that what is damaged is found and is to do again.
    """
    known = cache.intact if read else cache.known
    files: dict[str, ImageRef] = {}
    for ref in plan.refs():
        if (key := key_of(ref)) is not None:
            files.setdefault(key, ref)
    # These are read in any case; one that is damaged is decoded again.
    decoded = {
        key: parse_info(stored)
        for key in cache.known(DECODING, files)
        if (stored := cache.get(DECODING, key)) is not None and not isinstance(stored, Missing)
    }
    refused = _too_large(decoded, max_pixels)

    def usable(ref: ImageRef) -> str | None:
        key = key_of(ref)
        return None if key in refused else key

    images = {}
    found = len(decoded)
    for extractor, refs in plan.images.items():
        wanted = {key for ref in refs if (key := usable(ref)) is not None}
        there = known(fingerprints[extractor], wanted)
        found += len(there)
        if unknown := wanted - there:
            images[extractor] = frozenset(unknown)
    pairs: dict[PairExtractor, tuple[PairOfKeys, ...]] = {}
    mismatched: dict[tuple[Extractor, Key], Missing] = {}
    sizes = _Sizes(files, decoded)
    for comparison, both in plan.pairs.items():
        keys = dict.fromkeys(pair for a, b in both if (pair := _pair(usable(a), usable(b))) is not None)
        there = known(fingerprints[comparison], map(cache_key, keys))
        found += len(there)
        left = {pair: sizes.mismatch(comparison, pair) for pair in keys if cache_key(pair) not in there}
        mismatched |= {(comparison, pair): why for pair, why in left.items() if why is not None}
        if fitting := tuple(pair for pair, why in left.items() if why is None):
            pairs[comparison] = fitting
    asked = {key for wanted in images.values() for key in wanted}
    asked |= {key for left in pairs.values() for pair in left for key in pair}
    to_decode = {key: ref for key, ref in files.items() if key not in refused and (key not in decoded or key in asked)}
    known_sizes = {key: size for key in to_decode if (size := sizes.of(key)) is not None}
    return Todo(Work(to_decode, images, pairs, weights, max_pixels, known_sizes), decoded, refused, mismatched, found)


class _Sizes:
    """Width and height of images: of what was decoded before as it was found, of others by the header of the file.

    Of files at an address they are not known: a header would take as long as the file, a request.
    """

    def __init__(self, files: Mapping[str, ImageRef], decoded: Mapping[str, ImageInfo]) -> None:
        self._files = files
        self._decoded = decoded
        self._known: dict[str, tuple[int, int] | None] = {}

    def of(self, key: str) -> tuple[int, int] | None:
        """Return the size of an image; None where it cannot be told, which decoding will say."""
        if key not in self._known:
            self._known[key] = self._look(key)
        return self._known[key]

    def mismatch(self, comparison: PairExtractor, pair: PairOfKeys) -> Missing | None:
        """Return why a pair cannot be compared, as far as sizes tell."""
        if not comparison.one_size:
            return None
        sizes = [self.of(key) for key in pair]
        left = [
            None if size is None else geometry.size(*size)
            for size, geometry in zip(sizes, comparison.geometries, strict=True)
        ]
        return None if left[0] is None or left[1] is None else size_mismatch(left[0], left[1])

    def _look(self, key: str) -> tuple[int, int] | None:
        if (info := self._decoded.get(key)) is not None:
            return info.width, info.height
        if isinstance(self._files[key].path, RemotePath):
            return None
        try:
            return size_of(self._files[key])
        except (OSError, ImageError):
            return None


def cache_key(key: Key) -> str:
    """Return what the cache calls an image or a pair."""
    return key if isinstance(key, str) else " ".join(key)


def _pair(first: str | None, second: str | None) -> PairOfKeys | None:
    return None if first is None or second is None else (first, second)


def _too_large(decoded: Mapping[str, ImageInfo], max_pixels: int) -> dict[str, Missing]:
    """Return the images that were decoded before, under a higher limit, and would be refused today."""
    return {
        key: Missing(f"{info.width}×{info.height} pixels, over the limit of {max_pixels}")
        for key, info in decoded.items()
        if info.width * info.height > max_pixels
    }
