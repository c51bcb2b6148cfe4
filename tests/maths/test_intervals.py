"""Intervals of few, unequal, skewed and clustered values: against plain formulas, and how often they cover."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import optimize, special, stats

from fhpt_eval.maths.differences import Pooled
from fhpt_eval.maths.intervals import ANYTHING, AT_LEAST_0, SHARE, Range, fewest, interval, interval_of_mean
from fhpt_eval.maths.statistics import Interval

Floats = npt.NDArray[np.float64]


def of(values: npt.ArrayLike, within: Range = ANYTHING) -> Interval:
    """The interval of single values."""
    found = interval(Pooled(np.asarray(values, dtype=np.float64), np.ones(np.shape(values))), within)
    assert found is not None
    return found


def unequal(k: int, seed: int) -> Pooled:
    random = np.random.default_rng(seed)
    count = random.integers(1, 9, k).astype(np.float64)
    return Pooled(count * random.normal(3, 1, k), count)


def error_and_degrees(number: Pooled) -> tuple[float, float]:
    """The jackknife by leaving out, and Satterthwaite's degrees by traces of matrices."""
    k = len(number.total)
    left_out = [np.delete(number.total, i).sum() / np.delete(number.count, i).sum() for i in range(k)]
    error = math.sqrt((k - 1) / k * np.square(np.array(left_out) - number.value).sum())
    part = number.count / number.count.sum()
    residuals = np.diag(1 / (1 - part)) @ (np.eye(k) - np.outer(part, np.ones(k)))
    covariance = residuals @ np.diag(part**2) @ residuals.T
    return error, np.trace(covariance) ** 2 / np.trace(covariance @ covariance)


def test_two_values_have_students_interval() -> None:
    assert of([1.0, 2.0]) == pytest.approx(stats.t.interval(0.95, 1, 1.5, 0.5), rel=1e-12)


def test_values_without_skewness_have_students_interval() -> None:
    values = np.array([-3.0, -1, 0, 1, 3]) + 7
    assert of(values) == pytest.approx(stats.t.interval(0.95, 4, 7, stats.sem(values)), rel=1e-12)


@pytest.mark.parametrize("k", [3, 8, 60])
def test_the_ends_are_where_halls_statistic_is_students_quantile(k: int) -> None:
    number = unequal(k, k)
    error, degrees = error_and_degrees(number)
    part = number.count / number.count.sum()
    moved = (number.total / number.count - number.value) * part
    skewness = (moved**3).sum() / (moved**2).sum() ** 1.5

    def transformed(end: float) -> float:
        t = (number.value - end) / error
        return float(t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6)

    found = interval(number)
    assert found is not None
    quantile = stats.t.ppf(0.975, degrees)
    assert [transformed(end) for end in found] == pytest.approx([quantile, -quantile], rel=1e-9)


@pytest.mark.parametrize("k", [3, 8, 60])
def test_the_ends_of_a_share_are_as_far_from_it_as_their_own_error_says(k: int) -> None:
    random = np.random.default_rng(k)
    count = random.integers(1, 9, k)
    number = Pooled(random.binomial(count, 0.3).astype(np.float64), count.astype(np.float64))
    error, degrees = error_and_degrees(number)
    share, quantile = number.value, stats.t.ppf(0.975, degrees)
    independent = share * (1 - share) / error**2

    def off(end: float) -> float:
        return float(abs(share - end) - quantile * math.sqrt(end * (1 - end) / independent))

    found = interval(number, SHARE)
    assert found is not None
    assert found.low == pytest.approx(optimize.brentq(off, 0, share), rel=1e-8)
    assert found.high == pytest.approx(optimize.brentq(off, share, 1), rel=1e-8)


def test_shares_of_all_or_nothing_have_a_width() -> None:
    low, high = of(np.ones(24), SHARE)
    assert high == 1
    # At the lower end, 24 right ones are a quantile away.
    assert (1 - low) / math.sqrt(low * (1 - low) / 24) == pytest.approx(stats.t.ppf(0.975, 23), rel=1e-9)
    assert of(np.zeros(24), SHARE) == pytest.approx((0, 1 - low), rel=1e-9)


def test_other_values_that_are_all_alike_have_none() -> None:
    assert of([0.1 + 0.2] * 5) == (0.1 + 0.2, 0.1 + 0.2)
    assert of([20.0] * 5, AT_LEAST_0) == (20, 20)


@pytest.mark.parametrize("within", [AT_LEAST_0, (-1.0, 1.0), SHARE])
def test_ends_stay_within_the_range(within: Range) -> None:
    values = np.array([0.0, 0.9, 0.05])
    low, high = of(values)
    assert low < 0
    assert high > 1
    found = of(values, within)
    assert within[0] <= found.low < found.high <= within[1]
    if within != SHARE:
        assert found == (max(low, within[0]), min(high, within[1]))


def test_nothing_is_said_of_one_item_or_of_no_number() -> None:
    assert interval(Pooled(np.array([3.0, 0]), np.array([2.0, 0]))) is None
    assert interval(Pooled(np.zeros(0), np.zeros(0))) is None
    assert interval(Pooled(np.array([1.0, math.inf]), np.ones(2))) is None
    assert interval(Pooled(np.array([1.0, math.nan]), np.ones(2)), SHARE) is None


def test_items_that_count_nothing_are_no_items() -> None:
    number = unequal(9, 0)
    more = Pooled(np.append(number.total, [0, 0]), np.append(number.count, [0, 0]))
    assert interval(more) == interval(number)


def test_influences_of_a_mean_have_the_interval_of_the_mean() -> None:
    values = np.random.default_rng(4).exponential(size=50)
    moved = Pooled.of_influences(values.mean(), (values - values.mean()) / 50, range(50))
    assert interval(moved) == pytest.approx(of(values), rel=1e-9)


def test_one_item_that_outweighs_the_others_leaves_few_degrees() -> None:
    random = np.random.default_rng(0)
    count = np.append(np.ones(30), 300.0)
    number = Pooled(count * random.normal(size=31), count)
    error, degrees = error_and_degrees(number)
    assert 1 < degrees < 3
    found = interval(number)
    assert found is not None
    assert found.high - found.low > 2 * 2.5 * error


def test_a_mean_of_two_has_the_arms_of_both() -> None:
    found = interval_of_mean([0.2, 0.6], [Interval(0.1, 0.4), Interval(0.5, 0.8)])
    assert found == pytest.approx((0.4 - math.hypot(0.1, 0.1) / 2, 0.4 + math.hypot(0.2, 0.2) / 2))
    assert interval_of_mean([0.2, 0.6], [None, Interval(0.5, 0.8)]) is None


def clustered(random: np.random.Generator, items: int, kind: str) -> Pooled:
    """Values of 1 to 20 for each item, half of whose variance is the item's."""
    item = np.repeat(np.arange(items), np.minimum(20, 1 + np.floor(random.lognormal(1, 1, items))).astype(int))
    if kind == "normal":
        values = 1 + random.normal(size=items)[item] + random.normal(size=len(item))
    elif kind == "skewed":
        values = (random.exponential(size=items)[item] + random.exponential(size=len(item))) / 2
    else:
        share = float(kind)
        values = random.random(len(item)) < random.beta(share, 1 - share, items)[item]
    return Pooled.of_values(values, np.ones(len(item)), item.tolist())


@pytest.mark.slow
@pytest.mark.parametrize("items", [3, 4, 5, 10, 50, 1000])
@pytest.mark.parametrize(("kind", "truth"), [("normal", 1.0), ("skewed", 1.0), ("0.5", 0.5), ("0.1", 0.1)])
def test_intervals_cover(items: int, kind: str, truth: float) -> None:
    random = np.random.default_rng(items)
    within = ANYTHING if truth == 1 else SHARE
    runs = 1000
    found = [interval(clustered(random, items, kind), within) for _ in range(runs)]
    covered = np.mean([each is not None and each.low <= truth <= each.high for each in found])
    # At least 92 %, less what a simulation of this size cannot tell.
    assert covered >= 0.92 - 2 * math.sqrt(0.92 * 0.08 / runs)
    assert fewest(within) in {4, 10}
    if items >= 50:
        assert covered <= 0.98


def test_a_share_is_not_far_from_the_logit_interval_of_many() -> None:
    values = np.random.default_rng(3).random(2000) < 0.2
    share, error = values.mean(), stats.sem(values)
    reach = 1.96 * error / (share * (1 - share))
    logit = special.expit(special.logit(share) + np.array([-reach, reach]))
    assert of(values, SHARE) == pytest.approx(logit, rel=2e-3)
