"""Kernel distance between generated images and a reference set: KID."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from fhpt_eval.maths.kernels import KernelDistance, kernel_distance, subset_kernel_distance
from fhpt_eval.maths.statistics import Floats, Interval, Rows
from fhpt_eval.measuring.protocol import (
    Records,
    Score,
    Unscorable,
    influence_of_pairs,
    resting_on_items,
)
from fhpt_eval.measuring.rows import PresentRows
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.fid import FeatureDistribution, missing_on_both_sides, rows_of, told_of
from fhpt_eval.records import Record

ENOUGH = 5
"""With how many items the interval covers at least 92 % in all simulations of docs/intervals.md."""


@dataclass(frozen=True, kw_only=True)
class Kid(FeatureDistribution):
    """KID ↓ (Bińkowski et al., ICLR 2018): the unbiased squared MMD of Inception features; holds at small counts.

    Generated images and their targets show the same items, and images of an item are alike. So pairs of images of one
    item are left out of all three sums, which are then unbiased again; ``details`` say how many.

    Attributes:
        same_item: ``left-out``: as above, where the reference set shows items that the generated images show, as the
            targets do. ``counted``: every pair of images, as torch-fidelity does; and so they are against a reference
            set of other items, and in ``subsets``.
        subsets: None uses every pair of images once; its interval is a jackknife over items. A number draws that many
            random subsets, as torch-fidelity does (100) and as most papers print, with their standard deviation.
        subset_size: Images a subset, at most the smaller side's count; None is torch-fidelity's 1000.
        scale: What the number is multiplied with: ``1``, or ``1000`` as many tables have it (Leffa, CatVTON).
    """

    name: ClassVar[str] = "kid"
    title: ClassVar[str] = "kernel Inception distance (unbiased) to the targets, or to --reference"
    metrics: ClassVar[tuple[str, ...]] = ("kid",)
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 20
    tolerance: ClassVar[Tolerance] = Tolerance(absolute=1e-6, relative=1e-5, arrays=1e-4)
    together: ClassVar[tuple[tuple[str, ...], ...]] = (*FeatureDistribution.together, ("subsets", "subset_size"))
    units: ClassVar[tuple[str, ...]] = ("scale",)
    same_item: Literal["left-out", "counted"] = "left-out"
    subsets: Annotated[int, Field(ge=1)] | None = None
    subset_size: Annotated[int, Field(ge=2)] | None = None
    scale: Literal["1", "1000"] = "1"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subsets is None and self.subset_size is not None:
            raise ValueError("subset_size goes with subsets")
        if self.scale != "1":
            # What is shown is a thousandfold, and so is what it may be off.
            wider = replace(self.tolerance, absolute=int(self.scale) * self.tolerance.absolute)
            object.__setattr__(self, "tolerance", wider)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Compare both sides' features by the cubic kernel."""
        key, _ = self.feature
        results, reference = self.features(records)
        x, y = PresentRows(results, key), rows_of(reference, key)
        n, m = len(x), len(y)
        if min(n, m) < 2:
            raise Unscorable(f"a kernel distance needs at least 2 images on each side, here are {n} and {m}")
        details: dict[str, object] = {"reference": self.compared_with(records), "reference_n": m}
        groups_x = [*compress(records.unique_groups("generated"), x.there)]
        groups_y = [*compress(records.unique_groups(self.reference_role), y.there)]
        interval: Interval | None
        arrays: Record = {}
        if self.subsets is None:
            found = self._of_all(x, y, groups_x, groups_y)
            value, interval = found.value, found.interval
            if any(found.left_out):
                details["left_out_pairs"] = dict(zip(_SUMS, found.left_out, strict=True))
            if found.influences:
                of_images = x.spread(_with_first(groups_x, found.influences))
                arrays = {"influence": influence_of_pairs(pairs, {"generated": of_images})}
        else:
            values, size = subset_kernel_distance(x, y, self.subsets, self.subset_size or 1000)
            value, interval = float(values.mean()), None
            details |= {"subset_size": size, "std": float(values.std())}
        missing, faults = missing_on_both_sides(x, reference)
        score = Score(
            metric=self.metric("kid", "kd") + ("" if self.scale == "1" else f"_x{self.scale}"),
            value=value,
            better="lower",
            n=n,
            missing=missing,
            faults=faults,
            arrays=arrays,
            details=details,
            warnings=told_of(reference, self.metric("kid", "kd")),
        )
        items = len({*groups_x, *groups_y})
        if interval is not None:
            score = resting_on_items(score, pairs, interval, items, ENOUGH)
        return [_times(int(self.scale), score)]

    def _of_all(self, x: Rows, y: Rows, groups_x: list[Hashable], groups_y: list[Hashable]) -> KernelDistance:
        """Compare all images.

        Raises:
            Unscorable: All images of a side show one item.
        """
        counted = self.same_item == "counted" or {*groups_x}.isdisjoint(groups_y)
        for side, groups in (("generated", groups_x), ("reference", groups_y)):
            if not counted and len(set(groups)) == 1:
                raise Unscorable(
                    f"all {len(groups)} {side} images show one item, and pairs of images of one item are left out of a"
                    f" kernel distance: give images of two items or more, or count them with"
                    f" --set {self.name}.same_item=counted"
                )
        return kernel_distance(x, y, groups_x, groups_y, within_groups=counted)


_SUMS = ("within generated", "within reference", "across")
"""What the sums of a kernel distance are over."""


def _times(factor: int, score: Score) -> Score:
    """Return a score in other units."""
    if factor == 1 or score.value is None:
        return score
    interval = None if score.interval is None else Interval(*(factor * bound for bound in score.interval))
    std = {"std": factor * score.details["std"]} if "std" in score.details else {}
    return replace(
        score,
        value=factor * score.value,
        interval=interval,
        arrays={name: factor * array for name, array in score.arrays.items()},
        details={**score.details, **std},
    )


def _with_first(groups: Sequence[Hashable], influences: Mapping[Hashable, float]) -> Floats:
    """Return the influence of each image's group with the group's first image, and 0 with the others; their sum is 0.

    A reference set of other groups is the same for all methods: its groups have no part here.
    """
    position = {group: i for i, group in reversed([*enumerate(groups)])}
    first = np.array([position[group] == i for i, group in enumerate(groups)])
    found = np.where(first, [influences[group] for group in groups], 0.0)
    centred: Floats = np.where(first, found - found.sum() / first.sum(), 0.0)
    return centred
