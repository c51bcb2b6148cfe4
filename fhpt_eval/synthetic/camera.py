"""A camera with a long lens, as of a studio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fhpt_eval.synthetic.body import Float


@dataclass(frozen=True)
class Camera:
    """It stands before the person (at negative y) and looks along +y.

    Attributes:
        eye: Position, metres.
        scale: Pixels of the picture for 1 at unit depth (the focal length).
        centre: Pixel (x, y) of the principal point; its integers are centres of pixels.
    """

    eye: tuple[float, float, float]
    scale: float
    centre: tuple[float, float]

    def project(self, points: Float) -> Float:
        """n×3 metres to n×2 pixels (x to the right, y down)."""
        relative = points - np.asarray(self.eye)
        across = relative[:, [0, 2]] / relative[:, [1]] * self.scale
        return np.column_stack([self.centre[0] + across[:, 0], self.centre[1] - across[:, 1]])

    def directions(self, pixels: Float) -> Float:
        """n×2 pixels to n×3 directions, 1 m deep."""
        x = (pixels[:, 0] - self.centre[0]) / self.scale
        z = (self.centre[1] - pixels[:, 1]) / self.scale
        return np.column_stack([x, np.ones(len(pixels)), z])


def framing(points: Float, height: int, width: int, distance: float, margin: tuple[float, float]) -> Camera:
    """Return a camera that fits points into a picture.

    Args:
        points: n×3, what has to be seen.
        height: Of the picture in pixels.
        width: Likewise.
        distance: From the points' middle, metres.
        margin: Share of the height left free above and below.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high) / 2
    eye = np.array([middle[0], middle[1] - distance, middle[2]])
    relative = points - eye
    seen = relative[:, [0, 2]] / relative[:, [1]]
    (left, bottom), (right, top) = seen.min(axis=0), seen.max(axis=0)
    scale = min(height * (1 - sum(margin)) / (top - bottom), 0.94 * width / (right - left))
    free = height - scale * (top - bottom)
    above = free * margin[0] / sum(margin) if sum(margin) else free / 2
    centre = (width - 1) / 2 - scale * (left + right) / 2, above + scale * top - 0.5
    return Camera((float(eye[0]), float(eye[1]), float(eye[2])), float(scale), (float(centre[0]), float(centre[1])))
