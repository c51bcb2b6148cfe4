"""Eq. (2): coarse image, residual and face put together under a blurred mask of the face box."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

SPREAD = 1 / 12
"""σ of the mask's Gaussian in sides of the face box: its window of 3σ is a quarter of the box."""

MARGIN = 3 * SPREAD
"""How far the face crop reaches beyond the face box, in sides of the box: as far as the blurred mask does."""


def crop_box(box: Tensor) -> Tensor:
    """Return the square that is cut out about a face box: 1.5 times its longer side, in whole pixels.

    Args:
        box: left, top, right, bottom in pixels.

    Returns:
        left, top, right, bottom as whole numbers; it may reach beyond the image.
    """
    left, top, right, bottom = (float(v) for v in box)
    side = math.ceil((1 + 2 * MARGIN) * max(right - left, bottom - top))
    x, y = math.floor((left + right - side) / 2), math.floor((top + bottom - side) / 2)
    return torch.tensor([x, y, x + side, y + side])


def face_mask(crop: Tensor, height: int, width: int) -> Tensor:
    """M_F = g(σ) ∗ 1_B, where B is the square of which ``crop`` is the `crop_box`.

    The Gaussian is discrete and cut off at 3σ, so that the mask is exactly 0 where there is no generated face. It is
    separable, and so is the indicator of a box: the mask is the outer product of two blurred lines.

    Args:
        crop: left, top, right, bottom, whole numbers.
        height: Of the image.
        width: Of the image.

    Returns:
        height×width in [0, 1].
    """
    left, top, right, bottom = (int(v) for v in crop)
    return torch.outer(_blurred(top, bottom, height), _blurred(left, right, width))


def _blurred(low: int, high: int, length: int) -> Tensor:
    """One line of the mask: 1 well inside of low…high, falling to 0 at both ends; float32."""
    side = (high - low) / (1 + 2 * MARGIN)
    sigma = SPREAD * side
    reach = math.floor(3 * sigma)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * max(sigma, 1e-9) ** 2))
    line = torch.zeros(high - low, dtype=torch.float64)
    line[reach : len(line) - reach] = 1
    blurred = functional.conv1d(line.view(1, 1, -1), (kernel / kernel.sum()).view(1, 1, -1), padding=reach).flatten()
    whole = torch.zeros(length, dtype=torch.float64)
    inside = slice(max(low, 0), max(min(high, length), 0))
    whole[inside] = blurred[inside.start - low : inside.stop - low]
    return whole.float()


def cut(image: Tensor, crop: Tensor, size: int) -> Tensor:
    """Cut a square out of a 3×H×W image (its border is repeated beyond it) and resize it, bicubic, to size×size."""
    _, height, width = image.shape
    left, top, right, bottom = (int(v) for v in crop)
    rows = torch.arange(top, bottom).clamp(0, height - 1)
    columns = torch.arange(left, right).clamp(0, width - 1)
    square = image[:, rows][:, :, columns]
    return _resized(square, size)


def _resized(square: Tensor, size: int) -> Tensor:
    return functional.interpolate(square[None], (size, size), mode="bicubic", antialias=True, align_corners=False)[0]


def assemble(image: Tensor, face: Tensor, crop: Tensor) -> Tensor:
    """Eq. (2): (1 − M_F) · image + M_F · face.

    Args:
        image: Ĩ_c + R_t, 3×H×W.
        face: Ĩ_F, 3×S×S, resized to the square.
        crop: Where the face belongs: left, top, right, bottom, whole numbers.

    Returns:
        3×H×W.
    """
    _, height, width = image.shape
    left, top, right, bottom = (int(v) for v in crop)
    mask = face_mask(crop, height, width).to(image)
    placed = image.clone()
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    resized = _resized(face, right - left)
    placed[:, rows, columns] = resized[
        :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]
    return (1 - mask) * image + mask * placed
