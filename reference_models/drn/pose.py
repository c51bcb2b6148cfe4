"""What the network is told about poses: heatmaps of the body (§IV-A) and a sketch of the face."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from fhpt_eval.maths.keypoints import Points, found

Maps = npt.NDArray[np.float32]

SIGMA = 6 / 256
"""σ of a joint's Gaussian in image heights: PATN's 6 pixels (``tool/generate_pose_map_fashion.py``)."""

_LINES = (
    (range(17), False),
    (range(17, 22), False),
    (range(22, 27), False),
    (range(27, 31), False),
    (range(31, 36), False),
    (range(36, 42), True),
    (range(42, 48), True),
    (range(48, 60), True),
    (range(60, 68), True),
)
"""iBUG's 68 points as lines, and whether each is closed: jaw, brows, nose, eyes, lips."""

_FRACTION_BITS = 4
_LARGEST_DENORMAL = float(np.finfo(np.float32).smallest_normal) * (1 - 2.0**-23)


def heatmaps(bodies: Tensor, height: int, width: int) -> Tensor:
    """Return a Gaussian about each joint: N×J×height×width in [0, 1]; zeros for a joint that was not found.

    A Gaussian is separable, so that exponentials are taken of rows and columns alone.

    Args:
        bodies: N×J×3, pixels with the centre of the first one at 0.5, on any device.
        height: Of the images.
        width: Of the images.
    """
    there = bodies[..., 2] > 0
    x, y = (torch.where(there, bodies[..., i].double(), 0) for i in range(2))
    rows, columns = _bells(y, height, SIGMA * height), _bells(x, width, SIGMA * height) * there[..., None]
    maps = rows.float()[..., :, None] * columns.float()[..., None, :]
    # Far from a joint values are denormal: they say nothing, and a CPU is several times slower at multiplying them.
    return functional.threshold(maps, _LARGEST_DENORMAL, 0.0, inplace=True)


def _bells(centres: Tensor, length: int, sigma: float) -> Tensor:
    """N×J centres to N×J×length: Gaussians of height 1 along a line of pixels."""
    pixels = torch.arange(length, device=centres.device) + 0.5
    return torch.exp(-((pixels - centres[..., None]) ** 2) / (2 * sigma**2))


def sketch(face: Points, crop: npt.NDArray[np.int64], size: int) -> Maps:
    """H_F: the landmarks as lines, 1×size×size in [0, 1]; lines to points that were not found are left out.

    Args:
        face: 68×3 in pixels of the image.
        crop: The square that is drawn: left, top, right, bottom.
        size: Side of the drawing.
    """
    canvas = np.zeros((size, size), np.uint8)
    there = found(face)
    scale = size / (crop[2] - crop[0])
    points = (np.where(there[:, None], face[:, :2], 0) - crop[:2]) * scale - 0.5
    fixed = np.rint(points * 2**_FRACTION_BITS).astype(np.int32)
    for indices, closed in _LINES:
        line = list(indices)
        for a, b in zip(line, [*line[1:], *(line[:1] if closed else [])], strict=False):
            if there[a] and there[b]:
                start, end = (tuple(int(v) for v in fixed[i]) for i in (a, b))
                cv2.line(canvas, start, end, (255,), 1, cv2.LINE_AA, _FRACTION_BITS)
    return (canvas.astype(np.float32) / 255)[None]
