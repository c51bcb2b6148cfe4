"""Statistics over arrays: no files, no networks. Each function is proven against an independent one in tests/parity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths import formulas
from fhpt_eval.maths.definition import definition_asked
from fhpt_eval.maths.singular import eigen, nuclear_norm

Floats = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]


class Rows(Protocol):
    """n vectors of dimension D: an array of float64, or what is read as it is asked for and looks like one."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, numbers: Indices, /) -> Any:
        """Return the rows of these numbers, float64."""


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


class GaussianStats:
    """Mean and covariance of a stream of D-vectors in float64, in O(D²) memory.

    Up to D rows are kept as they came, because the Fréchet distance of small sets is both faster and more accurate
    on rows than on their singular covariance; beyond that they are folded into a sum of outer products about the mean
    (Chan, Golub & LeVeque 1979), which does not cancel as Σxxᵀ − nμμᵀ does.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.n = 0
        self.mean: Floats = np.zeros(dim)
        self._centred: Floats | None = None
        self._scatter: Floats = np.zeros((0, 0))
        self._triangular = False

    @classmethod
    def of(cls, rows: Iterable[npt.NDArray[Any]], dim: int) -> GaussianStats:
        """Take in all of ``rows``, vectors of shape (D,), one at a time."""
        result = cls(dim)
        for block in blocks(rows, dim, dim + 1):
            if len(block) <= dim and not result.n:
                result.n, result.mean = len(block), block.mean(axis=0)
                result._centred = block - result.mean
            else:
                result._fold(block)
        return result

    @classmethod
    def restored(
        cls, n: int, mean: Floats, *, centred: Floats | None = None, scatter: Floats | None = None
    ) -> GaussianStats:
        """Return what had these `n`, `mean`, and either `centred` or `scatter`."""
        result = cls(len(mean))
        result.n, result.mean, result._centred = n, mean, centred
        if scatter is not None:
            result._scatter = scatter
        return result

    @property
    def scatter(self) -> Floats | None:
        """The sum of outer products about the mean, D×D; None where there are at most D rows, which are `centred`."""
        return self._scatter if self._centred is None else None

    @property
    def centred(self) -> Floats | None:
        """The rows less their mean, n×D; None where there are more than D."""
        return self._centred

    @cached_property
    def factor(self) -> Floats:
        """F of shape D×k with F Fᵀ equal to the sample covariance (divided by n − 1).

        The centred rows where there are at most D of them, the Cholesky factor otherwise, or the symmetric root where
        the covariance is singular in float64 (a feature that never fires, repeated images).

        Raises:
            ValueError: If there are fewer than two vectors.
        """
        self._require_two()
        if self._centred is not None:
            return np.asarray(self._centred.T / np.sqrt(self.n - 1))
        from scipy import linalg

        try:
            found = np.asarray(linalg.cholesky(self.covariance(), lower=True))
        except linalg.LinAlgError:
            values, vectors = eigen(self.covariance())
            return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))
        self._triangular = True
        return found

    def back(self, directions: Floats) -> Floats:
        """Return (F⁺)ᵀ times ``directions``, k×r, with F⁺ the pseudo-inverse: D×r."""
        from scipy import linalg

        factor = self.factor
        if self._triangular:
            return np.asarray(linalg.solve_triangular(factor, directions, lower=True, trans="T"))
        # The columns are orthogonal, and some of them no more than rounding.
        squares = np.square(factor).sum(axis=0)
        kept = squares > squares.max(initial=0) * len(squares) * np.finfo(np.float64).eps
        return np.asarray((factor[:, kept] / squares[kept]) @ directions[kept])

    def covariance(self) -> Floats:
        """Return the sample covariance, D×D.

        Raises:
            ValueError: If there are fewer than two vectors.
        """
        self._require_two()
        scatter = self._scatter if self._centred is None else self._centred.T @ self._centred
        return np.asarray(scatter / (self.n - 1))

    def _require_two(self) -> None:
        if self.n < 2:
            raise ValueError(f"a covariance needs at least 2 images, here is {self.n}")

    def _fold(self, rows: Floats) -> None:
        seen, self.n = self.n, self.n + len(rows)
        mean = rows.mean(axis=0)
        centred = rows - mean
        step = mean - self.mean
        scatter = centred.T @ centred
        if seen:
            scatter += self._scatter
            scatter += np.outer(step, step) * (seen * len(rows) / self.n)
        self._scatter = scatter
        self.mean = self.mean + step * (len(rows) / self.n)


def blocks(rows: Iterable[npt.NDArray[Any]], dim: int, size: int) -> Iterator[Floats]:
    """Gather vectors of shape (D,) into blocks of ``size`` rows, the last of fewer; each is valid until the next."""
    block = np.empty((size, dim))
    filled = 0
    for row in rows:
        block[filled] = row.reshape(dim)
        filled += 1
        if filled == size:
            yield block
            filled = 0
    if filled:
        yield block[:filled]


def frechet_distance(a: GaussianStats, b: GaussianStats) -> float:
    """Squared Fréchet distance of two Gaussians (Heusel et al., NeurIPS 2017), never negative.

    With Σ = F Fᵀ, the trace of (Σ₁Σ₂)^½ is the sum of the singular values of F₁ᵀF₂: real by construction, whatever
    the rank. No matrix square root is taken, so there is no imaginary part and nothing to regularise.

    Raises:
        ValueError: If a set has fewer than two vectors, or the dimensions differ.
    """
    if a.dim != b.dim:
        raise ValueError(f"dimensions differ: {a.dim} and {b.dim}")
    if definition_asked():
        return formulas.frechet_distance(a.mean, a.covariance(), b.mean, b.covariance())
    return distance_by_trace(a, b, nuclear_norm(a.factor.T @ b.factor))


def distance_by_trace(a: GaussianStats, b: GaussianStats, trace: float) -> float:
    """Return the squared Fréchet distance, given the trace of (Σ₁Σ₂)^½."""
    difference = a.mean - b.mean
    total = np.square(a.factor).sum() + np.square(b.factor).sum()
    return max(0.0, float(difference @ difference + total - 2 * trace))


def class_divergences(logits: Rows, splits: int) -> list[Floats]:
    """Kullback–Leibler divergence of each row's classes from the mean of its part, for ``splits`` consecutive parts.

    The parts are cut as the original script of the Inception Score cuts them: part i is rows i·n//splits to
    (i + 1)·n//splits. Rows are in memory block by block, and read twice.

    Args:
        logits: n×C.
        splits: How many parts.
    """
    from scipy import special

    n = len(logits)
    found = []
    for i in range(splits):
        part = np.arange(i * n // splits, (i + 1) * n // splits)
        some = [part[start : start + ROWS] for start in range(0, len(part), ROWS)]
        # In logarithms throughout: the probability of a class that no image shows can underflow to 0.
        sums = [special.logsumexp(special.log_softmax(logits[numbers], axis=1), axis=0) for numbers in some]
        log_marginal = np.logaddexp.reduce(sums) - np.log(len(part))
        divergences = []
        for numbers in some:
            log_p = special.log_softmax(logits[numbers], axis=1)
            divergences.append((np.exp(log_p) * (log_p - log_marginal)).sum(axis=1))
        found.append(np.concatenate(divergences))
    return found


ROWS = 1024
"""In memory at once."""


def inception_score(divergences: Sequence[Floats]) -> Floats:
    """Inception Score of each part (Salimans et al., NeurIPS 2016), of its `class_divergences`."""
    return np.asarray([np.exp(part.mean()) for part in divergences])
