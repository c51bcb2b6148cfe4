"""The clustered bootstrap against a plain loop, scipy.stats and simulated truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fhpt_eval.maths.statistics import Interval, cluster_bootstrap

Floats = npt.NDArray[np.float64]


def clustered(groups: int, seed: int) -> tuple[Floats, list[int]]:
    """Values of mean 5 whose groups have 1 to 6 members and an effect of their own, in random order."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(groups), rng.integers(1, 7, groups)))
    values: Floats = 5 + rng.normal(0, 1, groups)[codes] + rng.normal(0, 1, len(codes))
    return values, codes.tolist()


def interval(values: npt.ArrayLike, groups: Sequence[int | str], resamples: int = 2000, seed: int = 0) -> Interval:
    result = cluster_bootstrap(values, groups, resamples, seed)
    assert result is not None
    return result


@pytest.mark.parametrize("groups", [2, 5, 80])
def test_interval_is_that_of_a_loop_that_draws_whole_groups(groups: int) -> None:
    values, codes = clustered(groups, seed=groups)
    names = list(dict.fromkeys(codes))
    members = [values[[code == name for code in codes]] for name in names]
    rng = np.random.default_rng(3)
    draws = rng.integers(0, groups, (500, groups))
    means = [np.concatenate([members[g] for g in draw]).mean() for draw in draws]
    assert interval(values, codes, resamples=500, seed=3) == pytest.approx(np.percentile(means, [2.5, 97.5]), rel=1e-12)


def test_interval_of_groups_of_one_is_scipys_of_the_plain_mean() -> None:
    values = np.random.default_rng(4).exponential(size=150)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(5)
    ).confidence_interval
    low, high = interval(values, range(150), resamples=20_000, seed=6)
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.02 * width)
    assert high == pytest.approx(expected.high, abs=0.02 * width)


def test_interval_covers_the_true_mean_of_clustered_values_as_often_as_it_says() -> None:
    simulations = 300
    clusters_apart, values_apart = 0, 0
    for seed in range(simulations):
        values, codes = clustered(60, seed)
        low, high = interval(values, codes, resamples=1000)
        clusters_apart += low <= 5 <= high
        low, high = interval(values, range(len(values)), resamples=1000)
        values_apart += low <= 5 <= high
    assert 0.90 <= clusters_apart / simulations <= 0.98
    # What resampling single values would give, and why groups are drawn whole.
    assert values_apart / simulations < 0.88


def test_order_of_the_groups_changes_the_interval_by_chance_only() -> None:
    values, codes = clustered(60, seed=1)
    order = np.random.default_rng(2).permutation(len(values))
    low, high = interval(values, codes, resamples=20_000)
    other_low, other_high = interval(values[order], [codes[i] for i in order], resamples=20_000)
    assert other_low == pytest.approx(low, abs=0.03 * (high - low))
    assert other_high == pytest.approx(high, abs=0.03 * (high - low))


def test_names_of_the_groups_are_without_influence_and_a_seed_repeats_itself() -> None:
    values, codes = clustered(30, seed=1)
    first = interval(values, codes)
    assert interval(values, [f"item {code}" for code in codes]) == first
    assert interval(values, codes) == first
    assert interval(values, codes, seed=1) != first
