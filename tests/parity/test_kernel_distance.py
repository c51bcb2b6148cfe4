"""KID against torch-fidelity, its jackknife against leaving out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

from fhpt_eval.maths.statistics import KernelDistance, kernel_distance, subset_kernel_distance

Floats = npt.NDArray[np.float64]


def features(n: int, dim: int, seed: int, shift: float = 0.0) -> Floats:
    """Non-negative features of about unit scale, as global average pooling after a ReLU gives them."""
    rows: Floats = np.abs(np.random.default_rng(seed).normal(shift, 1, (n, dim)))
    return rows


def distance(x: Floats, y: Floats, groups_x: Sequence[int], groups_y: Sequence[int], block: int) -> KernelDistance:
    return kernel_distance(lambda i, j: x[i:j], lambda i, j: y[i:j], groups_x, groups_y, block)


def by_loop(x: Floats, y: Floats) -> float:
    def kernel(a: Floats, b: Floats) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    across = sum(kernel(a, b) for a in x for b in y)
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)


@pytest.mark.parametrize("block", [7, 64, 1024])
@pytest.mark.parametrize(("n", "dim"), [(2, 8), (65, 32), (300, 64)])
def test_distance_of_all_rows_is_torch_fidelitys_of_one_whole_subset(n: int, dim: int, block: int) -> None:
    x, y = features(n, dim, 1), features(n, dim, 2, shift=0.5)
    expected = kernel_mmd(x, y, kid_kernel="poly")
    assert distance(x, y, range(n), range(n), block).value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("n", "m"), [(2, 9), (31, 18)])
def test_distance_of_unequal_counts_is_that_of_a_double_loop(n: int, m: int) -> None:
    x, y = features(n, 16, 3), features(m, 16, 4)
    assert distance(x, y, range(n), range(m), block=1).value == pytest.approx(by_loop(x, y), rel=1e-10)


@pytest.mark.parametrize(("n", "m", "subsets", "size"), [(120, 150, 20, 50), (60, 60, 3, 60), (200, 90, 100, 10)])
def test_distance_of_subsets_is_torch_fidelitys_with_its_draws(n: int, m: int, subsets: int, size: int) -> None:
    x, y = features(n, 32, 5), features(m, 32, 6, shift=0.3)
    expected = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=subsets, kid_subset_size=size, verbose=False
    )
    values, used = subset_kernel_distance(x, y, subsets, size)
    assert used == size
    assert values.mean() == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-10)
    assert values.std() == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("block", [3, 1024])
def test_interval_is_the_jackknife_that_leaves_out_one_group_on_both_sides(block: int) -> None:
    rng = np.random.default_rng(7)
    x, y = features(40, 12, 8), features(33, 12, 9, shift=0.4)
    # Groups of unequal size, some on one side only, none in order.
    gx, gy = rng.integers(0, 9, 40), rng.integers(2, 11, 33)
    kept = [(x[gx != g], y[gy != g]) for g in sorted({*gx, *gy})]
    replicates = np.array([by_loop(*sides) for sides in kept])
    k = len(replicates)
    error = np.sqrt((k - 1) / k * ((replicates - replicates.mean()) ** 2).sum())
    value, quantile = by_loop(x, y), stats.t.ppf(0.975, k - 1)
    result = distance(x, y, gx.tolist(), gy.tolist(), block)
    assert result.value == pytest.approx(value, rel=1e-10)
    assert result.interval == pytest.approx((value - quantile * error, value + quantile * error), rel=1e-10)


def test_distance_is_unbiased_and_its_interval_covers() -> None:
    draws = 300
    results = [
        distance(features(20, 8, 2 * i + 100), features(30, 8, 2 * i + 101), range(20), range(20, 50), 64)
        for i in range(draws)
    ]
    values = np.array([r.value for r in results])
    assert abs(values.mean()) < 3 * values.std(ddof=1) / np.sqrt(draws)
    assert (values < 0).mean() > 0.2
    intervals = [r.interval for r in results if r.interval is not None]
    assert len(intervals) == draws
    assert sum(low <= 0 <= high for low, high in intervals) / draws > 0.9
