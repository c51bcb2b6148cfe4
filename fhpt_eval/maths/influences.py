"""How much each row moves a statistic of a whole set: its derivative by the row's weight, where all weights are 1.

The derivatives of a set sum to 0. The sum over an item's rows is, to first order, by how much the statistic grows when
the item is there twice; the square root of the sum of squares over items is the statistic's standard error (the
infinitesimal jackknife: Efron 1982, ch. 6).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths.statistics import Floats, GaussianStats


class FrechetInfluences(NamedTuple):
    """The derivatives of a Fréchet distance: of the n rows of one set, and of the m rows of the other."""

    first: Floats
    second: Floats


def frechet_influences(
    a: GaussianStats, b: GaussianStats, rows_a: Iterable[npt.NDArray[Any]], rows_b: Iterable[npt.NDArray[Any]]
) -> FrechetInfluences:
    """Differentiate `fhpt_eval.maths.statistics.frechet_distance`.

    With Σ = F Fᵀ and the singular values U S Vᵀ of F₁ᵀF₂, the trace of (Σ₁Σ₂)^½ changes with a row x of the first set
    by half of |S^½ Uᵀ F₁⁺(x − μ₁)|² / (n − 1), with F⁺ the pseudo-inverse, and likewise on the other side.

    Args:
        a: Statistics of the first set.
        b: Statistics of the second set.
        rows_a: The first set's rows again, in any order; the derivatives are in that order.
        rows_b: The second set's.
    """
    factor_a, factor_b = a.factor(), b.factor()
    cross = factor_a.T @ factor_b
    shift = a.mean - b.mean
    return FrechetInfluences(
        _one_side(a, rows_a, shift, _root_of_trace(factor_a, cross)),
        _one_side(b, rows_b, -shift, _root_of_trace(factor_b, cross.T)),
    )


def _root_of_trace(factor: Floats, cross: Floats) -> Floats:
    """Return R with |R (x − μ)|² / (n − 1) the part of x in the trace of (Σ₁Σ₂)^½: (C Cᵀ)^¼ F⁺."""
    values, vectors = _eigen(cross @ cross.T)
    gram_values, gram_vectors = _eigen(factor.T @ factor)
    inverse = (gram_vectors / gram_values) @ (gram_vectors.T @ factor.T)
    root: Floats = (values**0.25)[:, None] * (vectors.T @ inverse)
    return root


def _eigen(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the eigenvalues of a positive semi-definite matrix that are no rounding, and their vectors."""
    from scipy import linalg

    values, vectors = linalg.eigh(matrix)
    kept = values > values.max(initial=0) * len(values) * np.finfo(np.float64).eps
    return values[kept], vectors[:, kept]


def _one_side(own: GaussianStats, rows: Iterable[npt.NDArray[Any]], shift: Floats, root: Floats) -> Floats:
    found = []
    for block in _blocks(rows, own.dim):
        centred = block - own.mean
        spread = np.square(centred).sum(axis=1) - np.square(centred @ root.T).sum(axis=1)
        found.append(2 * centred @ shift / own.n + spread / (own.n - 1))
    influence = np.concatenate(found)
    centred_influence: Floats = influence - influence.mean()
    return centred_influence


def _blocks(rows: Iterable[npt.NDArray[Any]], dim: int, size: int = 1024) -> Iterable[Floats]:
    block = []
    for row in rows:
        block.append(np.asarray(row, dtype=np.float64).reshape(dim))
        if len(block) == size:
            yield np.asarray(block)
            block = []
    if block:
        yield np.asarray(block)


def inception_score_influences(logits: Floats, splits: int) -> Floats:
    """Differentiate the mean of `fhpt_eval.maths.statistics.inception_score` over its splits.

    In a split, the score is exp of the mean divergence of a row's classes from their mean, and the mean of the classes
    moves with the rows without changing that to first order: a row's derivative is score · (divergence − mean) / n.

    Args:
        logits: n×C.
        splits: Consecutive parts.
    """
    from scipy import special

    log_p = special.log_softmax(logits, axis=1)
    found = []
    for i in range(splits):
        part = log_p[i * len(log_p) // splits : (i + 1) * len(log_p) // splits]
        log_marginal = special.logsumexp(part, axis=0) - np.log(len(part))
        divergence = (np.exp(part) * (part - log_marginal)).sum(axis=1)
        mean = divergence.mean()
        found.append(np.exp(mean) * (divergence - mean) / len(part) / splits)
    return np.concatenate(found)
