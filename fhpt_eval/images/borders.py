"""White borders about pictures, as padding leaves them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fhpt_eval.images.decoding import Rgb


class Borders(NamedTuple):
    """Columns and rows that are white at each side, in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def __str__(self) -> str:
        """Their widths, side by side: ``40 pixels`` at either side, or ``16 pixels at the right, 6 at the bottom``."""
        if self.left == self.right and not self.top and not self.bottom:
            return f"{self.left} pixels"
        sides = {"left": self.left, "right": self.right, "top": self.top, "bottom": self.bottom}
        first, *others = (f"{width} at the {side}" for side, width in sides.items() if width)
        return ", ".join((first.replace(" at", " pixels at", 1), *others))

    def box(self, outer: tuple[int, int], inner: tuple[int, int]) -> tuple[int, int] | None:
        """Return where a box of ``inner`` width and height lies in ``outer`` so that all about it is white.

        Returns:
            Left and top, as near to the middle as the borders allow; None where there is no such place.
        """
        left = _place(outer[0] - inner[0], self.left, self.right)
        top = _place(outer[1] - inner[1], self.top, self.bottom)
        return None if left is None or top is None else (left, top)


def _place(spare: int, before: int, after: int) -> int | None:
    """Return how much of what is spare lies before the box: half of it, or what the borders allow."""
    if spare < 0 or before + after < spare:
        return None
    return min(max(spare // 2, spare - after), before)


def white_borders(pictures: Iterable[Rgb]) -> Borders:
    """Return the borders that all pictures have; a column or row is white if JPEG could have made it of white.

    Args:
        pictures: H×W×3 uint8, one at least.
    """
    each = [_of_picture(pixels) for pixels in pictures]
    return Borders(*(min(sides) for sides in zip(*each, strict=True)))


def _of_picture(pixels: Rgb) -> Borders:
    across, down = _white(pixels, axis=0), _white(pixels, axis=1)
    return Borders(_run(across), _run(down), _run(across[::-1]), _run(down[::-1]))


def _white(pixels: Rgb, axis: int) -> npt.NDArray[np.bool_]:
    lines: npt.NDArray[np.bool_] = (pixels.mean((axis, 2)) >= 250) & (pixels.min((axis, 2)) >= 200)
    return lines


def _run(white: Sequence[bool] | npt.NDArray[np.bool_]) -> int:
    """Return how many lines in a row are white from the first on."""
    return int(np.argmin([*white, False]))
