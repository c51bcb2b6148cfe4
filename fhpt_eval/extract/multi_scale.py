"""Structural similarity over several scales, by the library that the field calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fhpt_eval.extract.extractor import Pixels
from fhpt_eval.extract.pair_function import Function, PairFunction
from fhpt_eval.records import Missing

if TYPE_CHECKING:
    import torch

_SMALLEST = 160
"""Both sides are halved four times, and then hold a window of 11 pixels."""


@dataclass(frozen=True, kw_only=True)
class MultiScaleSimilarity(PairFunction):
    """Records ``value``: MS-SSIM (Wang et al., Asilomar 2003) over five scales, as pytorch-msssim computes it.

    In float32 on [0, 1], 11 taps of σ 1.5 without padding, mean over channels.
    """

    name: ClassVar[str] = "ms-ssim"
    libraries: ClassVar[tuple[str, ...]] = ("pytorch-msssim",)
    extra: ClassVar[str] = "msssim"
    bytes_per_pixel: ClassVar[int] = 400

    def function(self) -> Function:
        """Return the library's function of two images."""
        from pytorch_msssim import ms_ssim

        def similarity(first: Pixels, second: Pixels) -> Any:
            if min(first.shape[:2]) <= _SMALLEST:
                return Missing(f"a side of {_SMALLEST} pixels or less, too small for five scales")
            return ms_ssim(_tensor(first), _tensor(second), data_range=1)

        return similarity


def _tensor(image: Pixels) -> torch.Tensor:
    """Return 1×3×H×W in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) / np.float32(255))[None]
