"""LPIPS (Zhang et al., CVPR 2018; v0.1), and the same construction on the embedded network.

LPIPS sums, over the layers of a trunk, the spatial mean of w·(a − b)², where a and b are the layer's features scaled
to unit length over the channels, and w ≥ 0 is a learned weight for each channel. With √w and 1/√(H·W) multiplied into
the features, that sum is the squared Euclidean distance of two long vectors: one vector an image, made once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0
from fhpt_eval.extract.efficientnet_lite0 import build_network as build_efficientnet
from fhpt_eval.extract.extractor import Context, Encoded, PairExtractor, PairModel, Pixels, size_mismatch
from fhpt_eval.extract.numerics import Numerics
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
        trunk = _efficientnet(context) if self.net == "efficientnet_lite0" else _lpips(context, self.net, self.range)
        model = _LayerByLayer if context.reference_math else _OneVector
        return model(trunk, context, _SMALLEST[self.net])


class _Trunk(NamedTuple):
    """What features are taken from.

    Attributes:
        layers: From N×3×H×W images on 0…255 to N×C×H×W features, float32, of each layer.
        weights: Of the channels of each layer: C of them, or one for all.
    """

    layers: Callable[[Tensor], list[Tensor]]
    weights: list[Tensor]


def _lpips(context: Context, net: TorchTrunk, input_range: InputRange) -> _Trunk:
    from torchvision import models

    from fhpt_eval.extract._torch import channel_values, in_bfloat16, load_features, ready

    builders: dict[str, Callable[..., Any]] = {
        "alex": models.alexnet,
        "vgg": models.vgg16,
        "squeeze": models.squeezenet1_1,
    }
    state = load_state_dict(context.weights[TRUNKS[net].name])
    trunk = builders[net](weights=None, init_weights=False) if net == "vgg" else builders[net](weights=None)
    features: Any = ready(load_features(trunk, state), context)
    heads = load_state_dict(context.weights[HEADS[net].name])
    weights = [heads[f"lin{i}.model.1.weight"].flatten() for i in range(len(_LAYER_ENDS[net]))]
    if any((w < 0).any() for w in weights):
        raise ValueError(f"the {net} heads of LPIPS hold a negative weight")
    shift, scale = (channel_values(v, context.device) for v in (_SHIFT, _SCALE))

    def layers(x: Tensor) -> list[Tensor]:
        x = ((x / 127.5 - 1 if input_range == "-1..1" else x / 255) - shift) / scale
        found = []
        start = 0
        for end in _LAYER_ENDS[net]:
            with in_bfloat16(context):
                x = features[start:end](x)
            found.append(x.float())
            start = end
        return found

    return _Trunk(layers, [w.to(context.device) for w in weights])


def _efficientnet(context: Context) -> _Trunk:
    import torch

    from fhpt_eval.extract._torch import in_bfloat16, ready

    network: Any = ready(build_efficientnet(context.weights[EFFICIENTNET_LITE0.name]), context)
    stages = len(network.feature_info)

    def layers(x: Tensor) -> list[Tensor]:
        with in_bfloat16(context):
            maps = network.forward_intermediates((x - 127) / 128, intermediates_only=True)
        return [m.float() for m in maps]

    return _Trunk(layers, [torch.full((1,), 1 / stages).to(context.device)] * stages)


class _Model(PairModel):
    """Sorts images and pairs by size; how images are encoded and compared is left open.

    What an image is encoded as is a tuple of tensors, followed by its size.
    """

    def __init__(self, trunk: _Trunk, numerics: Numerics, smallest: int) -> None:
        self._trunk = trunk
        self._numerics = numerics
        self._smallest = smallest
        self._too_small = Missing(f"smaller than the network's {smallest} pixels a side")

    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        import torch

        from fhpt_eval.extract._torch import batches, finish

        encoded: list[Encoded] = [()] * len(images)
        with torch.inference_mode():
            for indices, x in batches(images, self._numerics):
                height, width = x.shape[2:]
                small = min(height, width) < self._smallest
                codes: list[Encoded] = [()] * len(indices) if small else self._codes(self._trunk.layers(x))
                for i, code in zip(indices, codes, strict=True):
                    encoded[i] = (*code, (width, height))
        # They are compared on whatever stream asks.
        finish(self._numerics.device)
        return encoded

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        import torch

        results: list[Result] = [self._too_small] * len(pairs)
        same_size: dict[tuple[int, int], list[int]] = {}
        for i, ((*code, size), (*_, other_size)) in enumerate(pairs):
            if mismatch := size_mismatch(size, other_size):
                results[i] = mismatch
            elif code:
                same_size.setdefault(size, []).append(i)
        with torch.inference_mode():
            for indices in same_size.values():
                # One list of tensors for each part of the codes.
                sides = ([pairs[i][side][:-1] for i in indices] for side in (0, 1))
                first, second = ([list(part) for part in zip(*codes, strict=True)] for codes in sides)
                for i, distance in zip(indices, self._distances(first, second).tolist(), strict=True):
                    results[i] = {"distance": np.array(distance)}
        return results

    @abstractmethod
    def _codes(self, layers: list[Tensor]) -> list[Encoded]:
        """Return what each image is encoded as."""

    @abstractmethod
    def _distances(self, first: list[list[Tensor]], second: list[list[Tensor]]) -> Tensor:
        """Return N distances, float64: for each part of the codes come the N tensors of either side."""


class _OneVector(_Model):
    def _codes(self, layers: list[Tensor]) -> list[Encoded]:
        import torch

        rows = torch.cat([_unit_weighted(x, w) for x, w in zip(layers, self._trunk.weights, strict=True)], 1)
        # A row that is a view would keep those of all images in memory.
        return [(rows[0],)] if len(rows) == 1 else [(row.clone(),) for row in rows]

    def _distances(self, first: list[list[Tensor]], second: list[list[Tensor]]) -> Tensor:
        import torch

        (a,), (b,) = first, second
        differences = (torch.stack(a) - torch.stack(b)).double()
        return torch.stack([d @ d for d in differences])


class _LayerByLayer(_Model):
    """The formula as it stands: over the layers, the sum of the spatial means of w·(a − b)²."""

    def _codes(self, layers: list[Tensor]) -> list[Encoded]:
        return list(zip(*(_unit(x).unbind() for x in layers), strict=True))

    def _distances(self, first: list[list[Tensor]], second: list[list[Tensor]]) -> Tensor:
        import torch

        found = []
        for a, b, weight in zip(first, second, self._trunk.weights, strict=True):
            squares = (torch.stack(a) - torch.stack(b)) ** 2
            found.append((squares * weight.view(1, -1, 1, 1)).sum(1).mean((1, 2)))
        return torch.stack(found).sum(0).double()


def _unit(x: Tensor) -> Tensor:
    """Scale features to unit length over the channels."""
    return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _unit_weighted(x: Tensor, weight: Tensor) -> Tensor:
    """N×C×H×W to N×(C·H·W), so that squared distances between rows are the layer's share of LPIPS."""
    area = x.shape[2] * x.shape[3]
    return (_unit(x) * (weight / area).sqrt().view(1, -1, 1, 1)).flatten(1)
