"""Kernel distances (KID; Bińkowski et al., ICLR 2018): of all rows, block by block, and of random subsets."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fhpt_eval.maths import formulas
from fhpt_eval.maths.definition import definition_asked
from fhpt_eval.maths.statistics import Floats, Indices, Interval, Rows


def polynomial_kernel(x: Floats, y: Floats) -> Floats:
    """Return the kernel of KID, (x·y/D + 1)³, for n×D and m×D rows: n×m."""
    product: Floats = x @ y.T
    product /= x.shape[1]
    product += 1
    square = product * product
    square *= product
    return square


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
    x: Rows,
    y: Rows,
    groups_x: Sequence[Hashable],
    groups_y: Sequence[Hashable],
    *,
    within_groups: bool,
    block: int = 2048,
) -> KernelDistance:
    """Unbiased squared MMD of all rows (KID; Bińkowski et al., ICLR 2018), with a jackknife interval.

    Every pair of rows is used once, so nothing is drawn at random. The interval is that of Student's t (k − 1 degrees
    for k groups) about the value, with the standard error that comes of leaving out one group at a time, on both sides
    at once: a garment's generated images and its targets go together.

    Args:
        x: n rows of dimension D.
        y: m rows of dimension D.
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
    sums, counts = [], []
    for (one, of_one, other, of_other), same in zip(sides, (True, True, False), strict=True):
        if definition_asked():
            whole = one[np.arange(len(one))], other[np.arange(len(other))], of_one, of_other
            between = formulas.kernel_sums(*whole, k, itself=same, within_groups=within_groups)
            sums.append(_Sums(between.sum(), between.sum(0) + between.sum(1) - np.diag(between)))
        else:
            tiles = _tiles(_ByGroup.sorted(one, of_one), _ByGroup.sorted(other, of_other), block, same=same)
            sums.append(_kernel_sums(tiles, k, within_groups=within_groups))
        counts.append(_pair_counts(of_one, of_other, k, skip_diagonal=same, within_groups=within_groups))
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


class _Sums(NamedTuple):
    total: Floats
    """Over all pairs of rows."""
    touching: Floats
    """For each of the k groups, the part of the sum over pairs with at least one row in the group."""


class _ByGroup(NamedTuple):
    """Rows by the group that they are of, so that the pairs within groups are rectangles."""

    rows: Rows
    number: Indices
    group: Indices

    @classmethod
    def sorted(cls, rows: Rows, group: Indices) -> _ByGroup:
        number = np.argsort(group, kind="stable")
        return cls(rows, number, group[number])


class _Tile(NamedTuple):
    """A block of the kernel's matrix, the group of each of its rows and columns, and how often it stands there."""

    kernel: Floats
    rows: Indices
    columns: Indices
    mirrored: bool


def _tiles(one: _ByGroup, other: _ByGroup, block: int, *, same: bool) -> Iterator[_Tile]:
    """Yield the kernel's matrix, of which one half is the mirror of the other where both sides are the ``same``."""
    for i in range(0, len(one.number), block):
        rows = one.rows[one.number[i : i + block]]
        for j in range(i if same else 0, len(other.number), block):
            diagonal = same and i == j
            columns = rows if diagonal else other.rows[other.number[j : j + block]]
            kernel = polynomial_kernel(rows, columns)
            if diagonal:
                np.fill_diagonal(kernel, 0)
            yield _Tile(kernel, one.group[i : i + block], other.group[j : j + block], same and not diagonal)


def _kernel_sums(tiles: Iterator[_Tile], k: int, *, within_groups: bool) -> _Sums:
    by_row, by_column, inside = np.zeros(k), np.zeros(k), np.zeros(k)
    for tile in tiles:
        for group in np.intersect1d(tile.rows, tile.columns):
            rows, columns = (slice(*np.searchsorted(each, (group, group + 1))) for each in (tile.rows, tile.columns))
            if within_groups:
                inside[group] += tile.kernel[rows, columns].sum() * (2 if tile.mirrored else 1)
            else:
                tile.kernel[rows, columns] = 0
        of_rows = np.bincount(tile.rows, tile.kernel.sum(axis=1), minlength=k)
        of_columns = np.bincount(tile.columns, tile.kernel.sum(axis=0), minlength=k)
        by_row += of_rows + of_columns if tile.mirrored else of_rows
        by_column += of_rows + of_columns if tile.mirrored else of_columns
    return _Sums(by_row.sum(), by_row + by_column - inside)


def _pair_counts(gx: Indices, gy: Indices, k: int, *, skip_diagonal: bool, within_groups: bool) -> _Sums:
    """Return what `_kernel_sums` adds up for a kernel of 1."""
    n, m = (np.bincount(each, minlength=k).astype(np.float64) for each in (gx, gy))
    inside = n * m - n * skip_diagonal if within_groups else np.zeros(k)
    by_row, by_column = (own * (other.sum() - other) + inside for own, other in ((n, m), (m, n)))
    return _Sums(by_row.sum(), by_row + by_column - inside)


def subset_kernel_distance(x: Rows, y: Rows, subsets: int, size: int, seed: int = 2020) -> tuple[Floats, int]:
    """KID as most papers print it: the unbiased MMD of ``subsets`` random subsets.

    Drawn as torch-fidelity draws them (same generator, same order), so that equal features give equal numbers.

    Returns:
        The value of each subset, and the subset size used (the smaller set's size where ``size`` exceeds it).
    """
    size = min(size, len(x), len(y))
    rng = np.random.RandomState(seed)
    values = np.empty(subsets)
    pairs = size * (size - 1)
    for i in range(subsets):
        a = x[rng.choice(len(x), size, replace=False)]
        b = y[rng.choice(len(y), size, replace=False)]
        within = [polynomial_kernel(each, each) for each in (a, b)]
        values[i] = (
            sum(float(kernel.sum() - kernel.trace()) for kernel in within) / pairs - 2 * polynomial_kernel(a, b).mean()
        )
    return values, size
