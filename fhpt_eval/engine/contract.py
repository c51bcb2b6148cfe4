"""What an engine takes and gives. It takes the whole plan at once, so that one decode can serve every extractor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fhpt_eval.extract.extractor import Extractor, ImageExtractor, PairExtractor
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing, Result


@dataclass(frozen=True)
class Plan:
    """Which extractor is needed on which different images.

    Attributes:
        images: For each image extractor, the images.
        pairs: For each pair extractor, the (first, second) images.
        hashed: Images that are only identified: their files are hashed and not decoded.
    """

    images: Mapping[ImageExtractor, tuple[ImageRef, ...]]
    pairs: Mapping[PairExtractor, tuple[tuple[ImageRef, ImageRef], ...]]
    hashed: tuple[ImageRef, ...] = ()

    @classmethod
    def union(cls, plans: Iterable[Plan]) -> Plan:
        """All that several plans ask for, each thing once."""
        images: dict[ImageExtractor, dict[ImageRef, None]] = {}
        pairs: dict[PairExtractor, dict[tuple[ImageRef, ImageRef], None]] = {}
        hashed: dict[ImageRef, None] = {}
        for plan in plans:
            for extractor, refs in plan.images.items():
                images.setdefault(extractor, {}).update(dict.fromkeys(refs))
            for comparison, both in plan.pairs.items():
                pairs.setdefault(comparison, {}).update(dict.fromkeys(both))
            hashed.update(dict.fromkeys(plan.hashed))
        return cls({e: tuple(r) for e, r in images.items()}, {e: tuple(r) for e, r in pairs.items()}, tuple(hashed))

    def refs(self) -> tuple[ImageRef, ...]:
        """Every image that is read, once, in an order that keeps the images of a pair together."""
        pairs = {pair for group in self.pairs.values() for pair in group}
        by_target = sorted(pairs, key=lambda pair: (_place(pair[1]), _place(pair[0])))
        in_pairs = [ref for first, second in by_target for ref in (second, first)]
        alone = sorted({ref for group in self.images.values() for ref in group}, key=_place)
        return tuple(dict.fromkeys([*in_pairs, *alone]))

    def extractors(self) -> tuple[Extractor, ...]:
        """Every extractor, image extractors first."""
        return (*self.images, *self.pairs)


def _place(ref: ImageRef) -> tuple[str, int]:
    return str(ref.path), -1 if ref.panel is None else ref.panel


@dataclass(frozen=True)
class ImageInfo:
    """What decoding an image told.

    Attributes:
        width: In pixels, after orientation and panel cut.
        height: In pixels.
        notes: What was done to it ("alpha composited on white").
        pixels: A hash of the decoded pixels.
    """

    width: int
    height: int
    notes: frozenset[str]
    pixels: str


@dataclass
class Extraction:
    """What an engine gives back.

    Attributes:
        image: Reads the result of an image extractor on one image.
        pair: Reads the result of a pair extractor on two images.
        info: What decoding told of an image, or why it could not be read.
        content: A hash of what an image shows: of the file's bytes, or of the panel's pixels; None when it was not or
            could not be read.
        warnings: What the user should know: a smaller batch, a cache that could not be written.
        broken: Extractors that failed, and how; what they were to give is missing.
        computed: How many results were computed, by extractor id; the others came from the cache.
    """

    image: Callable[[ImageExtractor, ImageRef], Result]
    pair: Callable[[PairExtractor, ImageRef, ImageRef], Result]
    info: Callable[[ImageRef], ImageInfo | Missing]
    content: Callable[[ImageRef], str | None]
    warnings: tuple[str, ...] = ()
    broken: Mapping[Extractor, Exception] = field(default_factory=dict)
    computed: Mapping[str, int] = field(default_factory=dict)


class Engine(ABC):
    """Runs a plan."""

    @property
    @abstractmethod
    def device(self) -> str:
        """The torch device that networks run on, as recorded with a run."""

    @abstractmethod
    def run(self, plan: Plan, weights: Mapping[str, Path], progress: Progress | None = None) -> Extraction:
        """Compute what is not known yet, and return readers for all of it.

        Args:
            plan: What to compute.
            weights: The verified file of each weights name that an extractor of the plan asks for.
            progress: Called often; cheap.
        """
