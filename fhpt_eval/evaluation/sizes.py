"""What to do where generated images and targets differ in size: told by looking at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile

import numpy as np
from PIL import Image

from fhpt_eval.engine.reading import Extraction
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.plan import ImageSets, Prepared
from fhpt_eval.extract.extractor import PairExtractor
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.images.borders import Borders, white_borders
from fhpt_eval.images.decoding import ImageRef, Rgb, read_image
from fhpt_eval.images.geometry import Geometry, Usual
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.records import Missing, Role

_LOOKED_AT = 8
"""Pairs of two sizes whose pixels are looked at."""
_SAID = 3
"""Pairs of sizes about which something is said; there are data sets in which every picture has its own."""

_Size = tuple[int, int]


def of_sizes(images: ImageSets, prepared: Prepared, extraction: Extraction) -> Iterator[str]:
    """Say what would bring both sides to one size, where a protocol compares them pixel by pixel and they have two."""
    told: set[tuple[ImageRef, ImageRef]] = set()
    for generated, target in sorted(_compared(prepared), key=lambda both: both != (Geometry(), Geometry())):
        pairs: dict[tuple[_Size, _Size], list[tuple[ImageRef, ImageRef]]] = {}
        measured = 0
        for pair in images.pairs:
            if pair.generated is None or pair.target is None:
                continue
            sizes = _size(extraction, pair.generated, generated), _size(extraction, pair.target, target)
            if sizes[0] is None or sizes[1] is None:
                continue
            measured += 1
            if sizes[0] != sizes[1]:
                pairs.setdefault((sizes[0], sizes[1]), []).append((pair.generated, pair.target))
        native = generated == target == Geometry()
        counts = Counter({sizes: len(group) for sizes, group in pairs.items()})
        for (one, other), count in counts.most_common(_SAID):
            # In the sizes of the files, where they differ there: what a geometry makes of them is not the user's.
            if told.issuperset(pairs[one, other]):
                continue
            told.update(pairs[one, other])
            about = f"{count} generated images are {_text(one)} and their targets {_text(other)}: "
            advice = _advice(pairs[one, other], one, other, alone=count == measured) if native else _BY_HAND
            yield about + advice


def unusual(
    images: ImageSets, measurements: Sequence[Measurement], prepared: Prepared, extraction: Extraction
) -> Iterator[str]:
    """Say where images are of another size than those that a dialect's published numbers are of."""
    asked: dict[tuple[str, Role, Geometry, _Size], None] = {}
    for measurement in measurements:
        if measurement.protocol in prepared.unavailable:
            continue
        for need in measurement.protocol.needs():
            for role, geometry in zip(need.roles, need.extractor.geometries, strict=True):
                before = Geometry(tuple(takewhile(lambda step: not isinstance(step, Usual), geometry.steps)))
                if before != geometry and isinstance(usual := geometry.steps[len(before.steps)], Usual):
                    asked[measurement.dialect or measurement.name, role, before, (usual.width, usual.height)] = None
    told: dict[tuple[str, _Size], dict[str, None]] = {}
    for whose, role, before, usual_size in asked:
        found = Counter(filter(None, (_size(extraction, ref, before) for ref in images.unique(role))))
        others = Counter({size: count for size, count in found.items() if size != usual_size})
        if others:
            named = "reference" if role in {"reference", "given"} else role
            most = _text(others.most_common(1)[0][0])
            unlike = f"{others.total()} of {found.total()} {named} images ({most})"
            told.setdefault((whose, usual_size), {})[unlike] = None
    for (whose, usual_size), those in told.items():
        yield f"{whose}: its published numbers are of {_text(usual_size)}, unlike {' and '.join(those)}"


_BY_HAND = "bring them to one size with --generated-geometry or --target-geometry"


def _compared(prepared: Prepared) -> list[tuple[Geometry, Geometry]]:
    """Return the geometries in which generated images and targets have to have one size, each two once."""
    found: dict[tuple[Geometry, Geometry], None] = {}
    for protocol in prepared.ready:
        detected: dict[Role, Geometry] = {}
        for need in protocol.needs():
            if isinstance(need.extractor, PairExtractor) and need.extractor.one_size:
                sides = dict(zip(need.roles, need.extractor.geometries, strict=True))
                if sides.keys() == {"generated", "target"}:
                    found[sides["generated"], sides["target"]] = None
            elif isinstance(need.extractor, KeypointDetector):
                detected[need.roles[0]] = need.extractor.geometry
        if detected.keys() >= {"generated", "target"}:
            found[detected["generated"], detected["target"]] = None
    return list(found)


def _size(extraction: Extraction, ref: ImageRef, geometry: Geometry) -> _Size | None:
    info = extraction.info(ref)
    return None if isinstance(info, Missing) else geometry.size(info.width, info.height)


def _advice(pairs: Sequence[tuple[ImageRef, ImageRef]], generated: _Size, target: _Size, *, alone: bool) -> str:
    """Return what a look at some pairs of two sizes tells; ``alone`` if there are no pairs of other sizes."""
    looked_at = _pixels(pairs[:: -(-len(pairs) // _LOOKED_AT)])
    for option, outer, inner, side in (("generated", generated, target, 0), ("target", target, generated, 1)):
        if not looked_at:
            break
        borders = white_borders(both[side] for both in looked_at)
        if (corner := borders.box(outer, inner)) is not None and _fits(looked_at, side, corner, inner):
            box = f"crop(left={corner[0]}, top={corner[1]}, width={inner[0]}, height={inner[1]})"
            whose = "the targets" if side else "the generated images"
            have = f"{whose} have white borders of {_around(outer, inner, corner)}: "
            # A geometry is done to all images, and what has no borders would be cut, or is too small.
            return have + (f"--{option}-geometry '{box}'" if alone else "cut them off these files alone")
    if _proportional(generated, target):
        resize = f"resize(width={target[0]}, height={target[1]}, filter=pil-bicubic)"
        return f"for example --generated-geometry '{resize}'"
    return f"their proportions differ, so that a resize would distort them: find out how they were made, and {_BY_HAND}"


def _pixels(pairs: Sequence[tuple[ImageRef, ImageRef]]) -> list[tuple[Rgb, Rgb]]:
    found = []
    for generated, target in pairs:
        try:
            found.append((read_image(generated), read_image(target)))
        except UserError:
            continue  # named already
    return found


def _fits(pairs: Sequence[tuple[Rgb, Rgb]], side: int, corner: _Size, inner: _Size) -> bool:
    """Whether what the crop leaves is nearer to the other side than the whole picture, stretched, is."""
    left, top = corner
    cropped = stretched = 0.0
    for both in pairs:
        outer, other = both[side], both[1 - side].astype(np.float32)
        cropped += float(np.abs(outer[top : top + inner[1], left : left + inner[0]] - other).mean())
        stretched += float(np.abs(np.asarray(Image.fromarray(outer).resize(inner)) - other).mean())
    return cropped <= stretched


def _around(outer: _Size, inner: _Size, corner: _Size) -> Borders:
    """Return the borders that a crop takes away."""
    left, top = corner
    return Borders(left, top, outer[0] - inner[0] - left, outer[1] - inner[1] - top)


def _proportional(one: _Size, other: _Size) -> bool:
    """Whether the sides of two sizes have one ratio, but for a pixel of rounding."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(*one, *other)


def _text(size: _Size) -> str:
    return f"{size[0]}×{size[1]}"
