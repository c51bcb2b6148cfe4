"""Singular values by way of symmetric eigenvalues: several times as fast as an SVD, and on a GPU where there is one.

The eigenvalues of C Cᵀ are the squares of C's singular values, each off by rounding of the *largest* one. So a singular
value far below the largest would keep few of its digits or none. Those are not taken from there: C is projected onto
their vectors, which leaves a matrix that has them for its largest ones, and the same is done again. The sum keeps 11
digits or more at any rank and condition (tests/properties/test_reference_math.py).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SMALL = 1e-10
"""Of the largest eigenvalue: below it, an eigenvalue is too rough to take the root of."""

_DEVICE: ContextVar[str] = ContextVar("device of eigenvalues", default="cpu")


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Compute eigenvalues on this device meanwhile, if it is one of CUDA (which has float64), and torch is loaded."""
    before = _DEVICE.set(device)
    try:
        yield
    finally:
        _DEVICE.reset(before)


class Singular(NamedTuple):
    """The singular vectors U, V of a matrix U diag(s) Vᵀ that are more than rounding, and all that there is to sum.

    Attributes:
        left: p×r.
        values: r.
        right: q×r.
        total: The sum of all singular values, also of those without vectors.
    """

    left: Floats
    values: Floats
    right: Floats
    total: float


def nuclear_norm(matrix: Floats) -> float:
    """Return the sum of the singular values of a p×q matrix."""
    total, rest = 0.0, matrix if len(matrix) <= matrix.shape[1] else matrix.T
    while len(rest):
        # Squares of very small numbers would be 0.
        scale = float(np.abs(rest).max(initial=0.0))
        if scale == 0:
            break
        rest = rest / scale
        gram = rest @ rest.T
        values = _eigenvalues(gram)
        small = int(np.searchsorted(values, values[-1] * _SMALL))
        total += scale * float(np.sqrt(np.maximum(values[small:], 0)).sum())
        if not small:
            break
        rest = scale * (_smallest_eigenvectors(gram, small).T @ rest)
    return total


def singular(matrix: Floats) -> Singular:
    """Decompose a p×q matrix."""
    if len(matrix) > matrix.shape[1]:
        turned = singular(matrix.T)
        return turned._replace(left=turned.right, right=turned.left)
    values, vectors = eigen(matrix @ matrix.T)
    small = int(np.searchsorted(values, values[-1] * _SMALL))
    projected = vectors.T @ matrix
    # Lengths of nearly orthogonal rows have twice the digits of the eigenvalues.
    lengths = np.sqrt(np.square(projected).sum(axis=1))
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    total = float(lengths[small:].sum()) + nuclear_norm(projected[:small])
    return Singular(vectors[:, kept], lengths[kept], (projected[kept] / lengths[kept, None]).T, total)


def eigen(matrix: Floats) -> tuple[Floats, Floats]:
    """Return the eigenvalues of a symmetric matrix in rising order, and their vectors as columns."""
    if (device := _accelerator()) is not None:
        return _eigen_by_torch(matrix, device)
    from scipy import linalg

    values, vectors = linalg.eigh(matrix, driver="evd")
    return values, vectors


def _eigenvalues(matrix: Floats) -> Floats:
    if _accelerator() is not None:
        return eigen(matrix)[0]
    from scipy import linalg

    return np.asarray(linalg.eigvalsh(matrix))


def _smallest_eigenvectors(matrix: Floats, count: int) -> Floats:
    """Return the vectors of the ``count`` smallest eigenvalues of a symmetric matrix, as columns."""
    if _accelerator() is not None:
        return eigen(matrix)[1][:, :count]
    from scipy import linalg

    return np.asarray(linalg.eigh(matrix, subset_by_index=(0, count - 1))[1])


def _accelerator() -> str | None:
    # Loading torch for this alone takes longer than the CPU does.
    device = _DEVICE.get()
    return device if device.startswith("cuda") and "torch" in sys.modules else None


def _eigen_by_torch(matrix: Floats, device: str) -> tuple[Floats, Floats]:
    import torch

    found: Any = torch.linalg.eigh(torch.from_numpy(np.ascontiguousarray(matrix)).to(device))
    return found.eigenvalues.cpu().numpy(), found.eigenvectors.cpu().numpy()
