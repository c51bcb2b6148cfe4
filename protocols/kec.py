"""Keypoint error curves between generated image and target: KEC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, PlainSerializer

from fhpt_eval.extract.extractor import Extractor, size_mismatch
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.extract.mediapipe_keypoints import MediapipeKeypoints
from fhpt_eval.extract.mediapipe_tasks import MediapipeTasks
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.differences import Pooled
from fhpt_eval.maths.intervals import SHARE
from fhpt_eval.maths.keypoints import (
    PARTS,
    Floats,
    Part,
    Points,
    areas,
    errors,
    found,
    hand_size,
    head_size,
    interocular_distance,
)
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import (
    Better,
    Curve,
    Group,
    Kept,
    Need,
    Protocol,
    Records,
    Rescoring,
    Score,
    Thresholds,
    resampling_groups,
    tally,
    with_interval,
)
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.by_name import Side
from fhpt_eval.records import Missing, Record, Result

Both: TypeAlias = tuple[Record | None, Record] | Missing
"""A pair's generated and target record; None stands for a generated image without a person."""

_SIDES: tuple[Side, ...] = ("generated", "target")


@dataclass(frozen=True)
class PartOf:
    """How one part of a person is measured.

    Attributes:
        one: What is missing where none of its points is found.
        scale: What errors are divided by in the normalised curve, in words.
        limit: α_max of the curve in pixels, as a share of the target's height.
        scaled_limit: α_max of the normalised curve.
    """

    one: str
    scale: str
    limit: float
    scaled_limit: float


ABOUT: Mapping[Part, PartOf] = {
    "body": PartOf("body", "head size", limit=0.05, scaled_limit=0.5),
    "face": PartOf("face", "inter-ocular distance", limit=0.02, scaled_limit=0.2),
    "hands": PartOf("hand", "hand box", limit=0.1, scaled_limit=1.0),
}


_TASK_OF: Mapping[Part, str] = {"body": "pose", "face": "face", "hands": "hand"}

Tasks = Annotated[
    tuple[GivenFile, ...],
    BeforeValidator(lambda v: tuple(part.strip() for part in v.split(",")) if isinstance(v, str) else v),
    PlainSerializer(lambda v: "+".join(sorted(map(str, v))), return_type=str),
]
"""In text: paths with commas between them, and hashes in records."""


@dataclass(frozen=True, kw_only=True)
class KeypointProtocol(Protocol):
    """Compares the keypoints of generated image and target, found by the same detector in each image by itself.

    A target's points that the generated image lacks are misses, also where no person is found in it; a pair whose
    target shows nobody is left out and counted.

    Keypoints of the targets and of the generated images can be given instead (docs/keypoints.md). Their coordinates
    count in pixels of the image after its geometry; they are believed, also where they lie outside of the image.
    Keypoints of both sides should come from one detector.

    Attributes:
        generated_geometry: What is done to a generated image before keypoints are looked for.
        target_geometry: The same for its target; the two must come out at one size, whose pixels errors are counted in.
        tasks: Paths of MediaPipe's ``.task`` files, with commas between them, to detect with instead of the models that
            come with the package: a pose landmarker, and for faces and hands a face and a hand landmarker. Scores of
            different models, or of these and the package's, are not comparable.
    """

    group: ClassVar[Group] = "structural"
    extractors: ClassVar[tuple[type[Extractor], ...]] = (MediapipeTasks,)
    flaws: ClassVar[Mapping[Flaw, Effect]] = {
        **ON_ANY,
        "sizes": "missing",
        "alignment": "worse",
        "source copies": "worse",
    }
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()
    tasks: Tasks | None = None

    def needs(self) -> tuple[Need, ...]:
        """Keypoints of generated images and targets."""
        return tuple(Need(self.detector(side), (side,)) for side in _SIDES)

    def lacks(self, given: Given) -> str | None:
        """Nothing; but tasks that would find nothing are not to stand in a recipe."""
        if self.tasks and all(side in given.keypoints for side in _SIDES):
            return f"nothing is detected where keypoints of both sides are given: leave {self.name}.tasks out"
        return super().lacks(given)

    def detector(self, side: Side) -> KeypointDetector:
        """Return what finds the keypoints of one side."""
        geometry = self.generated_geometry if side == "generated" else self.target_geometry
        return (
            MediapipeTasks(geometry=geometry, tasks=self.tasks) if self.tasks else MediapipeKeypoints(geometry=geometry)
        )

    def sides(self, records: Records) -> Iterator[Both]:
        """Yield the generated and the target record of each pair."""
        generated, target = (records.per_pair(self.detector(side), side) for side in _SIDES)
        return (_of_one_size(sides_of(g, t)) for g, t in zip(generated, target, strict=True))

    def lacks_part(self, part: Part, given: Given) -> Missing | None:
        """Why no pair has this part; None where it is looked for on both sides."""
        for side in reversed(_SIDES):
            keypoints = given.keypoints.get(side)
            if keypoints is not None and part not in keypoints.files.parts:
                return Missing(f"{side} keypoints have no {part}", "not asked")
            if keypoints is None and part not in self.detector(side).parts:
                return Missing(f"no {_TASK_OF[part]} landmarker is among the tasks", "not asked")
        return None


@dataclass(frozen=True, kw_only=True)
class KecLimits(Rescoring):
    """The areas under the curves up to another α_max: ``kec_auc_body@0.1``, ``kec_auc_body_detected@0.1``.

    Attributes:
        alpha_max: Shares of the target's height, the same for each part.
    """

    alpha_max: Thresholds = tuple(sorted({about.limit for about in ABOUT.values()}))

    def score(self, kept: Kept) -> list[Score]:
        """Take the areas of the distances that the run keeps."""
        names = ("pair", "joint", "distance", "scale", "height")
        scores = []
        for part in PARTS:
            pair, joint, distance, scale, height = kept.arrays(f"kec_auc_{part}", Kec.name, *names)
            measured = Measured(pair, joint, distance, scale, height)
            for limit in self.alpha_max:
                for area in (_area, _area_detected):
                    score = area(part, measured, limit, kept.pairs)
                    before = kept.scores[score.metric]
                    scores.append(
                        replace(score, metric=f"{score.metric}@{limit}", missing=before.missing, faults=before.faults)
                    )
        return scores


@dataclass(frozen=True, kw_only=True)
class Kec(KeypointProtocol):
    """Keypoint error curves of body (18 joints), face (68 landmarks) and hands (2 × 21), after arXiv 2005.12494 §III-B.

    P(α) is the share of keypoints, pooled over all pairs, whose Euclidean distance to the target's is smaller than α.
    Of each part, points that the target shows are counted:

    - ``kec_auc_PART`` ↑ area under P from 0 to α_max, divided by α_max (1 is perfect); what the generated image lacks
      is a miss at every α. α_max is a share of the target's height, so that the size of the images does not matter:
      5 % for the body, 2 % for the face, and 10 % for the hands, twice the body's as in the paper's figure (12.8, 5.1
      and 25.6 px of 256). More than nine in ten of the points that PG2, VUNet, DSC and PATN draw in one published
      figure lie within.
    - ``kec_auc_PART_detected`` ↑ the same of the points found in both images, the paper's wording. It rises when what
      is wrong is not found at all: read it beside ``kec_found_PART``.
    - ``kec_auc_PART_normalised`` ↑ as the first, with distances divided by a size in the target, which makes small and
      large persons count alike: body by the head size (0.6 of the diagonal of the box about nose, neck, eyes and ears;
      α_max 0.5, as PCKh), face by the distance of the outer eye corners (α_max 0.2), each hand by the longer side of
      its box (α_max 1).
    - ``kec_median_PART`` ↓ median distance in pixels of the points found in both; ``strict_median`` in the details has
      the misses in it.
    - ``kec_found_PART`` ↑ share found in the generated image.

    The run keeps the raw distances with ``kec_auc_PART``: arrays ``pair``, ``joint``, ``distance`` (px, infinite for a
    miss), ``scale`` (px, NaN where it cannot be told) and ``height`` (px), one entry for each point of a target. Curves
    at any anchors can be drawn from them.
    """

    name: ClassVar[str] = "kec"
    title: ClassVar[str] = "keypoint error curves of body, face and hands"
    metrics: ClassVar[tuple[str, ...]] = tuple(
        metric
        for part in PARTS
        for metric in (
            f"kec_auc_{part}",
            f"kec_auc_{part}_detected",
            f"kec_auc_{part}_normalised",
            f"kec_median_{part}",
            f"kec_found_{part}",
        )
    )
    headlines: ClassVar[tuple[str, ...]] = tuple(f"kec_auc_{part}" for part in PARTS)
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 10
    rescoring: ClassVar[type[Rescoring]] = KecLimits
    # The paper's Fig. 7 gives hands twice the body's axis.
    curves: ClassVar[tuple[Curve, ...]] = (
        Curve("kec_auc_body", "body"),
        Curve("kec_auc_face", "face"),
        Curve("kec_auc_hands", "hands", at_least=("kec_auc_body", 2)),
    )

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Pool each part's distances over the pairs."""
        lacking = {part: why for part in PARTS if (why := self.lacks_part(part, records.given)) is not None}
        measured = measure(self.sides(records), lacking)
        return [score for part in PARTS for score in _part_scores(part, measured[part], pairs)]


@dataclass(frozen=True)
class Measured:
    """The points of one part that the targets show, pooled over the pairs: five arrays of equal length.

    Attributes:
        pair: Index of the pair, int32.
        joint: Index of the point in its part, int32.
        distance: In pixels, float64; infinite where the generated image lacks the point.
        scale: Size in the target that the distance is divided by, in pixels, float64; NaN where it cannot be told.
        height: Of the target, in pixels, float64.
        missing: Why a pair has no points here, by its index.
    """

    pair: npt.NDArray[np.int32]
    joint: npt.NDArray[np.int32]
    distance: Floats
    scale: Floats
    height: Floats
    missing: Mapping[int, Missing] = field(default_factory=dict)

    def arrays(self) -> Record:
        """Return the five arrays by name."""
        return {name: getattr(self, name) for name in ("pair", "joint", "distance", "scale", "height")}


def measure(sides: Iterable[Both], lacking: Mapping[Part, Missing]) -> dict[Part, Measured]:
    """Measure each part in all pairs, of which one at a time is held.

    Args:
        sides: As `KeypointProtocol.sides` gives them.
        lacking: Why no pair has a part, of those that are not to be looked at.
    """
    gathered = {part: Gathered(5) for part in PARTS}
    missing: dict[Part, dict[int, Missing]] = {part: {} for part in PARTS}
    for index, both in enumerate(sides):
        for part in PARTS:
            found = lacking[part] if part in lacking else _points(part, index, both)
            if isinstance(found, Missing):
                missing[part][index] = found
            else:
                gathered[part].add(found)
    measured = {}
    for part in PARTS:
        pair, joint, distance, scale, height = gathered[part].columns()
        measured[part] = Measured(pair, joint, distance, scale, height, missing[part])
    return measured


def _points(part: Part, index: int, both: Both) -> Floats | Missing:
    """Return pair, joint, distance, scale and height of each point of a part that a target shows: n×5."""
    if isinstance(both, Missing):
        return both
    generated, target = both
    points = part_points(part, target)
    there = np.flatnonzero(found(points))
    if not len(there):
        return Missing(f"target: no {ABOUT[part].one} found", "finding")
    distance = errors(part_points(part, generated), points)
    constants = np.full((2, len(points)), [[index], [target["size"][1]]], dtype=np.float64)
    columns = (constants[0], np.arange(len(points)), distance, _scales(part, points), constants[1])
    return np.asarray(np.stack(columns, axis=1)[there])


class Gathered:
    """Rows of pair, joint and what is measured of it, pair by pair, held as the columns that a run keeps.

    Args:
        width: Of the rows.
    """

    def __init__(self, width: int) -> None:
        self._none = np.empty((0, width))
        self._rows = [self._none]
        self._columns: list[list[npt.NDArray[Any]]] = [[] for _ in range(width)]

    def add(self, rows: Floats) -> None:
        """Take in those of a pair."""
        self._rows.append(rows)
        if len(self._rows) >= _PAIRS:
            self._fold()

    def columns(self) -> Iterator[npt.NDArray[Any]]:
        """Yield each column of all rows, int32 of pair and joint, float64 of the others; nothing of it is kept."""
        self._fold()
        while self._columns:
            yield np.concatenate(self._columns.pop(0))

    def _fold(self) -> None:
        for i, (column, parts) in enumerate(zip(np.concatenate(self._rows).T, self._columns, strict=True)):
            parts.append(column.astype(np.int32 if i < 2 else np.float64))
        self._rows = [self._none]


_PAIRS = 1024
"""Whose rows are folded at once: an array of few numbers takes more than they do."""


def part_points(part: Part, record: Record | None) -> Points:
    """Return the N×3 points of one part, none of them found where there is no person."""
    if record is None:
        return np.zeros((len(PARTS[part]), 3), np.float32)
    return record[part].reshape(-1, 3)


def mean_over_keypoints(
    metric: str,
    better: Better,
    pairs: Pairs,
    pair: npt.NDArray[np.int32],
    values: npt.NDArray[Any],
    missing: Mapping[int, Missing],
    *,
    otherwise: str,
    details: Mapping[str, Any],
    arrays: Record | None = None,
) -> Score:
    """Score a mean over keypoints of all pairs (a micro-average) of shares, with its interval over items.

    Args:
        metric: Its name.
        better: Its direction.
        pairs: The pairs.
        pair: Index of the pair of each keypoint.
        values: The value of each keypoint.
        missing: Why a pair has no keypoints, by its index.
        otherwise: Why a pair that is in neither has none.
        details: Goes into the score, beside the number of keypoints.
        arrays: Goes into the score.
    """
    count = np.bincount(pair, minlength=len(pairs)).astype(np.float64)
    total = np.bincount(pair, values, len(pairs)).astype(np.float64)
    present = {int(i) for i in np.unique(pair)}
    absent = [missing.get(i, Missing(otherwise, "finding")) for i in range(len(pairs)) if i not in present]
    reasons, faults = tally(absent)
    score = Score(
        metric=metric,
        value=float(values.mean()) if len(values) else None,
        better=better,
        n=len(present),
        missing=reasons,
        faults=faults,
        details={"keypoints": len(values), **details},
        arrays={"total": total, "count": count, **(arrays or {})},
    )
    groups, _ = resampling_groups(pairs)
    return with_interval(score, pairs, Pooled.of_values(total, count, groups), SHARE)


def sides_of(generated: Result, target: Result) -> Both:
    """Return the two sides of a pair, of which the generated one may lack a person; or why there is nothing to see."""
    if isinstance(generated, Missing) and generated.fault:
        return generated
    if isinstance(target, Missing):
        return target if target.fault else Missing(f"target: {target.reason}", "finding")
    if isinstance(generated, Missing):
        return None, target
    return generated, target


def _of_one_size(both: Both) -> Both:
    if isinstance(both, Missing) or both[0] is None:
        return both
    return size_mismatch(_size(both[0]), _size(both[1])) or both


def _size(record: Record) -> tuple[int, int]:
    width, height = (int(side) for side in record["size"])
    return width, height


def _scales(part: Part, target: Points) -> Floats:
    if part == "hands":
        sizes = [hand_size(hand) for hand in np.split(target, 2)]
        return np.repeat(sizes, len(target) // 2)
    return np.full(len(target), head_size(target) if part == "body" else interocular_distance(target))


def _part_scores(part: Part, measured: Measured, pairs: Pairs) -> list[Score]:
    """Return the five scores of one part."""
    finite = np.isfinite(measured.distance)
    everything = np.ones_like(finite)
    limit = ABOUT[part].limit
    detected = _area_detected(part, measured, limit, pairs)
    found_details = {"per_joint": _per_joint(part, measured.joint, finite)}
    return [
        _area(part, measured, limit, pairs),
        detected,
        _area_normalised(part, measured, pairs),
        _median_distance(part, measured, finite, detected),
        _mean(f"found_{part}", part, measured, everything, finite, pairs, details=found_details),
    ]


def _area(part: Part, measured: Measured, limit: float, pairs: Pairs) -> Score:
    """Return the area under the curve over all points; one that the generated image lacks has none."""
    values = areas(measured.distance / measured.height, limit)
    everything = np.ones(len(values), dtype=np.bool_)
    details = {**_limit(limit), "per_joint": _per_joint(part, measured.joint, values)}
    return _mean(f"auc_{part}", part, measured, everything, values, pairs, details=details, arrays=measured.arrays())


def _area_detected(part: Part, measured: Measured, limit: float, pairs: Pairs) -> Score:
    """Return the area over the points that both images show."""
    finite = np.isfinite(measured.distance)
    values = areas(measured.distance / measured.height, limit)[finite]
    return _mean(f"auc_{part}_detected", part, measured, finite, values, pairs, details=_limit(limit))


def _area_normalised(part: Part, measured: Measured, pairs: Pairs) -> Score:
    """Return the area over distances in units of the part's size in the target."""
    about, scaled = ABOUT[part], measured.scale > 0
    return _mean(
        f"auc_{part}_normalised",
        part,
        measured,
        scaled,
        areas(measured.distance[scaled] / measured.scale[scaled], about.scaled_limit),
        pairs,
        otherwise=f"target: no {about.scale}",
        details={"alpha_max": about.scaled_limit, "alpha_max_unit": about.scale},
    )


def _median_distance(part: Part, measured: Measured, finite: npt.NDArray[np.bool_], detected: Score) -> Score:
    """Return the median distance of the points that both images show, which are those of ``detected``."""
    sized = finite & (measured.scale > 0)
    return Score(
        metric=f"kec_median_{part}",
        value=_median(measured.distance[finite]),
        better="lower",
        unit="px",
        n=detected.n,
        missing=detected.missing,
        faults=detected.faults,
        details={
            "keypoints": int(finite.sum()),
            "strict_median": _median(measured.distance),
            "normalised": _median(measured.distance[sized] / measured.scale[sized]),
            "normalised_unit": ABOUT[part].scale,
        },
    )


def _mean(
    suffix: str,
    part: Part,
    measured: Measured,
    keep: npt.NDArray[np.bool_],
    values: npt.NDArray[Any],
    pairs: Pairs,
    *,
    details: Mapping[str, Any],
    otherwise: str | None = None,
    arrays: Record | None = None,
) -> Score:
    """Average values of the kept points over each pair's points, and over the pairs."""
    return mean_over_keypoints(
        f"kec_{suffix}",
        "higher",
        pairs,
        measured.pair[keep],
        values,
        measured.missing,
        otherwise=otherwise or f"no {ABOUT[part].one} found in the generated image",
        details=details,
        arrays=arrays,
    )


def _limit(limit: float) -> dict[str, Any]:
    return {"alpha_max": limit, "alpha_max_unit": "target height"}


def _per_joint(part: Part, joint: npt.NDArray[np.int32], values: npt.NDArray[Any]) -> dict[str, float]:
    """Mean of the values of each point that any target shows."""
    count = np.bincount(joint, minlength=len(PARTS[part]))
    total = np.bincount(joint, values, minlength=len(PARTS[part]))
    return {name: float(t / c) for name, t, c in zip(PARTS[part], total, count, strict=True) if c}


def _median(values: Floats) -> float | None:
    """Return the median; None without values, and where it is a miss."""
    middle = float(np.median(values)) if len(values) else np.inf
    return middle if np.isfinite(middle) else None
