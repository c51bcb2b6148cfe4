"""Mean absolute difference between generated image and target: L1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fhpt_eval.extract.base import Missing
from fhpt_eval.extract.pixels import PixelDifference
from fhpt_eval.pairs import Pairs
from fhpt_eval.protocol import Group, PairedProtocol, Records, Score, mean_over_pairs


@dataclass(frozen=True, kw_only=True)
class L1(PairedProtocol):
    """L1 ↓: mean absolute difference over pixels and channels, for values in [0, 1], mean over pairs."""

    name: ClassVar[str] = "l1"
    title: ClassVar[str] = "mean absolute difference to the target, on [0, 1]"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("l1",)

    def extractor(self) -> PixelDifference:
        """The difference of generated image and target."""
        return PixelDifference(first_geometry=self.generated_geometry, second_geometry=self.target_geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average over the pairs."""
        results = self.values(records, "mae")
        values = [r if isinstance(r, Missing) else r / 255 for r in results]
        return [mean_over_pairs("l1", "lower", pairs, values)]
