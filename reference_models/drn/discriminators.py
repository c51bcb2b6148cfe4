"""The conditional discriminators D_A (appearance) and D_P (pose) of §IV-B, built as PATN's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fhpt_eval.reference_models.drn.blocks import (
    Activation,
    InstanceNorm,
    ResidualBlock,
    encoder,
    initialise,
    leaky_relu,
    reflected,
    smoothed,
)
from fhpt_eval.reference_models.drn.config import DrnConfig


class Discriminator(nn.Module):
    """PATN's discriminator: an encoder and three residual blocks; the last feature map is the score.

    With `relu` and ``dropout=0.5`` this is PATN's to the parameter: 3,928,384 with 6 channels in. Two faults of it make
    a generator weave pixels (docs/drn.md shows both), and ``smooth`` mends them. It skips pixels, so that single ones
    move its score most: so it sees images through a filter of 1, 2, 1. And its last feature map is normalised, so that
    the mean score of no image can exceed 0.4, and only patterns change it: so a convolution makes the score.

    Args:
        channels_in: Of image and condition, concatenated: 6 for D_A, 3 + 18 for D_P.
        width: Channels after the first convolution; each of two down-samplings doubles them.
        activation: After each normalisation.
        dropout: In the residual blocks.
        patch: Side of the squares of pixels that the first convolution works on.
        smooth: See above.
    """

    def __init__(
        self,
        channels_in: int,
        width: int = 64,
        activation: Activation = leaky_relu,
        dropout: float = 0.0,
        patch: int = 1,
        *,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width]
        self.layers = nn.Sequential(
            encoder(channels_in, channels, activation, patch),
            *(ResidualBlock(4 * width, 4 * width, activation, norm=InstanceNorm, dropout=dropout) for _ in range(3)),
            *([reflected(4 * width, 1, 3)] if smooth else []),
        )
        self.smooth = smooth
        self.apply(initialise)

    def forward(self, image_and_condition: Tensor) -> Tensor:
        """N×``channels_in``×H×W to scores, N×(4·width or 1)×h×w, smaller by 4·``patch``; 1 says real."""
        scores: Tensor = self.layers(smoothed(image_and_condition) if self.smooth else image_and_condition)
        return scores


class Discriminators(nn.Module):
    """D_A and D_P together."""

    def __init__(self, pose_channels: int, config: DrnConfig) -> None:
        super().__init__()
        width, patch, smooth = config.discriminator_width, config.patch, config.smooth_discriminators
        self.appearance = Discriminator(6, width, patch=patch, smooth=smooth)
        self.pose = Discriminator(3 + pose_channels, width, patch=patch, smooth=smooth)

    def forward(self, image: Tensor, appearance: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Score N×3×H×W images under the appearance image and the pose."""
        return self.appearance(torch.cat([image, appearance], 1)), self.pose(torch.cat([image, pose], 1))
