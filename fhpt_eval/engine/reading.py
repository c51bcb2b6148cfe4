"""What came of a plan: records from the cache, and where there is none, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contents import NOT_READ, Contents
from fhpt_eval.engine.contract import ImageInfo, Key
from fhpt_eval.engine.opening import unreadable
from fhpt_eval.engine.todo import cache_key
from fhpt_eval.extract.extractor import Extractor, ImageExtractor, PairExtractor
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.records import Missing, Result


@dataclass
class Findings:
    """What a run found, beside the records in the cache.

    Attributes:
        infos: What decoding told, by content key; the cache keeps it, too, for later runs.
        undecoded: Why an image cannot be read, by content key.
        faults: Why there is no record, by extractor and key.
        broken: Extractors that failed, and how; what they were to give is missing.
        warnings: What the user should know: a smaller batch, a cache that could not be written.
        computed: How many results were computed, by extractor id; the others came from the cache.
        decoded: How many images were decoded of which the cache did not know what decoding tells.
    """

    infos: dict[str, ImageInfo] = field(default_factory=dict)
    undecoded: dict[str, Missing] = field(default_factory=dict)
    faults: dict[tuple[Extractor, Key], Missing] = field(default_factory=dict)
    broken: dict[Extractor, Exception] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    computed: Counter[str] = field(default_factory=Counter)
    decoded: int = 0


class Extraction:
    """What an engine gives back: reads the results of a plan, one at a time.

    Args:
        contents: Of the plan's files.
        cache: Holds the records.
        fingerprints: Of the plan's extractors.
        findings: What the cache does not hold.
        compute_again: Computes what of the plan the cache has lost: a damaged record is found when it is read.
    """

    def __init__(
        self,
        contents: Contents,
        cache: Cache,
        fingerprints: Mapping[Extractor, str],
        findings: Findings,
        compute_again: Callable[[], None],
    ) -> None:
        self._contents = contents
        self._cache = cache
        self._fingerprints = fingerprints
        self._findings = findings
        self._compute_again = compute_again
        self._attempts = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know."""
        return (*self._findings.warnings, *self._cache.remarks)

    @property
    def broken(self) -> Mapping[Extractor, Exception]:
        """Extractors that failed, and how."""
        return self._findings.broken

    @property
    def faults(self) -> Mapping[tuple[Extractor, Key], Missing]:
        """Why there are no results where there should be, by extractor and key."""
        return self._findings.faults

    @property
    def computed(self) -> Mapping[str, int]:
        """How many results were computed, by extractor id."""
        return dict(self._findings.computed)

    @property
    def decoded(self) -> int:
        """How many images were decoded of which the cache did not know what decoding tells."""
        return self._findings.decoded

    def image(self, extractor: ImageExtractor, ref: ImageRef) -> Result:
        """Return the result of an image extractor on one image."""
        return next(self.read(extractor, [(ref,)]))

    def pair(self, extractor: PairExtractor, first: ImageRef, second: ImageRef) -> Result:
        """Return the result of a pair extractor on two images."""
        return next(self.read(extractor, [(first, second)]))

    def read(self, extractor: Extractor, asked: Iterable[tuple[ImageRef | Missing, ...]]) -> Iterator[Result]:
        """Yield the result of an extractor on each image or pair; never all of them are held.

        Args:
            extractor: Of the plan.
            asked: An image or both of a pair; where one is `Missing`, so is the result.
        """
        remaining = iter(asked)
        while some := [self._place(extractor, refs) for refs in islice(remaining, _AT_ONCE)]:
            keys = [place for place in some if not isinstance(place, Missing)]
            results = iter(self._stored(extractor, keys))
            yield from (place if isinstance(place, Missing) else next(results) for place in some)

    def info(self, ref: ImageRef) -> ImageInfo | Missing:
        """Return what decoding told of an image, or in bare words why it could not be read."""
        key = self._key(ref)
        return key if isinstance(key, Missing) else self._findings.infos.get(key, NOT_READ)

    def content(self, ref: ImageRef) -> str | None:
        """Return a hash of what an image shows: of the file's bytes, or of the panel's pixels.

        None when it was not or could not be read.
        """
        if ref.panel is None:
            return self._contents.content(ref)
        info = self.info(ref)
        return None if isinstance(info, Missing) else info.pixels

    def _key(self, ref: ImageRef) -> str | Missing:
        """Return the content key of an image, or why it cannot be read."""
        if (key := self._contents.key(ref)) is None:
            return self._contents.lacks(ref) or NOT_READ
        return self._findings.undecoded.get(key, key)

    def _place(self, extractor: Extractor, refs: tuple[ImageRef | Missing, ...]) -> Key | Missing:
        """Return the key under which the cache has a result, or why there is none."""
        keys: list[str] = []
        why: Missing | None = None
        for ref in refs:
            if isinstance(ref, Missing):
                return ref
            if isinstance(found := self._key(ref), Missing):
                why = why or unreadable(found)
            else:
                keys.append(found)
        if why is not None:
            return why
        if self._findings.broken and extractor in self._findings.broken:
            return Missing(f"{extractor.name} failed")
        key = keys[0] if len(keys) == 1 else (keys[0], keys[1])
        # Mostly empty, and an extractor's hash is that of all its fields.
        return self._findings.faults.get((extractor, key), key) if self._findings.faults else key

    def _stored(self, extractor: Extractor, keys: Sequence[Key]) -> list[Result]:
        """Return what the cache holds; what it has lost of the plan, through damage for example, is computed again."""
        names, fingerprint = [cache_key(key) for key in keys], self._fingerprints[extractor]
        found = [*self._cache.read(fingerprint, names)]
        if None in found and self._attempts < _ATTEMPTS:
            self._attempts += 1
            self._compute_again()
            found = [*self._cache.read(fingerprint, names)]
        # Where it was computed again, that may have ended in a fault.
        return [
            self._findings.faults.get((extractor, key), _LOST) if result is None else result
            for key, result in zip(keys, found, strict=True)
        ]


_AT_ONCE = 64
"""Results that are read at once."""

_LOST = Missing("damaged in the cache: run `fhpt-eval cache clear`, and the same command again")

_ATTEMPTS = 3
"""How often all that was lost is computed again: more is no accident."""
