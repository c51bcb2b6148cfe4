"""The torch modules of the gender classifier, as they are trained and as they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fhpt_eval.extract._torch import batches, imagenet_normalisation, in_bfloat16
from fhpt_eval.extract.extractor import Pixels
from fhpt_eval.extract.numerics import Numerics


def linear(width: int) -> nn.Linear:
    """Return the last layer, features to a logit; it begins at zero, so that no random number enters."""
    layer = nn.Linear(width, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class LinearClassifier(nn.Module):
    """The linear layer alone, on features that another network found.

    Args:
        width: How many features an image has.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = linear(width)

    def forward(self, features: Tensor) -> Tensor:
        """N×width float32 to N logits."""
        logits: Tensor = self.head(features).squeeze(1)
        return logits


class Vgg16Classifier(nn.Module):
    """VGG-16's convolutions, the mean over the image, and the linear layer.

    Args:
        numerics: Where and how it will compute; it begins on the CPU.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, numerics: Numerics) -> None:
        from torchvision.models.vgg import cfgs, make_layers

        super().__init__()
        self._numerics = numerics
        layers = cfgs["D"]
        # The last entry is a pooling; what it pools has this many channels.
        self.head = linear(int(layers[-2]))
        self.features = make_layers(layers, batch_norm=False)
        for name, value in zip(("mean", "std"), imagenet_normalisation("cpu"), strict=True):
            self.register_buffer(name, value, persistent=False)

    def forward(self, images: Sequence[Pixels]) -> Tensor:
        """N images, H×W×3 on 0…255, which may differ in size, to N logits."""
        logits = self.mean.new_zeros(len(images))
        for indices, x in batches(images, self._numerics):
            with in_bfloat16(self._numerics):
                maps = self.features((x / 255 - self.mean) / self.std)
            logits[indices] = self.head(maps.float().mean((2, 3))).squeeze(1)
        return logits


def load(network: nn.Module, state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Fill a network with the arrays of its checkpoint."""
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})


def arrays_of(network: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """Return what its checkpoint holds: a copy on the CPU."""
    return {name: tensor.cpu().numpy().copy() for name, tensor in network.state_dict().items()}
