"""Pictures side by side as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fhpt_eval.images.decoding import Rgb

_GAP = 4
_WHITE = 255


def sheet(rows: Sequence[Sequence[Rgb]]) -> Rgb:
    """Return rows of as many pictures each on white, smaller ones filled up at the right and at the bottom: H×W×3."""
    height = max(picture.shape[0] for row in rows for picture in row)
    width = max(picture.shape[1] for row in rows for picture in row)
    return np.vstack([np.hstack([_framed(picture, height, width) for picture in row]) for row in rows])


def _framed(picture: Rgb, height: int, width: int) -> Rgb:
    below, right = height - picture.shape[0], width - picture.shape[1]
    edges = ((_GAP, _GAP + below), (_GAP, _GAP + right), (0, 0))
    return np.pad(picture, edges, constant_values=_WHITE)
