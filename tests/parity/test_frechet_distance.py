"""Fréchet distance and streamed statistics against SciPy's sqrtm, exact arithmetic and NumPy's mean and cov."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from pytorch_fid.fid_score import calculate_frechet_distance
from scipy import linalg

from fhpt_eval.evaluation.reference_file import ReferenceFile
from fhpt_eval.evaluation.reference_npz import use_npz
from fhpt_eval.maths.statistics import GaussianStats, frechet_distance
from fhpt_eval.protocols.fid import Fid

Floats = npt.NDArray[np.float64]
Kind = Callable[[int, int, int], Floats]
COUNTS = [2, 3, 17, 64, 257, 1024, 4096]
DIMENSIONS = [2, 8, 64, 512]


def distance(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    dim = x.shape[1]
    return frechet_distance(GaussianStats.of(x, dim), GaussianStats.of(y, dim))


def features(n: int, dim: int, seed: int) -> Floats:
    """Correlated, non-negative features of unit scale, as global average pooling after a ReLU gives them."""
    mixing = np.random.default_rng(99).normal(size=(dim, dim)) / np.sqrt(dim)
    rows: Floats = np.maximum(np.random.default_rng(seed).normal(0.3, 1, (n, dim)) @ mixing, 0)
    return rows


def by_sqrtm(x: Floats, y: Floats) -> float:
    a, b = np.atleast_2d(np.cov(x, rowvar=False)), np.atleast_2d(np.cov(y, rowvar=False))
    root = linalg.sqrtm(a @ b)
    step = x.mean(0) - y.mean(0)
    return float(step @ step + np.trace(a) + np.trace(b) - 2 * np.trace(root).real)


def by_symmetric_product(x: Floats, y: Floats) -> float:
    """Tr (A½ B A½)½ through eigenvalues: holds for singular A and B, to √ε for each zero eigenvalue."""
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = linalg.eigh(a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    trace = np.sqrt(np.clip(linalg.eigvalsh(root @ b @ root), 0, None)).sum()
    step = x.mean(0) - y.mean(0)
    return float(step @ step + np.trace(a) + np.trace(b) - 2 * trace)


def by_60_digits(x: Floats, y: Floats) -> float:
    """The distance of the very numbers in ``x`` and ``y``, with 60 digits: no rounding to speak of, at any rank."""
    with mpmath.workdps(60):
        centred, means = [], []
        for rows in (x, y):
            exact = mpmath.matrix(rows.tolist())
            mean = mpmath.matrix([[mpmath.fsum(exact[:, j]) / exact.rows for j in range(exact.cols)]])
            means.append(mean)
            scale = mpmath.sqrt(exact.rows - 1)
            centred.append(
                mpmath.matrix(
                    [[(exact[i, j] - mean[0, j]) / scale for j in range(exact.cols)] for i in range(exact.rows)]
                )
            )
        a, b = centred
        if len(x) <= x.shape[1]:  # the nonzero eigenvalues of AᵀA BᵀB are those of the n×n (ABᵀ)(ABᵀ)ᵀ
            cross = a * b.T
            product = cross * cross.T
        else:
            values, vectors = mpmath.eigsy(a.T * a)
            root = vectors * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * vectors.T
            product = root * (b.T * b) * root
        trace = mpmath.fsum(mpmath.sqrt(max(v, 0)) for v in mpmath.eigsy(product, eigvals_only=True))
        square = sum(mpmath.fsum(v**2 for v in m) for m in (a, b, means[0] - means[1]))
        return float(square - 2 * trace)


@pytest.mark.parametrize("dim", DIMENSIONS)
@pytest.mark.parametrize("n", COUNTS)
def test_distance_equals_an_independent_route_on_the_grid(n: int, dim: int) -> None:
    x, y = features(n, dim, 1), 1.1 * features(n, dim, 2) + 0.05
    if n > 2 * dim:
        assert distance(x, y) == pytest.approx(by_sqrtm(x, y), rel=1e-9)
    else:
        # Limited by the reference: each of its zero eigenvalues is worth √ε.
        assert distance(x, y) == pytest.approx(by_symmetric_product(x, y), rel=2e-6)


@pytest.mark.parametrize(
    ("n", "m", "dim"), [(300, 4000, 64), (65, 2000, 64), (2000, 40, 64), (3, 17, 512), (600, 2, 8)]
)
def test_distance_of_unequal_counts(n: int, m: int, dim: int) -> None:
    x, y = features(n, dim, 3), features(m, dim, 4) * 0.9
    assert distance(x, y) == pytest.approx(by_symmetric_product(x, y), rel=2e-6)
    assert distance(y, x) == pytest.approx(distance(x, y), rel=1e-12)


def rank_one(n: int, dim: int, seed: int) -> Floats:
    direction = np.random.default_rng(7).normal(size=dim)
    return np.outer(np.random.default_rng(seed).normal(size=n), direction)


def with_dead_features(n: int, dim: int, seed: int) -> Floats:
    rows = features(n, dim, seed)
    rows[:, ::2] = 0
    return rows


def with_repeated_rows(n: int, dim: int, seed: int) -> Floats:
    return np.resize(features(max(2, dim // 2), dim, seed), (n, dim))


def badly_scaled(n: int, dim: int, seed: int) -> Floats:
    scaled: Floats = features(n, dim, seed) * np.logspace(-5, 5, dim)
    return scaled


KINDS: list[Kind] = [features, rank_one, with_dead_features, with_repeated_rows, badly_scaled]


@pytest.mark.parametrize(("n", "m", "dim"), [(2, 2, 16), (5, 5, 16), (7, 13, 16), (40, 40, 8), (40, 30, 8), (12, 5, 8)])
@pytest.mark.parametrize("kind", KINDS)
def test_distance_has_eight_digits_at_any_rank(kind: Kind, n: int, m: int, dim: int) -> None:
    x, y = kind(n, dim, 5), kind(m, dim, 6)
    assert distance(x, y) == pytest.approx(by_60_digits(x, y), rel=1e-8)


@pytest.mark.parametrize(("n", "dim"), [(1024, 64), (4096, 512)])
@pytest.mark.parametrize("dead", [0, 32])
def test_distance_of_commuting_covariances_is_that_of_their_roots(n: int, dim: int, dead: int) -> None:
    # Columns of a Hadamard matrix are orthogonal and sum to 0, so both covariances are known exactly: V diag(a) Vᵀ.
    rng = np.random.default_rng(8)
    orthogonal = linalg.hadamard(n)[:, 1 : dim + 1].astype(np.float64) * np.sqrt((n - 1) / n)
    rotation = linalg.qr(rng.normal(size=(dim, dim)))[0]
    a, b = rng.uniform(0, 2, dim), rng.uniform(0, 2, dim)
    a[:dead] = 0
    b[dead // 2 : dead + dead // 2] = 0
    x, y = (orthogonal * np.sqrt(a)) @ rotation.T, (orthogonal * np.sqrt(b)) @ rotation.T + 1
    expected = dim + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    # A zero eigenvalue is known to ε only, and its root to √ε.
    assert distance(x, y) == pytest.approx(expected, rel=1e-8 if dead else 1e-12)


@pytest.mark.parametrize("dim", DIMENSIONS)
@pytest.mark.parametrize("n", COUNTS)
def test_distance_to_itself_is_zero_in_either_order(n: int, dim: int) -> None:
    x = features(n, dim, 9)
    assert 0 <= distance(x, x) < 1e-6
    assert 0 <= distance(x, x[::-1]) < 1e-6


@pytest.mark.parametrize("kind", [rank_one, with_dead_features, with_repeated_rows])
@pytest.mark.parametrize(("n", "dim"), [(30, 64), (64, 64), (65, 64), (1000, 64), (1000, 512)])
def test_distance_to_itself_is_zero_for_singular_covariances(kind: Kind, n: int, dim: int) -> None:
    x = kind(n, dim, 10)
    assert 0 <= distance(x, x) < 1e-6
    # Another order rounds the covariance otherwise, and a zero eigenvalue's square root feels that.
    assert 0 <= distance(x, x[::-1]) < 1e-6


def test_distance_between_the_routes_for_few_and_for_many_rows_is_zero() -> None:
    # Every row 10 times has the covariance of the rows, up to n/(n − 1); the one goes by rows, the other by covariance.
    x = features(50, 64, 11)
    y = np.tile(x, (10, 1))
    rescaled = y.mean(0) + (y - y.mean(0)) * np.sqrt((499 / 500) * (50 / 49))
    assert 0 <= distance(x, rescaled) < 1e-6


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("dim", [2, 32])
def test_streamed_statistics_are_numpys_for_any_count_around_the_dimension(dim: int, offset: float) -> None:
    for n in (2, dim - 1, dim, dim + 1, dim + 2, 2 * dim, 2 * dim + 1, 2 * dim + 2, 2 * dim + 3, 10 * dim + 7):
        if n < 2:
            continue
        rows = np.random.default_rng(n).normal(size=(n, dim)) + offset
        stats = GaussianStats.of(iter(rows), dim)
        factor = stats.factor
        assert stats.n == n
        np.testing.assert_allclose(stats.mean, rows.mean(0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(factor @ factor.T, np.cov(rows, rowvar=False), rtol=0, atol=1e-10)


def test_statistics_of_float32_rows_are_those_of_the_same_numbers_in_float64() -> None:
    rows = features(100, 16, 12).astype(np.float32)
    assert distance(rows, rows[::2]) == distance(rows.astype(np.float64), rows[::2].astype(np.float64))


@pytest.mark.filterwarnings("ignore:The `disp` argument is deprecated:DeprecationWarning")
@pytest.mark.parametrize("count", [None, 700])
def test_statistics_in_pytorch_fids_file_give_its_distance(tmp_path: Path, count: int | None) -> None:
    x, y = features(500, 64, 1), 1.1 * features(700, 64, 2) + 0.05
    ours, theirs = ((rows.mean(axis=0), np.cov(rows, rowvar=False)) for rows in (x, y))
    np.savez_compressed(tmp_path / "y.npz", mu=theirs[0], sigma=theirs[1])
    need = replace(Fid().reference_need(), dim=64)
    (tmp_path / "y.safetensors").write_bytes(use_npz([tmp_path / "y.npz"], need, count).data)
    kept = ReferenceFile.at(tmp_path / "y.safetensors").reference_features(need)
    expected = calculate_frechet_distance(*ours, *theirs)
    assert frechet_distance(GaussianStats.of(x, 64), kept.statistics(count)) == pytest.approx(expected, rel=1e-10)
