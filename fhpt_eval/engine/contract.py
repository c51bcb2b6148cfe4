"""What the parts of an engine hand each other: the plan, the work that is left of it, and what comes of that.

The whole plan at once, so that one decode can serve every extractor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from fhpt_eval.extract.extractor import Extractor, ImageExtractor, PairExtractor
from fhpt_eval.images.decoding import MAX_PIXELS, ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Missing, Result

DECODING = 30
"""Bytes a pixel of an image while it is decoded (Pillow's picture, a turned one, ours) and resized in float32."""


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
        return self._refs

    @cached_property
    def _refs(self) -> tuple[ImageRef, ...]:
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


@dataclass(frozen=True, slots=True)
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


PairOfKeys: TypeAlias = tuple[str, str]
Key: TypeAlias = str | PairOfKeys
"""What a result is about: the content key of an image, or those of the first and the second image of a pair."""


@dataclass(frozen=True)
class Work:
    """What an executor is to compute.

    Attributes:
        files: By content key, every image to decode, those of a pair near each other.
        images: For each image extractor, the keys of its images.
        pairs: For each pair extractor, its pairs, each once.
        weights: The verified file of each weights name that an extractor asks for.
        max_pixels: Larger images are refused before they are decoded.
        sizes: Width and height of images by content key, where the header of the file tells them.
    """

    files: Mapping[str, ImageRef]
    images: Mapping[ImageExtractor, frozenset[str]]
    pairs: Mapping[PairExtractor, tuple[PairOfKeys, ...]]
    weights: Mapping[str, Path]
    max_pixels: int = MAX_PIXELS
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def shown(self) -> Iterator[tuple[Extractor, str, int]]:
        """Yield each extractor with each image that it is shown, and the pixels of that in the extractor's geometry."""
        for extractor, keys in self.images.items():
            for key, pixels in self._in_geometry(extractor.geometry, keys):
                yield extractor, key, pixels
        for comparison, pairs in self.pairs.items():
            # An image that is the first of one pair and the second of another is shown once, in one geometry.
            sides: dict[Geometry, dict[str, None]] = {}
            sides.setdefault(comparison.first_geometry, {}).update((first, None) for first, _ in pairs)
            sides.setdefault(comparison.second_geometry, {}).update((second, None) for _, second in pairs)
            for geometry, of_side in sides.items():
                for key, pixels in self._in_geometry(geometry, of_side):
                    yield comparison, key, pixels

    def _in_geometry(self, geometry: Geometry, keys: Iterable[str]) -> Iterator[tuple[str, int]]:
        """Yield each image whose size is known with its pixels in a geometry."""
        for key in keys:
            if key in self.sizes and (size := geometry.size(*self.sizes[key])) is not None:
                yield key, size[0] * size[1]

    def memory(self) -> dict[str, int]:
        """Bytes that each image takes until its batch is done: decoded, in its geometries and encoded, at most."""
        codes = dict.fromkeys(self.sizes, 0)
        for extractor, key, pixels in self.shown():
            if isinstance(extractor, PairExtractor):
                codes[key] = max(codes[key], pixels * extractor.bytes_per_encoded_pixel)
        return {key: width * height * DECODING + codes[key] for key, (width, height) in self.sizes.items()}

    def views(self) -> dict[str, frozenset[Geometry]]:
        """In which geometries each image is asked for; none of an image that only has to be decoded."""
        none: frozenset[Geometry] = frozenset()
        views = dict.fromkeys(self.files, none)
        shared = {none: none}  # the few sets that there are, not one for each image

        def ask(key: str, geometry: Geometry) -> None:
            more = views[key] | {geometry}
            views[key] = shared.setdefault(more, more)

        for extractor, keys in self.images.items():
            for key in keys:
                ask(key, extractor.geometry)
        for comparison, pairs in self.pairs.items():
            for first, second in pairs:
                ask(first, comparison.first_geometry)
                ask(second, comparison.second_geometry)
        return views


@dataclass(frozen=True, slots=True)
class Decoded:
    """What decoding told of an image, or why it cannot be read (in bare words: "truncated JPEG")."""

    key: str
    info: ImageInfo | Missing


@dataclass(frozen=True, slots=True)
class Computed:
    """What an extractor gave for an image or a pair."""

    extractor: Extractor
    key: Key
    result: Result


@dataclass(frozen=True)
class Broken:
    """An extractor that failed: nothing more comes of it, and what came is not used."""

    extractor: Extractor
    error: Exception


@dataclass(frozen=True)
class Warned:
    """What the user should know, such as a smaller batch."""

    sentence: str


Outcome: TypeAlias = Decoded | Computed | Broken | Warned
