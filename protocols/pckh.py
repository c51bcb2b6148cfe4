"""Percentage of correct keypoints within half a head: PCKh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.maths.keypoints import BODY_JOINTS, Floats, errors, errors_by_axis, found, head_box, head_size
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Kept, Need, Records, Rescoring, Score, Thresholds
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.by_name import Side
from fhpt_eval.protocols.kec import Both, Gathered, KeypointProtocol, mean_over_keypoints, part_points, sides_of
from fhpt_eval.records import Missing, Record, Result, Role

ALPHA = 0.5
_SIDES: tuple[Side, ...] = ("generated", "target")

NO_HEAD = Missing("target: fewer than 2 head joints found", "finding")


@dataclass(frozen=True, kw_only=True)
class PckhThresholds(Rescoring):
    """PCKh at other thresholds: ``pckh@0.2``.

    Attributes:
        thresholds: Shares of the head below which a joint is right.
    """

    thresholds: Thresholds = tuple(step / 10 for step in range(1, 11))

    def score(self, kept: Kept) -> list[Score]:
        """Compare the distances that the run keeps."""
        metric = next(name for name in ("pckh", "pckh_box") if name in kept.scores)
        joints = _Joints(*kept.arrays(metric, Pckh.name, *_ARRAYS))
        before = kept.scores[metric]
        found = [_share(metric, joints, alpha, kept.pairs, {}) for alpha in self.thresholds]
        return [
            replace(score, metric=f"{metric}@{alpha}", missing=before.missing, faults=before.faults)
            for score, alpha in zip(found, self.thresholds, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Pckh(KeypointProtocol):
    """PCKh@0.5 ↑: share of the target's 18 body joints, pooled over all pairs, that are less than half a head away.

    A joint that the generated image lacks is wrong. Pairs whose target shows fewer than 2 of nose, neck, eyes and ears
    have no head to measure by: they are left out and counted.

    Attributes:
        rule: ``radius``: Euclidean distance, and a head size as MPII defines it (Andriluka et al., CVPR 2014): 0.6 of
            the diagonal of the box about the target's nose, neck, eyes and ears. ``box``: what PATN and its kin print:
            half of that box's width in x and half of its height in y, each by itself; called ``pckh_box``. A head seen
            from the side makes a narrow box; one without width has no joint right.
        keypoints: ``any``: those that are given, or else detected ones; ``given``: lists of both sides alone, as
            scripts have them (PATN, SPGNet), which look at no image.

    The run keeps what is compared: arrays ``pair``, ``joint``, ``x``, ``y`` and ``distance`` (px from the target's
    joint, infinite for a miss) and ``width``, ``height`` and ``head`` (px; of the head box, and the head size), one
    entry for each joint of a target.
    """

    name: ClassVar[str] = "pckh"
    title: ClassVar[str] = "body joints within half a head of the target's"
    metrics: ClassVar[tuple[str, ...]] = ("pckh",)
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 20
    rescoring: ClassVar[type[Rescoring]] = PckhThresholds
    rule: Literal["radius", "box"] = "radius"
    keypoints: Literal["any", "given"] = "any"

    def __post_init__(self) -> None:
        if self.keypoints == "given" and self.tasks:
            raise ValueError("nothing is detected where keypoints=given: leave tasks out")

    def lacks(self, given: Given) -> str | None:
        """Return the lists of keypoints that are absent, where nothing is to be detected."""
        absent = [side for side in _SIDES if side not in given.keypoints]
        if self.keypoints == "any" or not absent:
            return super().lacks(given)
        options = " and ".join(f"--{side}-keypoints FILE" for side in absent)
        return f"it compares lists of keypoints and detects none: give them with {options}"

    def needs(self) -> tuple[Need, ...]:
        """Keypoints of generated images and targets; nothing of the images where both are given."""
        return () if self.keypoints == "given" else super().needs()

    def keypoint_roles(self, *, masks: bool = False) -> frozenset[Role]:  # noqa: ARG002 - it draws none
        """Return both sides'."""
        return frozenset(_SIDES)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Pool the joints of all pairs."""
        missing: dict[int, Missing] = {}
        gathered = Gathered(len(_ARRAYS))
        for i, both in enumerate(_listed(pairs, records) if self.keypoints == "given" else self.sides(records)):
            result = both if isinstance(both, Missing) else _joints(i, *both)
            if isinstance(result, Missing):
                missing[i] = result
            else:
                gathered.add(result)
        joints = _Joints(*gathered.columns())
        metric = "pckh" if self.rule == "radius" else "pckh_box"
        return [_share(metric, joints, ALPHA, pairs, missing)]


def _listed(pairs: Pairs, records: Records) -> Iterator[Both]:
    """Yield what the lists have of the two sides of each pair."""
    given = records.given.keypoints

    def person(side: Side, ref: ImageRef | None) -> Result:
        found = Missing(f"no {side} image") if ref is None else given[side].person(ref)
        if isinstance(found, Missing) and found.fault and ref is not None:
            return replace(found, reason=f"{side}: {found.reason}")
        return found

    return (sides_of(person("generated", row.generated), person("target", row.target)) for row in pairs)


class _Joints(NamedTuple):
    """The joints that targets show, pooled over the pairs: arrays of equal length, as `Pckh` describes them."""

    pair: npt.NDArray[np.int32]
    joint: npt.NDArray[np.int32]
    x: Floats
    y: Floats
    distance: Floats
    width: Floats
    height: Floats
    head: Floats


_ARRAYS = _Joints._fields


def _joints(index: int, generated: Record | None, target: Record) -> Floats | Missing:
    """Return a row for each joint that a target shows."""
    truth, drawn = part_points("body", target), part_points("body", generated)
    box = head_box(truth)
    if box is None:
        return NO_HEAD
    there = np.flatnonzero(found(truth))
    columns = (
        *(np.full(len(truth), index), np.arange(len(truth)), *errors_by_axis(drawn, truth).T, errors(drawn, truth)),
        *(np.full(len(truth), size) for size in (*box, head_size(truth))),
    )
    rows: Floats = np.stack(columns, axis=1)[there]
    return rows


def _share(metric: str, joints: _Joints, alpha: float, pairs: Pairs, missing: Mapping[int, Missing]) -> Score:
    """Score the share of joints that are right at a threshold."""
    if metric == "pckh":
        right = joints.distance < alpha * joints.head
    else:
        right = (joints.x < alpha * joints.width) & (joints.y < alpha * joints.height)
    of_joint = {name: right[joints.joint == j] for j, name in enumerate(BODY_JOINTS)}
    return mean_over_keypoints(
        metric,
        "higher",
        pairs,
        joints.pair,
        right,
        missing,
        otherwise="target: no body found",
        details={
            "alpha": alpha,
            "per_joint": {name: float(values.mean()) for name, values in of_joint.items() if len(values)},
        },
        arrays=joints._asdict(),
    )
