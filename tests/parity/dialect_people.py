"""Somebody in each picture, written down as the field writes keypoints, and the masks that its scripts draw of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from dialect_files import Folders, Pixels, files_of, target_name
from PIL import Image
from skimage import draw as _draw
from skimage import morphology as _morphology

from fhpt_eval.people.keypoint_files import KeypointFiles

# Any, because scikit-image is typed in part only.
draw: Any = _draw
morphology: Any = _morphology

HEAD = [0, 1, 14, 15, 16, 17]
"""Nose, neck, eyes and ears."""


def people(folders: Folders, role: str) -> dict[str, Pixels]:
    """The 18 joints of each picture by its name: y and x in whole pixels, -1 where they are not seen.

    Generated people stand a little off. The fourth target's head has no width, the sixth has none.
    """
    width, height = folders.size
    found = {}
    for i, (generated, _) in enumerate(files_of(folders)):
        rng = np.random.default_rng(i % folders.different)
        points = np.stack([rng.integers(height, size=18), rng.integers(width, size=18)], axis=1)
        points[HEAD] = points[0] // 2 + rng.integers(0, 25, (6, 2))
        if i == 3:
            points[HEAD, 1] = 40
        off = rng.integers(-9, 10, points.shape)
        seen, kept = rng.random((2, 18)) > 0.2
        if i == 5:
            seen[HEAD[:-1]] = False
        if role == "generated":
            points, seen = np.clip(points + off, 0, [height - 1, width - 1]), kept
        points[~seen] = -1
        found[generated.name if role == "generated" else target_name(generated)] = points
    return found


def annotated(file: Path, known: dict[str, Pixels]) -> KeypointFiles:
    """Write the field's list."""
    rows = [f"{name}:{points[:, 0].tolist()}:{points[:, 1].tolist()}" for name, points in known.items()]
    file.write_text("\n".join(["name:keypoints_y:keypoints_x", *rows]) + "\n", encoding="utf-8")
    return KeypointFiles.at(file)


LIMBS = (
    "2-3 2-6 3-4 4-5 6-7 7-8 2-9 9-10 10-11 2-12 12-13 13-14 2-1 1-15 15-17 1-16 16-18 2-17 2-18 9-12 12-6 9-3 17-18"
)


def mask_of(points: Pixels, shape: tuple[int, int]) -> Pixels:
    """Where a person of these joints is: bands along limbs, disks about joints, closed by 5×5; H×W×1."""
    mask = np.zeros(shape, dtype=bool)
    for limb in LIMBS.split():
        a, b = (points[int(joint) - 1].astype(float) for joint in limb.split("-"))
        if min(a.min(), b.min()) < 0 or (a == b).all():
            continue
        across = 4 * np.array([b[1] - a[1], a[0] - b[0]]) / np.hypot(*(a - b))
        rows, columns = np.array([a + across, a - across, b - across, b + across]).T
        mask[draw.polygon(rows, columns, shape=shape)] = True
    for point in points:
        if point.min() >= 0:
            mask[draw.disk(point, 4, shape=shape)] = True
    square = np.ones((5, 5), dtype=bool)
    return np.asarray(morphology.erosion(morphology.dilation(mask, square), square))[..., None]


def masks(folders: Folders) -> list[Pixels]:
    """Of each pair."""
    return [mask_of(points, folders.size[::-1]) for points in people(folders, "target").values()]


def silhouettes(folders: Folders) -> Path:
    """Write these masks as pose-with-style has them: a PNG of each target, called after it."""
    folder = folders.root / "silhouettes"
    for (_, target), mask in zip(files_of(folders), masks(folders), strict=True):
        folder.mkdir(exist_ok=True)
        Image.fromarray(mask[..., 0].astype(np.uint8) * 255).save(folder / f"{target.stem}_sil.png")
    return folder
