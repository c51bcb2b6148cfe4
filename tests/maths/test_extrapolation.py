"""Fréchet distances of endlessly many images, and the intervals of those of as many as there are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fhpt_eval.maths.differences import Pooled
from fhpt_eval.maths.extrapolation import extrapolated
from fhpt_eval.maths.influences import frechet_influences
from fhpt_eval.maths.intervals import AT_LEAST_0, interval
from fhpt_eval.maths.statistics import GaussianStats, frechet_distance

Floats = npt.NDArray[np.float64]
Sets = tuple[Floats, Floats, npt.NDArray[np.intp]]

SHIFT, SCALE, IMAGES = 0.3, 1.2, 4
"""What a method does to the features of the targets, and the images of each item."""


def spread(dim: int) -> Floats:
    """Standard deviations that fall off."""
    deviations: Floats = 1 / np.sqrt(1 + 5 * np.arange(dim) / dim)
    return deviations


def sets(random: np.random.Generator, items: int, dim: int) -> Sets:
    """Generated images and targets of the same items, half of whose variance is the item's; and the items."""
    item = np.repeat(np.arange(items), IMAGES)
    common = random.normal(size=(items, dim))[item]
    made, real = ((common + random.normal(size=(len(item), dim))) * np.sqrt(0.5) * spread(dim) for _ in range(2))
    return made * SCALE + SHIFT * spread(dim), real, item


def truth(dim: int) -> float:
    """The distance of endlessly many."""
    return float((np.square(spread(dim)) * (SHIFT**2 + (SCALE - 1) ** 2)).sum())


def stats_of(rows: Floats) -> GaussianStats:
    return GaussianStats.of(rows, rows.shape[1])


def distance(x: Floats, y: Floats) -> float:
    return frechet_distance(stats_of(x), stats_of(y))


def test_a_line_through_two_points_ends_twice_the_step_below_the_distance_of_half() -> None:
    x, y, item = sets(np.random.default_rng(0), 40, 5)
    found = extrapolated(x, item.tolist(), (y, item.tolist()), 2)
    assert found is not None
    half, whole = found.points
    assert half[:2] == (80, 80)
    assert whole[:2] == (160, 160)
    assert whole.value == pytest.approx(distance(x, y), rel=1e-9)
    assert found.value == pytest.approx(2 * whole.value - half.value, rel=1e-9)
    assert found.bias == pytest.approx(half.value - whole.value, rel=1e-6)
    names = [f"item {i}" for i in item]
    assert found == extrapolated(x, names, (y, names), 2)
    assert found != extrapolated(x, item.tolist(), (y, item.tolist()), 2, seed=1)


def test_items_are_drawn_with_all_images_on_both_sides() -> None:
    x, y, item = sets(np.random.default_rng(0), 11, 5)
    # The column tells the item, so that covariances tell whether both sides have the same items.
    x[:, 0] = y[:, 0] = item
    found = extrapolated(x, item.tolist(), (x, item.tolist()), 6)
    assert found is not None
    assert [point.value for point in found.points] == pytest.approx([0] * 6, abs=1e-6)
    assert [point.generated for point in found.points] == [IMAGES * n for n in (6, 7, 8, 9, 10, 11)]


def test_a_reference_set_of_its_own_stays_whole() -> None:
    x, y, item = sets(np.random.default_rng(0), 20, 5)
    found = extrapolated(x, item.tolist(), stats_of(y), 3)
    assert found is not None
    assert [point[:2] for point in found.points] == [(40, 80), (60, 80), (80, 80)]


def test_the_line_is_numpys() -> None:
    x, y, item = sets(np.random.default_rng(0), 40, 5)
    found = extrapolated(x, item.tolist(), (y, item.tolist()), 15)
    assert found is not None
    design = np.stack([np.ones(15), [1 / point.generated for point in found.points]], axis=1)
    (end, _), *_ = np.linalg.lstsq(design, np.array([point.value for point in found.points]), rcond=None)
    assert found.value == pytest.approx(end, rel=1e-9)
    fit = stats.linregress(design[:, 1], [point.value for point in found.points])
    assert found.error == pytest.approx(fit.intercept_stderr, rel=1e-9)


def test_few_items_have_no_line() -> None:
    x, y, item = sets(np.random.default_rng(0), 3, 2)
    assert extrapolated(x, item.tolist(), (y, item.tolist()), 2) is None
    assert extrapolated(x, range(12), (y, item.tolist()), 2) is None
    assert extrapolated(x, range(12), stats_of(y), 2) is not None


def found_by(random: np.random.Generator, items: int, dim: int) -> tuple[float, float, Pooled]:
    """The distance, its bias by halves, and what its interval is of."""
    x, y, item = sets(random, items, dim)
    line = extrapolated(x, item.tolist(), (y, item.tolist()), 2)
    assert line is not None
    moved = frechet_influences(stats_of(x), stats_of(y), x, y)
    value = distance(x, y)
    return value, line.bias, Pooled.of_influences(value, moved.first + moved.second, item.tolist())


@pytest.mark.slow
@pytest.mark.parametrize(("items", "dim"), [(10, 8), (30, 8), (30, 32), (100, 32), (10, 64), (30, 64)])
def test_intervals_cover_the_distance_of_as_many_images_and_bias_is_told(items: int, dim: int) -> None:
    """The figures of docs/intervals.md, with fewer and more images (four an item) than dimensions."""
    random = np.random.default_rng(items)
    mean = np.mean([distance(*sets(random, items, dim)[:2]) for _ in range(300)])
    found = [found_by(random, items, dim) for _ in range(150)]
    ends = [interval(pooled, AT_LEAST_0) for *_, pooled in found]
    covered = sum(bool(each is not None and each.low <= mean <= each.high) for each in ends) / len(ends)
    assert 0.89 <= covered <= 1
    bias, told = mean - truth(dim), np.mean([each[1] for each in found])
    # With fewer images than dimensions a straight line tells a part of it only.
    assert told <= 1.1 * bias
    assert told >= (0.85 if items * IMAGES > 3 * dim else 0.2) * bias
