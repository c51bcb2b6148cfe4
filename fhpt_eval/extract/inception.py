"""Inception-2015, the network that FID, KID and the Inception Score are defined on, and torchvision's Inception v3.

The weights of the first are those of Google's graph ``inception-2015-12-05``, converted by pytorch-fid (Apache-2.0),
which also documents the four places where that graph differs from torchvision's Inception v3: average pooling that
leaves the padding out (Mixed 5b-d, 6b-e, 7b), and max pooling in the last block (Mixed 7c). Torchvision's own is what
GFLA and its descendants compute their "FID" with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.extract.weights import Weights, load_state_dict
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Result

if TYPE_CHECKING:
    from torch import Tensor, nn

INCEPTION_2015 = Weights(
    name="inception-2015",
    filename="pt_inception-2015-12-05-6726825d.pth",
    bytes=95_628_359,
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    licence="Apache-2.0",
    used_by="fid, kid, is, prdc",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
INCEPTION_V3_IMAGENET = Weights(
    name="inception-v3-imagenet",
    filename="inception_v3_google-0cc3c7bd.pth",
    bytes=108_949_747,
    sha256="0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
    licence="BSD-3-Clause",
    used_by="fid, kid of GFLA and its kin, is of HR-VITON",
    url="https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
)

Preprocess = Literal["pytorch-fid", "torch-fidelity", "clean-fid", "pytorch-fid-2018"]

_BILINEAR = Geometry.parse("resize(width=299, height=299, filter=torch-bilinear)")
_RESIZE = {
    "pytorch-fid": _BILINEAR,
    "pytorch-fid-2018": _BILINEAR,
    "torch-fidelity": Geometry.parse("resize(width=299, height=299, filter=tf1-bilinear)"),
    "clean-fid": Geometry.parse("resize(width=299, height=299, filter=pil-float-bicubic) > clip"),
}


@dataclass(frozen=True, kw_only=True)
class Inception(ImageExtractor):
    """Records ``pool3`` (2048 float32, ≥ 0) and ``logits`` (1008 float32, without bias, as in the 2015 graph).

    Attributes:
        preprocess: Whose way to 299×299 and to [−1, 1]: ``pytorch-fid`` (bilinear without antialiasing, 2x/255 − 1),
            ``torch-fidelity`` (TensorFlow 1's bilinear, (x − 128)/128: the original's) or ``clean-fid`` (Pillow's
            antialiased bicubic on floats, (x − 128)/128). ``pytorch-fid-2018`` is pytorch-fid's before May 2019, by
            mistake: the change from ImageNet's normalisation, x·2σ + 2μ − 1, made on [0, 1]; it ends in [−0.19, 0.43].
    """

    name: ClassVar[str] = "inception-2015"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torchvision")
    all_weights: ClassVar[tuple[Weights, ...]] = (INCEPTION_2015,)
    preprocess: Preprocess = "pytorch-fid"

    def resized_by(self) -> tuple[str, ...]:
        """Return Pillow, where it brings images to 299×299 or the geometry resizes by it."""
        return _resized_by(self)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Build the network, and load the weights."""
        import torch

        network = build_network()
        network.load_state_dict(load_state_dict(context.weights[INCEPTION_2015.name]))
        features = _on_images(network, self.preprocess, context)
        head: Any = network.fc

        @torch.inference_mode()
        def extract(images: Sequence[Pixels]) -> list[Result]:
            pool3 = features(images)
            found = torch.cat([pool3, pool3 @ head.weight.T], 1).cpu().numpy()
            width = pool3.shape[1]
            return [{"pool3": row[:width], "logits": row[width:]} for row in found]

        return extract


@dataclass(frozen=True, kw_only=True)
class ImageNetInception(ImageExtractor):
    """Records ``pool3`` (2048 float32, ≥ 0) of torchvision's Inception v3, IMAGENET1K_V1, without its classifiers.

    Attributes:
        preprocess: As `Inception`'s. Whichever it is, torchvision's own ``transform_input`` is not applied on top.
    """

    name: ClassVar[str] = "inception-v3-imagenet"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torchvision")
    all_weights: ClassVar[tuple[Weights, ...]] = (INCEPTION_V3_IMAGENET,)
    preprocess: Preprocess = "pytorch-fid"

    def resized_by(self) -> tuple[str, ...]:
        """Return Pillow, where it brings images to 299×299 or the geometry resizes by it."""
        return _resized_by(self)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Build the network, and load the weights."""
        import torch

        features = _on_images(_torchvision(context, "AuxLogits.", "fc."), self.preprocess, context)

        @torch.inference_mode()
        def extract(images: Sequence[Pixels]) -> list[Result]:
            return [{"pool3": row} for row in features(images).cpu().numpy()]

        return extract


@dataclass(frozen=True, kw_only=True)
class ImageNetClasses(ImageExtractor):
    """Records ``logits`` (1000 float32) of torchvision's Inception v3, IMAGENET1K_V1, with its classifier.

    Attributes:
        preprocess: As `Inception`'s; torchvision's own ``transform_input`` is not applied on top.
    """

    name: ClassVar[str] = "inception-v3-imagenet-classes"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torchvision")
    all_weights: ClassVar[tuple[Weights, ...]] = (INCEPTION_V3_IMAGENET,)
    preprocess: Preprocess = "pytorch-fid"

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Build the network, and load the weights."""
        import torch

        logits = _on_images(_torchvision(context, "AuxLogits."), self.preprocess, context)

        @torch.inference_mode()
        def extract(images: Sequence[Pixels]) -> list[Result]:
            return [{"logits": row} for row in logits(images).cpu().numpy()]

        return extract


def _resized_by(extractor: Inception | ImageNetInception) -> tuple[str, ...]:
    steps = f"{extractor.geometry} > {_RESIZE[extractor.preprocess]}"
    return ("pillow",) if "filter=pil-" in steps else ()


def _torchvision(context: Context, *without: str) -> Any:
    """Return torchvision's network with its weights, but for layers whose names begin so."""
    import torch
    from torchvision.models import inception_v3

    from fhpt_eval.extract._torch import FloatMean

    state = load_state_dict(context.weights[INCEPTION_V3_IMAGENET.name])
    network = inception_v3(weights=None, aux_logits=False, transform_input=False, init_weights=False)
    if "fc." in without:
        network.fc = torch.nn.Identity()
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith(without)})
    network.avgpool = FloatMean()
    return network


def _on_images(network: nn.Module, preprocess: Preprocess, context: Context) -> Callable[[Sequence[Pixels]], Tensor]:
    """Make a network ready for inference, and bring images to what it takes."""
    from fhpt_eval.extract._torch import batch, imagenet_normalisation, in_bfloat16, ready

    ready(network, context)
    resize = _RESIZE[preprocess]
    scale: float | Tensor
    shift: float | Tensor
    if preprocess == "pytorch-fid-2018":
        mean, std = imagenet_normalisation("cpu")
        scale, shift = (std / 127.5).to(context.device), (1 - 2 * mean).to(context.device)
    else:
        scale, shift = (1 / 127.5 if preprocess == "pytorch-fid" else 1 / 128), 1.0

    def features(images: Sequence[Pixels]) -> Tensor:
        x = batch(images, context, lambda _: resize) * scale - shift
        with in_bfloat16(context):
            found: Tensor = network(x)
        return found.float()

    return features


def build_network() -> nn.Module:
    """Return the 2015 graph's Inception with random weights: N×3×299×299 in [−1, 1] to N×2048 (pool3); ``fc`` beside.

    The names of its parameters are those of the pytorch-fid weights file.
    """
    import torch
    from torch.nn import functional
    from torchvision.models import inception as tv

    def pool(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)

    def chain(x: Tensor, *layers: nn.Module) -> Tensor:
        for layer in layers:
            x = layer(x)
        return x

    # torchvision is untyped, so its blocks are Any to a type checker.
    class MixedA(tv.InceptionA):  # type: ignore[misc]
        def _forward(self, x: Tensor) -> list[Tensor]:
            return [
                self.branch1x1(x),
                chain(x, self.branch5x5_1, self.branch5x5_2),
                chain(x, self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3),
                self.branch_pool(pool(x)),
            ]

    class MixedC(tv.InceptionC):  # type: ignore[misc]
        def _forward(self, x: Tensor) -> list[Tensor]:
            return [
                self.branch1x1(x),
                chain(x, self.branch7x7_1, self.branch7x7_2, self.branch7x7_3),
                chain(
                    x,
                    self.branch7x7dbl_1,
                    self.branch7x7dbl_2,
                    self.branch7x7dbl_3,
                    self.branch7x7dbl_4,
                    self.branch7x7dbl_5,
                ),
                self.branch_pool(pool(x)),
            ]

    class MixedE(tv.InceptionE):  # type: ignore[misc]
        pooling: Callable[[Tensor], Tensor] = staticmethod(pool)

        def _forward(self, x: Tensor) -> list[Tensor]:
            once = self.branch3x3_1(x)
            twice = chain(x, self.branch3x3dbl_1, self.branch3x3dbl_2)
            return [
                self.branch1x1(x),
                torch.cat([self.branch3x3_2a(once), self.branch3x3_2b(once)], 1),
                torch.cat([self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)], 1),
                self.branch_pool(self.pooling(x)),
            ]

    class MixedELast(MixedE):
        pooling = staticmethod(lambda x: functional.max_pool2d(x, 3, stride=1, padding=1))

    class FidInception(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            conv = tv.BasicConv2d
            self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
            self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
            self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
            self.maxpool1 = torch.nn.MaxPool2d(3, stride=2)
            self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
            self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
            self.maxpool2 = torch.nn.MaxPool2d(3, stride=2)
            self.Mixed_5b = MixedA(192, pool_features=32)
            self.Mixed_5c = MixedA(256, pool_features=64)
            self.Mixed_5d = MixedA(288, pool_features=64)
            self.Mixed_6a = tv.InceptionB(288)
            self.Mixed_6b = MixedC(768, channels_7x7=128)
            self.Mixed_6c = MixedC(768, channels_7x7=160)
            self.Mixed_6d = MixedC(768, channels_7x7=160)
            self.Mixed_6e = MixedC(768, channels_7x7=192)
            self.Mixed_7a = tv.InceptionD(768)
            self.Mixed_7b = MixedE(1280)
            self.Mixed_7c = MixedELast(2048)
            self.fc = torch.nn.Linear(2048, 1008)

        def forward(self, x: Tensor) -> Tensor:
            layers = [layer for layer in self.children() if layer is not self.fc]
            return chain(x, *layers).float().mean((2, 3))

    return FidInception()
