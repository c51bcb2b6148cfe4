"""Point 5: Fréchet and kernel distance of 2,048 dimensions, and retrieval, on the CPU and on the device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fhpt_eval.maths.kernels import subset_kernel_distance
from fhpt_eval.maths.ranking import rank, unit_length
from fhpt_eval.maths.singular import on_device
from fhpt_eval.maths.statistics import GaussianStats, frechet_distance
from on_device.given import Given, synchronise, tell, try_to

DIMENSIONS = 2048


def main(given: Given) -> None:
    """Tell seconds, on fewer vectors where the seconds are few."""
    small = given.seconds < 2.5
    count, gallery = (400, 1500) if small else (8570, 100_000)
    random = np.random.default_rng(0)
    sets = [random.random((count, DIMENSIONS), dtype=np.float32) ** 3 + shift for shift in (0, 0.01)]
    a, b = (GaussianStats.of(rows, DIMENSIONS) for rows in sets)
    what = f"Fréchet distance, D = {DIMENSIONS}, N = {count:,}"
    cpu = _timed(f"{what}, CPU", lambda: frechet_distance(a, b), "≤ 1 s")
    if given.device != "cpu":
        with on_device(given.device):
            frechet_distance(a, b)  # the device's libraries start
            gpu = _timed(f"{what}, {given.device}", lambda: frechet_distance(a, b), "")
        tell("Fréchet distance: device off from the CPU", abs(gpu - cpu) / cpu, "relative", "≤ 1e-9")
        try_to("singular values alone", lambda: _plain(given, a, b))
    x, y = (rows.astype(np.float64) for rows in sets)
    size = min(1000, count)
    _timed(f"kernel distance, 100 subsets of {size}, CPU", lambda: subset_kernel_distance(x, y, 100, size), "")
    vectors = unit_length(random.standard_normal((gallery, DIMENSIONS), dtype=np.float32))
    asked = vectors[: max(1, gallery // 100)]
    _timed(f"retrieval, {len(asked):,} in {gallery:,} × {DIMENSIONS}, CPU", lambda: rank(asked, vectors, 10), "exact")


def _plain(given: Given, a: GaussianStats, b: GaussianStats) -> None:
    """Tell what torch itself takes for the largest step, in float64: the bound of any way on the device."""
    import torch

    product = torch.from_numpy(a.factor.T @ b.factor).to(given.device)
    for name, matrix in (("svdvals", product), ("eigvalsh", product @ product.T)):
        step = getattr(torch.linalg, name)
        step(matrix)
        synchronise(given.device)
        start = time.perf_counter()
        step(matrix)
        synchronise(given.device)
        tell(f"torch.linalg.{name}, float64, {given.device}", time.perf_counter() - start, "s")


def _timed(what: str, call: Callable[[], Any], goal: str) -> Any:
    start = time.perf_counter()
    result = try_to(what, call)
    if result is not None:
        tell(what, time.perf_counter() - start, "s", goal)
    return result
