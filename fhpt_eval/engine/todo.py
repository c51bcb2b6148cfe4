"""What of a plan the cache does not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contents import Contents
from fhpt_eval.engine.contract import Key, PairOfKeys, Plan, Work
from fhpt_eval.engine.opening import DECODING, parse_info
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.records import Missing, Result


@dataclass(frozen=True)
class Todo:
    """What is to be done.

    Attributes:
        work: What has to be computed.
        refused: Images that an earlier run decoded and that are over this run's pixel limit, by content key.
    """

    work: Work
    refused: Mapping[str, Missing]


def find_todo(
    plan: Plan,
    contents: Contents,
    cache: Cache,
    fingerprints: Mapping[Extractor, str],
    weights: Mapping[str, Path],
    max_pixels: int,
    *,
    read: bool = False,
) -> Todo:
    """Return what of a plan is neither known nor impossible; what was decoded before is decoded again if needed.

    Args:
        plan: What is asked for.
        contents: Of its files.
        cache: What is known.
        fingerprints: Of the plan's extractors.
        weights: By name; for the work.
        max_pixels: Larger images are refused.
        read: Read what is known, so that what is damaged is found and is to do again.
    """
    known = cache.intact if read else cache.known
    files: dict[str, ImageRef] = {}
    for ref in plan.refs():
        if (key := contents.key(ref)) is not None:
            files.setdefault(key, ref)
    # These are read in any case; one that is damaged is decoded again.
    decoded = {key: info for key in cache.known(DECODING, files) if (info := cache.get(DECODING, key)) is not None}
    refused = _too_large(decoded, max_pixels)

    def usable(ref: ImageRef) -> str | None:
        key = contents.key(ref)
        return None if key in refused else key

    images = {}
    for extractor, refs in plan.images.items():
        wanted = {key for ref in refs if (key := usable(ref)) is not None}
        if unknown := wanted - known(fingerprints[extractor], wanted):
            images[extractor] = frozenset(unknown)
    pairs = {}
    for comparison, both in plan.pairs.items():
        keys = dict.fromkeys(pair for a, b in both if (pair := _pair(usable(a), usable(b))) is not None)
        there = known(fingerprints[comparison], map(cache_key, keys))
        if left := tuple(pair for pair in keys if cache_key(pair) not in there):
            pairs[comparison] = left
    asked = {key for wanted in images.values() for key in wanted}
    asked |= {key for left in pairs.values() for pair in left for key in pair}
    to_decode = {key: ref for key, ref in files.items() if key not in refused and (key not in decoded or key in asked)}
    return Todo(Work(to_decode, images, pairs, weights, max_pixels), refused)


def cache_key(key: Key) -> str:
    """Return what the cache calls an image or a pair."""
    return key if isinstance(key, str) else " ".join(key)


def _pair(first: str | None, second: str | None) -> PairOfKeys | None:
    return None if first is None or second is None else (first, second)


def _too_large(decoded: Mapping[str, Result], max_pixels: int) -> dict[str, Missing]:
    """Return the images that were decoded before, under a higher limit, and would be refused today."""
    refused = {}
    for key, stored in decoded.items():
        if isinstance(stored, Missing):
            continue
        info = parse_info(stored)
        if info.width * info.height > max_pixels:
            refused[key] = Missing(f"{info.width}×{info.height} pixels, over the limit of {max_pixels}")
    return refused
