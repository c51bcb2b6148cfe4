"""Networks with seeded weights that neither die nor explode, for both sides of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fhpt_eval.extract.weights import DownloadProgress, Store, Weights


class SeededStore(Store):
    """Hands out the file of seeded weights that lies in its folder, its hash unchecked."""

    def get(self, weights: Weights, progress: DownloadProgress | None = None) -> Path:
        assert self.folder is not None
        file = self.folder / weights.filename
        return file if file.exists() else super().get(weights, progress)


def enlivened(network: Any, seed: int, images: npt.NDArray[np.uint8]) -> Any:
    """Give an Inception He weights, normalised by the statistics of a forward pass; in evaluation mode.

    Half of a unit in front of each ReLU keeps it from being chaotic: at 0 it magnifies the rounding of float32 tenfold,
    on either side alike.

    Args:
        network: With ``fc``, which gets small weights where it has any.
        seed: Of the weights.
        images: N×299×299×3.
    """
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            torch.nn.init.uniform_(module.weight, 0.7, 1)
            torch.nn.init.normal_(module.bias, 0.5, 0.3)
    torch.nn.init.normal_(network.fc.weight, 0, 0.1)
    torch.nn.init.normal_(network.fc.bias, 0, 1)
    with torch.inference_mode():
        network.train()(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1)
    return network.eval()


def blocks_of(whole: Any) -> Any:
    """Torchvision's Inception v3 from its first convolution to the averages of its last block, as GFLA runs it."""
    pooling = torch.nn.MaxPool2d(3, stride=2)
    return torch.nn.Sequential(
        *(whole.Conv2d_1a_3x3, whole.Conv2d_2a_3x3, whole.Conv2d_2b_3x3, pooling),
        *(whole.Conv2d_3b_1x1, whole.Conv2d_4a_3x3, pooling),
        *(whole.Mixed_5b, whole.Mixed_5c, whole.Mixed_5d),
        *(whole.Mixed_6a, whole.Mixed_6b, whole.Mixed_6c, whole.Mixed_6d, whole.Mixed_6e),
        *(whole.Mixed_7a, whole.Mixed_7b, whole.Mixed_7c),
        torch.nn.AdaptiveAvgPool2d((1, 1)),
    )
