"""The detail replenishing module, eq. (3), and its two uses: a residual for the whole image, and the face."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from fhpt_eval.reference_models.drn.blocks import (
    AdaptiveInstanceNorm,
    ReflectionPad,
    ResidualBlock,
    SmoothPixelShuffle,
    encoder,
    initialise,
    leaky_relu,
    reflected,
    stem,
    stem_size,
)


class StyleEncoder(nn.Module):
    """From an image to its style code z_s: residual blocks and global average pooling (§IV-A).

    There is no normalisation here: instance normalisation would take away the very means that the pooled code is made
    of.

    Args:
        widths: Channels after the first convolution and after each halving of the size.
        blocks: Residual blocks; the first ones halve the size, as many as there are further widths.
        style_code: Length of z_s.
        patch: Side of the squares of pixels that the first convolution works on.
    """

    def __init__(self, widths: list[int], blocks: int, style_code: int, patch: int = 1) -> None:
        super().__init__()
        ins = [widths[min(i, len(widths) - 1)] for i in range(blocks)]
        outs = [widths[min(i + 1, len(widths) - 1)] for i in range(blocks)]
        self.layers = nn.Sequential(
            stem(3, widths[0], patch),
            leaky_relu(),
            *(
                ResidualBlock(a, b, leaky_relu, norm=None, stride=2 if i + 1 < len(widths) else 1)
                for i, (a, b) in enumerate(zip(ins, outs, strict=True))
            ),
            leaky_relu(),
        )
        self.code = nn.Linear(outs[-1], style_code)

    def forward(self, image: Tensor) -> Tensor:
        """N×3×H×W in [−1, 1] to N×``style_code``."""
        code: Tensor = self.code(self.layers(image).mean((2, 3)))
        return code


class DetailGenerator(nn.Module):
    """G_T of eq. (3): up-sampling convolutions over the guidance map, each modulated by the style code.

    Args:
        widths: Channels of the guidance map first, then of each doubled size.
        style_code: Length of z_s.
        patch: Side of the squares of pixels that the last convolution makes.
    """

    def __init__(self, widths: list[int], style_code: int, patch: int) -> None:
        super().__init__()
        self.modulations = nn.ModuleList(AdaptiveInstanceNorm(channels, style_code) for channels in widths)
        self.convolutions = nn.ModuleList(
            [
                nn.Sequential(nn.Upsample(scale_factor=2), reflected(wide, narrow, 3))
                for wide, narrow in pairwise(widths)
            ]
        )
        self.activation = nn.LeakyReLU(0.2)
        size = stem_size(patch)
        self.padding = ReflectionPad(size // 2)
        self.output = nn.Conv2d(widths[-1], 3 * patch**2, size)
        self.pixels = SmoothPixelShuffle(patch)

    def forward(self, style: Tensor, guidance: Tensor) -> Tensor:
        """N×``style_code`` and N×C×h×w to N×3×H×W, without bounds."""
        features = self.activation(self.modulations[0](guidance, style))
        for modulation, convolution in zip(list(self.modulations)[1:], self.convolutions, strict=True):
            features = self.activation(modulation(convolution(features), style))
        detail: Tensor = self.pixels(self.output(self.padding(features)))
        return detail


class DetailReplenishingModule(nn.Module):
    """R_t = G_T(z_s, F_t), where z_s is the style of an image (Fig. 4).

    Args:
        widths: Channels from the full size down to the guidance map's.
        style_blocks: Residual blocks of the style encoder.
        style_code: Length of z_s.
        patch: Side of the squares of pixels that the first and the last convolutions work on.
    """

    def __init__(self, widths: list[int], *, style_blocks: int, style_code: int, patch: int) -> None:
        super().__init__()
        self.style = StyleEncoder(widths, style_blocks, style_code, patch)
        self.generator = DetailGenerator(widths[::-1], style_code, patch)
        self.apply(initialise)

    def forward(self, appearance: Tensor, guidance: Tensor) -> Tensor:
        """N×3×H×W in [−1, 1] and N×C×h×w to N×3×H×W, without bounds."""
        detail: Tensor = self.generator(self.style(appearance), guidance)
        return detail


class ResidualModule(DetailReplenishingModule):
    """The global module: the residual map R_t of the whole image. It starts at 0, where the refined is the coarse."""

    def __init__(self, widths: list[int], *, style_blocks: int, style_code: int, patch: int) -> None:
        super().__init__(widths, style_blocks=style_blocks, style_code=style_code, patch=patch)
        nn.init.zeros_(self.generator.output.weight)


class FaceModule(nn.Module):
    """The regional module: the target's face from the source's, in the pose of a landmark sketch (§IV-A).

    Its guidance comes from the sketch H_F by an encoder as the transfer branch has; both crops are 64×64 (§V).

    Args:
        widths: Channels from the full size down to the guidance map's.
        style_blocks: Residual blocks of the style encoder.
        style_code: Length of z_s.
        patch: Side of the squares of pixels that the first and the last convolutions work on.
    """

    def __init__(self, widths: list[int], *, style_blocks: int, style_code: int, patch: int) -> None:
        super().__init__()
        self.sketch = encoder(1, widths, leaky_relu, patch)
        self.sketch.apply(initialise)
        self.detail = DetailReplenishingModule(widths, style_blocks=style_blocks, style_code=style_code, patch=patch)

    def forward(self, face: Tensor, sketch: Tensor) -> Tensor:
        """N×3×64×64 in [−1, 1] and N×1×64×64 in [0, 1] to Ĩ_F, N×3×64×64 in [−1, 1]."""
        return torch.tanh(self.detail(face, self.sketch(sketch)))
