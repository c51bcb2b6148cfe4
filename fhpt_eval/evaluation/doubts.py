"""What the reader of a run must know of what the user gave, and of how it fits to the images: a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fhpt_eval.engine.reading import Extraction
from fhpt_eval.evaluation.plan import ImageSets, Prepared
from fhpt_eval.extract.gender_classifier import SHIPPED, GenderClassifier
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.extract.pixels import FrameSize
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Clip, Expect, Geometry, Jpeg, Round, Truncate
from fhpt_eval.maths.keypoints import Points, found, inside_frame
from fhpt_eval.people.given_keypoints import GivenKeypoints, Side
from fhpt_eval.records import Missing, Result

_SIDES: tuple[Side, ...] = ("generated", "target")
_LEAVE_THE_FRAME = (Clip, Expect, Jpeg, Round, Truncate)
"""Steps of a geometry after which every pixel is where it was."""


def doubts(images: ImageSets, prepared: Prepared, extraction: Extraction) -> list[str]:
    """Return what is to be said of given keypoints and of the gender classifier, once for all protocols."""
    needs = [need for protocol in prepared.ready for need in images.needs(protocol)]
    classifiers = [need.extractor.classifier for need in needs if isinstance(need.extractor, GenderClassifier)]
    told = []
    if any(file is not None and file.path == SHIPPED for file in classifiers):
        told.append(
            "gender is judged by the classifier that comes with the package, which was trained on rendered people"
            " (docs/models.md): look at its error on the real targets first"
        )
    return [*told, *_of_keypoints(images, prepared, extraction)]


def _of_keypoints(images: ImageSets, prepared: Prepared, extraction: Extraction) -> Iterator[str]:
    looked_at = {role for protocol in prepared.ready for role in protocol.keypoint_roles()}
    given = {side: images.given.keypoints[side] for side in _SIDES if side in looked_at & images.given.keypoints.keys()}
    geometries = {side: _geometries(side, prepared) for side in _SIDES}
    for side in given:
        if not all(isinstance(step, _LEAVE_THE_FRAME) for geometry in geometries[side] for step in geometry.steps):
            yield (
                f"{side}_geometry changes the frame, and coordinates in {side} keypoints count in pixels of the image"
                " after it"
            )
    if len(given) == 1 and all(geometries.values()):
        yield (
            f"keypoints of the two sides come from different sources ({next(iter(given))} ones are read, the others"
            " detected), and differ even on equal images"
        )
    for side, keypoints in given.items():
        asked = [FrameSize(geometry=geometry) for geometry in geometries[side]]
        measured = [prepared.same.get(extractor, extractor) for extractor in asked]
        refs = images.pairs.unique(side)
        frames = {ref: [extraction.image(e, ref) for e in measured if isinstance(e, FrameSize)] for ref in refs}
        yield from _of_images(side, keypoints, frames)


def _geometries(side: Side, prepared: Prepared) -> list[Geometry]:
    """Return those in which keypoints of a side are compared."""
    needs = [need for protocol in prepared.ready for need in protocol.needs() if need.roles == (side,)]
    return list({n.extractor.geometry: None for n in needs if isinstance(n.extractor, KeypointDetector)})


def _of_images(side: Side, keypoints: GivenKeypoints, frames: dict[ImageRef, list[Result]]) -> Iterator[str]:
    told = {ref: entry for ref in frames if not isinstance(entry := keypoints.entries[ref], Missing)}
    if several := sum(int(entry["persons"]) > 1 for entry in told.values()):
        yield (
            f"{several} of {len(told)} {side} images have several persons in the keypoint files; of each, the one of"
            " the highest score counts"
        )
    outside = {
        ref: any(
            not isinstance(frame, Missing) and _mostly_outside(entry["body"], frame["size"]) for frame in frames[ref]
        )
        for ref, entry in told.items()
        if entry["persons"]
    }
    if count := sum(outside.values()):
        yield (
            f"{count} of {len(outside)} {side} images have most of their keypoints outside of the image: do the files"
            " belong to these images, at this size?"
        )


def _mostly_outside(body: Points, size: npt.NDArray[np.int32]) -> bool:
    width, height = size
    return bool(2 * inside_frame(body, width, height).sum() < found(body).sum())
