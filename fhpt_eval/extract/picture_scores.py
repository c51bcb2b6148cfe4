"""Scores of generated pictures against their targets while a network is trained: in batches, on its device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.perceptual_distance import PerceptualDistance
from fhpt_eval.extract.pixels import gaussian_taps
from fhpt_eval.records import Missing

WEIGHTS = EFFICIENTNET_LITE0
"""What `PictureScores` needs."""

SMALLEST = 32
"""Pixels a side that pictures must have."""

_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


class PictureScores:
    """``l1``, ``ssim`` and ``pd_efficientnet_lite0``, as the protocols define them where nothing is set.

    Args:
        weights: The file of `WEIGHTS`.
        device: Where pictures are.
    """

    def __init__(self, weights: Path, device: str) -> None:
        context = Context(device=device, weights={WEIGHTS.name: weights})
        self._distance = PerceptualDistance(net="efficientnet_lite0").load(context)

    def __call__(self, pictures: Tensor, targets: Tensor) -> Mapping[str, list[float]]:
        """Score N×H×W×3 uint8 pictures against as many targets: N values by the name of the metric."""
        x, y = (images.movedim(-1, 1).double() for images in (pictures, targets))
        return {
            "l1": ((x - y).abs().mean((1, 2, 3)) / 255).tolist(),
            "ssim": _similarity(x, y).tolist(),
            "pd_efficientnet_lite0": self._distances(pictures, targets),
        }

    def _distances(self, pictures: Tensor, targets: Tensor) -> list[float]:
        first, second = (self._distance.encode(list(images.cpu().numpy())) for images in (pictures, targets))
        found = self._distance.compare(list(zip(first, second, strict=True)))
        return [float("nan") if isinstance(one, Missing) else float(one["distance"]) for one in found]


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    """SSIM (Wang et al., equation 13) of N×3×H×W images on 0…255, float64, where the whole window is in the image."""
    reach = gaussian_taps(_SIGMA) // 2
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype) / _SIGMA) ** 2)
    line = line / line.sum()
    # Five means at once: rows, then columns, of one channel each.
    channels = torch.stack([x, y, x * x, y * y, x * y]).flatten(0, 2)[:, None]
    means = conv2d(conv2d(channels, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))
    mean_x, mean_y, xx, yy, xy = means.reshape(5, *x.shape[:2], *means.shape[2:])
    covariance = xy - mean_x * mean_y
    variances = xx - mean_x * mean_x + yy - mean_y * mean_y
    above = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    below = (mean_x * mean_x + mean_y * mean_y + _C1) * (variances + _C2)
    return torch.div(above, below).mean((1, 2, 3))
