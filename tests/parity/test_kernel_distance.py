"""KID against torch-fidelity, its jackknife against leaving out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

from fhpt_eval.maths.kernels import KernelDistance, kernel_distance, subset_kernel_distance

Floats = npt.NDArray[np.float64]


def features(n: int, dim: int, seed: int, shift: float = 0.0) -> Floats:
    """Non-negative features of about unit scale, as global average pooling after a ReLU gives them."""
    rows: Floats = np.abs(np.random.default_rng(seed).normal(shift, 1, (n, dim)))
    return rows


def distance(
    x: Floats,
    y: Floats,
    groups_x: Sequence[int],
    groups_y: Sequence[int],
    block: int = 1024,
    *,
    within_groups: bool = True,
) -> KernelDistance:
    return kernel_distance(x, y, groups_x, groups_y, within_groups=within_groups, block=block)


def apart(x: Floats, y: Floats, gx: npt.NDArray[np.intp], gy: npt.NDArray[np.intp]) -> float:
    """The distance by a loop over pairs of different groups."""

    def mean(one: Floats, other: Floats, of_one: npt.NDArray[np.intp], of_other: npt.NDArray[np.intp]) -> float:
        kernels = [
            float((a @ b / len(a) + 1) ** 3)
            for a, i in zip(one, of_one, strict=True)
            for b, j in zip(other, of_other, strict=True)
            if i != j
        ]
        return sum(kernels) / len(kernels)

    return mean(x, x, gx, gx) + mean(y, y, gy, gy) - 2 * mean(x, y, gx, gy)


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


@pytest.mark.parametrize("block", [3, 1024])
def test_pairs_of_one_group_are_left_out_of_every_sum(block: int) -> None:
    rng = np.random.default_rng(7)
    x, y = features(40, 12, 8), features(33, 12, 9, shift=0.4)
    gx, gy = rng.integers(0, 9, 40), rng.integers(2, 11, 33)
    names = sorted({*gx.tolist(), *gy.tolist()})
    replicates = np.array([apart(x[gx != g], y[gy != g], gx[gx != g], gy[gy != g]) for g in names])
    k = len(replicates)
    error = np.sqrt((k - 1) / k * ((replicates - replicates.mean()) ** 2).sum())
    value, quantile = apart(x, y, gx, gy), stats.t.ppf(0.975, k - 1)
    result = distance(x, y, gx.tolist(), gy.tolist(), block, within_groups=False)
    assert result.value == pytest.approx(value, rel=1e-10)
    assert result.interval == pytest.approx((value - quantile * error, value + quantile * error), rel=1e-10)
    assert result.left_out == (
        sum(int(n) * (int(n) - 1) // 2 for n in np.bincount(gx)),
        sum(int(n) * (int(n) - 1) // 2 for n in np.bincount(gy)),
        int((gx[:, None] == gy[None, :]).sum()),
    )


def test_without_common_groups_the_two_forms_are_one() -> None:
    x, y = features(20, 8, 1), features(30, 8, 2)
    one, other = (distance(x, y, range(20), range(20, 50), within_groups=w) for w in (True, False))
    assert one.value == pytest.approx(other.value, rel=1e-12)
    assert one.interval == pytest.approx(other.interval, rel=1e-9)
    assert one.left_out == other.left_out == (0, 0, 0)


def test_a_set_of_one_group_has_no_pairs_that_count() -> None:
    with pytest.raises(ValueError, match="no pair of rows counts"):
        distance(features(3, 4, 0), features(3, 4, 1), [0, 0, 0], [0, 1, 2], within_groups=False)


def of_the_same_items(
    random: np.random.Generator, items: int, correlation: float, most: int, shift: float = 0.0
) -> tuple[KernelDistance, KernelDistance]:
    """Sets of 1 to ``most`` images of the same items: with pairs of one item left out, and counted."""
    gx, gy = (np.repeat(np.arange(items), random.integers(1, most + 1, items)) for _ in range(2))
    of_item = np.sqrt(correlation) * random.normal(size=(items, 16))
    x, y = (of_item[g] + np.sqrt(1 - correlation) * random.normal(size=(len(g), 16)) for g in (gx, gy))
    rows = np.maximum(x + 0.5 + shift, 0), np.maximum(y + 0.5, 0)
    left_out, counted = (distance(*rows, gx.tolist(), gy.tolist(), within_groups=w) for w in (False, True))
    return left_out, counted


@pytest.mark.slow
@pytest.mark.parametrize("items", [5, 20, 60])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("most", [1, 4])
def test_a_perfect_model_on_the_same_items_is_as_good_as_the_targets(items: int, correlation: float, most: int) -> None:
    random = np.random.default_rng(items)
    runs = 200
    found = [of_the_same_items(random, items, correlation, most) for _ in range(runs)]
    values = np.array([[one.value for one in both] for both in found])
    away = values.mean(axis=0) / (values.std(axis=0, ddof=1) / np.sqrt(runs))
    covered = [
        np.mean([both[which].interval.low <= 0 <= both[which].interval.high for both in found])  # type: ignore[union-attr]
        for which in (0, 1)
    ]
    assert abs(away[0]) < 3.5
    assert covered[0] >= 0.92
    if correlation and items > 5:
        # What counting them gives, and why they are left out.
        assert away[1] < -5
        assert most > 1 or covered[1] < (0.75 if correlation == 0.5 else 0.02)


@pytest.mark.slow
def test_a_worse_model_on_the_same_items_has_an_interval_that_covers() -> None:
    random = np.random.default_rng(1)
    truth = np.mean([of_the_same_items(random, 150, 0.5, most=4, shift=0.3)[0].value for _ in range(80)])
    found = [of_the_same_items(random, 20, 0.5, most=4, shift=0.3)[0].interval for _ in range(300)]
    covered = sum(bool(each is not None and each.low <= truth <= each.high) for each in found) / len(found)
    assert 0.92 <= covered <= 0.99
