"""Percentage of correct keypoints within half a head: PCKh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths.keypoints import BODY_JOINTS, errors, found, head_box, head_size, inside_box
from fhpt_eval.measuring.protocol import Records, Score
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.kec import KeypointProtocol, mean_over_keypoints, part_points
from fhpt_eval.records import Missing, Record

ALPHA = 0.5

NO_HEAD = Missing("target: fewer than 2 head joints found", "finding")


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
    """

    name: ClassVar[str] = "pckh"
    title: ClassVar[str] = "body joints within half a head of the target's"
    metrics: ClassVar[tuple[str, ...]] = ("pckh",)
    rank: ClassVar[int] = 20
    rule: Literal["radius", "box"] = "radius"

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Pool the joints of all pairs."""
        missing: dict[int, Missing] = {}
        index: list[npt.NDArray[Any]] = [np.empty(0, np.int32)]
        joints: list[npt.NDArray[Any]] = [np.empty(0, np.intp)]
        right: list[npt.NDArray[Any]] = [np.empty(0, np.bool_)]
        sides = self.sides(pairs, records)
        for i, both in enumerate(sides.both):
            result = both if isinstance(both, Missing) else self._right(*both)
            if isinstance(result, Missing):
                missing[i] = result
                continue
            there, correct = result
            index.append(np.full(len(there), i, np.int32))
            joints.append(there)
            right.append(correct)
        values, joint = np.concatenate(right), np.concatenate(joints)
        per_joint = {name: float(values[joint == j].mean()) for j, name in enumerate(BODY_JOINTS) if (joint == j).any()}
        score = mean_over_keypoints(
            "pckh" if self.rule == "radius" else "pckh_box",
            "higher",
            pairs,
            np.concatenate(index),
            values,
            missing,
            otherwise="target: no body found",
            details={"alpha": ALPHA, "per_joint": per_joint},
        )
        return self.noted([score], sides)

    def _right(
        self, generated: Record | None, target: Record
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]] | Missing:
        """Which joints the target shows, and which of those are right."""
        truth, drawn = part_points("body", target), part_points("body", generated)
        box = head_box(truth)
        if box is None:
            return NO_HEAD
        there = np.flatnonzero(found(truth))
        if self.rule == "box":
            width, height = box
            return there, inside_box(drawn, truth, ALPHA * width, ALPHA * height)[there]
        return there, errors(drawn, truth)[there] < ALPHA * head_size(truth)
