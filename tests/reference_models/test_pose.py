"""Heatmaps and sketches against the formula, and against where the points are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fhpt_eval.reference_models.drn import pose
from fhpt_eval.reference_models.drn.pose import SIGMA, sketch


def body_with(*points: tuple[int, float, float]) -> np.ndarray:
    body = np.full((18, 3), np.nan)
    body[:, 2] = 0
    for joint, x, y in points:
        body[joint] = (x, y, 1)
    return body


def heatmaps(body: NDArray[np.floating], height: int, width: int) -> NDArray[np.float32]:
    """Of one body."""
    maps: NDArray[np.float32] = pose.heatmaps(torch.from_numpy(body)[None], height, width)[0].numpy()
    return maps


@pytest.mark.parametrize(("height", "width"), [(256, 176), (64, 48), (33, 17), (512, 352)])
def test_heatmaps_of_many_bodies_are_the_gaussians_of_each_to_seven_digits(height: int, width: int) -> None:
    random = np.random.default_rng(height)
    bodies = random.uniform(-0.2 * height, 1.2 * height, (5, 36, 3)).astype(np.float32)
    bodies[..., 2] = random.random((5, 36)) > 0.3
    bodies[bodies[..., 2] == 0, :2] = np.nan
    maps = pose.heatmaps(torch.from_numpy(bodies), height, width).numpy()
    ys, xs = np.mgrid[:height, :width] + 0.5
    for i, body in enumerate(bodies.astype(np.float64)):
        for j, (x, y, score) in enumerate(body):
            squares = (xs - x) ** 2 + (ys - y) ** 2
            expected = np.exp(-squares / (2 * (SIGMA * height) ** 2)) if score else np.zeros((height, width))
            np.testing.assert_allclose(maps[i, j], expected, rtol=0, atol=1e-7)
        np.testing.assert_array_equal(heatmaps(bodies[i], height, width), maps[i])


def test_a_heatmap_is_a_gaussian_about_the_joint_in_pixel_centres() -> None:
    maps = heatmaps(body_with((0, 10.5, 20.5), (3, 40.2, -3.0)), 256, 176)
    assert maps.shape == (18, 256, 176)
    assert maps[0, 20, 10] == 1
    assert maps[0, 20, 16] == pytest.approx(np.exp(-36 / (2 * 6**2)))
    assert maps[0, 26, 16] == pytest.approx(np.exp(-72 / (2 * 6**2)))
    assert maps[3].max() == pytest.approx(np.exp(-(3.5**2 + 0.3**2) / (2 * 6**2)))
    assert not maps[[j for j in range(18) if j not in (0, 3)]].any()


def test_the_width_of_a_heatmap_follows_the_images_height() -> None:
    assert SIGMA * 256 == 6
    small, large = (heatmaps(body_with((0, s / 2, s / 2)), s, s)[0].sum() for s in (64, 128))
    assert large / small == pytest.approx(4, rel=1e-3)


def test_no_value_of_a_heatmap_is_denormal() -> None:
    maps = heatmaps(body_with((0, 10.5, 20.5)), 256, 176)
    assert maps[maps > 0].min() >= np.finfo(np.float32).tiny


def face_on_a_circle() -> np.ndarray:
    angles = np.linspace(0, np.pi, 68)
    return np.stack([100 + 20 * np.cos(angles), 50 + 20 * np.sin(angles), np.ones(68)], axis=1)


def test_a_sketch_shows_the_landmarks_where_they_are_in_the_crop() -> None:
    crop = np.array([70, 20, 134, 84])
    drawing = sketch(face_on_a_circle(), crop, 64)
    assert drawing.shape == (1, 64, 64)
    assert 0 <= drawing.min() < drawing.max() <= 1
    rows, columns = np.nonzero(drawing[0])
    distances = np.hypot(columns + 0.5 - 30, rows + 0.5 - 30)
    assert np.abs(distances - 20).max() < 2
    halved = sketch(face_on_a_circle(), crop, 32)
    assert np.abs(np.argwhere(halved[0]).mean(0) * 2 - np.argwhere(drawing[0]).mean(0)).max() < 1.5


def test_what_was_not_found_is_not_drawn() -> None:
    nothing = np.full((68, 3), np.nan)
    nothing[:, 2] = 0
    assert not sketch(nothing, np.array([0, 0, 64, 64]), 64).any()
    half = face_on_a_circle()
    half[17:] = (np.nan, np.nan, 0)
    assert sketch(half, np.array([70, 20, 134, 84]), 64).sum() > 0
