"""What a Fréchet distance would be of endlessly many images, from what it is of fewer (Chong & Forsyth, CVPR 2020)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from fhpt_eval.maths.statistics import Floats, GaussianStats, frechet_distance

FEWEST_ITEMS = 4
"""Of which half are two: a covariance needs two images."""

SEED = 0


class Point(NamedTuple):
    """The distance of part of the images."""

    generated: int
    reference: int
    value: float


class Extrapolated(NamedTuple):
    """A line through distances over one by the number of images.

    Attributes:
        value: Where one by the number is 0.
        bias: How much the distance of all images is above that.
        error: Standard error of the value by what the points are off the line; None where there are only two.
        points: What the line goes through; the last is of all images.
    """

    value: float
    bias: float
    error: float | None
    points: tuple[Point, ...]


def extrapolated(
    x: Floats,
    y: Floats,
    groups_x: Sequence[Hashable],
    groups_y: Sequence[Hashable] | None,
    points: int,
    seed: int = SEED,
) -> Extrapolated | None:
    """Extrapolate the Fréchet distance of two sets to endlessly many images, by groups that are drawn at random.

    Parts of half to all of the groups are drawn, in equal steps, without replacement. The paper's parts begin at a
    tenth; smaller ones than halves bend the line where there are not many times more images than dimensions.

    Args:
        x: n rows of dimension D.
        y: m rows.
        groups_x: The group of each of the n rows.
        groups_y: Of each of the m rows, which are drawn along; None where they stay as they are.
        points: Of the line, two or more.
        seed: Of the draws.

    Returns:
        The line; None where there are too few groups.
    """
    names = [*dict.fromkeys([*groups_x, *(groups_y or ())])]
    code = {name: i for i, name in enumerate(names)}
    gx = np.array([code[g] for g in groups_x])
    gy = None if groups_y is None else np.array([code[g] for g in groups_y])
    if len({*groups_x}) < FEWEST_ITEMS or (groups_y is not None and len({*groups_y}) < FEWEST_ITEMS):
        return None
    random = np.random.default_rng(seed)
    found = []
    for share in np.linspace(0.5, 1, points):
        drawn = np.zeros(len(names), dtype=np.bool_)
        drawn[random.permutation(len(names))[: round(share * len(names))]] = True
        a, b = x[drawn[gx]], y if gy is None else y[drawn[gy]]
        if min(len(a), len(b)) >= 2:
            value = frechet_distance(GaussianStats.of(a, a.shape[1]), GaussianStats.of(b, b.shape[1]))
            found.append(Point(len(a), len(b), value))
    if len(found) < 2:
        return None
    design = np.stack([np.ones(len(found)), [len(x) / point.generated for point in found]], axis=1)
    distances = np.array([point.value for point in found])
    line = np.linalg.lstsq(design, distances, rcond=None)[0]
    error = None
    if len(found) > 2:
        left = np.square(distances - design @ line).sum() / (len(found) - 2)
        error = float(np.sqrt(left * np.linalg.inv(design.T @ design)[0, 0]))
    return Extrapolated(float(line[0]), float(found[-1].value - line[0]), error, tuple(found))
