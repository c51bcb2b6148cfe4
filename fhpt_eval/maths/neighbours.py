"""Precision, recall, density and coverage: which points of one set lie in balls about the points of another.

A ball about a point reaches to its k-th nearest neighbour in its own set, itself not counted. Distances are compared
squared. A product of matrices in float32 gives them first, and how far its rounding may have moved them; each that this
could put on the wrong side of a radius is computed again in float64 from the difference of the rows: that gives equal
rows equal distances, and ties are ties.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths import formulas
from fhpt_eval.maths.definition import definition_asked
from fhpt_eval.maths.statistics import Floats

Indices = npt.NDArray[np.intp]
Vectors = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

ROWS, COLUMNS = 1024, 4096
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
    if definition_asked():
        return Neighbourhoods(*formulas.neighbourhoods(generated, real, near, dense))
    generated, real = _near_one(generated, real)
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


def _near_one(first: Vectors, second: Vectors) -> tuple[Vectors, Vectors]:
    """Scale points by one power of two, which moves no digit, so that their squares are numbers of float32."""
    largest = max(float(np.abs(points).max()) for points in (first, second))
    if not 0 < largest < np.inf:
        return first, second
    power = -int(np.frexp(largest)[1])
    return np.ldexp(first, power), np.ldexp(second, power)


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
        # The nearest of those that were looked at: their distances, rising, and an upper limit of the k-th.
        nearest = np.full((len(rows), reach), np.inf)
        for j in range(0, len(points), COLUMNS):
            block = _Distances(rows, points[j : j + COLUMNS])
            itself = np.arange(i, i + len(rows))
            own = (itself >= j) & (itself < j + block.rounded.shape[1])
            block.rounded[np.flatnonzero(own), itself[own] - j] = np.inf
            nearest = _merged(nearest, block)
        found[i : i + len(rows)] = nearest
    return [found[:, k - 1] for k in ks]


def _merged(nearest: Floats, block: _Distances) -> Floats:
    """Return the nearest of what was found so far, n×k in rising order, and of a block."""
    reach = nearest.shape[1]
    limit = nearest[:, -1]
    if block.rounded.shape[1] >= reach:
        # The k-th nearest of the block is at most so far away, and so are those that count.
        limit = np.minimum(limit, np.partition(block.rounded + block.error, reach - 1, axis=1)[:, reach - 1])
    rows, columns = np.nonzero(block.rounded - block.error <= limit[:, None])
    row = np.concatenate([np.repeat(np.arange(len(nearest)), reach), rows])
    distance = np.concatenate([nearest.ravel(), block.exact(rows, columns)])
    order = np.lexsort((distance, row))
    start = np.searchsorted(row[order], np.arange(len(nearest)))
    merged: Floats = distance[order][start[:, None] + np.arange(reach)]
    return merged


class _Distances:
    """Squared distances of rows to columns in float32, and how far rounding may have moved them."""

    def __init__(self, rows: Vectors, columns: Vectors) -> None:
        self._rows, self._columns = rows, columns
        x, y = (np.square(each, dtype=np.float64).sum(axis=1).astype(np.float32) for each in (rows, columns))
        lengths = x[:, None] + y[None, :]
        self.rounded: Vectors = rows @ columns.T
        self.rounded *= -2
        self.rounded += lengths
        # A product of two rows is off by D/2 · eps of their lengths' product at most (Higham 2002, §3.1).
        lengths *= (rows.shape[1] + 8) * float(np.finfo(np.float32).eps)
        self.error: Vectors = lengths

    def within(self, radii: Floats, *, surface: bool) -> Flags:
        """Whether each distance is below its radius, or with ``surface`` no larger."""
        inside: Flags = self.rounded + self.error < radii
        rows, columns = np.nonzero(inside ^ (self.rounded - self.error <= radii))
        radius = np.broadcast_to(radii, inside.shape)[rows, columns]
        exact = self.exact(rows, columns)
        inside[rows, columns] = exact <= radius if surface else exact < radius
        return inside

    def exact(self, rows: Indices, columns: Indices) -> Floats:
        """Return distances in float64: equal pairs of rows have equal ones, in either order."""
        found = np.empty(len(rows))
        for start in range(0, len(rows), ROWS):
            some = slice(start, start + ROWS)
            difference = self._rows[rows[some]].astype(np.float64)
            difference -= self._columns[columns[some]]
            found[some] = np.square(difference, out=difference).sum(axis=1)
        return found
