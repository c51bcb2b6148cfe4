"""Precision, recall, density and coverage against the `prdc` package and torch-fidelity, on seeded features.

All four are counts of images, so equal means the same images: exactly, but for the last division.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from prdc import compute_prdc
from torch_fidelity.metric_prc import prc_features_to_metric

from fhpt_eval.maths import neighbours
from fhpt_eval.maths.neighbours import neighbourhoods, squared_radii

Vectors = npt.NDArray[np.float32]


def features(seed: int, n: int, shift: float = 0.0, dim: int = 24) -> Vectors:
    random = np.random.default_rng(seed)
    points: Vectors = (np.abs(random.normal(shift, 1, (n, dim))) + random.normal(0, 0.1, dim)).astype(np.float32)
    return points


def four(generated: Vectors, real: Vectors, near: int, dense: int) -> dict[str, float]:
    found = neighbourhoods(generated, real, near, dense)
    return {
        "precision": float(found.precise.mean()),
        "recall": float(found.recalled.mean()),
        "density": float(found.dense.mean() / dense),
        "coverage": float(found.covered.mean()),
    }


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "ROWS", 64)
    monkeypatch.setattr(neighbours, "COLUMNS", 100)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("counts", [(300, 300), (150, 423), (401, 130)])
def test_all_four_are_the_prdc_packages(k: int, counts: tuple[int, int]) -> None:
    generated, real = features(1, counts[0], 0.6), features(2, counts[1])
    both = {"real_features": real.astype(np.float64), "fake_features": generated.astype(np.float64)}
    expected = compute_prdc(**both, nearest_k=k)
    found = four(generated, real, k, k)
    assert found == pytest.approx(expected, abs=1e-12)
    assert all(value > 0.02 for value in found.values())
    assert found["precision"] < 1
    assert found["coverage"] < 1


@pytest.mark.parametrize("low_memory", [True, False])
def test_precision_and_recall_are_torch_fidelitys(low_memory: bool) -> None:
    generated, real = features(3, 260, 0.2), features(4, 310)
    options: dict[str, Any] = {"prc_neighborhood": 3, "prc_batch_size": 128, "verbose": False}
    options["save_cpu_ram"] = low_memory
    expected = prc_features_to_metric(torch.from_numpy(generated).double(), torch.from_numpy(real).double(), **options)
    found = four(generated, real, 3, 5)
    # torch-fidelity averages in float32.
    assert found["precision"] == pytest.approx(expected["precision"], abs=1e-7)
    assert found["recall"] == pytest.approx(expected["recall"], abs=1e-7)


def test_the_two_neighbourhoods_do_not_mix() -> None:
    generated, real = features(1, 200, 0.1), features(2, 200)
    both, three, five = (four(generated, real, *ks) for ks in ((3, 5), (3, 3), (5, 5)))
    assert both == {**{k: three[k] for k in ("precision", "recall")}, **{k: five[k] for k in ("density", "coverage")}}


def test_copies_of_the_real_images_lie_on_the_surfaces_of_balls_exactly() -> None:
    real = features(5, 230) * 100
    found = four(real.copy(), real, 3, 5)
    # Each ball holds its own point and four neighbours; the fifth lies on its surface and does not count.
    assert found == {"precision": 1.0, "recall": 1.0, "density": 1.0, "coverage": 1.0}


def test_a_radius_is_the_distance_to_the_kth_other_point() -> None:
    points = np.array([[0], [1], [3], [7], [7]], dtype=np.float32)
    one, two = squared_radii(points, [1, 2])
    assert one.tolist() == [1, 1, 4, 0, 0]
    assert two.tolist() == [9, 4, 9, 16, 16]


def test_the_order_of_images_does_not_matter() -> None:
    generated, real = features(6, 180, 0.1), features(7, 190)
    assert four(generated, real, 3, 5) == four(generated[::-1].copy(), real[::-1].copy(), 3, 5)
