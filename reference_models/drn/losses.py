"""The losses of §IV-B, each a function of tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def reconstruction_loss(generated: Tensor, target: Tensor) -> Tensor:
    """L_recon: mean absolute difference of pixels in [−1, 1]."""
    return (generated - target).abs().mean()


def perceptual_loss(generated: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Eq. (6): mean absolute difference of the features of each layer, summed over the layers.

    The paper leaves the norm open; PATN takes L1.

    Args:
        generated: φ_l(Ĩ) of each layer, N×C×H×W.
        target: φ_l(I_t), likewise.
    """
    return torch.stack([(g - t).abs().mean() for g, t in zip(generated, target, strict=True)]).sum()


def gram(features: Tensor) -> Tensor:
    """G of eq. (8): N×C×H×W to N×C×C, divided by C·H·W."""
    n, c, h, w = features.shape
    flat = features.reshape(n, c, h * w)
    return flat @ flat.transpose(1, 2) / (c * h * w)


def style_loss(generated: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    """Eq. (8): squared Frobenius distance of the Gram matrices, summed over the layers, mean over the batch.

    Two things are ours. Eq. (8) divides by C·H·W once more, as G was before: that would make the term vanish beside the
    others, and is left out. And features count in units of their root mean square in the target, because the term grows
    with their fourth power: only so does λ_sty weigh alike for every network φ and every layer.
    """
    distances = []
    for g, t in zip(generated, target, strict=True):
        size = t.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-6)
        distances.append((gram(g / size) - gram(t / size)).square().sum((1, 2)).mean())
    return torch.stack(distances).sum()


def least_squares(scores: Tensor, *, real: bool) -> Tensor:
    """LSGAN (Mao et al., ICCV 2017): mean squared distance of the scores to 1 for real, to 0 for generated."""
    return (scores - float(real)).square().mean()


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Mean of the two halves, as PATN's: real pairs shall score 1, generated ones 0."""
    return (least_squares(real, real=True) + least_squares(generated, real=False)) / 2
