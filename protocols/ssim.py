"""Structural similarity between generated image and target: SSIM."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.pixels import Border, Covariance, DataRange, StructuralSimilarity, Window, gaussian_taps
from fhpt_eval.extract.torchmetrics_ssim import TorchmetricsSsim
from fhpt_eval.measuring.masked import MaskedProtocol
from fhpt_eval.measuring.protocol import Group, PairedProtocol, Records, Score, mean_over_pairs
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Record

CONSTANT = Missing("constant generated image, whose data range is 0", "NaN")


@dataclass(frozen=True, kw_only=True)
class Ssim(PairedProtocol, MaskedProtocol):
    """SSIM ↑ (Wang et al., IEEE TIP 2004) as scikit-image computes it, mean over channels and pairs.

    The defaults are the original's: Gaussian window of σ 1.5 and 11 taps, population covariance, data range 255, no
    padding. What others do is worth up to 0.10 on the same images.

    Attributes:
        window: ``gaussian``, or ``uniform`` (PG2 with 7 taps, GFLA's second column with 51).
        sigma: Standard deviation of the Gaussian window in pixels (PIDM and PCDMs: 1.2).
        taps: Width of the window in pixels, odd. None is scikit-image's rule for the Gaussian, 2·⌊3.5σ + 0.5⌋ + 1: 11
            for σ 1.5 and 9 for σ 1.2 (before 0.15 it had 13 at σ 1.5); a uniform window names its own.
        covariance: ``population`` (÷ N) or ``sample`` (÷ N − 1).
        data_range: ``255``; ``1``: pixels are divided by 255, in exact arithmetic the same (CFLD, and GFLA with its 51
            taps); or ``generated``: maximum less minimum of the generated image (PATN and its kin). It is 0 where
            that is constant: SSIM is then what rounding makes of it, about 0, or NaN where it is 0 / 0, as in scripts.
        arithmetic: ``float64``, or ``float32``: scikit-image's since 0.19 on images of float32 (CFLD), which loses
            digits where an image is nearly constant; with ``border=kept`` torchmetrics' (Leffa).
        border: ``cut``: half a window is cut off all around, as scikit-image does; ``kept``: the image is mirrored
            beyond its edge (torchmetrics since 1.4.2).
        mask: See below; what lies outside of the person counts as perfect agreement (DSC and PATN on Market-1501).
    """

    name: ClassVar[str] = "ssim"
    title: ClassVar[str] = "structural similarity to the target"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("ssim",)
    headlines: ClassVar[tuple[str, ...]] = metrics
    rank: ClassVar[int] = 50
    extractors: ClassVar[tuple[type[Extractor], ...]] = (TorchmetricsSsim,)
    together: ClassVar[tuple[tuple[str, ...], ...]] = (("window", "sigma", "taps"),)
    window: Window = "gaussian"
    sigma: Annotated[float, Field(ge=0.3, le=50)] = 1.5
    taps: Annotated[int, Field(ge=3, le=999)] | None = None
    covariance: Covariance = "population"
    data_range: DataRange = "255"
    arithmetic: Literal["float64", "float32"] = "float64"
    border: Border = "cut"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.taps is not None and self.taps % 2 == 0:
            raise ValueError("a window has an odd number of taps")
        if self.window == "uniform" and self.taps is None:
            raise ValueError("a uniform window needs its width: set taps, 7 or 51 for example")
        if self.window == "uniform" and self.sigma != 1.5:
            raise ValueError("sigma belongs to the Gaussian window")

        if self._torchmetrics and (self.window, self.covariance, self.data_range) != ("gaussian", "population", "1"):
            raise ValueError("border=kept in float32 goes with window=gaussian, covariance=population and data_range=1")

    @property
    def _torchmetrics(self) -> bool:
        return (self.arithmetic, self.border) == ("float32", "kept")

    def extractor(self) -> StructuralSimilarity | TorchmetricsSsim:
        """Return the similarity of generated image and target."""
        if self._torchmetrics:
            return TorchmetricsSsim(
                sigma=self.sigma,
                taps=self.taps if self.taps is not None else gaussian_taps(self.sigma),
                first_geometry=self.generated_geometry,
                second_geometry=self.target_geometry,
            )
        return StructuralSimilarity(
            window=self.window,
            sigma=self.sigma,
            taps=self.taps if self.taps is not None else gaussian_taps(self.sigma),
            covariance=self.covariance,
            data_range=self.data_range,
            arithmetic=self.arithmetic,
            border=self.border,
            first_geometry=self.generated_geometry,
            second_geometry=self.target_geometry,
        )

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Average over the pairs."""
        results = records.per_pair(self.extractor(), "generated", "target")
        values = [r if isinstance(r, Missing) else _value(r) for r in results]
        metric = f"{self.prefix()}ssim"
        finite = (r for r, v in zip(results, values, strict=True) if not isinstance(v, Missing))
        if constant := sum("constant" in r for r in finite if not isinstance(r, Missing)):
            told = f"{metric}: {constant} × {CONSTANT.reason}: rounding decides what becomes of it, about 0"
            return [mean_over_pairs(metric, "higher", pairs, values, warnings=(told,))]
        return [mean_over_pairs(metric, "higher", pairs, values)]


def _value(record: Record) -> float | Missing:
    value = float(record["ssim"])
    if math.isfinite(value):
        return value
    return CONSTANT if math.isnan(value) else replace(CONSTANT, kind="inf")
