"""Equation (2): equal to the formula written out, and without a seam."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from fhpt_eval.reference_models.drn.assembly import MARGIN, SPREAD, assemble, crop_box, cut, face_mask

BOX = torch.tensor([40.0, 20.0, 80.0, 60.0])


def mask_by_scipy(crop: torch.Tensor, height: int, width: int) -> np.ndarray:
    """The indicator of the box, filtered in two dimensions by SciPy's Gaussian; cut off where ours is."""
    left, top, right, bottom = (int(v) for v in crop)
    sigma = SPREAD * (right - left) / (1 + 2 * MARGIN)
    reach = int(np.floor(3 * sigma))
    indicator = np.zeros((height, width))
    indicator[top + reach : bottom - reach, left + reach : right - reach] = 1
    blurred: np.ndarray = ndimage.gaussian_filter(indicator, sigma, mode="constant", radius=reach)
    return blurred


@pytest.mark.parametrize("box", [BOX, torch.tensor([33.2, 41.7, 52.9, 66.1]), torch.tensor([60.0, 60.0, 63.0, 64.0])])
def test_the_mask_is_a_gaussian_over_the_indicator_of_the_box(box: torch.Tensor) -> None:
    crop = crop_box(box)
    np.testing.assert_allclose(face_mask(crop, 128, 120).numpy(), mask_by_scipy(crop, 128, 120), atol=1e-6)


def test_the_result_is_the_formula() -> None:
    random = torch.Generator().manual_seed(0)
    image, face = torch.rand(3, 96, 112, generator=random), torch.rand(3, 60, 60, generator=random)
    crop = crop_box(BOX)
    left, top, right, bottom = crop.tolist()
    assert (right - left, bottom - top) == (60, 60)
    mask = torch.from_numpy(mask_by_scipy(crop, 96, 112))
    placed = torch.zeros(3, 96, 112)
    placed[:, top:bottom, left:right] = face
    expected = (1 - mask) * image + mask * placed
    torch.testing.assert_close(assemble(image, face, crop), expected.float(), rtol=0, atol=1e-6)


def test_inside_it_is_the_face_and_outside_of_the_crop_the_image_to_the_bit() -> None:
    image, face = torch.zeros(3, 96, 112), torch.ones(3, 64, 64)
    crop = crop_box(BOX)
    left, top, right, bottom = crop.tolist()
    result = assemble(image, face, crop)
    torch.testing.assert_close(result[:, 35:45, 55:65], torch.ones(3, 10, 10))
    outside = torch.ones(96, 112, dtype=torch.bool)
    outside[top:bottom, left:right] = False
    assert not result[:, outside].any()


def test_there_is_no_seam() -> None:
    """White face on black: no step between neighbouring pixels is larger than the Gaussian's steepest."""
    result = assemble(torch.zeros(3, 96, 112), torch.ones(3, 64, 64), crop_box(BOX))
    steepest = 1 / (np.sqrt(2 * np.pi) * SPREAD * 40)
    for axis in (1, 2):
        assert float(result.diff(dim=axis).abs().max()) < 1.05 * steepest


def test_a_face_at_the_border_is_cut_off() -> None:
    image = torch.rand(3, 40, 40)
    for box in ([-10.0, -5.0, 12.0, 17.0], [30.0, 30.0, 55.0, 50.0]):
        crop = crop_box(torch.tensor(box))
        result = assemble(image, torch.zeros(3, 64, 64), crop)
        assert result.shape == image.shape
        assert torch.isfinite(result).all()


def test_cutting_out_and_putting_back_leaves_the_picture() -> None:
    """A 60-pixel crop at its own size comes back as it was."""
    image = torch.rand(3, 96, 112)
    crop = crop_box(BOX)
    torch.testing.assert_close(assemble(image, cut(image, crop, 60), crop), image, rtol=0, atol=1e-5)


def test_a_crop_beyond_the_border_repeats_the_border() -> None:
    image = torch.arange(16.0).reshape(1, 4, 4).repeat(3, 1, 1)
    square = cut(image, torch.tensor([-2, 0, 2, 4]), 4)
    np.testing.assert_allclose(square[0, 0].numpy(), [0, 0, 0, 1], atol=1e-5)
