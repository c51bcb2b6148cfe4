"""Every fast way of a statistic against its definition, on odd sizes, on two and three rows, and on as many as columns.

How many digits both have in common is said with each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pytest
from scipy import linalg
from skimage.metrics import structural_similarity

from fhpt_eval.extract.extractor import Context, PairExtractor
from fhpt_eval.extract.pixels import Border, Covariance, DataRange, PixelDifference, StructuralSimilarity
from fhpt_eval.maths import neighbours, singular
from fhpt_eval.maths.definition import by_definition, definition_asked
from fhpt_eval.maths.differences import Pooled, differences
from fhpt_eval.maths.influences import frechet_influences
from fhpt_eval.maths.kernels import kernel_distance
from fhpt_eval.maths.neighbours import neighbourhoods
from fhpt_eval.maths.ranking import rank, unit_length
from fhpt_eval.maths.statistics import GaussianStats, frechet_distance

Floats = npt.NDArray[np.float64]

DIM = 31
COUNTS = [2, 3, DIM - 1, DIM, DIM + 1, DIM + 2, 2 * DIM + 3, 401]


def both(call: Callable[[], Any]) -> tuple[Any, Any]:
    """What a call gives in the fast way, and by definition."""
    fast = call()
    with by_definition():
        assert definition_asked()
        slow = call()
    assert not definition_asked()
    return fast, slow


def features(n: int, seed: int, shift: float = 0.0, dim: int = DIM) -> Floats:
    """Correlated, non-negative features of unit scale."""
    mixing = np.random.default_rng(99).normal(size=(dim, dim)) / np.sqrt(dim)
    rows: Floats = np.maximum(np.random.default_rng(seed).normal(0.3 + shift, 1, (n, dim)) @ mixing, 0)
    return rows


def stats_of(rows: Floats) -> GaussianStats:
    return GaussianStats.of(rows, rows.shape[1])


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("m", [3, DIM, 200])
def test_frechet_distances_have_nine_digits_in_common_or_six_where_a_covariance_is_singular(n: int, m: int) -> None:
    x, y = features(n, 1), features(m, 2, shift=0.3)
    fast, slow = both(lambda: frechet_distance(stats_of(x), stats_of(y)))
    # The root of a singular matrix has half of the digits, by its definition.
    assert fast == pytest.approx(slow, rel=1e-9 if min(n, m) > 2 * DIM else 3e-6)


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("m", [3, DIM, 200])
def test_what_a_row_moves_a_frechet_distance_by_has_four_digits_or_more_in_common(n: int, m: int) -> None:
    x, y = features(n, 1), features(m, 2, shift=0.3)
    fast, slow = both(lambda: frechet_influences(stats_of(x), stats_of(y), x, y))
    assert fast.value == pytest.approx(frechet_distance(stats_of(x), stats_of(y)), rel=1e-10)
    for one, other in ((fast.first, slow.first), (fast.second, slow.second)):
        assert one.sum() == pytest.approx(0, abs=1e-8)
        # The inverse of a root of a singular matrix, by its definition, has few.
        np.testing.assert_allclose(
            one, other, rtol=0, atol=np.abs(other).max() * (1e-9 if min(n, m) > 2 * DIM else 1e-4)
        )


@pytest.mark.parametrize("decay", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (63, 64), (64, 64), (65, 64), (200, 301)])
def test_the_sum_of_singular_values_has_eleven_digits_at_any_condition(decay: int, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(decay)
    sides = [linalg.qr(random.normal(size=(size, size)))[0] for size in shape]
    values = np.arange(1, min(shape) + 1.0) ** -decay
    matrix = (sides[0][:, : len(values)] * values) @ sides[1][:, : len(values)].T
    assert singular.nuclear_norm(matrix) == pytest.approx(values.sum(), rel=1e-11)
    found = singular.singular(matrix)
    assert found.total == pytest.approx(values.sum(), rel=1e-11)
    np.testing.assert_allclose((found.left * found.values) @ found.right.T, matrix, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rank_of_it", [0, 1, 20])
def test_a_singular_matrix_has_the_sum_of_those_values_that_it_has(rank_of_it: int) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(60, rank_of_it)) @ random.normal(size=(rank_of_it, 50))
    expected = pytest.approx(linalg.svdvals(matrix).sum(), rel=1e-11, abs=1e-300)
    assert singular.nuclear_norm(matrix) == expected
    assert singular.singular(matrix).total == expected


def test_torch_finds_the_eigenvalues_that_scipy_finds_to_twelve_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU, where there is no GPU: the way is the same, but for the device."""
    rows = features(90, 3)
    matrix = rows.T @ rows
    values, vectors = singular._eigen_by_torch(matrix, "cpu")
    np.testing.assert_allclose(values, linalg.eigvalsh(matrix), rtol=0, atol=1e-12 * values[-1])
    np.testing.assert_allclose((vectors * values) @ vectors.T, matrix, rtol=0, atol=1e-12 * values[-1])
    scipys = frechet_distance(stats_of(rows), stats_of(rows[::2] + 0.1))
    by_torch, devices = singular._eigen_by_torch, []

    def on_the_cpu(matrix: Floats, device: str) -> tuple[Floats, Floats]:
        devices.append(device)
        return by_torch(matrix, "cpu")

    monkeypatch.setattr(singular, "_eigen_by_torch", on_the_cpu)
    with singular.on_device("cuda:0"):
        assert frechet_distance(stats_of(rows), stats_of(rows[::2] + 0.1)) == pytest.approx(scipys, rel=1e-10)
    assert set(devices) == {"cuda:0"}
    with singular.on_device("mps"):
        assert frechet_distance(stats_of(rows), stats_of(rows[::2] + 0.1)) == scipys


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 2), (DIM - 1, DIM), (DIM + 1, 17), (131, 57)])
@pytest.mark.parametrize("groups", [2, 3, 17])
@pytest.mark.parametrize("within_groups", [True, False])
@pytest.mark.parametrize("block", [5, 2048])
def test_kernel_distances_have_ten_digits_in_common(
    n: int, m: int, groups: int, within_groups: bool, block: int
) -> None:
    x, y = features(n, 4), features(m, 5, shift=0.2)
    gx, gy = [i * 7 % groups for i in range(n)], [i * 5 % groups for i in range(m)]
    fast, slow = both(lambda: kernel_distance(x, y, gx, gy, within_groups=within_groups, block=block))
    assert fast.value == pytest.approx(slow.value, rel=1e-10)
    assert fast.left_out == slow.left_out
    assert (fast.interval is None) == (slow.interval is None)
    if slow.interval is not None:
        assert fast.interval == pytest.approx(slow.interval, rel=1e-9)
        assert fast.influences == pytest.approx(slow.influences, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 4), (101, 33), (30, 31), (257, 130)])
@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_neighbourhoods_are_the_same(n: int, m: int, spread: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "ROWS", 40)
    monkeypatch.setattr(neighbours, "COLUMNS", 27)
    random = np.random.default_rng(n)
    # Far from the origin, where products in float32 tell little; some rows twice, and one that is far from all.
    generated, real = ((10 + spread * random.normal(size=(k, DIM))).astype(np.float32) for k in (n, m))
    generated[-1] = real[0]
    real[-1] = 1e4
    near, dense = min(3, n - 1, m - 1), min(5, m - 1)
    fast, slow = both(lambda: neighbourhoods(generated, real, near, dense))
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("n", "m", "depth"), [(1, 1, 10), (2, 3, 2), (33, 257, 10), (1030, 77, 13)])
def test_rankings_are_the_same(n: int, m: int, depth: int) -> None:
    queries, gallery = (np.stack([unit_length(row) for row in features(k, k)]) for k in (n, m))
    gallery[m // 2 :] = gallery[: m - m // 2]
    fast, slow = both(lambda: rank(queries, gallery, depth))
    np.testing.assert_array_equal(fast, slow)


def compared(extractor: PairExtractor, first: Any, second: Any, *, reference_math: bool) -> Any:
    model = extractor.load(Context(reference_math=reference_math))
    return model.compare([(model.encode([first])[0], model.encode([second])[0])])[0]


def images(size: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    random = np.random.default_rng(size[0])
    first = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    noise = random.integers(-40, 40, first.shape)
    return first, np.clip(first.astype(np.int64) + noise, 0, 255).astype(np.uint8)


SIZES = [(11, 11), (12, 13), (64, 48), (101, 77), (256, 176)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window", ["gaussian", "uniform"])
@pytest.mark.parametrize("covariance", get_args(Covariance))
@pytest.mark.parametrize("border", get_args(Border))
@pytest.mark.parametrize("data_range", get_args(DataRange))
def test_similarities_have_twelve_digits_in_common(
    size: tuple[int, int],
    window: Literal["gaussian", "uniform"],
    covariance: Covariance,
    border: Border,
    data_range: DataRange,
) -> None:
    spec = StructuralSimilarity(window=window, covariance=covariance, border=border, data_range=data_range)
    fast, slow = (compared(spec, *images(size), reference_math=way)["ssim"] for way in (False, True))
    assert fast == pytest.approx(slow, rel=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_similarity_by_definition_is_scikit_images_to_fifteen_digits(size: tuple[int, int]) -> None:
    first, second = images(size)
    slow = compared(StructuralSimilarity(), first, second, reference_math=True)["ssim"]
    theirs = structural_similarity(
        first, second, gaussian_weights=True, use_sample_covariance=False, data_range=255, channel_axis=2
    )
    assert slow == pytest.approx(theirs, rel=1e-15)


@pytest.mark.parametrize("size", [(1, 1), *SIZES, (1201, 1603)])
def test_differences_of_pixels_are_the_same_to_the_bit(size: tuple[int, int]) -> None:
    first, second = images(size)
    black = np.zeros_like(first)
    for pair in ((first, second), (second, first), (first, first), (black, black + 255)):
        fast, slow = (compared(PixelDifference(), *pair, reference_math=way) for way in (False, True))
        assert {k: v.tobytes() for k, v in fast.items()} == {k: v.tobytes() for k, v in slow.items()}
        assert {v.dtype for v in fast.values()} == {np.dtype(np.float64)}


def drawn(first: Pooled, second: Pooled, resamples: int) -> tuple[Floats, Floats]:
    """Differences and their standard errors, resample by resample, as `differences` draws them."""
    k = len(first.total)
    random = np.random.default_rng(0)
    steps, errors = [], []
    for _ in range(resamples):
        items = random.integers(0, k, size=k)
        ratios, residuals = [], []
        for each in (first, second):
            total, count = each.total[items], each.count[items]
            ratios.append(total.sum() / count.sum())
            residuals.append((total - ratios[-1] * count) / count.sum())
        steps.append(ratios[1] - ratios[0])
        errors.append(np.sqrt(np.square(residuals[1] - residuals[0]).sum() * k / (k - 1)))
    return np.array(steps), np.array(errors)


@pytest.mark.parametrize("k", [7, 50, 501])
@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("apart", [1.0, 1e-6])
def test_resampled_differences_are_those_of_a_loop_to_nine_digits(k: int, alike: bool, apart: float) -> None:
    random = np.random.default_rng(k)
    count = random.integers(1, 5, k).astype(np.float64)
    fewer: Floats = np.maximum(count - random.integers(0, 2, k), 1)
    other = count if alike else fewer
    each = random.normal(0.7, 0.1, k)
    moved = each + apart * random.normal(0.01, 0.05, k)
    first, second = Pooled(each * count, count), Pooled(moved * other, other)
    (found,) = differences([(first, second)], resamples=199)
    steps, errors = drawn(first, second, 199)
    t = np.sort(np.abs(steps - found.value) / errors)
    reach = t[int(np.ceil(0.95 * 200)) - 1]
    assert found.interval is not None
    assert found.error is not None
    assert found.interval.high - found.value == pytest.approx(reach * found.error, rel=1e-9 if apart == 1 else 1e-5)
