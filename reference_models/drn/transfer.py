"""The pose transfer branch G_P, eq. (1): a coarse image in the target pose, and the guidance map F_t."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from fhpt_eval.reference_models.drn.attention import PoseGuidedAttention
from fhpt_eval.reference_models.drn.blocks import (
    Activation,
    InstanceNorm,
    Norm,
    PoseAttentionalTransferBlock,
    SmoothPixelShuffle,
    encoder,
    initialise,
    leaky_relu,
    normalised,
    paint_evenly,
    reflected,
    stem_size,
)
from fhpt_eval.reference_models.drn.flow import CarriedPixels

_PAINTING = 3
"""The decoder's last layers, which paint: convolution, tanh, shuffle."""


def widths(width: int, max_width: int, down_samplings: int) -> list[int]:
    """Channels after the first convolution and after each down-sampling."""
    return [min(width * 2**i, max_width) for i in range(down_samplings + 1)]


def _doubling(channels_in: int, channels_out: int, patch: int) -> nn.Module:
    """PATN's transposed convolution, or where squares are painted, whose unevenness it would add to, a resized one."""
    if patch == 1:
        return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=3, stride=2, padding=1, output_padding=1)
    return nn.Sequential(nn.Upsample(scale_factor=2), reflected(channels_in, channels_out, 3))


class PoseTransferBranch(nn.Module):
    """Eq. (1): Ĩ_c = G_P(I_s, P_s, P_t).

    With ``down_samplings=2``, `relu` and ``dropout=0.5`` this is PATN's generator, to the parameter (41,358,019).

    Args:
        width: Channels after the first convolution.
        max_width: Channels never exceed this.
        down_samplings: Each halves height and width.
        blocks: Pose-attentional transfer blocks.
        activation: After each normalisation.
        dropout: In the blocks.
        pose_channels: Of the two heatmaps together.
        patch: Side of the squares of pixels that the first and the last convolution work on.
        norm: PATN's on DeepFashion is by instance.
        attention: Whether attention moves the image code before the blocks do (not the paper's).
        carry: Whether pixels of the source are carried into the coarse image (nor is this).
    """

    def __init__(
        self,
        *,
        width: int = 64,
        max_width: int = 256,
        down_samplings: int = 3,
        blocks: int = 9,
        activation: Activation = leaky_relu,
        dropout: float = 0.0,
        pose_channels: int = 36,
        patch: int = 1,
        norm: Norm = InstanceNorm,
        attention: bool = False,
        carry: bool = False,
    ) -> None:
        super().__init__()
        channels = widths(width, max_width, down_samplings)
        self.image_encoder = encoder(3, channels, activation, patch, norm=norm)
        self.pose_encoder = encoder(pose_channels, channels, activation, patch, norm=norm, smooth=True)
        self.blocks = nn.ModuleList(
            PoseAttentionalTransferBlock(channels[-1], channels[-1] * (1 if i == 0 else 2), activation, dropout, norm)
            for i in range(blocks)
        )
        layers: list[nn.Module] = []
        for wide, narrow in pairwise(channels[::-1]):
            layers += normalised(_doubling(wide, narrow, patch), narrow, activation, norm)
        image = reflected(channels[0], 3 * patch**2, stem_size(patch))
        self.decoder = nn.Sequential(*layers, image, nn.Tanh(), SmoothPixelShuffle(patch))
        self.apply(initialise)
        paint_evenly(image, patch)
        self.attention = (
            PoseGuidedAttention(channels, activation, norm, patch=patch, joints=pose_channels // 2)
            if attention
            else None
        )
        self.carry = CarriedPixels(channels[-1], channels[0], patch=patch, joints=pose_channels // 2) if carry else None

    def forward(self, source: Tensor, poses: Tensor) -> tuple[Tensor, Tensor]:
        """Transfer.

        Args:
            source: I_s, N×3×H×W in [−1, 1]; H and W are multiples of ``patch``·2^``down_samplings``.
            poses: P_s and P_t, concatenated: N×36×H×W in [0, 1].

        Returns:
            Ĩ_c, N×3×H×W in [−1, 1], and F_t, N×C×h×w, smaller by ``patch``·2^``down_samplings``.
        """
        image, pose = self.image_encoder(source), self.pose_encoder(poses)
        if self.attention is not None:
            image = self.attention(image, poses)
        for block in self.blocks:
            image, pose = block(image, pose)
        features = self.decoder[:-_PAINTING](image)
        painted = self.decoder[-_PAINTING:](features)
        if self.carry is not None:
            painted = self.carry(source, poses, image, features, painted)
        return painted, image
