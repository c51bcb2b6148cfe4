"""Layers that several parts of the network are built from. Feature maps are N×C×H×W float tensors."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from fhpt_eval.extract._torch import softened
from fhpt_eval.reference_models.drn import layout

Activation = Callable[[], nn.Module]
Norm = Callable[[int], nn.Module]
"""Makes a normalisation of so many channels."""


class InstanceNorm(nn.GroupNorm):
    """Instance normalisation without parameters.

    Group normalisation with one group a channel is the same. ``nn.InstanceNorm2d`` itself gives wrong gradients on a
    CPU (torch 2.15) for a single image whose channels come last in memory. On a CPU each image is a batch by itself:
    for channels that come last, batch normalisation is three times as fast there.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, affine=False)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise each channel of each image."""
        if features.device.type != "cpu":
            return layout.instance_norm(features, self.eps)
        images = features.chunk(len(features))
        return torch.cat([functional.batch_norm(image, None, None, training=True, eps=self.eps) for image in images])


class LayerNorm(nn.GroupNorm):
    """Layer normalisation without parameters: over all channels and places of an image.

    Unlike `InstanceNorm` it leaves differences between channels' means, which tell colours, as they are.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels, affine=False)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise each image."""
        if features.device.type != "cpu":
            return layout.layer_norm(features, self.eps)
        return super().forward(features)


class ReflectionPad(nn.ReflectionPad2d):
    """Reflection padding, by so many pixels on each side."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._size = size

    def forward(self, features: Tensor) -> Tensor:
        """Pad the images."""
        if self._size and features.device.type != "cpu":
            return layout.reflection_pad(features, self._size)
        return super().forward(features)


def leaky_relu() -> nn.Module:
    """Return the paper's activation after each normalisation: LeakyReLU with slope 0.2 (§V)."""
    return nn.LeakyReLU(0.2, inplace=True)


def relu() -> nn.Module:
    """PATN's activation."""
    return nn.ReLU(inplace=True)


def normalised(
    convolution: nn.Module, channels: int, activation: Activation, norm: Norm = InstanceNorm
) -> list[nn.Module]:
    """Return a convolution, a normalisation (by default PATN's on DeepFashion, without parameters), an activation."""
    return [convolution, norm(channels), activation()]


def reflected(channels_in: int, channels_out: int, size: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution of odd ``size`` with reflection padding."""
    return nn.Sequential(
        ReflectionPad(size // 2), nn.Conv2d(channels_in, channels_out, kernel_size=size, stride=stride)
    )


def stem_size(patch: int) -> int:
    """Size of the first and the last convolution: 7 pixels, or the odd number of patches that comes nearest to it."""
    return 7 // patch | 1


def stem(channels_in: int, channels_out: int, patch: int, *, smooth: bool = False) -> nn.Sequential:
    """Return the first convolution: PATN's 7×7 one, or one over patches.

    Args:
        channels_in: Of what comes in.
        channels_out: Of what goes out.
        patch: Side of the squares of pixels of which each becomes one; 1 leaves the size.
        smooth: Squares are averaged; else their pixels become channels.
    """
    fold: list[nn.Module] = []
    if patch > 1:
        fold = [nn.AvgPool2d(patch) if smooth else nn.PixelUnshuffle(patch)]
        channels_in *= 1 if smooth else patch**2
    return nn.Sequential(*fold, *reflected(channels_in, channels_out, stem_size(patch)))


class SmoothPixelShuffle(nn.Module):
    """Channels become squares of pixels, seen through a filter of 1, 2, 1: no weave of single pixels can be painted.

    Args:
        patch: Side of the squares; with 1, images pass as they are.
    """

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, channels: Tensor) -> Tensor:
        """N×(C·``patch``²)×h×w to N×C×(h·``patch``)×(w·``patch``)."""
        if self.patch == 1:
            return channels
        image = functional.pad(functional.pixel_shuffle(channels, self.patch), (1, 1, 1, 1), mode="replicate")
        return softened(image)


def encoder(
    channels_in: int,
    widths: list[int],
    activation: Activation,
    patch: int = 1,
    *,
    norm: Norm = InstanceNorm,
    smooth: bool = False,
) -> nn.Sequential:
    """`stem` and a stride-2 3×3 convolution for each further width, all normalised."""
    layers = normalised(stem(channels_in, widths[0], patch, smooth=smooth), widths[0], activation, norm)
    for narrow, wide in pairwise(widths):
        down = nn.Conv2d(narrow, wide, kernel_size=3, stride=2, padding=1)
        layers += normalised(down, wide, activation, norm)
    return nn.Sequential(*layers)


class PoseAttentionalTransferBlock(nn.Module):
    """PATN's block (Zhu et al., CVPR 2019, §3.1.2): the pose code decides where the image code is renewed.

    Args:
        channels: Of the image code.
        pose_channels: Of the pose code that comes in: ``channels`` for the first block of a cascade, else twice that.
        activation: After the first normalisation of each stream.
        dropout: PATN trains with 0.5.
        norm: PATN's is by instance.
    """

    def __init__(
        self,
        channels: int,
        pose_channels: int,
        activation: Activation,
        dropout: float = 0.0,
        norm: Norm = InstanceNorm,
    ) -> None:
        super().__init__()

        def stream(channels_in: int) -> list[nn.Module]:
            first = normalised(reflected(channels_in, channels_in, 3), channels_in, activation, norm)
            return [*first, *([nn.Dropout(dropout)] if dropout else []), reflected(channels_in, channels, 3)]

        self.image = nn.Sequential(*stream(channels), norm(channels))
        self.pose = nn.Sequential(*stream(pose_channels))

    def forward(self, image: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next image code and the next pose code, which has twice the channels."""
        pose = self.pose(pose)
        image = image + self.image(image) * torch.sigmoid(pose)
        return image, torch.cat([pose, image], dim=1)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al., CVPR 2016), with normalisation or without.

    Args:
        channels_in: Of what comes in.
        channels_out: Of what goes out.
        activation: Between the convolutions.
        norm: After each convolution; None leaves it out.
        dropout: After the activation.
        stride: 2 halves height and width; the shortcut then is an average pooling and a 1×1 convolution.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        activation: Activation,
        *,
        norm: Norm | None,
        dropout: float = 0.0,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            reflected(channels_in, channels_out, 3, stride),
            *([norm(channels_out)] if norm else []),
            activation(),
            *([nn.Dropout(dropout)] if dropout else []),
            reflected(channels_out, channels_out, 3),
            *([norm(channels_out)] if norm else []),
        )
        pooled = [nn.AvgPool2d(2, ceil_mode=True)] if stride == 2 else []
        matched = [nn.Conv2d(channels_in, channels_out, kernel_size=1)] if channels_in != channels_out else []
        self.shortcut = nn.Sequential(*pooled, *matched)

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual."""
        out: Tensor = self.shortcut(x) + self.residual(x)
        return out


class AdaptiveInstanceNorm(nn.Module):
    """Eq. (4): instance normalisation whose weight and bias come from the style code by a 3-layer MLP of its own.

    Args:
        channels: Of the feature map.
        style_code: Length of z_s.
    """

    def __init__(self, channels: int, style_code: int) -> None:
        super().__init__()
        self.norm = InstanceNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(style_code, style_code),
            leaky_relu(),
            nn.Linear(style_code, style_code),
            leaky_relu(),
            nn.Linear(style_code, 2 * channels),
        )

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Modulate N×C×H×W features by N×``style_code`` codes; the MLP gives the weight's difference from 1."""
        weight, bias = self.mlp(style)[:, :, None, None].chunk(2, dim=1)
        modulated: Tensor = (1 + weight) * self.norm(features) + bias
        return modulated


def initialise(module: nn.Module) -> None:
    """PATN's initialisation: convolutions from N(0, 0.02²), biases 0. To be passed to ``nn.Module.apply``."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def paint_evenly(convolution: nn.Module, patch: int) -> None:
    """Let the pixels of a patch start alike, so that no checkerboard has to be unlearned (ICNR, arXiv 1707.02937).

    Args:
        convolution: What is shuffled into patches.
        patch: Their side.
    """
    for weight in convolution.parameters():
        weight.copy_(weight[:: patch**2].repeat_interleave(patch**2, dim=0))
