"""Mean absolute difference between generated image and target: L1, and what else goes by that name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from fhpt_eval.extract.pixels import PixelDifference
from fhpt_eval.maths.intervals import AT_LEAST_0
from fhpt_eval.measuring.protocol import Group, PairedProtocol, Records, Score, mean_over_pairs
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Record

BLACK = Missing("both images are black: no relative difference", "NaN")


@dataclass(frozen=True, kw_only=True)
class L1(PairedProtocol):
    """L1 ↓: mean absolute difference over pixels and channels, for values in [0, 1], mean over pairs.

    Attributes:
        form: ``mean``; ``relative``: Σ|a − b| / Σ(a + b) (GFLA's "mae"), called ``l1_relative``; ``root``:
            √Σ(a − b)² / N over the N values of an image (PG2's "L2"), called ``l2_root``; or ``squared``: the mean of
            (a − b)² (HR-VITON), called ``mse``. Of two black images the relative difference is 0 / 0, and so NaN is
            what scripts print.
        scale: Of the pixels: ``1`` for [0, 1], ``2`` for [−1, 1] (DSC, PATN), ``255`` for 0…255 (PG2), or
            ``per-pixel``: on 0…255, and divided once more by width × height (DisCo).
    """

    name: ClassVar[str] = "l1"
    title: ClassVar[str] = "mean absolute difference to the target, on [0, 1]"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("l1",)
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 70
    together: ClassVar[tuple[tuple[str, ...], ...]] = (("form", "scale"),)
    units: ClassVar[tuple[str, ...]] = ("form", "scale")
    form: Literal["mean", "relative", "root", "squared"] = "mean"
    scale: Literal["1", "2", "255", "per-pixel"] = "1"

    def __post_init__(self) -> None:
        if self.form == "relative" and self.scale != "1":
            raise ValueError("a relative difference has no scale")
        if self.form == "squared" and self.scale != "1":
            raise ValueError("a squared difference is on [0, 1]: leave scale out")
        if self.form == "root" and self.scale == "per-pixel":
            raise ValueError("scale=per-pixel goes with form=mean")

    def extractor(self) -> PixelDifference:
        """Return the difference of generated image and target."""
        return PixelDifference(first_geometry=self.generated_geometry, second_geometry=self.target_geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average over the pairs."""
        results = records.per_pair(self.extractor(), "generated", "target")
        values = [r if isinstance(r, Missing) else self._value(r) for r in results]
        metric = {"mean": "l1", "relative": "l1_relative", "root": "l2_root", "squared": "mse"}[self.form]
        return [mean_over_pairs(metric, "lower", pairs, values, within=AT_LEAST_0)]

    def _value(self, record: Record) -> float | Missing:
        mse, mae, total, area = (float(record[key]) for key in ("mse", "mae", "sum", "area"))
        if self.form == "relative":
            return mae / total if total else BLACK
        if self.form == "squared":
            return mse / 255**2
        difference = mae if self.form == "mean" else math.sqrt(mse / (3 * area))
        unit_in_grey_levels = {"1": 255, "2": 127.5, "255": 1, "per-pixel": area}[self.scale]
        return difference / unit_in_grey_levels
