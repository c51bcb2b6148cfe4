"""Statistics by hand: values that are fractions, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from fhpt_eval.maths.kernels import KernelDistance, kernel_distance, polynomial_kernel, subset_kernel_distance
from fhpt_eval.maths.statistics import GaussianStats, class_divergences, frechet_distance, inception_score

Floats = npt.NDArray[np.float64]


def array(*rows: tuple[float, ...]) -> Floats:
    return np.array(rows, dtype=np.float64)


def gaussian(*rows: tuple[float, ...]) -> GaussianStats:
    return GaussianStats.of(array(*rows), len(rows[0]))


def kernel(x: Floats, y: Floats, groups_x: list[str], groups_y: list[str]) -> KernelDistance:
    return kernel_distance(x, y, groups_x, groups_y, within_groups=True)


def test_frechet_distance_of_two_one_dimensional_gaussians() -> None:
    # Means 1 and 5, variances 1 and 9 (÷ n − 1): (1 − 5)² + (1 − 3)² = 20.
    a = gaussian((0,), (1,), (2,))
    b = gaussian((2,), (5,), (8,))
    assert frechet_distance(a, b) == pytest.approx(20, rel=1e-14)


def test_frechet_distance_of_two_axis_parallel_gaussians() -> None:
    # Variances (2, 8)·⅔ and (8, 2)·⅔ uncorrelated, equal means: 2·(√(16/3) − √(4/3))² = 2·4/3.
    a = gaussian((1, 2), (-1, 2), (1, -2), (-1, -2))
    b = gaussian((2, 1), (-2, 1), (2, -1), (-2, -1))
    assert frechet_distance(a, b) == pytest.approx(8 / 3, rel=1e-14)


def test_frechet_distance_of_two_segments_at_right_angles_is_the_sum_of_their_variances() -> None:
    a, b = gaussian((3, 0), (-3, 0)), gaussian((0, 1), (0, -1))
    assert frechet_distance(a, b) == pytest.approx(18 + 2, rel=1e-14)


def test_frechet_distance_of_a_gaussian_to_a_point_needs_no_root() -> None:
    assert frechet_distance(gaussian((0, 0), (0, 0)), gaussian((1, 1), (3, 1))) == pytest.approx(4 + 1 + 2, rel=1e-14)


def test_frechet_distance_is_never_negative() -> None:
    rows = np.random.default_rng(0).normal(size=(400, 6)) * 1e3
    for n in (3, 7, 8, 400):
        assert frechet_distance(GaussianStats.of(rows[:n], 6), GaussianStats.of(rows[:n][::-1], 6)) >= 0


@pytest.mark.parametrize("rows", [[], [(1.0, 2.0)]])
def test_a_covariance_of_fewer_than_two_images_is_refused(rows: list[tuple[float, ...]]) -> None:
    few = GaussianStats.of((np.array(row) for row in rows), 2)
    with pytest.raises(ValueError, match=f"at least 2 images, here is {len(rows)}"):
        frechet_distance(few, gaussian((0, 0), (1, 1)))


def test_gaussians_of_different_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="dimensions differ: 2 and 1"):
        frechet_distance(gaussian((0, 0), (1, 1)), gaussian((0,), (1,)))


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        GaussianStats.of(array((1, 2, 3)), 2)


def test_kernel_is_the_cube_of_the_mean_product_plus_one() -> None:
    assert polynomial_kernel(array((1, 3), (0, 0)), array((1, 1))).tolist() == [[27], [1]]


def test_kernel_distance_of_two_points_each() -> None:
    # Within x: k(0, 2) = 1; within y: k(1, 3) = 64; across: 1, 1, 27, 343. So 1 + 64 − 2·372/4.
    x, y = array((0,), (2,)), array((1,), (3,))
    result = kernel(x, y, ["a", "b"], ["c", "d"])
    assert result.value == 1 + 64 - 2 * 372 / 4
    assert result.interval is None  # leaving out a row leaves one


def test_kernel_distance_of_equal_sets_is_not_zero_because_it_is_unbiased() -> None:
    # Within: 1 each; across: 1, 1, 1 and (4·4 + 1)³ = 4913.
    x = array((0,), (4,))
    assert kernel(x, x, ["a", "b"], ["a", "b"]).value == 1 + 1 - 2 * 4916 / 4


@pytest.mark.parametrize(
    ("groups_x", "groups_y"),
    [
        (["a", "a", "a", "a"], ["a", "a", "a", "a"]),
        (["a", "a", "b", "b"], ["b", "b", "a", "a"]),
        (["a", "a", "a", "b"], ["c", "d", "e", "f"]),
    ],
)
def test_kernel_distance_has_no_interval_where_groups_cannot_be_left_out(
    groups_x: list[str], groups_y: list[str]
) -> None:
    rows = array((0,), (1,), (2,), (3,))
    assert kernel(rows, rows, groups_x, groups_y).interval is None


def test_kernel_distance_of_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 images on each side, here are 1 and 2"):
        kernel(array((0,)), array((0,), (1,)), ["a"], ["a", "b"])


def test_a_subset_is_at_most_the_smaller_set_and_its_draws_are_seeded() -> None:
    x, y = array((0,), (2,)), array((1,), (3,), (3,))
    values, size = subset_kernel_distance(x, y, subsets=20, size=1000)
    assert size == 2
    # With y's rows 1 and 3 as above; with 3 and 3: 1 + 1000 − 2·(1 + 1 + 343 + 343)/4.
    assert set(values) == {-121.0, 657.0}
    assert values.tolist() == subset_kernel_distance(x, y, subsets=20, size=1000)[0].tolist()
    assert values.tolist() != subset_kernel_distance(x, y, subsets=20, size=1000, seed=1)[0].tolist()


def scores(logits: Floats, splits: int) -> Floats:
    return inception_score(class_divergences(logits, splits))


def test_inception_score_of_uniform_logits_is_one() -> None:
    assert scores(np.full((6, 5), 3.0), splits=2) == pytest.approx([1, 1], rel=1e-14)


@pytest.mark.parametrize("height", [50.0, 1e4])
def test_inception_score_of_one_hot_logits_is_the_number_of_classes_shown(height: float) -> None:
    # Class 4 is never shown: at a height of 1e4 its probability underflows to 0.
    one_hot = height * np.eye(5)[[0, 1, 2, 3, 0, 1, 2, 3]]
    assert scores(one_hot, splits=1) == pytest.approx([4], rel=1e-12)


def test_inception_score_of_two_known_distributions() -> None:
    # p = (¾, ¼) and (¼, ¾), marginal (½, ½): exp(¾ ln 3/2 + ¼ ln ½).
    logits = np.log(array((3, 1), (1, 3)))
    assert scores(logits, splits=1) == pytest.approx([math.exp(0.75 * math.log(1.5) - 0.25 * math.log(2))])


def test_inception_score_cuts_where_the_original_cuts() -> None:
    # 5 rows in 2 parts: rows 0-1 (two classes) and rows 2-4 (three classes).
    one_hot = 100 * np.eye(3)[[0, 1, 0, 1, 2]]
    assert scores(one_hot, splits=2) == pytest.approx([2, 3], rel=1e-12)
