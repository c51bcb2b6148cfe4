"""How much each row moves a statistic of a whole set: its derivative by the row's weight, where all weights are 1.

The derivatives of a set sum to 0. The sum over an item's rows is, to first order, by how much the statistic grows when
the item is there twice; the square root of the sum of squares over items is the statistic's standard error (the
infinitesimal jackknife: Efron 1982, ch. 6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths import formulas
from fhpt_eval.maths.definition import definition_asked
from fhpt_eval.maths.singular import singular
from fhpt_eval.maths.statistics import ROWS, Floats, GaussianStats, blocks, distance_by_trace, frechet_distance


class FrechetInfluences(NamedTuple):
    """A Fréchet distance and its derivatives: by the n rows of one set, and by the m rows of the other, or none."""

    value: float
    first: Floats
    second: Floats


def frechet_influences(
    a: GaussianStats,
    b: GaussianStats,
    rows_a: Iterable[npt.NDArray[Any]],
    rows_b: Iterable[npt.NDArray[Any]] | None,
) -> FrechetInfluences:
    """Differentiate `fhpt_eval.maths.statistics.frechet_distance`.

    With Σ = F Fᵀ and the singular values U S Vᵀ of F₁ᵀF₂, the trace of (Σ₁Σ₂)^½ changes with a row x of the first set
    by half of |S^½ Uᵀ F₁⁺(x − μ₁)|² / (n − 1), with F⁺ the pseudo-inverse, and likewise on the other side.

    Args:
        a: Statistics of the first set.
        b: Statistics of the second set.
        rows_a: The first set's rows again, in the same order.
        rows_b: The second set's; None where its derivatives are not asked for.
    """
    shift = a.mean - b.mean
    if definition_asked():
        one, other = a.covariance(), b.covariance()
        return FrechetInfluences(
            frechet_distance(a, b),
            _row_by_row(a, rows_a, shift, formulas.root(formulas.transport(one, other))),
            _NONE if rows_b is None else _row_by_row(b, rows_b, -shift, formulas.root(formulas.transport(other, one))),
        )
    found = singular(a.factor.T @ b.factor)
    return FrechetInfluences(
        distance_by_trace(a, b, found.total),
        _one_side(a, rows_a, shift, found.left * np.sqrt(found.values)),
        _NONE if rows_b is None else _one_side(b, rows_b, -shift, found.right * np.sqrt(found.values)),
    )


def _one_side(own: GaussianStats, rows: Iterable[npt.NDArray[Any]], shift: Floats, weighted: Floats) -> Floats:
    """Return the derivatives by the rows of one set; ``weighted`` is U S^½."""
    if own.centred is None:
        return _row_by_row(own, rows, shift, own.back(weighted))
    # F is the rows themselves over √(n − 1), and the columns of U are in what its rows span: Uᵀ F⁺ F = Uᵀ.
    return _centred(_derivative(own, own.centred, shift, (own.n - 1) * np.square(weighted).sum(axis=1)))


def _row_by_row(own: GaussianStats, rows: Iterable[npt.NDArray[Any]], shift: Floats, back: Floats) -> Floats:
    """Return the derivatives, where |backᵀ (x − μ)|² / (n − 1) is the part of x in the trace."""
    found = []
    for block in blocks(rows, own.dim, ROWS):
        centred = block - own.mean
        found.append(_derivative(own, centred, shift, np.square(centred @ back).sum(axis=1)))
    return _centred(np.concatenate(found))


def _derivative(own: GaussianStats, centred: Floats, shift: Floats, moved: Floats) -> Floats:
    spread = np.square(centred).sum(axis=1) - moved
    return np.asarray(2 * centred @ shift / own.n + spread / (own.n - 1))


def _centred(influence: Floats) -> Floats:
    return np.asarray(influence - influence.mean())


_NONE: Floats = np.zeros(0)


def inception_score_influences(divergences: Sequence[Floats]) -> Floats:
    """Differentiate the mean of `fhpt_eval.maths.statistics.inception_score` over its parts.

    In a part, the score is exp of the mean divergence of a row's classes from their mean, and the mean of the classes
    moves with the rows without changing that to first order: a row's derivative is score · (divergence − mean) / n.

    Args:
        divergences: Of the rows of each part (`fhpt_eval.maths.statistics.class_divergences`).
    """
    found = []
    for part in divergences:
        mean = part.mean()
        found.append(np.exp(mean) * (part - mean) / len(part) / len(divergences))
    return np.concatenate(found)
