"""Geometries of a batch on a device, here the CPU, against `Geometry.apply` of each image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhpt_eval.extract._geometry import apply
from fhpt_eval.images.geometry import Geometry

RESIZES = ["{}torch-bilinear{}", "{}tf1-bilinear{}", "{}pil-float-bicubic{} > clip"]
SIDES = st.integers(1, 70)


def images(seed: int, height: int, width: int, count: int = 2) -> npt.NDArray[np.uint8]:
    """Noise of extremes, which a bicubic filter overshoots."""
    return np.random.default_rng(seed).choice(
        np.array([0, 1, 128, 254, 255], dtype=np.uint8), (count, height, width, 3)
    )


def both(geometry: Geometry, given: npt.NDArray[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """What the device makes of a batch, and what the CPU makes of each image."""
    found = apply(geometry, torch.from_numpy(given).permute(0, 3, 1, 2))
    expected = np.stack([geometry.apply(image) for image in given])
    return found, torch.from_numpy(expected).permute(0, 3, 1, 2)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RESIZES), SIDES, SIDES, SIDES, SIDES, st.integers(0, 9))
@example(RESIZES[0], 1, 1, 5, 3, 0)
@example(RESIZES[1], 9, 7, 1, 1, 0)
@example(RESIZES[2], 256, 176, 299, 299, 0)
@example(RESIZES[2], 750, 1101, 299, 299, 0)
@example(RESIZES[0], 1101, 750, 299, 299, 0)
@example(RESIZES[1], 33, 47, 299, 299, 0)
def test_float_filters_are_those_of_each_image_to_1e_6_of_the_range(
    text: str, height: int, width: int, new_height: int, new_width: int, seed: int
) -> None:
    resize = text.format(f"resize(width={new_width}, height={new_height}, filter=", ")")
    for given_images in (images(seed, height, width), images(seed, height, width) * np.float32(0.37)):
        found, expected = both(Geometry.parse(resize), given_images)
        assert found.dtype == expected.dtype == torch.float32
        assert (found - expected).abs().max() <= 255e-6


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 9))
@example(256, 176, 224, 224, 0)
@example(1101, 750, 224, 224, 0)
@example(1, 1, 224, 224, 0)
@example(33, 47, 224, 224, 0)
def test_pillows_filter_of_bytes_is_equal_to_the_bit(
    height: int, width: int, new_height: int, new_width: int, seed: int
) -> None:
    resize = f"resize(width={new_width}, height={new_height}, filter=pil-bicubic)"
    found, expected = both(Geometry.parse(resize), images(seed, height, width))
    assert torch.equal(found, expected)
    found, expected = both(Geometry.parse(f"round > {resize}"), images(seed, height, width) * np.float32(1.01) - 0.5)
    assert torch.equal(found, expected)


def test_a_crop_follows_a_resize() -> None:
    geometry = Geometry.parse(
        "resize(width=30, height=45, filter=pil-bicubic) > crop(left=3, top=5, width=20, height=30)"
    )
    found, expected = both(geometry, images(0, 51, 33))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("text", ["grey", "resize(width=2, height=2, filter=cv2-area)"])
def test_other_steps_are_refused_instead_of_left_out(text: str) -> None:
    with pytest.raises(NotImplementedError, match="on a device"):
        apply(Geometry.parse(text), torch.zeros(1, 3, 4, 4))
