"""What the camera does to a picture."""

from __future__ import annotations

import numpy as np
import pytest

from fhpt_eval.synthetic.exposure import CLEAN, Exposure, draw_exposure


def grey(value: int) -> np.ndarray:
    return np.full((256, 176, 3), value, dtype=np.uint8)


def test_noise_grows_with_the_signal_and_keeps_its_mean() -> None:
    exposure = Exposure(0.0, 0.01, 0.001, 90, "4:2:0", 3)

    def linear(value: int) -> np.ndarray:
        return ((exposure.develop(grey(value)) / 255 + 0.055) / 1.055) ** 2.4

    dark, bright = linear(90), linear(200)
    for pixels, value in ((dark, 90), (bright, 200)):
        assert pixels.mean() == pytest.approx(((value / 255 + 0.055) / 1.055) ** 2.4, abs=2e-3)
    # As the root of the light, with rounding to bytes on top.
    assert bright.std() == pytest.approx(0.01 * bright.mean() ** 0.5, rel=0.1)
    assert dark.std() == pytest.approx(0.01 * dark.mean() ** 0.5, rel=0.15)


def test_blur_softens_edges_by_a_share_of_the_height_and_black_stays_black() -> None:
    edge = grey(0)
    edge[:, 88:] = 255
    soft = Exposure(0.004, 0.0, 0.0, 90, "4:2:0", 3).develop(edge)
    between = ((soft[128, :, 0] > 12) & (soft[128, :, 0] < 250)).sum()
    assert 3 <= between <= 8
    assert (soft[:, :80] == 0).all()
    assert (soft[:, -80:] == 255).all()


def test_each_photograph_has_its_own_exposure_and_the_same_again() -> None:
    drawn = [draw_exposure(seed) for seed in range(60)]
    assert drawn == [draw_exposure(seed) for seed in range(60)]
    assert {75, 95} <= {*range(75, 96)} >= {exposure.quality for exposure in drawn}
    assert len({exposure.quality for exposure in drawn}) > 12
    assert min(exposure.blur for exposure in drawn) < 1e-4
    assert 0.0015 < max(exposure.blur for exposure in drawn) <= 0.002
    assert (drawn[3].develop(grey(100)) == drawn[3].develop(grey(100))).all()
    assert (drawn[3].develop(grey(100)) != drawn[4].develop(grey(100))).any()


def test_without_it_a_picture_is_as_rendered() -> None:
    assert (CLEAN.develop(grey(100)) == 100).all()
    assert (CLEAN.quality, CLEAN.subsampling) == (95, "4:4:4")
