"""LPIPS (Zhang et al., CVPR 2018; v0.1), and the same construction on the embedded network.

LPIPS sums, over the layers of a trunk, the spatial mean of w·(a − b)², where a and b are the layer's features scaled
to unit length over the channels, and w ≥ 0 is a learned weight for each channel. With √w and 1/√(H·W) multiplied into
the features, that sum is the squared Euclidean distance of two long vectors: one vector an image, made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0
from fhpt_eval.extract.efficientnet_lite0 import build_network as build_efficientnet
from fhpt_eval.extract.extractor import Context, Encoded, PairExtractor, PairModel, Pixels, size_mismatch
from fhpt_eval.extract.weights import Weights, load_state_dict
from fhpt_eval.records import Missing, Result

if TYPE_CHECKING:
    from torch import Tensor

TorchTrunk = Literal["alex", "vgg", "squeeze"]
Trunk = Literal["alex", "vgg", "squeeze", "efficientnet_lite0"]
InputRange = Literal["-1..1", "0..1"]

_TORCHVISION = "https://download.pytorch.org/models/"
TRUNKS = {
    "alex": Weights(
        name="alexnet",
        filename="alexnet-owt-7be5be79.pth",
        bytes=244_408_911,
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        licence="BSD-3-Clause",
        used_by="lpips",
        url=f"{_TORCHVISION}alexnet-owt-7be5be79.pth",
    ),
    "vgg": Weights(
        name="vgg16",
        filename="vgg16-397923af.pth",
        bytes=553_433_881,
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        licence="BSD-3-Clause",
        used_by="lpips with net=vgg, retrieval, train gender",
        url=f"{_TORCHVISION}vgg16-397923af.pth",
    ),
    "squeeze": Weights(
        name="squeezenet1_1",
        filename="squeezenet1_1-b8a52dc0.pth",
        bytes=4_958_839,
        sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        licence="BSD-3-Clause",
        used_by="lpips with net=squeeze",
        url=f"{_TORCHVISION}squeezenet1_1-b8a52dc0.pth",
    ),
}


def _head(net: str, size: int, sha256: str) -> Weights:
    return Weights(
        name=f"lpips-{net}",
        filename=f"lpips-{net}.pth",
        bytes=size,
        sha256=sha256,
        licence="BSD-2-Clause",
        used_by=f"lpips with net={net}",
        package=f"lpips:weights/v0.1/{net}.pth",
    )


HEADS = {
    "alex": _head("alex", 6009, "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"),
    "vgg": _head("vgg", 7289, "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868"),
    "squeeze": _head("squeeze", 10811, "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"),
}

_LAYER_ENDS = {"alex": (2, 5, 8, 10, 12), "vgg": (4, 9, 16, 23, 30), "squeeze": (2, 5, 8, 10, 11, 12, 13)}
"""After which entries of torchvision's ``features`` the layers are read (lpips.pretrained_networks)."""

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""lpips.ScalingLayer: [−1, 1] to the trunks' ImageNet normalisation."""

_SMALLEST = {"alex": 31, "vgg": 16, "squeeze": 17, "efficientnet_lite0": 32}
"""Side in pixels below which a layer of the trunk would be empty."""


@dataclass(frozen=True, kw_only=True)
class PerceptualDistance(PairExtractor):
    """Records ``distance`` (float64 scalar, ≥ 0).

    Attributes:
        net: ``alex``, ``vgg``, ``squeeze``: LPIPS v0.1, native size. ``efficientnet_lite0``: five stages of the
            embedded network without learned weights, mean over stages; that is not LPIPS.
        range: What LPIPS is fed: [−1, 1], which it expects, or [0, 1].
    """

    name: ClassVar[str] = "perceptual-distance"
    one_size: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "timm")
    all_weights: ClassVar[tuple[Weights, ...]] = (*TRUNKS.values(), *HEADS.values(), EFFICIENTNET_LITE0)
    net: Trunk = "alex"
    range: InputRange = "-1..1"

    def weights(self) -> tuple[Weights, ...]:
        """Return the trunk, and for LPIPS the learned heads."""
        if self.net == "efficientnet_lite0":
            return (EFFICIENTNET_LITE0,)
        return (TRUNKS[self.net], HEADS[self.net])

    def load(self, context: Context) -> PairModel:
        """Build the trunk and load its weights and heads."""
        from fhpt_eval.extract._torch import exact_float32

        exact_float32()
        if self.net == "efficientnet_lite0":
            return _Model(_efficientnet_layers(context), context.device, self.net)
        return _Model(_lpips_layers(context, self.net, self.range), context.device, self.net)


Layers = list[tuple["Tensor", "Tensor"]]
"""For each layer: N×C×H×W features, and the C channel weights."""


def _lpips_layers(context: Context, net: TorchTrunk, input_range: InputRange) -> Callable[[Tensor], Layers]:
    import torch
    from torchvision import models

    from fhpt_eval.extract._torch import freeze, load_features

    builders: dict[str, Callable[..., Any]] = {
        "alex": models.alexnet,
        "vgg": models.vgg16,
        "squeeze": models.squeezenet1_1,
    }
    state = load_state_dict(context.weights[TRUNKS[net].name])
    trunk = builders[net](weights=None, init_weights=False) if net == "vgg" else builders[net](weights=None)
    features: Any = freeze(load_features(trunk, state), context.device)
    heads = load_state_dict(context.weights[HEADS[net].name])
    weights = [heads[f"lin{i}.model.1.weight"].flatten().to(context.device) for i in range(len(_LAYER_ENDS[net]))]
    if any((w < 0).any() for w in weights):
        raise ValueError(f"the {net} heads of LPIPS hold a negative weight")
    shift, scale = (torch.tensor(v, device=context.device).view(1, 3, 1, 1) for v in (_SHIFT, _SCALE))

    def layers(x: Tensor) -> Layers:
        x = ((x / 127.5 - 1 if input_range == "-1..1" else x / 255) - shift) / scale
        found: Layers = []
        start = 0
        for end, weight in zip(_LAYER_ENDS[net], weights, strict=True):
            x = features[start:end](x)
            found.append((x, weight))
            start = end
        return found

    return layers


def _efficientnet_layers(context: Context) -> Callable[[Tensor], Layers]:
    import torch

    from fhpt_eval.extract._torch import freeze

    network: Any = freeze(build_efficientnet(context.weights[EFFICIENTNET_LITE0.name]), context.device)

    def layers(x: Tensor) -> Layers:
        stages = network.forward_intermediates((x - 127) / 128, intermediates_only=True)
        return [(s, torch.full((s.shape[1],), 1 / len(stages), device=s.device)) for s in stages]

    return layers


class _Model(PairModel):
    def __init__(self, layers: Callable[[Tensor], Layers], device: str, net: Trunk) -> None:
        self._layers = layers
        self._device = device
        self._smallest = _SMALLEST[net]
        self._too_small = Missing(f"smaller than the network's {self._smallest} pixels a side")

    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        import torch

        from fhpt_eval.extract._torch import batches_of_one_size, stack, to_tensor

        encoded: list[Encoded] = [()] * len(images)
        with torch.inference_mode():
            for indices in batches_of_one_size(images):
                height, width = images[indices[0]].shape[:2]
                size = (width, height)
                if min(height, width) < self._smallest:
                    for i in indices:
                        encoded[i] = (None, size)
                    continue
                layers = self._layers(stack([to_tensor(images[i], self._device) for i in indices]))
                parts = [_unit_weighted(x, weight) for x, weight in layers]
                for row, i in enumerate(indices):
                    encoded[i] = (torch.cat([p[row] for p in parts]), size)
        return encoded

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        results: list[Result] = [self._too_small] * len(pairs)
        same_size: dict[tuple[int, int], list[int]] = {}
        for i, ((a, size), (_, other_size)) in enumerate(pairs):
            if mismatch := size_mismatch(size, other_size):
                results[i] = mismatch
            elif a is not None:
                same_size.setdefault(size, []).append(i)
        for indices in same_size.values():
            distances = _squared_distances([pairs[i][0][0] for i in indices], [pairs[i][1][0] for i in indices])
            for i, distance in zip(indices, distances, strict=True):
                results[i] = {"distance": np.array(distance)}
        return results


def _squared_distances(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[float]:
    """Return Σ(a − b)² of vectors of one length, summed in float64; a GPU is waited for once."""
    import torch

    with torch.inference_mode():
        differences = (torch.stack(list(first)) - torch.stack(list(second))).double()
        distances: list[float] = torch.stack([d @ d for d in differences]).tolist()
    return distances


def _unit_weighted(x: Tensor, weight: Tensor) -> Tensor:
    """N×C×H×W to N×(C·H·W), so that squared distances between rows are the layer's share of LPIPS."""
    unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
    area = x.shape[2] * x.shape[3]
    return (unit * (weight / area).sqrt().view(1, -1, 1, 1)).flatten(1)
