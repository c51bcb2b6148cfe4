"""What the reader of a run must know of what the user gave, and of how it fits to the images: a sentence each.

Keypoints that are wrong in half of the images or more put the numbers in doubt; where they are wrong in all images,
there is no number. That a few images have none is nothing to be said: in a poor image a detector finds nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fhpt_eval.engine.reading import Extraction
from fhpt_eval.evaluation.plan import ImageSets, Prepared
from fhpt_eval.extract.gender_classifier import SHIPPED, GenderClassifier
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.extract.pixels import FrameSize
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Clip, Expect, Geometry, Jpeg, Round, Truncate, Usual
from fhpt_eval.maths.keypoints import Points, found, inside_frame
from fhpt_eval.people.given_keypoints import GivenKeypoints, Side
from fhpt_eval.records import Missing, Record, Result, Role

_SIDES: tuple[Side, ...] = ("generated", "target")
_LEAVE_THE_FRAME = (Clip, Expect, Jpeg, Round, Truncate, Usual)
"""Steps of a geometry after which every pixel is where it was."""

NO_JOINT = (
    "no joint in the keypoint files: the field's pose script writes -1 for all of them under Python 3, make"
    " the files again"
)
IN_ONE_PLACE = (
    "several joints at (0, 0), or all in one place: write -1 for a joint that is missing, or make the files again"
)
OUTSIDE = "most of their keypoints outside of the image: do the files belong to these images, at this size?"


@dataclass(frozen=True)
class Doubts:
    """What is to be said before a number is believed.

    Attributes:
        warnings: What must be known.
        grave: What may have made numbers wrong, so that a run that has it is done in part only.
        broken: Sides whose keypoint files cannot be right for a single image, and why: nothing is scored by them.
    """

    warnings: list[str] = field(default_factory=list)
    grave: list[str] = field(default_factory=list)
    broken: dict[Role, str] = field(default_factory=dict)


def doubts(images: ImageSets, prepared: Prepared, extraction: Extraction) -> Doubts:
    """Return what is to be said of given keypoints and of the gender classifier, once for all protocols."""
    needs = [need for protocol in prepared.ready for need in images.needs(protocol)]
    classifiers = [need.extractor.classifier for need in needs if isinstance(need.extractor, GenderClassifier)]
    told = Doubts()
    if any(file is not None and file.path == SHIPPED for file in classifiers):
        told.warnings.append(
            "gender is judged by the classifier that comes with the package, which was trained on rendered people"
            " (docs/models.md): look at its error on the real targets first"
        )
    looked_at = {role for protocol in prepared.ready for role in protocol.keypoint_roles()}
    given = {side: images.given.keypoints[side] for side in _SIDES if side in looked_at & images.given.keypoints.keys()}
    geometries = {side: _geometries(side, prepared) for side in _SIDES}
    told.warnings.extend(_of_sides(given, geometries))
    for side, keypoints in given.items():
        asked = [FrameSize(geometry=geometry) for geometry in geometries[side]]
        measured = [prepared.same.get(extractor, extractor) for extractor in asked]
        refs = images.pairs.unique(side)
        frames = {ref: [extraction.image(e, ref) for e in measured if isinstance(e, FrameSize)] for ref in refs}
        _judge(side, keypoints, frames, told)
    return told


def _of_sides(given: Mapping[Side, GivenKeypoints], geometries: Mapping[Side, list[Geometry]]) -> Iterator[str]:
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


def _geometries(side: Side, prepared: Prepared) -> list[Geometry]:
    """Return those in which keypoints of a side are compared."""
    needs = [need for protocol in prepared.ready for need in protocol.needs() if need.roles == (side,)]
    return list({n.extractor.geometry: None for n in needs if isinstance(n.extractor, KeypointDetector)})


def _judge(side: Side, keypoints: GivenKeypoints, frames: Mapping[ImageRef, list[Result]], said: Doubts) -> None:
    """Add what is to be said of the keypoints of a side's images."""
    told = {ref: entry for ref in frames if not isinstance(entry := keypoints.entries[ref], Missing)}
    if several := sum(int(entry["persons"]) > 1 for entry in told.values()):
        said.warnings.append(
            f"{several} of {len(told)} {side} images have several persons in the keypoint files; of each, the one of"
            " the highest score counts"
        )
    wrong = Counter(filter(None, (_wrong(entry, frames[ref]) for ref, entry in told.items())))
    sentences = {what: f"{count} of {len(told)} {side} images have {what}" for what, count in wrong.items()}
    if told and wrong.total() == len(told):
        said.broken[side] = "; ".join(sentences.values())
        return
    said.grave.extend(sentence for what, sentence in sentences.items() if 2 * wrong[what] >= len(told))
    said.warnings.extend(
        sentence for what, sentence in sentences.items() if 2 * wrong[what] < len(told) and what != NO_JOINT
    )


def _wrong(entry: Record, frames: Iterable[Result]) -> str | None:
    """Return what an image's keypoints have that those of a person in it have not."""
    if not entry["persons"]:
        return NO_JOINT
    places = entry["body"][found(entry["body"]), :2]
    # In our pixels, where the middle of the first one is 0.5.
    if (places == 0.5).all(axis=1).sum() > 1 or (len(places) > 1 and not np.ptp(places, axis=0).any()):
        return IN_ONE_PLACE
    sizes = [frame["size"] for frame in frames if not isinstance(frame, Missing)]
    return OUTSIDE if any(_mostly_outside(entry["body"], size) for size in sizes) else None


def _mostly_outside(body: Points, size: npt.NDArray[np.int32]) -> bool:
    width, height = size
    return bool(2 * inside_frame(body, width, height).sum() < found(body).sum())
