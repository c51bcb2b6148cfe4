"""Statistics over arrays: no files, no networks. Each function is proven against an independent one in tests/parity."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


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
        self._rows: list[Floats] = []
        self._scatter: Floats | None = None

    @classmethod
    def of(cls, rows: Iterable[npt.NDArray[Any]], dim: int) -> GaussianStats:
        """Take in all of ``rows``, vectors of shape (D,), one at a time."""
        result = cls(dim)
        for row in rows:
            result._add(row)
        if result._scatter is None:
            result.mean = np.mean(result._rows, axis=0) if result.n else result.mean
        else:
            result._fold()
        return result

    def factor(self) -> Floats:
        """Return F of shape D×k with F Fᵀ equal to the sample covariance (divided by n − 1).

        Raises:
            ValueError: If there are fewer than two vectors.
        """
        if self.n < 2:
            raise ValueError(f"a covariance needs at least 2 images, here is {self.n}")
        from scipy import linalg

        if self._scatter is None:
            return np.asarray((np.asarray(self._rows) - self.mean).T / np.sqrt(self.n - 1))
        covariance = self._scatter / (self.n - 1)
        try:
            return np.asarray(linalg.cholesky(covariance, lower=True))
        except linalg.LinAlgError:
            # Singular in float64 (a feature that never fires, repeated images): the symmetric root exists all the same.
            values, vectors = linalg.eigh(covariance)
            return np.asarray(vectors * np.sqrt(np.clip(values, 0, None)))

    def _add(self, row: npt.NDArray[Any]) -> None:
        self._rows.append(np.asarray(row, dtype=np.float64).reshape(self.dim))
        self.n += 1
        if len(self._rows) == self.dim + 1:
            self._fold()

    def _fold(self) -> None:
        if not self._rows:
            return
        rows = np.asarray(self._rows)
        self._rows = []
        k, seen = len(rows), self.n - len(rows)
        mean = rows.mean(axis=0)
        centred = rows - mean
        step = mean - self.mean
        scatter = centred.T @ centred + np.outer(step, step) * (seen * k / self.n)
        self._scatter = scatter if self._scatter is None else self._scatter + scatter
        self.mean = self.mean + step * (k / self.n)


def frechet_distance(a: GaussianStats, b: GaussianStats) -> float:
    """Squared Fréchet distance of two Gaussians (Heusel et al., NeurIPS 2017), never negative.

    With Σ = F Fᵀ, the trace of (Σ₁Σ₂)^½ is the sum of the singular values of F₁ᵀF₂: real by construction, whatever
    the rank. F is the centred rows where there are at most D of them, the Cholesky factor otherwise. No matrix square
    root is taken, so there is no imaginary part and nothing to regularise; singular values are used rather than the
    eigenvalues of the product, because those square the condition number and keep half of the digits (1e-8 relative
    on singular covariances).

    Raises:
        ValueError: If a set has fewer than two vectors, or the dimensions differ.
    """
    if a.dim != b.dim:
        raise ValueError(f"dimensions differ: {a.dim} and {b.dim}")
    from scipy import linalg

    difference = a.mean - b.mean
    factor_a, factor_b = a.factor(), b.factor()
    trace = linalg.svdvals(factor_a.T @ factor_b).sum()
    total = np.square(factor_a).sum() + np.square(factor_b).sum()
    return max(0.0, float(difference @ difference + total - 2 * trace))


def polynomial_kernel(x: Floats, y: Floats) -> Floats:
    """Return the kernel of KID, (x·y/D + 1)³, for n×D and m×D rows: n×m."""
    product: Floats = x @ y.T / x.shape[1] + 1
    return product * product * product


class KernelDistance(NamedTuple):
    """A kernel distance.

    Attributes:
        value: The distance.
        interval: Of 95 %; None where groups cannot be left out.
        influences: How much each group moves the value; none where there is no interval.
        left_out: Pairs of different rows of one group that are in none of the sums: within the first set, within the
            second, and across.
    """

    value: float
    interval: Interval | None
    influences: Mapping[Hashable, float]
    left_out: tuple[int, int, int]


def kernel_distance(
    x: RowSource,
    y: RowSource,
    groups_x: Sequence[Hashable],
    groups_y: Sequence[Hashable],
    *,
    within_groups: bool,
    block: int = 1024,
) -> KernelDistance:
    """Unbiased squared MMD of all rows (KID; Bińkowski et al., ICLR 2018), with a jackknife interval.

    Every pair of rows is used once, so nothing is drawn at random. The interval is that of Student's t (k − 1 degrees
    for k groups) about the value, with the standard error that comes of leaving out one group at a time, on both sides
    at once: a garment's generated images and its targets go together.

    Args:
        x: n rows of dimension D, given as a function from a slice's bounds to the rows as float64.
        y: m rows, likewise.
        groups_x: The group of each of the n rows.
        groups_y: The group of each of the m rows.
        within_groups: Whether pairs of different rows of one group count, as if they were independent. Where rows of a
            group are alike the value is biased by them: downwards by those across, upwards by those within a set.
        block: Rows in memory at once from either side.

    Raises:
        ValueError: If there are fewer than two rows on a side, or no pairs of rows that count.
    """
    n, m = len(groups_x), len(groups_y)
    if min(n, m) < 2:
        raise ValueError(f"a kernel distance needs at least 2 images on each side, here are {n} and {m}")
    index = {group: i for i, group in enumerate(dict.fromkeys([*groups_x, *groups_y]))}
    gx = np.array([index[g] for g in groups_x])
    gy = np.array([index[g] for g in groups_y])
    k = len(index)
    sides = ((x, gx, x, gx), (y, gy, y, gy), (x, gx, y, gy))
    sums = [
        _kernel_sums(*side, k, block, skip_diagonal=same, within_groups=within_groups)
        for side, same in zip(sides, (True, True, False), strict=True)
    ]
    counts = [
        _pair_counts(one, other, k, skip_diagonal=same, within_groups=within_groups)
        for (_, one, _, other), same in zip(sides, (True, True, False), strict=True)
    ]
    possible = (n * (n - 1), m * (m - 1), n * m)
    a, b, across = (int(every - float(count.total)) for every, count in zip(possible, counts, strict=True))
    # Each pair within a set stands twice in its sum.
    left_out = (a // 2, b // 2, across)
    if min(float(count.total) for count in counts) == 0:
        raise ValueError("no pair of rows counts: all of a set are of one group")

    def mmd(sums: Sequence[Floats], counts: Sequence[Floats]) -> Floats:
        xx, yy, xy = (np.divide(each, count) for each, count in zip(sums, counts, strict=True))
        distance: Floats = xx + yy - 2 * xy
        return distance

    value = float(mmd([each.total for each in sums], [count.total for count in counts]))
    remaining = [count.total - count.touching for count in counts]
    if k < 3 or any((count <= 0).any() for count in remaining):
        return KernelDistance(value, None, {}, left_out)
    replicates = mmd([each.total - each.touching for each in sums], remaining)
    from scipy import special

    error = float(np.sqrt((k - 1) / k * np.square(replicates - replicates.mean()).sum()))
    reach = float(special.stdtrit(k - 1, 0.975)) * error
    influences = (k - 1) / k * (replicates.mean() - replicates)
    by_group = dict(zip(index, influences.tolist(), strict=True))
    return KernelDistance(value, Interval(value - reach, value + reach), by_group, left_out)


RowSource = Callable[[int, int], Floats]
"""From the bounds of a slice to those rows, n×D float64."""


class _Sums(NamedTuple):
    total: Floats
    """Over all pairs of rows."""
    touching: Floats
    """For each of the k groups, the part of the sum over pairs with at least one row in the group."""


def _kernel_sums(
    x: RowSource,
    gx: npt.NDArray[np.intp],
    y: RowSource,
    gy: npt.NDArray[np.intp],
    k: int,
    block: int,
    *,
    skip_diagonal: bool,
    within_groups: bool,
) -> _Sums:
    by_row, by_column, inside = np.zeros(k), np.zeros(k), np.zeros(k)
    for i in range(0, len(gx), block):
        rows, rows_group = x(i, min(i + block, len(gx))), gx[i : i + block]
        for j in range(0, len(gy), block):
            columns_group = gy[j : j + block]
            kernel = polynomial_kernel(rows, y(j, min(j + block, len(gy))))
            if skip_diagonal and i == j:
                np.fill_diagonal(kernel, 0)
            same = rows_group[:, None] == columns_group[None, :]
            if within_groups:
                inside += np.bincount(rows_group, np.where(same, kernel, 0).sum(1), minlength=k)
            else:
                kernel[same] = 0
            by_row += np.bincount(rows_group, kernel.sum(1), minlength=k)
            by_column += np.bincount(columns_group, kernel.sum(0), minlength=k)
    return _Sums(by_row.sum(), by_row + by_column - inside)


def _pair_counts(
    gx: npt.NDArray[np.intp], gy: npt.NDArray[np.intp], k: int, *, skip_diagonal: bool, within_groups: bool
) -> _Sums:
    """Return what `_kernel_sums` adds up for a kernel of 1."""
    n, m = (np.bincount(each, minlength=k).astype(np.float64) for each in (gx, gy))
    inside = n * m - n * skip_diagonal if within_groups else np.zeros(k)
    by_row, by_column = (own * (other.sum() - other) + inside for own, other in ((n, m), (m, n)))
    return _Sums(by_row.sum(), by_row + by_column - inside)


def subset_kernel_distance(x: Floats, y: Floats, subsets: int, size: int, seed: int = 2020) -> tuple[Floats, int]:
    """KID as most papers print it: the unbiased MMD of ``subsets`` random subsets.

    Drawn as torch-fidelity draws them (same generator, same order), so that equal features give equal numbers.

    Returns:
        The value of each subset, and the subset size used (the smaller set's size where ``size`` exceeds it).
    """
    size = min(size, len(x), len(y))
    rng = np.random.RandomState(seed)
    values = np.empty(subsets)
    off_diagonal = ~np.eye(size, dtype=bool)
    for i in range(subsets):
        a = x[rng.choice(len(x), size, replace=False)]
        b = y[rng.choice(len(y), size, replace=False)]
        pairs = size * (size - 1)
        values[i] = (
            polynomial_kernel(a, a)[off_diagonal].sum() / pairs
            + polynomial_kernel(b, b)[off_diagonal].sum() / pairs
            - 2 * polynomial_kernel(a, b).mean()
        )
    return values, size


def inception_score(logits: Floats, splits: int) -> Floats:
    """Inception Score of each of ``splits`` consecutive parts of n×C logits (Salimans et al., NeurIPS 2016).

    The parts are cut as the original script cuts them: part i is rows i·n//splits to (i + 1)·n//splits.
    """
    from scipy import special

    log_p = special.log_softmax(logits, axis=1)
    scores = []
    for i in range(splits):
        part = log_p[i * len(log_p) // splits : (i + 1) * len(log_p) // splits]
        # In logarithms throughout: the probability of a class that no image shows can underflow to 0.
        log_marginal = special.logsumexp(part, axis=0) - np.log(len(part))
        scores.append(np.exp((np.exp(part) * (part - log_marginal)).sum(axis=1).mean()))
    return np.asarray(scores)
