"""Each loss against values worked out by hand."""

from __future__ import annotations

import pytest
import torch

from fhpt_eval.reference_models.drn.losses import (
    discriminator_loss,
    gram,
    least_squares,
    perceptual_loss,
    reconstruction_loss,
    style_loss,
)


def test_the_reconstruction_loss_is_the_mean_absolute_difference() -> None:
    generated, target = torch.tensor([[1.0, -1.0], [0.0, 0.5]]), torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    assert float(reconstruction_loss(generated, target)) == (1 + 0 + 1 + 0.5) / 4


def test_the_perceptual_loss_adds_up_the_layers_means() -> None:
    generated = [torch.zeros(2, 1, 2, 2), torch.ones(2, 4, 1, 1)]
    target = [torch.full((2, 1, 2, 2), 3.0), torch.full((2, 4, 1, 1), -1.0)]
    assert float(perceptual_loss(generated, target)) == 3 + 2


def test_the_gram_matrix_by_hand() -> None:
    """Two channels of 1×2 pixels: (1, 2) and (3, 4); products 5, 11, 25 over C·H·W = 4."""
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    torch.testing.assert_close(gram(features), torch.tensor([[[5 / 4, 11 / 4], [11 / 4, 25 / 4]]]))


def test_the_style_loss_by_hand() -> None:
    """Zeros against (1, 2), (3, 4): squared entries (25 + 121 + 121 + 625) / 16, in units of the mean square 30 / 4."""
    target = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    zeros = torch.zeros_like(target)
    expected = 892 / 16 / 7.5**2
    assert float(style_loss([zeros], [target])) == pytest.approx(expected)
    assert float(style_loss([zeros, target], [target, target])) == pytest.approx(expected)
    assert float(style_loss([torch.cat([zeros, target])], [torch.cat([target, target])])) == pytest.approx(expected / 2)


def test_the_style_loss_does_not_depend_on_the_scale_of_the_features() -> None:
    random = torch.Generator().manual_seed(0)
    generated, target = torch.randn(2, 3, 4, 5, generator=random), torch.randn(2, 3, 4, 5, generator=random)
    small, large = (float(style_loss([k * generated], [k * target])) for k in (1, 100))
    assert large == pytest.approx(small, rel=1e-4)


def test_the_style_loss_does_not_see_where_things_are() -> None:
    features = torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    shuffled = features.flip(2).roll(2, 3)
    assert float(style_loss([features], [shuffled])) == pytest.approx(0, abs=1e-12)


def test_least_squares_losses_by_hand() -> None:
    scores = torch.tensor([0.0, 1.0, 3.0])
    assert float(least_squares(scores, real=True)) == pytest.approx((1 + 0 + 4) / 3)
    assert float(least_squares(scores, real=False)) == pytest.approx((0 + 1 + 9) / 3)
    assert float(discriminator_loss(scores, scores)) == pytest.approx((5 / 3 + 10 / 3) / 2)
    assert float(discriminator_loss(torch.ones(2), torch.zeros(2))) == 0
