"""Structural similarity between generated image and target: SSIM."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

from pydantic import Field

from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.pixels import (
    Arithmetic,
    Border,
    Covariance,
    DataRange,
    StructuralSimilarity,
    Window,
    gaussian_taps,
)
from fhpt_eval.extract.torchmetrics_ssim import TorchmetricsSsim
from fhpt_eval.measuring.masked import MaskedProtocol
from fhpt_eval.measuring.protocol import Group, PairedProtocol, Records, Score, mean_over_pairs
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Record

CONSTANT = Missing("constant generated image, whose data range is 0", "NaN")

OfTorchmetrics: TypeAlias = Literal["float32-torchmetrics", "float32-torchmetrics-1.3"]


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
            digits where an image is nearly constant; ``float32-torchmetrics``: torchmetrics' (Leffa, CatVTON), and
            ``float32-torchmetrics-1.3``: its own before 1.4 (LaDI-VTON), where rounding makes variances negative; or
            ``float32-pytorch-msssim``: pytorch-msssim's (upgpt).
        border: ``cut``: half a window is cut off all around, as scikit-image does; ``kept``: the image is mirrored
            beyond its edge (torchmetrics since 1.4.2).
        mask: See below; what lies outside of the person counts as perfect agreement (DSC and PATN on Market-1501).
    """

    name: ClassVar[str] = "ssim"
    title: ClassVar[str] = "structural similarity to the target"
    group: ClassVar[Group] = "perceptual"
    metrics: ClassVar[tuple[str, ...]] = ("ssim",)
    headlines: ClassVar[tuple[str, ...]] = metrics
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 50
    extractors: ClassVar[tuple[type[Extractor], ...]] = (TorchmetricsSsim,)
    together: ClassVar[tuple[tuple[str, ...], ...]] = (("window", "sigma", "taps"),)
    window: Window = "gaussian"
    sigma: Annotated[float, Field(ge=0.3, le=50)] = 1.5
    taps: Annotated[int, Field(ge=3, le=999)] | None = None
    covariance: Covariance = "population"
    data_range: DataRange = "255"
    arithmetic: Arithmetic | OfTorchmetrics = "float64"
    border: Border = "cut"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.taps is not None and self.taps % 2 == 0:
            raise ValueError("a window has an odd number of taps")
        if self.window == "uniform" and self.taps is None:
            raise ValueError("a uniform window needs its width: set taps, 7 or 51 for example")
        if self.window == "uniform" and self.sigma != 1.5:
            raise ValueError("sigma belongs to the Gaussian window")
        convolved = (self.window, self.border, self.covariance) == ("gaussian", "cut", "population")
        if self.arithmetic == "float32-pytorch-msssim" and not (convolved and self.data_range != "generated"):
            raise ValueError(
                "arithmetic=float32-pytorch-msssim goes with window=gaussian, covariance=population, border=cut and"
                " data_range=1 or 255"
            )
        of_torchmetrics = (self.window, self.covariance, self.data_range) == ("gaussian", "population", "1")
        if self.arithmetic in get_args(OfTorchmetrics) and not of_torchmetrics:
            raise ValueError(
                f"arithmetic={self.arithmetic} goes with window=gaussian, covariance=population and data_range=1"
            )

    def extractor(self) -> StructuralSimilarity | TorchmetricsSsim:
        """Return the similarity of generated image and target."""
        if self.arithmetic == "float32-torchmetrics" or self.arithmetic == "float32-torchmetrics-1.3":
            return TorchmetricsSsim(
                sigma=self.sigma,
                taps=self.taps if self.taps is not None else gaussian_taps(self.sigma),
                border=self.border,
                clamped=self.arithmetic == "float32-torchmetrics",
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
        values: list[float | Missing] = []
        constant = 0
        for result in records.per_pair(self.extractor(), "generated", "target"):
            values.append(result if isinstance(result, Missing) else _value(result))
            if not isinstance(result, Missing) and not isinstance(values[-1], Missing):
                constant += "constant" in result
        metric = f"{self.prefix()}ssim"
        if constant:
            told = f"{metric}: {constant} × {CONSTANT.reason}: rounding decides what becomes of it, about 0"
            return [mean_over_pairs(metric, "higher", pairs, values, within=(-1, 1), warnings=(told,))]
        return [mean_over_pairs(metric, "higher", pairs, values, within=(-1, 1))]


def _value(record: Record) -> float | Missing:
    value = float(record["ssim"])
    if math.isfinite(value):
        return value
    return CONSTANT if math.isnan(value) else replace(CONSTANT, kind="inf")
