"""Keypoint error curves between generated image and target: KEC."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, PlainSerializer

from fhpt_eval.extract.extractor import Extractor, size_mismatch
from fhpt_eval.extract.mediapipe_keypoints import NO_PERSON, MediapipeKeypoints
from fhpt_eval.extract.mediapipe_tasks import Kind, MediapipeTasks, tasks_by_kind
from fhpt_eval.extract.pixels import FrameSize
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.geometry import Clip, Geometry, Jpeg, Round, Truncate
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
    inside_frame,
    interocular_distance,
)
from fhpt_eval.maths.statistics import cluster_bootstrap
from fhpt_eval.measuring.protocol import (
    Better,
    Curve,
    Group,
    Need,
    Protocol,
    Records,
    Score,
    Unscorable,
    advice,
    resampling_groups,
    tally,
)
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.keypoint_files import Eyes, KeypointFiles
from fhpt_eval.records import Missing, Record, Result

Side: TypeAlias = Literal["generated", "target"]
Both: TypeAlias = tuple[Record | None, Record] | Missing
"""A pair's generated and target record; None stands for a generated image without a person."""

_SIDES: tuple[Side, ...] = ("generated", "target")
_LEAVE_THE_FRAME = (Clip, Jpeg, Round, Truncate)
"""Steps of a geometry after which every pixel is where it was."""


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


_TASK_OF: Mapping[Part, Kind] = {"body": "pose", "face": "face", "hands": "hand"}

Tasks = Annotated[
    tuple[GivenFile, ...],
    BeforeValidator(lambda v: tuple(part.strip() for part in v.split(",")) if isinstance(v, str) else v),
    PlainSerializer(lambda v: "+".join(sorted(map(str, v))), return_type=str),
]
"""In text: paths with commas between them, and hashes in records."""


class Sides(NamedTuple):
    """The keypoints that a protocol compares.

    Attributes:
        both: Of each pair.
        warnings: One sentence for each doubt about keypoints that are read.
    """

    both: list[Both]
    warnings: list[str]


@dataclass(frozen=True, kw_only=True)
class KeypointProtocol(Protocol):
    """Compares the keypoints of generated image and target, found by the same detector in each image by itself.

    A target's points that the generated image lacks are misses, also where no person is found in it; a pair whose
    target shows nobody is left out and counted.

    Keypoints can also be read from files. Their coordinates count in pixels of the image after its geometry, from 0 in
    the middle of the first one as OpenPose counts; they are believed, also where they lie outside of the image, but a
    warning counts the images where most do. Of several persons the one of the highest score counts, the first of
    equals. An image that they do not name is missing, and counted.

    Attributes:
        generated_geometry: What is done to a generated image before keypoints are looked for.
        target_geometry: The same for its target; the two must come out at one size, whose pixels errors are counted in.
        generated_keypoints: Path of the generated images' keypoints, which are then read instead of detected. Either a
            folder of OpenPose's JSON (``NAME_keypoints.json``, with 18 or 25 body points; face and hands where any file
            has them), a folder of ``NAME_candidate.txt`` and ``NAME_subset.txt`` (18 body points), or an annotation
            list of the field, a CSV file with the header ``name:keypoints_y:keypoints_x`` (18 body points, -1 where
            missing). NAME is the image's path in its folder, with or without suffix, in any spelling of a DeepFashion
            name; it may lack leading folders where that leaves no doubt.
        target_keypoints: The same for the targets. Keypoints of both sides should come from one detector.
        tasks: Paths of MediaPipe's ``.task`` files, with commas between them, to detect with instead of the models that
            come with the package: a pose landmarker, and for faces and hands a face and a hand landmarker. Scores of
            different models, or of these and the package's, are not comparable.
        eyes: Which of the eyes and ears annotation lists name first: ``right-first``, as OpenPose does and hence the
            lists of the field, or ``left-first``, as the field's code labels them.
    """

    group: ClassVar[Group] = "structural"
    extractors: ClassVar[tuple[type[Extractor], ...]] = (MediapipeTasks,)
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()
    generated_keypoints: KeypointFiles | None = None
    target_keypoints: KeypointFiles | None = None
    tasks: Tasks | None = None
    eyes: Eyes = "right-first"

    def __post_init__(self) -> None:
        if self.tasks:
            tasks_by_kind(self.tasks)
            if all(self.files(side) is not None for side in _SIDES):
                raise ValueError("nothing is detected where keypoints of both sides are given: leave tasks out")
        forms = {files.form for side in _SIDES if (files := self.files(side)) is not None}
        if self.eyes == "left-first" and "annotations" not in forms:
            raise ValueError(
                "eyes=left-first is about annotation lists: give one as target_keypoints or generated_keypoints"
            )

    def needs(self) -> tuple[Need, ...]:
        """Keypoints of generated images and targets; of those whose keypoints are read, the size."""
        return tuple(Need(self.extractor(side), (side,)) for side in _SIDES)

    def extractor(self, side: Side) -> MediapipeKeypoints | MediapipeTasks | FrameSize:
        """What runs on the images of one side: the detector, where keypoints are not read."""
        geometry = self.generated_geometry if side == "generated" else self.target_geometry
        if self.files(side) is not None:
            return FrameSize(geometry=geometry)
        if self.tasks:
            return MediapipeTasks(geometry=geometry, tasks=self.tasks)
        return MediapipeKeypoints(geometry=geometry)

    def files(self, side: Side) -> KeypointFiles | None:
        """The keypoints that are given for one side."""
        return self.generated_keypoints if side == "generated" else self.target_keypoints

    def parameters(self) -> dict[str, Any]:
        """All parameters; of the generated images' keypoints the form alone.

        What they hold is the method's, as the images are: methods could not be compared if it were in the recipe.
        """
        given = self.generated_keypoints
        return {**super().parameters(), "generated_keypoints": given.form if given else None}

    def sides(self, pairs: Pairs, records: Records) -> Sides:
        """The generated and the target record of each pair.

        Raises:
            Unscorable: Keypoint files are given that tell of none of the images.
        """
        results: list[Iterable[Result]] = []
        warnings = self._doubts()
        for side in _SIDES:
            given, found_here = self.files(side), records.per_pair(self.extractor(side), side)
            if given is None:
                results.append(found_here)
            else:
                read, said = self._read(side, given, pairs, found_here)
                results.append(read)
                warnings += said
        return Sides([_both(g, t) for g, t in zip(*results, strict=True)], warnings)

    def lacks_part(self, part: Part) -> Missing | None:
        """Why no pair has this part; None where it is looked for on both sides."""
        for side in reversed(_SIDES):
            files = self.files(side)
            if files is not None and part not in files.parts:
                return Missing(f"{side} keypoints have no {part}", "not asked")
            if files is None and self.tasks and _TASK_OF[part] not in tasks_by_kind(self.tasks):
                return Missing(f"no {_TASK_OF[part]} landmarker is among the tasks", "not asked")
        return None

    def noted(self, scores: Sequence[Score], sides: Sides) -> list[Score]:
        """The scores, the first of them with what is to be said of keypoint files."""
        first, *others = scores
        given = {"generated_keypoints": str(self.generated_keypoints)} if self.generated_keypoints else {}
        first = replace(first, details={**first.details, **given}, warnings=[*first.warnings, *sides.warnings])
        return [first, *others]

    def _doubts(self) -> list[str]:
        """Warnings about what was asked for."""
        read = [side for side in _SIDES if self.files(side) is not None]
        doubts = [
            f"{self.name}: {side}_geometry changes the frame, and coordinates in {side}_keypoints count in pixels of"
            " the image after it"
            for side in read
            if not all(isinstance(step, _LEAVE_THE_FRAME) for step in self.extractor(side).geometry.steps)
        ]
        if len(read) == 1:
            doubts.append(
                f"{self.name}: keypoints of the two sides come from different sources ({read[0]} ones are read, the"
                " others detected), and differ even on equal images"
            )
        return doubts

    def _read(
        self, side: Side, files: KeypointFiles, pairs: Pairs, frames: Iterable[Result]
    ) -> tuple[list[Result], list[str]]:
        """One side's results as the detector would give them, and warnings."""
        names = [row.names(side) for row in pairs]
        keys = [next(filter(None, map(files.key, of_image)), None) for of_image in names]
        images: dict[str, set[str]] = defaultdict(set)
        for key, of_image in zip(keys, names, strict=True):
            if key is not None:
                images[key].add(of_image[0])
        if any(names) and not images:
            raise Unscorable(
                f"{files.path} tells of none of the {side} images (it has '{next(iter(files.records))}', they are"
                f" called like '{next(filter(None, names))[0]}'): give {self.name}.{side}_keypoints of these images"
            )
        results: list[Result] = []
        outside: dict[str, bool] = {}
        for key, frame in zip(keys, frames, strict=True):
            if isinstance(frame, Missing):
                results.append(frame)
            elif key is None:
                results.append(Missing(f"{side}: not in the keypoint files"))
            elif len(images[key]) > 1:
                results.append(Missing(f"{side}: several images fit one name in the keypoint files"))
            elif not files.records[key]["persons"]:
                results.append(NO_PERSON)
            else:
                record = files.record(key, self.eyes)
                results.append({**record, **frame})
                outside[key] = _mostly_outside(record["body"], frame)
        warnings = []
        if several := sum(int(files.records[key]["persons"]) > 1 for key in images):
            warnings.append(
                f"{self.name}: {several} of {len(images)} {side} images have several persons in the keypoint files; of"
                " each, the one of the highest score counts"
            )
        if count := sum(outside.values()):
            warnings.append(
                f"{self.name}: {count} of {len(outside)} {side} images have most of their keypoints outside of the"
                " image: do the files belong to these images, at this size?"
            )
        return results, warnings


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
    rank: ClassVar[int] = 10
    # The paper's Fig. 7 gives hands twice the body's axis.
    curves: ClassVar[tuple[Curve, ...]] = (
        Curve("kec_auc_body", "body"),
        Curve("kec_auc_face", "face"),
        Curve("kec_auc_hands", "hands", at_least=("kec_auc_body", 2)),
    )

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Pool each part's distances over the pairs."""
        sides = self.sides(pairs, records)
        scores = []
        for part in PARTS:
            lacking = self.lacks_part(part)
            both = sides.both if lacking is None else [lacking] * len(pairs)
            scores += _part_scores(part, measure(part, both), pairs)
        return self.noted(scores, sides)


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
        """The five arrays by name."""
        return {name: getattr(self, name) for name in ("pair", "joint", "distance", "scale", "height")}


def measure(part: Part, sides: Sequence[Both]) -> Measured:
    """Measure one part in all pairs, as `KeypointProtocol.sides` gives them."""
    rows: list[Floats] = [np.empty((0, 5))]
    missing: dict[int, Missing] = {}
    for index, both in enumerate(sides):
        if isinstance(both, Missing):
            missing[index] = both
            continue
        generated, target = both
        points = part_points(part, target)
        there = np.flatnonzero(found(points))
        if not len(there):
            missing[index] = Missing(f"target: no {ABOUT[part].one} found", "finding")
            continue
        distance = errors(part_points(part, generated), points)
        constants = np.full((2, len(points)), [[index], [target["size"][1]]], dtype=np.float64)
        columns = (constants[0], np.arange(len(points)), distance, _scales(part, points), constants[1])
        rows.append(np.stack(columns, axis=1)[there])
    pair, joint, distances, scale, height = np.concatenate(rows).T
    return Measured(pair.astype(np.int32), joint.astype(np.int32), distances, scale, height, missing)


def part_points(part: Part, record: Record | None) -> Points:
    """The N×3 points of one part, none of them found where there is no person."""
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
    """Score a mean over keypoints of all pairs (a micro-average), with its item-clustered interval.

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
    groups, over = resampling_groups(pairs)
    present = {int(i) for i in np.unique(pair)}
    absent = [missing.get(i, Missing(otherwise, "finding")) for i in range(len(pairs)) if i not in present]
    reasons, faults = tally(absent)
    return Score(
        metric=metric,
        value=float(values.mean()) if len(values) else None,
        better=better,
        n=len(present),
        missing=reasons,
        faults=faults,
        interval=cluster_bootstrap(values, [groups[i] for i in pair]) if len(values) else None,
        details={"keypoints": len(values), **details, "interval_over": over},
        arrays=arrays or {},
        warnings=advice(absent),
    )


def _mostly_outside(body: Points, frame: Record) -> bool:
    width, height = frame["size"]
    return bool(2 * inside_frame(body, width, height).sum() < found(body).sum())


def _both(generated: Result, target: Result) -> Both:
    if isinstance(generated, Missing) and generated.fault:
        return generated
    if isinstance(target, Missing):
        return target if target.fault else Missing(f"target: {target.reason}", "finding")
    if isinstance(generated, Missing):
        return None, target
    return size_mismatch(_size(generated), _size(target)) or (generated, target)


def _size(record: Record) -> tuple[int, int]:
    width, height = (int(side) for side in record["size"])
    return width, height


def _scales(part: Part, target: Points) -> Floats:
    if part == "hands":
        sizes = [hand_size(hand) for hand in np.split(target, 2)]
        return np.repeat(sizes, len(target) // 2)
    return np.full(len(target), head_size(target) if part == "body" else interocular_distance(target))


def _part_scores(part: Part, measured: Measured, pairs: Pairs) -> list[Score]:
    about = ABOUT[part]
    finite = np.isfinite(measured.distance)
    scaled = measured.scale > 0
    strict = areas(measured.distance / measured.height, about.limit)
    normalised = areas(measured.distance[scaled] / measured.scale[scaled], about.scaled_limit)
    limit = {"alpha_max": about.limit, "alpha_max_unit": "target height"}
    none_found = f"no {about.one} found in the generated image"

    def mean(suffix: str, keep: npt.NDArray[np.bool_], values: npt.NDArray[Any], **about_it: Any) -> Score:
        options: dict[str, Any] = {"otherwise": none_found, "details": {}, **about_it}
        metric = f"kec_{suffix}"
        return mean_over_keypoints(metric, "higher", pairs, measured.pair[keep], values, measured.missing, **options)

    everything = np.ones_like(finite)
    found_in_both = mean(f"auc_{part}_detected", finite, strict[finite], details=limit)
    return [
        mean(
            f"auc_{part}",
            everything,
            strict,
            details={**limit, "per_joint": _per_joint(part, measured.joint, strict)},
            arrays=measured.arrays(),
        ),
        found_in_both,
        mean(
            f"auc_{part}_normalised",
            scaled,
            normalised,
            otherwise=f"target: no {about.scale}",
            details={"alpha_max": about.scaled_limit, "alpha_max_unit": about.scale},
        ),
        Score(
            metric=f"kec_median_{part}",
            value=_median(measured.distance[finite]),
            better="lower",
            unit="px",
            n=found_in_both.n,
            missing=found_in_both.missing,
            faults=found_in_both.faults,
            details={
                "keypoints": int(finite.sum()),
                "strict_median": _median(measured.distance),
                "normalised": _median(measured.distance[finite & scaled] / measured.scale[finite & scaled]),
                "normalised_unit": about.scale,
            },
        ),
        mean(
            f"found_{part}",
            everything,
            finite,
            details={"per_joint": _per_joint(part, measured.joint, finite)},
        ),
    ]


def _per_joint(part: Part, joint: npt.NDArray[np.int32], values: npt.NDArray[Any]) -> dict[str, float]:
    """Mean of the values of each point that any target shows."""
    count = np.bincount(joint, minlength=len(PARTS[part]))
    total = np.bincount(joint, values, minlength=len(PARTS[part]))
    return {name: float(t / c) for name, t, c in zip(PARTS[part], total, count, strict=True) if c}


def _median(values: Floats) -> float | None:
    """The median; None without values, and where it is a miss."""
    middle = float(np.median(values)) if len(values) else np.inf
    return middle if np.isfinite(middle) else None
