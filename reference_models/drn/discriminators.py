"""The conditional discriminators D_A (appearance) and D_P (pose) of §IV-B, built as PATN's."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fhpt_eval.reference_models.drn.blocks import (
    Activation,
    InstanceNorm,
    ReflectionPad,
    ResidualBlock,
    encoder,
    initialise,
    leaky_relu,
)
from fhpt_eval.reference_models.drn.config import DrnConfig


class Discriminator(nn.Module):
    """PATN's discriminator: an encoder and three residual blocks; the last feature map is the score.

    With `relu` and ``dropout=0.5`` this is PATN's to the parameter: 3,928,384 with 6 channels in.

    Args:
        channels_in: Of image and condition, concatenated: 6 for D_A, 3 + 18 for D_P.
        width: Channels after the first convolution; each of two down-samplings doubles them.
        activation: After each normalisation.
        dropout: In the residual blocks.
        patch: Side of the squares of pixels that the first convolution works on.
    """

    def __init__(
        self,
        channels_in: int,
        width: int = 64,
        activation: Activation = leaky_relu,
        dropout: float = 0.0,
        patch: int = 1,
    ) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width]
        self.layers = nn.Sequential(
            encoder(channels_in, channels, activation, patch),
            *(ResidualBlock(4 * width, 4 * width, activation, norm=InstanceNorm, dropout=dropout) for _ in range(3)),
        )
        self.apply(initialise)

    def forward(self, image_and_condition: Tensor) -> Tensor:
        """N×``channels_in``×H×W to a map of scores, N×(4·width)×h×w, smaller by 4·``patch``; 1 says real."""
        scores: Tensor = self.layers(image_and_condition)
        return scores


class SmoothDiscriminator(nn.Module):
    """A discriminator that asks for no single pixels; ours.

    docs/drn.md shows what PATN's ask for, and trials. Here images are seen through a filter of 1, 2, 1, and sizes are
    halved by averages, so that no pixel counts for where it lies. Spectral normalisation (arXiv 1802.05957) bounds what
    a faint pattern can do, which instance normalisation amplifies. And the last convolution's scores have any mean,
    where those of normalised features have none above 0.4.

    Args:
        channels_in: Of image and condition, concatenated.
        width: Channels after the first convolution; each of two halvings doubles them.
        patch: Side of the squares of pixels that the first convolution works on.
    """

    def __init__(self, channels_in: int, width: int, patch: int) -> None:
        super().__init__()
        channels = [channels_in * patch**2, width, 2 * width, 4 * width, 4 * width]
        # Twice a mean over 2×2 is a filter of 1, 2, 1; at the border over what is there.
        filtered = nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False), nn.AvgPool2d(2, stride=1)
        layers: list[nn.Module] = [*filtered, nn.PixelUnshuffle(patch)]
        for index, (narrow, wide) in enumerate(pairwise(channels)):
            halving = [nn.AvgPool2d(2)] if index in (1, 2) else []
            layers += [*halving, _bounded(narrow, wide), leaky_relu()]
        self.layers = nn.Sequential(*layers, _bounded(channels[-1], 1))

    def forward(self, image_and_condition: Tensor) -> Tensor:
        """N×``channels_in``×H×W to a map of scores, N×1×h×w, smaller by 4·``patch``; 1 says real."""
        scores: Tensor = self.layers(image_and_condition)
        return scores


def _bounded(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Sequential(ReflectionPad(1), spectral_norm(nn.Conv2d(channels_in, channels_out, kernel_size=3)))


class Discriminators(nn.Module):
    """D_A and D_P together."""

    def __init__(self, pose_channels: int, config: DrnConfig) -> None:
        super().__init__()
        kind = SmoothDiscriminator if config.smooth_discriminators else Discriminator
        self.appearance = kind(6, width=config.discriminator_width, patch=config.patch)
        self.pose = kind(3 + pose_channels, width=config.discriminator_width, patch=config.patch)

    def forward(self, image: Tensor, appearance: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Score N×3×H×W images under the appearance image and the pose."""
        return self.appearance(torch.cat([image, appearance], 1)), self.pose(torch.cat([image, pose], 1))
