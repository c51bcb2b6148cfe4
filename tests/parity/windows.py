"""SSIM's windows, as our options and as scikit-image's."""

from __future__ import annotations

from typing import Any

import pytest

WINDOWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gaussian σ 1.5": ({}, {"gaussian_weights": True, "sigma": 1.5}),
    "gaussian σ 1.2": ({"sigma": 1.2, "taps": 9}, {"gaussian_weights": True, "sigma": 1.2}),
    "uniform 7": ({"window": "uniform", "taps": 7}, {"win_size": 7}),
    "uniform 51": ({"window": "uniform", "taps": 51}, {"win_size": 51}),
}
each_window = pytest.mark.parametrize("window", WINDOWS)
