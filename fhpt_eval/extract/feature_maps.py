"""Feature maps of several depths, for losses that compare images by them: gradients flow to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0, build_network
from fhpt_eval.extract.weights import Weights, load_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

FeatureNetwork = Literal["vgg19", "efficientnet_lite0"]

VGG19 = Weights(
    name="vgg19",
    filename="vgg19-dcbb9e9d.pth",
    bytes=574_673_361,
    sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    licence="BSD-3-Clause",
    used_by="train drn",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
)

FILES: dict[FeatureNetwork, Weights] = {"vgg19": VGG19, "efficientnet_lite0": EFFICIENTNET_LITE0}
"""The weights file of each network."""

_VGG19_ENDS = (4, 9, 14, 23)
"""After relu1_2, relu2_2, relu3_2 and relu4_2 of torchvision's ``features``."""

_STAGE_SCALES = (6.5, 8.5, 8.0, 7.0, 2.5)
"""Root mean square of EfficientNet-Lite0's stages on photographs of people, rounded."""


def build_feature_maps(network: FeatureNetwork, weights: Path, device: str) -> Callable[[Tensor], list[Tensor]]:
    """Return a function from N×3×H×W images in [−1, 1] to feature maps, from fine to coarse.

    ``vgg19``: four maps, of strides 1, 2, 4 and 8 (torchvision's IMAGENET1K_V1). ``efficientnet_lite0``: five maps, of
    strides 2 to 32, each divided by its usual size, because they are sums without an activation and some ten times as
    large as VGG's; this one sees images through a filter of 1, 2, 1, because its first convolution skips every other
    pixel and takes a weave of coloured pixels for cloth. The networks are frozen and in evaluation mode.
    """
    import torch
    from torchvision import models

    from fhpt_eval.extract._torch import freeze, imagenet_normalisation, load_features, softened

    if network == "efficientnet_lite0":
        trunk: Any = freeze(build_network(weights), device)

        def stages(images: Tensor) -> list[Tensor]:
            # (x − 127) / 128 of pixels in 0…255.
            scaled = ((softened(images) + 1) * 127.5 - 127) / 128
            maps: list[Tensor] = trunk.forward_intermediates(scaled, intermediates_only=True)
            return [m / scale for m, scale in zip(maps, _STAGE_SCALES, strict=True)]

        return stages

    vgg = models.vgg19(weights=None, init_weights=False)
    features: Any = freeze(load_features(vgg, load_state_dict(weights))[: _VGG19_ENDS[-1]], device)
    for layer in features:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False
    mean, std = imagenet_normalisation(device)

    def layers(images: Tensor) -> list[Tensor]:
        x = ((images + 1) / 2 - mean) / std
        maps = []
        for index, layer in enumerate(features, start=1):
            x = layer(x)
            if index in _VGG19_ENDS:
                maps.append(x)
        return maps

    return layers
