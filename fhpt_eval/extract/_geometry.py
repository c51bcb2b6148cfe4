"""Geometries of batches on a device: the same as `Geometry.apply` of each image, within 1e-6 of the range of values.

Every resize filter here is linear, and separable into columns and rows, so that it is two products with matrices. These
are not computed a second time but read off the library itself, by showing it images with a single bright pixel a row.
Products are in float64, where no GPU rounds factors to TF32; for Pillow's filters of uint8, which compute in whole
numbers of 2⁻²² and round after either of them, the results are equal.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fhpt_eval.images.geometry import Clip, Crop, Geometry, Resize, Round, Step

_FIXED_POINT = {"pil-bicubic": Image.Resampling.BICUBIC}
"""Filters of Pillow's that work on uint8."""

_LINEAR = ("torch-bilinear", "tf1-bilinear", "pil-float-bicubic")

_ONE = 2**22
"""The unit of the whole numbers that Pillow weighs uint8 by (PRECISION_BITS)."""

_ROWS = 256
"""How many single pixels one image shows a filter."""


def apply(geometry: Geometry, images: Tensor) -> Tensor:
    """Apply a geometry to N×3×H×W images on 0…255, uint8 or float32, on their device, without waiting for it.

    Raises:
        NotImplementedError: A step cannot be made on a device.
    """
    for step in geometry.steps:
        images = _apply(step, images)
    return images


def _apply(step: Step, images: Tensor) -> Tensor:
    if isinstance(step, Resize):
        return _resize(step, images)
    if isinstance(step, Clip):
        return images.clamp(0, 255)
    if isinstance(step, Round):
        return images.round().clamp(0, 255).to(torch.uint8)
    if isinstance(step, Crop):
        return images[:, :, step.top : step.top + step.height, step.left : step.left + step.width]
    raise NotImplementedError(f"{step} on a device")


def _resize(step: Resize, images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    columns, rows = (
        # From pinned memory, where there is any, the copy is not waited for; each stream gets one of its own.
        _weights(step.filter, before, after, pinned=images.is_cuda).to(images.device, non_blocking=True)
        for before, after in ((width, step.width), (height, step.height))
    )
    values = images.to(torch.float64, memory_format=torch.contiguous_format)
    if step.filter not in _FIXED_POINT:
        return (rows @ (values @ columns.T)).float()
    if _columns_first(step, height, width):
        return _whole(rows @ _whole(values @ columns.T)).to(torch.uint8)
    return _whole(_whole(rows @ values) @ columns.T).to(torch.uint8)


def _whole(sums: Tensor) -> Tensor:
    """Bring sums of uint8 weighed in fixed point back to whole numbers of 0…255."""
    return ((sums + _ONE // 2) / _ONE).floor().clamp(0, 255)


@lru_cache(maxsize=4096)
def _columns_first(step: Resize, height: int, width: int) -> bool:
    """Tell whether Pillow goes over columns before rows, which it decides by the sizes: by showing it noise."""
    noise = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (height, width, 3))
    columns, rows = (
        _weights(step.filter, before, after, pinned=False)
        for before, after in ((width, step.width), (height, step.height))
    )
    found = _whole(rows @ _whole(torch.from_numpy(noise[:, :, 0]).double() @ columns.T))
    return np.array_equal(found.numpy(), step(noise)[:, :, 0])


@lru_cache(maxsize=256)
def _weights(name: str, before: int, after: int, *, pinned: bool) -> Tensor:
    """Return the after×before matrix of a filter, float64, on the CPU."""
    if name not in (*_FIXED_POINT, *_LINEAR):
        raise NotImplementedError(f"the filter {name} on a device")
    matrix = np.empty((after, before))
    for start in range(0, before, _ROWS):
        count = min(_ROWS, before - start)
        shown = np.eye(count, before, start)
        if name in _FIXED_POINT:
            # In whole numbers of 32 bits Pillow weighs and rounds as it rounds its weights for uint8.
            image = Image.fromarray((shown * _ONE).astype(np.int32))
            seen = np.asarray(image.resize((after, count), _FIXED_POINT[name]))
        else:
            resize = Resize(width=after, height=count, filter=name)
            seen = resize(np.repeat(shown[:, :, None], 3, axis=2).astype(np.float32))[:, :, 0]
        matrix[:, start : start + count] = seen.T
    weights = torch.from_numpy(matrix)
    return weights.pin_memory() if pinned else weights
