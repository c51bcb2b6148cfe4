"""Statistics as their definitions stand: slow, and short enough to be seen to be right. `--reference-math` takes them.

Everything here is one formula on whole matrices in float64; the fast way is beside it in the module that asks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def frechet_distance(mean_a: Floats, covariance_a: Floats, mean_b: Floats, covariance_b: Floats) -> float:
    """Return |μ₁ − μ₂|² + Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), the root by Schur's method as published (Heusel et al., 2017).

    Where that finds none, as it may for singular covariances, (Σ₁^½ Σ₂ Σ₁^½)^½ has the same trace.
    """
    import warnings

    from scipy import linalg

    with warnings.catch_warnings():
        # SciPy says of singular matrices that the root may be rough.
        warnings.simplefilter("ignore")
        trace = np.trace(linalg.sqrtm(covariance_a @ covariance_b)).real
    if not np.isfinite(trace):
        half = root(covariance_a)
        trace = np.trace(root(half @ covariance_b @ half))
    total = np.trace(covariance_a) + np.trace(covariance_b) - 2 * trace
    return max(0.0, float(np.square(mean_a - mean_b).sum() + total))


def transport(covariance_a: Floats, covariance_b: Floats) -> Floats:
    """Return the matrix T that maps a Gaussian of Σ₁ onto one of Σ₂: Σ₁^−½ (Σ₁^½ Σ₂ Σ₁^½)^½ Σ₁^−½."""
    half = root(covariance_a)
    inverse: Floats = np.linalg.pinv(half, rcond=1e-7, hermitian=True)
    return np.asarray(inverse @ root(half @ covariance_b @ half) @ inverse)


def root(matrix: Floats) -> Floats:
    """Return the symmetric root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def kernel_sums(
    x: Floats, y: Floats, groups_x: Indices, groups_y: Indices, k: int, *, itself: bool, within_groups: bool
) -> Floats:
    """Return the sums of KID's kernel, (x·y/D + 1)³, over the pairs of rows of two groups each: k×k.

    Args:
        x: n×D.
        y: m×D.
        groups_x: The group of each of the n rows, below k.
        groups_y: Of each of the m rows.
        k: How many groups there are.
        itself: Whether both sets are the same, so that a row and itself are no pair.
        within_groups: Whether pairs of rows of one group count.
    """
    kernel = (x @ y.T / x.shape[1] + 1) ** 3
    if itself:
        np.fill_diagonal(kernel, 0)
    if not within_groups:
        kernel[groups_x[:, None] == groups_y[None, :]] = 0
    sums = np.zeros((k, k))
    np.add.at(sums, (groups_x[:, None], groups_y[None, :]), kernel)
    return sums


def neighbourhoods(
    generated: npt.NDArray[np.float32], real: npt.NDArray[np.float32], near: int, dense: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return what `fhpt_eval.maths.neighbours.neighbourhoods` does, from every distance, row by row."""

    def distances(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> Floats:
        return np.array([np.square(other.astype(np.float64) - row.astype(np.float64)).sum(axis=1) for row in one])

    # Of all points the nearest is the point itself.
    of_generated = np.sort(distances(generated, generated), axis=1)[:, near]
    among_real = np.sort(distances(real, real), axis=1)
    across = distances(real, generated)
    in_real = across <= among_real[:, near, None]
    in_dense = across < among_real[:, dense, None]
    in_generated = across <= of_generated[None, :]
    return in_real.any(axis=0), in_generated.any(axis=1), in_dense.sum(axis=0), in_dense.any(axis=1)


def ranking(queries: npt.NDArray[np.float32], gallery: npt.NDArray[np.float32], depth: int) -> Indices:
    """Return the gallery rows of largest inner product in float64 with each query, best first, equal ones by row."""
    wide = gallery.astype(np.float64)
    best = [np.argsort(-(wide * query).sum(axis=1), kind="stable")[:depth] for query in queries]
    return np.array(best, dtype=np.intp).reshape(len(queries), min(depth, len(gallery)))
