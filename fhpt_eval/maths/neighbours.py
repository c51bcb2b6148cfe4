"""Precision, recall, density and coverage: which points of one set lie in balls about the points of another.

A ball about a point reaches to its k-th nearest neighbour in its own set, itself not counted. Distances are compared
squared, in float64. A product of matrices rounds the distance of two equal pairs of rows in two ways, so every distance
that its rounding could put on the wrong side of a radius is computed again from the difference of the rows: that gives
equal rows equal distances, and ties are ties.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths.statistics import Floats

Vectors = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

ROWS, COLUMNS = 512, 4096
"""Of a block of distances, 16 MB."""


class Neighbourhoods(NamedTuple):
    """What lies where.

    Attributes:
        precise: Which generated points lie in a real point's ball, its surface included (Kynkäänniemi et al., 2019).
        recalled: Which real points lie in a generated point's ball, its surface included.
        dense: In how many real points' balls each generated point lies, without their surfaces (Naeem et al., 2020).
        covered: Which real points' balls hold a generated point, without their surfaces.
    """

    precise: Flags
    recalled: Flags
    dense: npt.NDArray[np.int64]
    covered: Flags


def neighbourhoods(generated: Vectors, real: Vectors, near: int, dense: int) -> Neighbourhoods:
    """Return which points lie in whose balls.

    Args:
        generated: n×D.
        real: m×D.
        near: The k of precision and recall, below n and m.
        dense: The k of density and coverage, below m.
    """
    of_generated = squared_radii(generated, [near])[0]
    of_real, of_real_dense = squared_radii(real, [near, dense])
    precise, counts = np.zeros(len(generated), np.bool_), np.zeros(len(generated), np.int64)
    recalled, covered = np.zeros(len(real), np.bool_), np.zeros(len(real), np.bool_)
    for i in range(0, len(real), ROWS):
        for j in range(0, len(generated), COLUMNS):
            rows, columns = slice(i, i + ROWS), slice(j, j + COLUMNS)
            distances = _Distances(real[rows], generated[columns])
            precise[columns] |= distances.within(of_real[rows, None], surface=True).any(axis=0)
            recalled[rows] |= distances.within(of_generated[None, columns], surface=True).any(axis=1)
            inside = distances.within(of_real_dense[rows, None], surface=False)
            counts[columns] += inside.sum(axis=0)
            covered[rows] |= inside.any(axis=1)
    return Neighbourhoods(precise, recalled, counts, covered)


def squared_radii(points: Vectors, ks: list[int]) -> list[Floats]:
    """Return for each k the squared distance of every point to its k-th nearest other one.

    Args:
        points: n×D.
        ks: Each at least 1 and below n.
    """
    reach = max(ks)
    found = np.empty((len(points), reach))
    for i in range(0, len(points), ROWS):
        rows = points[i : i + ROWS]
        nearest = np.empty((len(rows), 0))
        candidates = np.empty((len(rows), 0), np.intp)
        for j in range(0, len(points), COLUMNS):
            block = _Distances(rows, points[j : j + COLUMNS]).rounded
            itself = np.arange(len(rows))
            own = (i + itself >= j) & (i + itself < j + block.shape[1])
            block[itself[own], (i + itself - j)[own]] = np.inf
            nearest = np.concatenate([nearest, block], axis=1)
            columns = np.broadcast_to(np.arange(j, j + block.shape[1]), block.shape)
            candidates = np.concatenate([candidates, columns], axis=1)
            kept = min(reach + _SPARE, nearest.shape[1])
            order = np.argpartition(nearest, kept - 1, axis=1)[:, :kept]
            nearest = np.take_along_axis(nearest, order, axis=1)
            candidates = np.take_along_axis(candidates, order, axis=1)
        for row, (near, there) in enumerate(zip(nearest, candidates, strict=True)):
            here = there[np.isfinite(near)]
            # Those left out are farther than those kept, but for rounding, which the spare ones make up for.
            found[i + row] = np.sort(_exact(rows[row : row + 1], points[here]))[:reach]
    return [found[:, k - 1] for k in ks]


_SPARE = 8
"""Neighbours kept beyond the k-th, among which rounding may have exchanged the order."""


class _Distances:
    """Squared distances of rows to columns, and how far rounding may have moved them."""

    def __init__(self, rows: Vectors, columns: Vectors) -> None:
        self._rows, self._columns = rows, columns
        x, y = rows.astype(np.float64), columns.astype(np.float64)
        lengths = np.square(x).sum(axis=1)[:, None], np.square(y).sum(axis=1)[None, :]
        self.rounded: Floats = lengths[0] + lengths[1] - 2 * (x @ y.T)
        largest = float(lengths[0].max(initial=0) + lengths[1].max(initial=0))
        self.error = 4 * (x.shape[1] + 4) * float(np.finfo(np.float64).eps) * largest

    def within(self, radii: Floats, *, surface: bool) -> Flags:
        """Whether each distance is below its radius, or with ``surface`` no larger."""
        inside: Flags = self.rounded < radii
        rows, columns = np.nonzero(np.abs(self.rounded - radii) <= self.error)
        whole = np.broadcast_to(radii, self.rounded.shape)
        for start in range(0, len(rows), ROWS):
            row, column = rows[start : start + ROWS], columns[start : start + ROWS]
            exact, radius = _exact(self._rows[row], self._columns[column]), whole[row, column]
            inside[row, column] = exact <= radius if surface else exact < radius
        return inside


def _exact(one: Vectors, other: Vectors) -> Floats:
    """Return squared distances row by row: equal pairs of rows have equal ones, in either order."""
    difference = one.astype(np.float64) - other.astype(np.float64)
    found: Floats = np.square(difference).sum(axis=1)
    return found
