"""Eight pairs of two-coloured figures with known keypoints, drawn at 64×48: a training set for tests."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HEIGHT, WIDTH = 64, 48
COLOURS = ((200, 40, 60), (40, 90, 200), (30, 150, 80), (150, 60, 160))


def joints(pose: int) -> np.ndarray:
    """18×2 positions of a figure that raises one arm or the other, or leans."""
    lean, left, right = ((0, 12, 12), (5, -10, 12), (-5, 12, -10), (0, -10, -10))[pose]
    neck, hip = np.array([24 + lean, 20]), np.array([24, 40])
    of_neck = [(0, -8), (0, 0), (-7, 1), (-11, right // 2), (-14, right), (7, 1), (11, left // 2), (14, left)]
    of_hip = [(-4, 0), (-5, 9), (-6, 18), (4, 0), (5, 9), (6, 18)]
    of_head = [(-2, -10), (2, -10), (-4, -9), (4, -9)]
    points = [neck + np.array(of_neck), hip + np.array(of_hip), neck + np.array(of_head)]
    positions: np.ndarray = np.concatenate(points).astype(int)
    return positions


def draw(identity: int, pose: int) -> Image.Image:
    image = Image.new("RGB", (WIDTH, HEIGHT), (240, 238, 232))
    canvas = ImageDraw.Draw(image)
    at = joints(pose)
    shirt, trousers = COLOURS[identity % 4], COLOURS[(identity + 1) % 4]
    for chain, colour, width in (((2, 3, 4), shirt, 4), ((5, 6, 7), shirt, 4), ((8, 9, 10), trousers, 5)):
        canvas.line([tuple(at[i]) for i in chain], colour, width)
    canvas.line([tuple(at[i]) for i in (11, 12, 13)], trousers, 5)
    canvas.polygon([tuple(at[i]) for i in (2, 5, 11, 8)], shirt)
    x, y = at[0]
    canvas.ellipse([x - 5, y - 6, x + 5, y + 6], (225, 180, 150))
    return image


def write(folder: Path, identities: int = 2, poses: int = 2, *, pairs: int = 8) -> tuple[Path, Path, Path]:
    """Write images, a list of pairs and an annotation list; return folder, list and annotations."""
    images = folder / "images"
    images.mkdir(parents=True)
    lines, rows = ["from,to"], ["name:keypoints_y:keypoints_x"]
    for identity in range(identities):
        for pose in range(poses):
            name = f"p{identity}v{pose}.png"
            draw(identity, pose).save(images / name)
            xs, ys = joints(pose).T.tolist()
            rows.append(f"{name}:{ys}:{xs}")
        names = [f"p{identity}v{pose}.png" for pose in range(poses)]
        lines += [f"{a},{b}" for a, b in permutations(names, 2)]
    (folder / "pairs.csv").write_text("\n".join(lines[: pairs + 1]) + "\n")
    (folder / "keypoints.csv").write_text("\n".join(rows) + "\n")
    return images, folder / "pairs.csv", folder / "keypoints.csv"
