"""The whole network: transfer branch, detail replenishing branch, face module, assembly (Fig. 3)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from fhpt_eval.reference_models.drn.blocks import InstanceNorm, LayerNorm
from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.detail import FaceModule, ResidualModule
from fhpt_eval.reference_models.drn.transfer import PoseTransferBranch, widths

FACE_SIZE = 64
"""Side of the face crops in pixels (§V)."""


class Images(NamedTuple):
    """What the body part of the network gives; images are N×3×H×W, in [−1, 1] except for the sum of two.

    Attributes:
        coarse: Ĩ_c.
        residual: R_t; None without a detail branch.
        refined: Ĩ_c + R_t; the coarse image without a detail branch.
        guidance: F_t.
    """

    coarse: Tensor
    residual: Tensor | None
    refined: Tensor
    guidance: Tensor


class DetailReplenishingNetwork(nn.Module):
    """DRN as configured; the face module is a network of its own, because it is trained by itself.

    Attributes:
        transfer: G_P.
        detail: The global module; None in ``pb-only``.
    """

    def __init__(self, config: DrnConfig) -> None:
        super().__init__()
        self.transfer = PoseTransferBranch(
            width=config.width,
            max_width=config.max_width,
            down_samplings=config.down_samplings,
            blocks=config.transfer_blocks,
            patch=config.patch,
            norm=LayerNorm if config.transfer_norm == "layer" else InstanceNorm,
            attention=config.attention,
            carry=config.carry,
        )
        channels = widths(config.width, config.max_width, config.down_samplings)
        self.detail = (
            ResidualModule(channels, style_blocks=config.style_blocks, style_code=config.style_code, patch=config.patch)
            if config.detail
            else None
        )

    def forward(self, source: Tensor, poses: Tensor) -> Images:
        """I_s, N×3×H×W in [−1, 1], and the two poses, N×36×H×W, to images."""
        coarse, guidance = self.transfer(source, poses)
        if self.detail is None:
            return Images(coarse, None, coarse, guidance)
        residual = self.detail(source, guidance)
        return Images(coarse, residual, coarse + residual, guidance)


def face_module(config: DrnConfig) -> FaceModule:
    """Return the face module of a configuration."""
    channels = widths(config.width, config.max_width, config.down_samplings)
    return FaceModule(channels, style_blocks=config.style_blocks, style_code=config.style_code, patch=config.patch)
