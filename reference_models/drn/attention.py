"""Attention from the target's pose to the source's: not the paper's, and in the small size only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fhpt_eval.reference_models.drn.blocks import Activation, Norm, ResidualBlock, encoder, initialise


class PoseGuidedAttention(nn.Module):
    """Brings the image code to where the target's pose wants it.

    Scaled dot-product attention with one head (Vaswani et al., NeurIPS 2017): queries come from P_t, keys from P_s, by
    the same encoder and with each place's coordinates, and values from the image code.

    Args:
        widths: Channels of the pose encoder, the last ones also of the image code.
        activation: After each normalisation.
        norm: Of the pose encoder.
        patch: Side of the squares of pixels that the first convolution works on.
        joints: Heatmaps of one pose.
    """

    def __init__(
        self, widths: list[int], activation: Activation, norm: Norm, *, patch: int = 1, joints: int = 18
    ) -> None:
        super().__init__()
        channels = widths[-1]
        self.pose = nn.Sequential(
            encoder(joints, widths, activation, patch, norm=norm, smooth=True),
            ResidualBlock(channels, channels, activation, norm=norm),
        )
        self.pose.apply(initialise)
        self.query, self.key = (nn.Conv2d(channels + 2, channels // 2, kernel_size=1) for _ in range(2))
        self.value, self.output = (nn.Conv2d(channels, channels, kernel_size=1) for _ in range(2))
        for layer in (self.query, self.key, self.value, self.output):
            nn.init.normal_(layer.weight, 0.0, layer.in_channels**-0.5)

    def forward(self, image: Tensor, poses: Tensor) -> Tensor:
        """Look the image code up.

        Args:
            image: Image code of I_s, N×C×h×w.
            poses: P_s and P_t, concatenated: N×2·``joints``×H×W in [0, 1].

        Returns:
            An image code of the same shape, at the places of the target.
        """
        source, target = self._placed(poses).chunk(2)
        query, key, value = (_listed(x) for x in (self.query(target), self.key(source), self.value(image)))
        found = functional.scaled_dot_product_attention(query, key, value)
        brought: Tensor = self.output(found.mT.reshape(image.shape))
        return brought

    def _placed(self, poses: Tensor) -> Tensor:
        """Codes of the sources' poses, then of the targets', each with its places' y and x in [−1, 1]."""
        codes = self.pose(torch.cat(poses.chunk(2, dim=1)))
        sides = [torch.linspace(-1, 1, size, dtype=codes.dtype, device=codes.device) for size in codes.shape[2:]]
        places = torch.stack(torch.meshgrid(*sides, indexing="ij")).expand(len(codes), -1, -1, -1)
        # Channels last as the codes are, or their concatenation would not be.
        return torch.cat([codes, places.contiguous(memory_format=torch.channels_last)], dim=1)


def _listed(features: Tensor) -> Tensor:
    """N×C×h×w to a list of places, N×hw×C."""
    return features.flatten(2).mT
