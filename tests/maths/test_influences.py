"""How much a row moves a Fréchet distance, a kernel distance or an Inception Score: against leaving rows out."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from paired import difference

from fhpt_eval.maths.differences import Pooled
from fhpt_eval.maths.influences import frechet_influences, inception_score_influences
from fhpt_eval.maths.kernels import kernel_distance
from fhpt_eval.maths.statistics import GaussianStats, class_divergences, frechet_distance, inception_score

Floats = npt.NDArray[np.float64]


def stats_of(rows: Floats) -> GaussianStats:
    return GaussianStats.of(rows, rows.shape[1])


def distance(x: Floats, y: Floats) -> float:
    return frechet_distance(stats_of(x), stats_of(y))


@pytest.mark.parametrize(("n", "m", "dim"), [(300, 250, 6), (60, 50, 90)])
def test_of_a_frechet_distance(n: int, m: int, dim: int) -> None:
    """A row that is there twice moves the distance by its derivative, to first order."""
    random = np.random.default_rng(0)
    x, y = random.normal(0.2, 1, (n, dim)), random.normal(0, 1.2, (m, dim))
    found = frechet_influences(stats_of(x), stats_of(y), x, y)
    assert found.first.sum() == pytest.approx(0, abs=1e-9)
    assert found.second.sum() == pytest.approx(0, abs=1e-9)
    value = distance(x, y)
    # Leaving a row out is the step in the other direction; both steps together cancel the second order.
    for own, influences, measured in (
        (x, found.first, lambda rows: distance(rows, y)),
        (y, found.second, lambda rows: distance(x, rows)),
    ):
        left_out = np.array([measured(np.delete(own, i, 0)) for i in range(len(own))])
        correlation = np.corrcoef(value - left_out, influences)[0, 1]
        jackknife = math.sqrt((len(own) - 1) / len(own) * np.square(left_out - left_out.mean()).sum())
        # With fewer rows than dimensions each row is a direction of its own, and the first order is a rougher guide.
        assert correlation > (0.999 if n > dim else 0.85)
        assert math.sqrt(np.square(influences).sum()) == pytest.approx(jackknife, rel=0.05 if n > dim else 0.25)


def test_of_a_frechet_distance_with_a_feature_that_never_fires() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(80, 5)), random.normal(0.5, 1, (70, 5))
    full = frechet_influences(stats_of(x), stats_of(y), x, y)
    wider = [np.hstack([rows, np.zeros((len(rows), 3))]) for rows in (x, y)]
    padded = frechet_influences(stats_of(wider[0]), stats_of(wider[1]), *wider)
    np.testing.assert_allclose(padded.first, full.first, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(padded.second, full.second, rtol=1e-6, atol=1e-9)


def test_of_an_inception_score() -> None:
    random = np.random.default_rng(2)
    logits = random.normal(0, 2, (120, 10))
    found = inception_score_influences(class_divergences(logits, 1))
    assert found.sum() == pytest.approx(0, abs=1e-12)
    left_out = np.array([inception_score(class_divergences(np.delete(logits, i, 0), 1)).mean() for i in range(120)])
    assert np.corrcoef(inception_score(class_divergences(logits, 1)).mean() - left_out, found)[0, 1] > 0.999
    split = inception_score_influences(class_divergences(logits, 4))
    parts = [inception_score_influences(class_divergences(logits[i * 30 : (i + 1) * 30], 1)) / 4 for i in range(4)]
    np.testing.assert_allclose(split, np.concatenate(parts), rtol=1e-12)


def test_of_a_kernel_distance() -> None:
    """Their errors are the jackknife's, which the interval is made of."""
    random = np.random.default_rng(3)
    x, y, groups = random.normal(0.1, 1, (60, 8)), random.normal(size=(60, 8)), list(range(20)) * 3
    found = kernel_distance(x, y, groups, groups, within_groups=False)
    assert list(found.influences) == list(range(20))
    influences = np.array(list(found.influences.values()))
    assert influences.sum() == pytest.approx(0, abs=1e-15)
    assert found.interval is not None
    from scipy import stats

    error = (found.interval.high - found.value) / stats.t.ppf(0.975, 19)
    assert math.sqrt(np.square(influences).sum() * 20 / 19) == pytest.approx(error, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("items", "dim"), [(20, 4), (60, 16)])
def test_frechet_distances_that_do_not_differ_are_seldom_told_apart(items: int, dim: int) -> None:
    """Two methods that are equally far from the targets, four pairs an item, with errors in common.

    The test is careful rather than bold: the derivative is taken where the rows themselves put the distance, so errors
    come out a quarter too large on few rows (Efron & Stein 1981), and 1 to 2 in 100 are told apart instead of 5.
    """
    random = np.random.default_rng(4)
    runs = 200
    alarms = 0
    groups = np.repeat(np.arange(items), 4)
    for _ in range(runs):
        shared = random.normal(size=(items, dim))
        targets = shared[groups] + random.normal(0, 0.7, (len(groups), dim))
        numbers = []
        for _ in range(2):
            made = 0.8 * shared[groups] + random.normal(0, 0.3, (items, dim))[groups]
            made = made + random.normal(0, 0.7, made.shape)
            moved = frechet_influences(stats_of(made), stats_of(targets), made, targets)
            numbers.append(Pooled.of_influences(distance(made, targets), moved.first + moved.second, groups))
        found = difference(*numbers, resamples=199)
        alarms += found.p is not None and found.p <= 0.05
    assert alarms / runs <= 0.06


def test_frechet_distances_that_do_differ_are_told_apart() -> None:
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(60), 4)
    targets = random.normal(size=(240, 16))
    numbers = []
    for shift in (0.0, 0.15):
        made = targets + shift + random.normal(0, 0.3, targets.shape)
        moved = frechet_influences(stats_of(made), stats_of(targets), made, targets)
        numbers.append(Pooled.of_influences(distance(made, targets), moved.first + moved.second, groups))
    found = difference(*numbers)
    assert found.value == pytest.approx(16 * 0.15**2, rel=0.2)
    assert found.p is not None
    assert found.p < 0.01
