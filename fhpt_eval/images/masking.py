"""What is seen of a picture through its mask, and why that may be nothing."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy.typing as npt

from fhpt_eval.files.given import GivenFile
from fhpt_eval.files.regular import read_regular
from fhpt_eval.images.decoding import decode
from fhpt_eval.images.formats import ImageError
from fhpt_eval.images.masks import Bool, Mask, Silhouette, within
from fhpt_eval.records import Missing

_PERSON = 128
"""Grey level from which on a pixel of a mask's file belongs to the person."""


def masked(mask: Mask | Silhouette, pixels: npt.NDArray[Any], max_pixels: int) -> npt.NDArray[Any]:
    """Return the pixels (H×W×3, 0…255) within a mask.

    Args:
        mask: What is looked at.
        pixels: Of the picture.
        max_pixels: Refuse a larger file of a mask undecoded.

    Raises:
        ImageError: There is no mask, or its file cannot be one of this picture.
        OSError: Its file cannot be opened.
    """
    if isinstance(mask, Mask):
        if not mask.joints:
            raise ImageError("its target has no keypoints of its own to draw a mask from")
        return mask.apply(pixels)
    if isinstance(mask.file, Missing):
        raise ImageError(f"its target's mask is {mask.file.reason}")
    inside = _read(mask.file, max_pixels)
    if inside.shape != pixels.shape[:2]:
        (mask_height, mask_width), (height, width) = inside.shape, pixels.shape[:2]
        raise ImageError(f"its mask is {mask_width}×{mask_height}, and it is {width}×{height}: bring masks to its size")
    return within(inside, pixels, mask.fill)


def _read(file: GivenFile, max_pixels: int) -> Bool:
    """Return where the person is, H×W."""
    data = read_regular(file.path)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise ImageError("its mask was changed while it was being evaluated")
    try:
        decoded = decode(data, max_pixels)
    except ImageError as error:
        raise ImageError(f"its mask cannot be read: {error}") from None
    if "alpha composited on white" in decoded.notes:
        raise ImageError("its mask is transparent in places: save it in black and white")
    inside: Bool = decoded.pixels >= _PERSON
    if (inside != inside[..., :1]).any():
        raise ImageError(
            "its mask has colours: save it in black and white, the person in white (of a map of labels, what is not 0)"
        )
    if not inside.any():
        raise ImageError(f"its mask has no pixel of {_PERSON} or more: save the person in white (255), not as 1")
    return inside[..., 0]
