"""Paired differences: against what is known of t-tests, Holm's procedure and weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from paired import difference
from scipy import stats

from fhpt_eval.maths.differences import FEWEST_ITEMS, Pooled, differences, holm, superiority


def test_a_number_is_what_its_rows_come_to() -> None:
    number = Pooled.of_values([1.0, 2.0, 6.0], [1, 1, 1], ["a", "b", "a"])
    assert (number.value, number.total.tolist(), number.count.tolist()) == (3.0, [7.0, 2.0], [2.0, 1.0])
    moved = Pooled.of_influences(10.0, [0.5, -0.25, -0.25], ["a", "b", "c"])
    assert moved.value == 10.0


def test_the_error_of_a_mean_is_that_of_students_t() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 40))
    items = range(40)
    found = difference(Pooled.of_values(one, np.ones(40), items), Pooled.of_values(other, np.ones(40), items))
    assert found.error == pytest.approx(stats.sem(other - one), rel=1e-12)
    classic = stats.ttest_rel(other, one)
    assert found.p == pytest.approx(classic.pvalue, abs=0.02)
    low, high = classic.confidence_interval()
    assert found.interval is not None
    assert found.interval == pytest.approx((low, high), abs=0.05 * (high - low))


@pytest.mark.parametrize("shift", np.linspace(-0.8, 0.8, 9))
def test_interval_and_p_value_agree(shift: float) -> None:
    random = np.random.default_rng(1)
    groups = random.integers(0, 12, 90)
    values = random.normal(size=90)
    found = difference(
        Pooled.of_values(values, np.ones(90), groups),
        Pooled.of_values(values + shift + random.normal(size=90), np.ones(90), groups),
    )
    assert found.interval is not None
    assert found.p is not None
    assert (found.p <= 0.05) == (not found.interval.low <= 0 <= found.interval.high)


def test_the_same_items_are_drawn_for_both() -> None:
    """Two numbers that differ by a constant differ by it in every resample."""
    groups = np.arange(60) % 10
    values = np.random.default_rng(2).normal(size=60)
    numbers = [Pooled.of_values(v, np.ones(60), groups) for v in (values, values + 0.25)]
    found = difference(*numbers)
    assert found.interval == pytest.approx((0.25, 0.25), abs=1e-12)
    assert found.p is not None
    assert found.p < 0.001


def test_runs_that_are_equal_do_not_differ() -> None:
    number = Pooled.of_values(np.arange(20.0), np.ones(20), range(20))
    found = difference(number, number)
    assert (found.value, found.interval, found.p, found.needed()) == (0.0, (0.0, 0.0), 1.0, None)


def test_nothing_is_said_of_few_items_or_of_no_value() -> None:
    few = Pooled.of_values(np.arange(4.0), np.ones(4), range(4))
    assert len(few.total) < FEWEST_ITEMS
    found = difference(few, few)
    assert (found.interval, found.p, found.needed(), found.detectable()) == (None, None, None, None)
    empty = Pooled(np.zeros(9), np.zeros(9))
    assert difference(empty, empty).p is None


def test_several_differences_are_those_one_by_one() -> None:
    random = np.random.default_rng(3)
    groups = random.integers(0, 15, 100)
    numbers = [Pooled.of_values(random.normal(size=100), random.integers(1, 4, 100), groups) for _ in range(3)]
    pairs = [(numbers[0], numbers[1]), (numbers[0], numbers[2]), (numbers[1], numbers[2])]
    assert differences(pairs) == [difference(*pair) for pair in pairs]


def test_influences_of_a_mean_give_the_interval_of_the_mean() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=(2, 50))
    means = [Pooled.of_values(v, np.ones(50), range(50)) for v in values]
    moved = [Pooled.of_influences(v.mean(), (v - v.mean()) / 50, range(50)) for v in values]
    one, other = difference(*means), difference(*moved)
    assert one.p == other.p
    assert one.interval == pytest.approx(other.interval, rel=1e-9)


def test_needed_and_detectable_counts_have_the_power_that_they_speak_of() -> None:
    random = np.random.default_rng(5)
    k, shift = 60, 0.35
    first = Pooled.of_values(np.zeros(k), np.ones(k), range(k))
    steps = random.normal(size=k)
    steps = (steps - steps.mean()) / steps.std(ddof=1) + shift
    found = difference(first, Pooled.of_values(steps, np.ones(k), range(k)))
    needed = found.needed()
    assert needed is not None

    def power(size: int, by: float) -> float:
        samples = random.normal(by, 1, size=(4000, size))
        return float((stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean())

    assert power(needed, shift) == pytest.approx(0.8, abs=0.03)
    detectable = found.detectable()
    assert detectable is not None
    assert power(k, detectable) == pytest.approx(0.8, abs=0.03)


def test_holm_is_that_of_r() -> None:
    """R's p.adjust(c(.01, .04, .03, .005), "holm")."""
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": None})
    assert found == {"a": pytest.approx(0.03), "b": pytest.approx(0.06), "c": pytest.approx(0.06), "d": 0.02, "e": None}


def test_superiority_counts_half_of_the_ties_and_no_gaps() -> None:
    first, second = [1, 1, 1, 1, math.nan], [2, 0, 1, 3, 9]
    assert superiority(first, second, higher=True) == 0.625
    assert superiority(first, second, higher=False) == 0.375
    assert superiority([math.nan], [1], higher=True) is None


SIMULATED = 1000
"""Data sets, so that a share of 5 % is known to 1.4 % (two standard errors)."""


def clustered(random: np.random.Generator, items: int, kind: str) -> tuple[Pooled, Pooled]:
    """Two methods that do not differ, on items of 1 to 20 pairs with errors in common."""
    groups = np.repeat(np.arange(items), random.choice([1, 2, 4, 6, 12, 20], items))
    size = len(groups)
    if kind == "rare":
        # Both are right but for a few pairs, about three in a hundred of which differ.
        values = (random.random((2, size)) > random.beta(1, 60, items)[groups]).astype(np.float64)
    elif kind == "binary":
        chance = random.beta(2, 2, items)[groups]
        values = (random.random((2, size)) < chance).astype(np.float64)
    elif kind == "skewed":
        values = random.exponential(1, (2, items))[:, groups] * random.exponential(1, (2, size))
    else:
        values = random.normal(size=items)[groups] + random.normal(0, 0.5, (2, items))[:, groups]
        values = values + random.normal(size=(2, size))
    one, other = (Pooled.of_values(v, np.ones(size), groups) for v in values)
    return one, other


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "skewed", "binary", "rare"])
@pytest.mark.parametrize("items", [20, 100, 1000])
def test_intervals_cover_and_tests_do_not_cry_wolf(items: int, kind: str) -> None:
    random = np.random.default_rng(2026)
    runs = SIMULATED if items < 1000 else SIMULATED // 4
    found = [difference(*clustered(random, items, kind), resamples=399) for _ in range(runs)]
    covered = np.mean([each.interval.low <= 0 <= each.interval.high for each in found if each.interval])
    alarms = np.mean([each.p <= 0.05 for each in found if each.p is not None])
    # 93 to 97 and 4 to 6 % are asked for: so are they here, give or take what a simulation of this size can tell.
    slack = 2 * math.sqrt(0.05 * 0.95 / runs)
    assert 0.93 - slack / 2 <= covered <= (1 if kind == "rare" and items < 1000 else 0.97)
    # Where hardly a pair differs, as in the first of these, no test can be as bold as that; it must not be bolder.
    fewest = 0.0 if kind == "rare" and items < 1000 else 0.04 - slack
    assert fewest <= alarms <= 0.06 + slack / 2
