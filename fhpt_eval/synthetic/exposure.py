"""What a real camera and a web shop do to a picture: defocus, noise of the sensor, and JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from fhpt_eval.synthetic.light import encoded, from_srgb

_SHOT_NOISE = (0.001, 0.012)
"""Standard deviation at white, linear, where it goes with the root of the signal."""
_READ_NOISE = (0.0005, 0.003)
_BLUR = 0.002
"""Standard deviation, of the image's height at most; few pictures are that soft."""
_QUALITY = (75, 95)


@dataclass(frozen=True)
class Exposure:
    """How one photograph comes out.

    Attributes:
        blur: Standard deviation of the defocus, share of the height.
        shot: Noise of the light, at white.
        read: Noise of the sensor.
        quality: Of the JPEG.
        subsampling: Of its colours.
        seed: Of the noise.
    """

    blur: float
    shot: float
    read: float
    quality: int
    subsampling: Literal["4:4:4", "4:2:0"]
    seed: int

    def develop(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the picture (H×W×3) with blur and noise."""
        if not (self.blur or self.shot or self.read):
            return pixels
        linear = from_srgb(pixels / 255.0)
        sigma = self.blur * len(pixels)
        linear = np.clip(gaussian_filter(linear, (sigma, sigma, 0)), 0, 1)
        noise: npt.NDArray[Any] = np.random.default_rng(self.seed).normal(size=linear.shape)
        linear = linear + noise * np.sqrt(self.shot**2 * linear + self.read**2)
        return np.asarray(np.round(np.clip(encoded(linear), 0, 1) * 255), dtype=np.uint8)


CLEAN = Exposure(0.0, 0.0, 0.0, 95, "4:4:4", 0)
"""As rendered."""


def draw_exposure(seed: int) -> Exposure:
    """Draw how a photograph with this seed comes out."""
    rng = np.random.default_rng([seed, 1])
    return Exposure(
        blur=_BLUR * float(rng.uniform(0, 1)) ** 2,
        shot=float(rng.uniform(*_SHOT_NOISE)),
        read=float(rng.uniform(*_READ_NOISE)),
        quality=int(rng.integers(_QUALITY[0], _QUALITY[1] + 1)),
        subsampling="4:2:0",
        seed=seed,
    )
