"""Peak signal-to-noise ratio between generated image and target: PSNR."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from fhpt_eval.extract.base import Missing
from fhpt_eval.extract.pixels import PixelDifference
from fhpt_eval.pairs import Pairs
from fhpt_eval.protocol import Group, PairedProtocol, Records, Score, mean_over_pairs

IDENTICAL = Missing("identical images (infinite PSNR)", fault=False)


@dataclass(frozen=True, kw_only=True)
class Psnr(PairedProtocol):
    """PSNR ↑ in decibel for a peak of 255, mean over pairs; identical images are infinite and are counted apart."""

    name: ClassVar[str] = "psnr"
    title: ClassVar[str] = "peak signal-to-noise ratio against the target"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("psnr",)

    def extractor(self) -> PixelDifference:
        """The difference of generated image and target."""
        return PixelDifference(first_geometry=self.generated_geometry, second_geometry=self.target_geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average the decibels of the pairs."""
        errors = self.values(records, "mse")
        values = [e if isinstance(e, Missing) else _decibel(e) for e in errors]
        return [mean_over_pairs("psnr", "higher", pairs, values, unit="dB")]


def _decibel(mse: float) -> float | Missing:
    return IDENTICAL if mse == 0 else 10 * math.log10(255**2 / mse)
