"""Normalisation and padding that leave channels last in memory where PyTorch's own put them first: on a GPU.

There each of PyTorch's would be followed by a copy back into the layout that convolutions are fastest in.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional


def instance_norm(features: Tensor, eps: float) -> Tensor:
    """Normalise each channel of each image, in float32."""
    normalised: Tensor = _InstanceNorm.apply(features.float(), eps)
    return normalised


def layer_norm(features: Tensor, eps: float) -> Tensor:
    """Normalise each image over all channels and places, in float32."""
    places = features.float().permute(0, 2, 3, 1)
    return functional.layer_norm(places, places.shape[1:], eps=eps).permute(0, 3, 1, 2)


def reflection_pad(features: Tensor, size: int) -> Tensor:
    """Pad all four sides with what is reflected about the border's pixels; gradients are summed in a fixed order."""
    padded: Tensor = _ReflectionPad.apply(features, size)
    return padded


class _InstanceNorm(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, eps: float) -> Tensor:
        variance, mean = torch.var_mean(features, (2, 3), correction=0, keepdim=True)
        scale = torch.rsqrt(variance + eps)
        normalised = (features - mean).mul_(scale)
        ctx.save_for_backward(normalised, scale)
        return normalised

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        normalised, scale = ctx.saved_tensors
        along = (gradient * normalised).mean((2, 3), keepdim=True)
        centred = gradient - gradient.mean((2, 3), keepdim=True)
        return centred.addcmul_(normalised, along, value=-1).mul_(scale), None


class _ReflectionPad(Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, size: int) -> Tensor:
        ctx.size = size
        n, c, height, width = features.shape
        shape = (n, c, height + 2 * size, width + 2 * size)
        padded = torch.empty(shape, dtype=features.dtype, device=features.device, memory_format=torch.channels_last)
        inner = slice(size, -size)
        padded[:, :, inner, inner] = features
        for outside, inside in _reflected(size, width):
            padded[:, :, inner, outside] = padded[:, :, inner, inside]
        for outside, inside in _reflected(size, height):
            padded[:, :, outside] = padded[:, :, inside]
        return padded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        size = ctx.size
        inner = slice(size, -size)
        summed = gradient.clone(memory_format=torch.channels_last)
        for outside, inside in _reflected(size, gradient.shape[2] - 2 * size):
            summed[:, :, inside] += summed[:, :, outside]
        for outside, inside in _reflected(size, gradient.shape[3] - 2 * size):
            summed[:, :, inner, inside] += summed[:, :, inner, outside]
        return summed[:, :, inner, inner].contiguous(memory_format=torch.channels_last), None


def _reflected(size: int, length: int) -> list[tuple[int, int]]:
    """Of a padded line, each index outside of the ``length`` pixels and the one inside that it repeats."""
    last = size + length - 1
    return [pair for i in range(1, size + 1) for pair in ((size - i, size + i), (last + i, last - i))]
