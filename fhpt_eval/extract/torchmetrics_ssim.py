"""Structural similarity as torchmetrics computes it, in float32: where digits cancel, its rounding is seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fhpt_eval.extract.extractor import (
    Context,
    Encoded,
    PairExtractor,
    PairModel,
    Pixels,
    size_mismatch,
)
from fhpt_eval.extract.pixels import Border
from fhpt_eval.records import Missing, Result

_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, kw_only=True)
class TorchmetricsSsim(PairExtractor):
    """Records ``ssim`` (float64 scalar, ≤ 1) of two H×W×3 images on [0, 1].

    As torchmetrics: one convolution by the Gaussian window in float32, the image reflected beyond its edge. On a white
    background it is off in the fourth digit, and so are published numbers.

    Attributes:
        sigma: Standard deviation of the Gaussian window in pixels.
        taps: Width of the window in pixels.
        border: ``kept``, or ``cut`` by half a window all around, as before 1.4.2.
        clamped: Whether variances are 0 where rounding makes them negative; so since 1.4.
    """

    name: ClassVar[str] = "torchmetrics-ssim"
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    one_size: ClassVar[bool] = True
    bytes_per_pixel: ClassVar[int] = 400
    bytes_per_encoded_pixel: ClassVar[int] = 12
    sigma: float = 1.5
    taps: int = 11
    border: Border = "kept"
    clamped: bool = True

    @property
    def on_device(self) -> bool:
        """Return False: it runs on the CPU, whatever the device is."""
        return False

    def load(self, context: Context) -> PairModel:  # noqa: ARG002 - runs on the CPU, without weights
        """Return the model; nothing is loaded."""
        return _Model(self)


class _Model(PairModel):
    def __init__(self, spec: TorchmetricsSsim) -> None:
        import torch

        place = torch.arange(spec.taps, dtype=torch.float32) - spec.taps // 2
        line = torch.exp(-((place / spec.sigma) ** 2) / 2)
        line = line / line.sum()
        self._least = 0.0 if spec.clamped else -math.inf
        self._cut = spec.taps // 2 if spec.border == "cut" else 0
        self._window = (line[:, None] @ line[None]).expand(3, 1, -1, -1).contiguous()

    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        import torch

        whole = [np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32) for image in images]
        return [(torch.from_numpy(image) / 255,) for image in whole]

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        return [self._similarity(x, y) for (x,), (y,) in pairs]

    def _similarity(self, x: Any, y: Any) -> Result:
        import torch
        from torch.nn import functional

        if mismatch := size_mismatch((x.shape[2], x.shape[1]), (y.shape[2], y.shape[1])):
            return mismatch
        reach = self._window.shape[-1] // 2
        if min(x.shape[1:]) <= 2 * self._cut:
            return Missing(f"smaller than the {2 * reach + 1}×{2 * reach + 1} window")
        if min(x.shape[1:]) <= reach:
            return Missing(f"too small to be reflected by {reach} pixels")
        x, y = (functional.pad(image[None], [reach] * 4, mode="reflect") for image in (x, y))
        with torch.inference_mode():
            mx, my, xx, yy, xy = functional.conv2d(torch.cat([x, y, x * x, y * y, x * y]), self._window, groups=3)
        mxx, myy, mxy = mx.pow(2), my.pow(2), mx * my
        upper = (2 * mxy + _C1) * (2 * (xy - mxy) + _C2)
        variances = (xx - mxx).clamp(min=self._least) + (yy - myy).clamp(min=self._least)
        lower = (mxx + myy + _C1) * (variances + _C2)
        similarity, c = upper / lower, self._cut
        within = similarity[..., c : similarity.shape[-2] - c, c : similarity.shape[-1] - c]
        return {"ssim": np.array(float(within.mean()))}
