"""ResNet-50 and VGG-16 trained on ImageNet, without their classifiers: the backbones of the paper's Table V.

The paper names "ResNet" and "VGG" and neither depth, layer, pooling nor input size; these are the field's usual choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.extract.perceptual_distance import TRUNKS
from fhpt_eval.extract.weights import Weights, load_state_dict
from fhpt_eval.records import Missing, Result

if TYPE_CHECKING:
    from pathlib import Path

RESNET50 = Weights(
    name="resnet50",
    filename="resnet50-0676ba61.pth",
    bytes=102_530_333,
    sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    licence="BSD-3-Clause",
    used_by="retrieval",
    url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
)

Backbone = Literal["resnet50", "vgg16"]

FILES: dict[Backbone, Weights] = {"resnet50": RESNET50, "vgg16": TRUNKS["vgg"]}
"""The weights file of each backbone; VGG-16's is the one that LPIPS registers."""

_SMALLEST: dict[Backbone, int] = {"resnet50": 1, "vgg16": 32}
"""Side in pixels below which the last pooling would be empty."""


@dataclass(frozen=True, kw_only=True)
class ImageNetFeatures(ImageExtractor):
    """Records ``features`` (2048 for ResNet-50, 512 for VGG-16; float32, ≥ 0): the last maps, globally averaged.

    Images keep their size, because both networks are convolutional up to there; [0, 1] RGB is normalised by ImageNet's
    mean and deviation.

    Attributes:
        backbone: ``resnet50`` (torchvision's IMAGENET1K_V1; after ``layer4``) or ``vgg16`` (after the last pooling).
    """

    name: ClassVar[str] = "imagenet-features"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torchvision")
    all_weights: ClassVar[tuple[Weights, ...]] = tuple(FILES.values())
    backbone: Backbone = "resnet50"

    def weights(self) -> tuple[Weights, ...]:
        """Return the backbone's weights."""
        return (FILES[self.backbone],)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Build the backbone and load its weights."""
        import torch

        from fhpt_eval.extract._torch import batches, imagenet_normalisation, in_bfloat16, ready

        build = {"resnet50": _resnet50, "vgg16": _vgg16}[self.backbone]
        network = ready(build(context.weights[FILES[self.backbone].name]), context)
        mean, std = imagenet_normalisation(context.device)
        smallest = _SMALLEST[self.backbone]

        @torch.inference_mode()
        def extract(images: Sequence[Pixels]) -> list[Result]:
            results: list[Result] = [Missing(f"smaller than the network's {smallest} pixels a side")] * len(images)
            for indices, x in batches(images, context):
                if min(x.shape[2:]) < smallest:
                    continue
                with in_bfloat16(context):
                    maps = network((x / 255 - mean) / std)
                for i, features in zip(indices, maps.float().mean((2, 3)).cpu().numpy(), strict=True):
                    results[i] = {"features": features}
            return results

        return extract


def _resnet50(weights: Path) -> Any:
    from torch import nn
    from torchvision import models

    network = models.resnet50(weights=None)
    network.load_state_dict(load_state_dict(weights))
    return nn.Sequential(*(layer for name, layer in network.named_children() if name not in {"avgpool", "fc"}))


def _vgg16(weights: Path) -> Any:
    from torchvision import models

    from fhpt_eval.extract._torch import load_features

    return load_features(models.vgg16(weights=None, init_weights=False), load_state_dict(weights))
