"""What a Fréchet distance would be of endlessly many images, from what it is of fewer (Chong & Forsyth, CVPR 2020)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from fhpt_eval.maths.definition import by_definition
from fhpt_eval.maths.statistics import GaussianStats, Rows, frechet_distance

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
    x: Rows,
    groups: Sequence[Hashable],
    reference: GaussianStats | tuple[Rows, Sequence[Hashable]],
    points: int,
    seed: int = SEED,
) -> Extrapolated | None:
    """Extrapolate the Fréchet distance of two sets to endlessly many images, by groups that are drawn at random.

    Parts of half to all of the groups are drawn, in equal steps, without replacement. The paper's parts begin at a
    tenth; smaller ones than halves bend the line where there are not many times more images than dimensions. Rows are
    read once for each point, and not held.

    Args:
        x: n rows of dimension D.
        groups: The group of each of the n rows.
        reference: The other set: its statistics, which stay as they are, or rows of its own and their groups, which are
            drawn along.
        points: Of the line, two or more.
        seed: Of the draws.

    Returns:
        The line; None where there are too few groups.
    """
    sides = [(x, groups)] if isinstance(reference, GaussianStats) else [(x, groups), reference]
    if any(len({*names}) < FEWEST_ITEMS for _, names in sides):
        return None
    code = {name: i for i, name in enumerate(dict.fromkeys(name for _, names in sides for name in names))}
    indexed = [(rows, np.array([code[name] for name in names])) for rows, names in sides]
    dim = len(next(iter(x)))
    random = np.random.default_rng(seed)
    found = []
    for share in np.linspace(0.5, 1, points):
        drawn = np.zeros(len(code), dtype=np.bool_)
        drawn[random.permutation(len(code))[: round(share * len(code))]] = True
        a, *others = (GaussianStats.of(compress(rows, drawn[group]), dim) for rows, group in indexed)
        b = reference if isinstance(reference, GaussianStats) else others[0]
        if min(a.n, b.n) >= 2:
            # A definition takes half a minute a point at 2,048 dimensions, and says the same.
            with by_definition(on=False):
                found.append(Point(a.n, b.n, frechet_distance(a, b)))
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
