"""Retrieval over arrays: exact search, exclusions, recall and its expectation by chance.

Queries are rows 0…n−1, the gallery is rows 0…m−1 in the order of file names. −1 stands for "none" throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths import formulas
from fhpt_eval.maths.definition import definition_asked
from fhpt_eval.maths.statistics import Floats

Indices: TypeAlias = npt.NDArray[np.intp]
Vectors: TypeAlias = npt.NDArray[np.float32]
Definition: TypeAlias = Literal["hit", "fraction"]


def unit_length(features: npt.NDArray[Any]) -> Vectors:
    """Scale a vector (D) to Euclidean length 1 (float32, computed in float64); zeros stay."""
    wide = features.astype(np.float64)
    length = np.sqrt(np.square(wide).sum())
    return (wide / length if length > 0 else wide).astype(np.float32)


def rank(queries: Vectors, gallery: Vectors, depth: int) -> Indices:
    """Return the gallery rows of largest inner product with each query, best first, equal ones by row.

    faiss searches exactly but in float32, where the blocking of a matrix product makes equal rows differ in the last
    digit. So it is asked for every row that its rounding could have put on the wrong side, and those are put in order
    by float64 products that are equal for equal rows. It searches in the gallery itself, of which there is no copy.

    Args:
        queries: n×D, of length 1.
        gallery: m×D, of length 1, m ≥ 1.
        depth: How many rows are wanted.

    Returns:
        n×min(depth, m).
    """
    # What is not finite has no place among float32 products; its sum is not finite either.
    if definition_asked() or not np.isfinite(gallery.sum() + queries.sum()):
        return formulas.ranking(queries, gallery, depth)
    import faiss

    depth = min(depth, len(gallery))
    ranking = np.empty((len(queries), depth), dtype=np.intp)
    # A float32 product of two unit vectors is off by less than D/2 · eps (Higham 2002, §3.1), here on both sides.
    slack = gallery.shape[1] * float(np.finfo(np.float32).eps)
    unsettled = np.arange(len(queries))
    reach = depth
    while len(unsettled):
        reach = min(2 * reach, len(gallery))
        left = []
        for start in range(0, len(unsettled), _QUERIES):
            asked = unsettled[start : start + _QUERIES]
            products, found = faiss.knn(queries[asked], gallery, reach, metric=faiss.METRIC_INNER_PRODUCT)
            settled = (products[:, -1] < products[:, depth - 1] - slack) | (reach == len(gallery))
            ranking[asked[settled]] = _in_order(queries[asked[settled]], gallery, found[settled], depth)
            left.append(asked[~settled])
        unsettled = np.concatenate(left)
    return ranking


_QUERIES = 1024
"""Searched for at once."""

_AT_ONCE = 2_000_000
"""Numbers of rows that are compared at once, 16 MB."""


def _in_order(queries: Vectors, gallery: Vectors, found: Indices, depth: int) -> Indices:
    """Return the best of the rows found for each query, by products in float64, equal ones by row."""
    candidates = np.sort(found, axis=1)
    exact = np.empty(candidates.shape)
    step = max(1, _AT_ONCE // (candidates.shape[1] * gallery.shape[1]))
    for start in range(0, len(queries), step):
        some = slice(start, start + step)
        rows = gallery[candidates[some]].astype(np.float64)
        rows *= queries[some, None]
        exact[some] = rows.sum(axis=2)
    order = np.argsort(-exact, axis=1, kind="stable")[:, :depth]
    best: Indices = np.take_along_axis(candidates, order, axis=1)
    return best


@dataclass(frozen=True, eq=False)
class Questions:
    """What is asked of a gallery.

    Attributes:
        query: n labels, ≥ 0 or −1: relevant for a query is what has its label.
        gallery: m labels, likewise.
        excluded: n×E gallery rows that do not count for a query, each at most once; −1 fills up.
    """

    query: Indices
    gallery: Indices
    excluded: Indices

    def candidates(self) -> Indices:
        """For each query, how many gallery rows are left."""
        left: Indices = len(self.gallery) - (self.excluded >= 0).sum(axis=1)
        return left

    def relevant(self) -> Indices:
        """For each query, how many relevant gallery rows are left."""
        of_label = np.bincount(self.gallery[self.gallery >= 0], minlength=int(self.query.max(initial=-1)) + 1)
        # The last entry is what a query without label finds.
        left: Indices = np.append(of_label, 0)[self.query] - self._relevant_at(self.excluded).sum(axis=1)
        return left

    def nearest(self, ranking: Indices, k: int) -> Indices:
        """Return each query's first k rows, less the excluded ones: n×k, −1 beyond the last row.

        Args:
            ranking: n×depth gallery rows, best first, where depth is at least min(k + E, m); all −1 for no answer.
            k: How many rows are retrieved.
        """
        barred = (ranking[:, :, None] == self.excluded[:, None, :]).any(axis=2)
        order = np.argsort(barred, axis=1, kind="stable")
        kept = np.take_along_axis(np.where(barred, -1, ranking), order, axis=1)[:, :k]
        filled = np.full((len(ranking), k), -1, dtype=np.intp)
        filled[:, : kept.shape[1]] = kept
        return filled

    def found(self, ranking: Indices, k: int) -> npt.NDArray[np.bool_]:
        """Whether each of the `nearest` rows is relevant: n×k, False beyond the last row."""
        return self._relevant_at(self.nearest(ranking, k))

    def among(self, rows: Indices) -> Questions:
        """Return the same questions of the gallery that has only these rows, numbered again."""
        renumbered = self.renumber(rows)
        return Questions(self.query, self.gallery[rows], renumbered[self.excluded])

    def renumber(self, rows: Indices) -> Indices:
        """Map from old to new row numbers where only ``rows`` stay, also of −1: m + 1 entries, −1 for what is gone."""
        renumbered = np.full(len(self.gallery) + 1, -1, dtype=np.intp)
        renumbered[rows] = np.arange(len(rows))
        return renumbered

    def _relevant_at(self, rows: Indices) -> npt.NDArray[np.bool_]:
        labels = self.query[:, None]
        relevant: npt.NDArray[np.bool_] = (rows >= 0) & (labels >= 0) & (self.gallery[rows] == labels)
        return relevant


def recall(found: npt.NDArray[np.bool_], relevant: Indices, definition: Definition) -> Floats:
    """Recall@k of each query.

    Args:
        found: n×k, whether what was retrieved is relevant.
        relevant: How many relevant rows there are for each of the n queries, ≥ 1.
        definition: ``hit``: 1 where any of the k is relevant; ``fraction``: the share of all relevant ones that is
            among the k, which stays below 1 where there are more than k.
    """
    if definition == "hit":
        return np.asarray(found.any(axis=1), dtype=np.float64)
    share: Floats = found.sum(axis=1) / relevant
    return share


def chance(candidates: Indices, relevant: Indices, k: int, definition: Definition) -> Floats:
    """Return expected recall@k of each query when the gallery is in random order, in closed form.

    ``hit``: 1 − C(N − R, k)/C(N, k) for R relevant of N candidates; ``fraction``: k/N, whatever R.
    """
    n = candidates.astype(np.float64)
    if definition == "fraction":
        share: Floats = np.minimum(k / n, 1)
        return share
    miss = np.ones(len(n))
    for drawn in range(k):
        miss *= np.clip(n - relevant - drawn, 0, None) / np.maximum(n - drawn, 1)
    hit: Floats = 1 - miss
    return hit
