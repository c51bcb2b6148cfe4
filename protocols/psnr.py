"""Peak signal-to-noise ratio between generated image and target: PSNR."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from fhpt_eval.extract.pixels import DifferenceArithmetic, PixelDifference
from fhpt_eval.maths.intervals import ANYTHING
from fhpt_eval.measuring.flaws import Effect, Flaw
from fhpt_eval.measuring.masked import MaskedProtocol
from fhpt_eval.measuring.protocol import Group, PairedProtocol, Records, Score, in_file_order, mean_over_pairs
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing

IDENTICAL = Missing("identical images (infinite PSNR)", "finding")
WRAPPED_TO_ZERO = Missing("no difference in uint8 arithmetic (infinite PSNR)", "finding")


@dataclass(frozen=True, kw_only=True)
class Psnr(PairedProtocol, MaskedProtocol):
    """PSNR ↑ in decibel for a peak of 255, mean over pairs; identical images are infinite and are counted apart.

    Attributes:
        arithmetic: ``float64``, or ``uint8``: difference and square wrap around (PISE and early DisCo, by mistake),
            which gives about 27 to 33 dB whatever the images; called ``psnr_uint8``.
        batch: Pairs whose squared error is averaged before the logarithm, in the order of generated file names, the
            last batch as it is (Leffa: 16); each pair has the value of its batch, and there is no interval.
        identical: Decibel of images without a difference (DisCo: 100). None counts them apart; ``inf`` is what a script
            prints that does not look for them (GFLA and its kin, PG2, PISE, Leffa): so is its mean then.
        mask: See below; the mean is over the whole image, where what lies outside of the person has no error.
    """

    name: ClassVar[str] = "psnr"
    title: ClassVar[str] = "peak signal-to-noise ratio against the target"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("psnr",)
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 60
    flaws: ClassVar[Mapping[Flaw, Effect]] = {**PairedProtocol.flaws, "target copies": "missing"}
    arithmetic: DifferenceArithmetic = "float64"
    batch: Annotated[int, Field(ge=1)] = 1
    identical: Annotated[float, Field(allow_inf_nan=False)] | Literal["inf"] | None = None

    def __post_init__(self) -> None:
        if self.identical is not None and self.identical != "inf":
            # Of a union, a whole number is not taken for one with a point where it is written down.
            object.__setattr__(self, "identical", float(self.identical))

    def depends_on_order(self) -> bool:
        """Where batches are averaged."""
        return self.batch > 1

    def extractor(self) -> PixelDifference:
        """Return the difference of generated image and target."""
        return PixelDifference(
            arithmetic=self.arithmetic, first_geometry=self.generated_geometry, second_geometry=self.target_geometry
        )

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average the decibels of the pairs."""
        errors = self.values(records, "mse")
        order = in_file_order(pairs, errors)
        values = list(errors)
        for start in range(0, len(order), self.batch):
            batch = order[start : start + self.batch]
            value = self._decibel(float(np.mean([error for _, error in batch])) if len(batch) > 1 else batch[0][1])
            for i, _ in batch:
                values[i] = value
        metric = "psnr" if self.arithmetic == "float64" else f"psnr_{self.arithmetic}"
        within = ANYTHING if self.batch == 1 else None
        return [mean_over_pairs(self.prefix() + metric, "higher", pairs, values, within=within, unit="dB")]

    def _decibel(self, mse: float) -> float | Missing:
        if mse > 0:
            return 10 * math.log10(255**2 / mse)
        without = IDENTICAL if self.arithmetic == "float64" else WRAPPED_TO_ZERO
        if self.identical == "inf":
            return replace(without, kind="inf")
        return without if self.identical is None else self.identical
