"""Masks of a person: what the field multiplies images by before it compares them (mask-SSIM).

One is drawn from keypoints as ``produce_ma_mask`` of pose-gan, PATN and GFLA does: a band of eight pixels along each of
23 limbs, a disk about each joint, then a dilation and an erosion by 5×5. Or it comes as a file.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fhpt_eval.files.given import GivenFile
from fhpt_eval.records import Missing

Fill: TypeAlias = Literal["black", "grey"]
"""What stands outside of the mask: 0, or the middle of the scale, 127.5."""

Bool = npt.NDArray[np.bool_]
Joint: TypeAlias = tuple[float, float] | None

_RADIUS = 4
_CLOSING = 5
_ONE_AT_A_TIME = threading.Lock()
"""For the import of scikit-image: its modules load lazily, and another thread can see half of one."""
_LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17), (1, 16), (1, 17), (8, 11), (11, 5), (8, 2), (16, 17)),
)
"""Pairs of `fhpt_eval.maths.keypoints.BODY_JOINTS`."""


@dataclass(frozen=True)
class Mask:
    """What of an image is looked at.

    Attributes:
        joints: x and y of the 18 body joints in pixels of the image as decoded, counted from 0 in the middle of the
            first as annotation lists count; None where a joint is missing. Empty
            where nothing is known of the person: the image is missing then.
        fill: What stands in place of the rest.
    """

    joints: tuple[Joint, ...]
    fill: Fill

    @property
    def key(self) -> str:
        """Hash of what the mask is made of."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]

    def draw(self, height: int, width: int) -> Bool:
        """Where the person is, H×W."""
        with _ONE_AT_A_TIME:
            from skimage import draw, morphology

            # scikit-image's drawing is untyped.
            disk: Any = draw.disk
            polygon: Any = draw.polygon
            closing = morphology.dilation, morphology.erosion
        mask = np.zeros((height, width), dtype=np.uint8)
        for first, second in _LIMBS:
            ends = self.joints[first], self.joints[second]
            if ends[0] is None or ends[1] is None or ends[0] == ends[1]:
                continue
            a, b = np.array(ends[0][::-1]), np.array(ends[1][::-1])
            along = a - b
            across = _RADIUS * np.array([-along[1], along[0]]) / np.linalg.norm(along)
            corners = np.array([a + across, a - across, b - across, b + across])
            mask[polygon(corners[:, 0], corners[:, 1], shape=mask.shape)] = 1
        for joint in self.joints:
            if joint is not None:
                mask[disk(joint[::-1], _RADIUS, shape=mask.shape)] = 1
        square = np.ones((_CLOSING, _CLOSING), dtype=np.uint8)
        dilation, erosion = closing
        return np.asarray(erosion(dilation(mask, square), square), dtype=bool)

    def apply(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the pixels (H×W×3, 0…255) within the mask; float32 where the fill is grey."""
        return within(self.draw(*pixels.shape[:2]), pixels, self.fill)


@dataclass(frozen=True)
class Silhouette:
    """What of an image is looked at, as a file has it: the person is where it is 128 or more.

    Attributes:
        file: An image of the size of the one that is masked, black and white; or why there is none: the image is
            missing then.
        fill: What stands in place of the rest.
    """

    file: GivenFile | Missing
    fill: Fill

    @property
    def key(self) -> str:
        """Hash of what the mask is made of, wherever its file lies."""
        made_of = self.file.reason if isinstance(self.file, Missing) else self.file.sha256
        return hashlib.sha256(f"silhouette at 128, {self.fill}, {made_of}".encode()).hexdigest()[:32]


def within(inside: Bool, pixels: npt.NDArray[Any], fill: Fill) -> npt.NDArray[Any]:
    """Return the pixels (H×W×3, 0…255) within a mask (H×W); float32 where the fill is grey."""
    if fill == "black":
        return np.asarray(pixels * inside[..., None])
    return np.where(inside[..., None], pixels, 127.5).astype(np.float32)
