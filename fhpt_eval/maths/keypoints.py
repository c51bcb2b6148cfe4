"""Keypoints of a person as arrays: the three layouts, the scales that errors are divided by, and error curves.

Points are N×3 float arrays: x and y in pixels, and a score; a score of 0 (with x and y NaN) is a point not found.
``left`` and ``right`` are the person's own, except on the face, where iBUG counts from the image's left.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Part: TypeAlias = Literal["body", "face", "hands"]

BODY_JOINTS = (
    *("nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist"),
    *("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"),
    *("right eye", "left eye", "right ear", "left ear"),
)
"""The 18 joints of OpenPose's COCO model in its order. The field's annotation files name the left eye and ear first."""

_OTHER_SIDE = {"left": "right", "right": "left"}

MIRRORED_JOINTS = tuple(
    BODY_JOINTS.index(" ".join(_OTHER_SIDE.get(word, word) for word in name.split())) for name in BODY_JOINTS
)
"""Which joint of a person is seen at the place of each one in a mirrored image."""

HEAD_JOINTS = tuple(BODY_JOINTS.index(n) for n in ("nose", "neck", "right eye", "left eye", "right ear", "left ear"))
"""The joints whose bounding box is the head box of the field's PCKh (PATN's ``calPCKH_fashion.py``)."""

FACE_POINTS = (
    *(f"jaw {i}" for i in range(1, 18)),
    *(f"brow {i}" for i in range(1, 11)),
    *(f"nose {i}" for i in range(1, 10)),
    *(f"eye {i}" for i in range(1, 13)),
    *(f"outer lip {i}" for i in range(1, 13)),
    *(f"inner lip {i}" for i in range(1, 9)),
)
"""The 68 points of iBUG 300-W (Sagonas et al., ICCVW 2013) in its order, from the image's left to its right."""

_OUTER_EYE_CORNERS = (36, 45)

HAND_POINTS = (
    "wrist",
    *(f"thumb {joint}" for joint in ("cmc", "mcp", "ip", "tip")),
    *(
        f"{finger} {joint}"
        for finger in ("index", "middle", "ring", "little")
        for joint in ("mcp", "pip", "dip", "tip")
    ),
)
"""The 21 points of a hand (Simon et al., CVPR 2017), in the order of both OpenPose and MediaPipe."""

HANDS_POINTS = tuple(f"{side} {point}" for side in ("left", "right") for point in HAND_POINTS)
"""The points of both hands, the left one first: rows of a 2×21×3 array laid out as 42×3."""

PARTS: Mapping[Part, tuple[str, ...]] = MappingProxyType(
    {"body": BODY_JOINTS, "face": FACE_POINTS, "hands": HANDS_POINTS}
)
"""The names of each part's points. Records hold a part under its name: 18×3, 68×3 and 2×21×3."""

MPII_BIAS = 0.6
"""MPII's head size is this much of the diagonal of its head rectangle (Andriluka et al., CVPR 2014)."""


def found(points: Points) -> npt.NDArray[np.bool_]:
    """Which of N×3 points were found: N booleans."""
    return np.asarray(points[:, 2] > 0)


def inside_frame(points: Points, width: float, height: float) -> npt.NDArray[np.bool_]:
    """Which of N×3 points lie within an image of ``width`` and ``height`` pixels: N booleans, False if not found."""
    x, y = points[:, 0], points[:, 1]
    return np.asarray(found(points) & (x >= 0) & (x <= width) & (y >= 0) & (y <= height))


def errors(generated: Points, target: Points) -> Floats:
    """Distance from each of N×3 target points to the generated one, in pixels.

    Returns:
        N values: infinite where the generated image lacks the point (a miss), NaN where the target itself does.
    """
    offsets = generated[:, :2].astype(np.float64) - target[:, :2].astype(np.float64)
    distances = np.hypot(offsets[:, 0], offsets[:, 1])
    return np.where(found(target), np.where(found(generated), distances, np.inf), np.nan)


def errors_by_axis(generated: Points, target: Points) -> Floats:
    """Distance in x and in y from each of N×3 target points to the generated one, in pixels: N×2, as `errors`."""
    offsets = np.abs(generated[:, :2].astype(np.float64) - target[:, :2].astype(np.float64))
    return np.where(found(target)[:, None], np.where(found(generated)[:, None], offsets, np.inf), np.nan)


def head_box(body: Points) -> tuple[float, float] | None:
    """Width and height of the bounding box of the head joints of an 18×3 body; None when fewer than 2 are found."""
    head = body[list(HEAD_JOINTS)]
    head = head[found(head), :2].astype(np.float64)
    if len(head) < 2:
        return None
    width, height = np.ptp(head, axis=0)
    return float(width), float(height)


def head_size(body: Points) -> float:
    """0.6 of the diagonal of the head box, as MPII measures heads; NaN when fewer than 2 head joints are found."""
    box = head_box(body)
    return MPII_BIAS * float(np.hypot(*box)) if box else np.nan


def interocular_distance(face: Points) -> float:
    """Distance of the outer eye corners of a 68×3 face, as 300-W measures; NaN when one of them is not found."""
    corners = face[list(_OUTER_EYE_CORNERS)]
    if not found(corners).all():
        return np.nan
    offset = np.diff(corners[:, :2].astype(np.float64), axis=0)
    return float(np.hypot(offset[0, 0], offset[0, 1]))


def hand_size(hand: Points) -> float:
    """Return the longer side of the bounding box of a 21×3 hand's found points; NaN when fewer than 2 are found."""
    seen = hand[found(hand), :2].astype(np.float64)
    return float(np.ptp(seen, axis=0).max()) if len(seen) > 1 else np.nan


def share_within(distances: npt.ArrayLike, anchors: npt.ArrayLike) -> Floats:
    """Return the keypoint error curve P(α): the share of distances that are smaller than each anchor, strictly.

    Args:
        distances: N distances; an infinite one is a miss at every anchor (leave those out for the curve of the
            detected points).
        anchors: The values of α, in the same unit.

    Raises:
        ValueError: If there are no distances, or one is NaN.
    """
    ordered = np.sort(_without_nan(distances))
    if not len(ordered):
        raise ValueError("a curve needs at least one distance")
    return np.asarray(np.searchsorted(ordered, np.asarray(anchors, dtype=np.float64), side="left") / len(ordered))


def areas(distances: npt.ArrayLike, limits: npt.ArrayLike) -> Floats:
    """Area under each distance's own step curve from 0 to its limit, divided by the limit: in 0…1.

    A curve is the mean of its points' steps, so the mean of these areas is the area under the curve, exactly and
    without sampling; with one limit for all it is (1/α_max)·∫P(α)dα.

    Args:
        distances: N distances, infinite where missed.
        limits: α_max > 0, one for all or one for each.

    Raises:
        ValueError: If a distance is NaN.
    """
    return np.maximum(0.0, 1.0 - _without_nan(distances) / np.asarray(limits, dtype=np.float64))


def _without_nan(distances: npt.ArrayLike) -> Floats:
    values = np.asarray(distances, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("a distance is NaN: leave out the points that the target does not show")
    return values
