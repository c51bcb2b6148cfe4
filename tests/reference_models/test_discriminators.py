"""What a generator is told by the discriminators: PATN's ask for single pixels, smooth ones do not."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from toy_updates import TINY, body_batch, features, moved, snapshot

from fhpt_eval.reference_models.drn.config import named_config
from fhpt_eval.reference_models.drn.discriminators import Discriminator, Discriminators, SmoothDiscriminator
from fhpt_eval.reference_models.drn.losses import discriminator_loss, least_squares
from fhpt_eval.reference_models.drn.updates import BodyUpdates


def pair(*, smooth: bool) -> tuple[nn.Module, Tensor, Tensor]:
    """A discriminator on patches, and blurred noise of two kinds as real and generated images with conditions."""
    torch.manual_seed(0)
    discriminator = (SmoothDiscriminator if smooth else Discriminator)(6, width=8, patch=2)
    coarse = torch.rand(4, 6, 6, 6) * 2 - 1
    generated = torch.nn.functional.interpolate(coarse, size=(48, 48), mode="bicubic")
    real = torch.nn.functional.interpolate(coarse, size=(48, 48), mode="nearest")
    return discriminator, real, generated


def share_of_single_pixels(image: Tensor) -> float:
    """How much of the energy is at more than 3/8 of a cycle a pixel, across or down."""
    energy = torch.fft.fft2(image - image.mean((2, 3), keepdim=True)).abs().square().sum((0, 1))
    high = torch.fft.fftfreq(image.shape[-1]).abs() > 3 / 8
    return float(energy[high[:, None] | high[None]].sum() / energy.sum())


def asked_for(*, smooth: bool) -> Tensor:
    """The gradient of the generator's adversarial loss in the generated images."""
    discriminator, _, generated = pair(smooth=smooth)
    generated.requires_grad_()
    least_squares(discriminator(generated), real=True).backward()
    assert generated.grad is not None
    return generated.grad


def test_smooth_discriminators_do_not_ask_for_single_pixels() -> None:
    assert share_of_single_pixels(asked_for(smooth=False)) > 0.25
    assert share_of_single_pixels(asked_for(smooth=True)) < 0.02


def test_no_image_moves_the_mean_score_of_patns_discriminator_above_two_fifths() -> None:
    """Its last feature map is a LeakyReLU of what has mean 0 and variance 1, and residuals of mean 0."""
    discriminator, real, generated = pair(smooth=False)
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(20).add_(0.1)
        for image in (real, generated, 9 * real, torch.randn(real.shape)):
            assert float(discriminator(image).mean((2, 3)).max()) <= 0.4 + 1e-5


def test_smooth_discriminators_learn_more_than_patns_can() -> None:
    """PATN's loss has a floor: 0.18, half of (1 − 0.4)² for real images, and 0 for generated ones."""
    discriminator, real, generated = pair(smooth=True)
    optimiser = torch.optim.Adam(discriminator.parameters(), 2e-3)
    for _ in range(60):
        loss = discriminator_loss(discriminator(real), discriminator(generated))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.15


def test_the_configuration_chooses_the_discriminators() -> None:
    small = named_config("drn", "small")
    image, pose = torch.zeros(1, 3, 32, 32), torch.zeros(1, 18, 32, 32)
    shapes = [
        [tuple(scores.shape) for scores in Discriminators(18, config)(image, image, pose)]
        for config in (small, replace(small, smooth_discriminators=True))
    ]
    assert shapes == [[(1, 64, 4, 4)] * 2, [(1, 1, 4, 4)] * 2]


def test_smooth_discriminators_learn_in_bfloat16() -> None:
    torch.manual_seed(0)
    updates = BodyUpdates(
        replace(TINY, patch=2, down_samplings=2, smooth_discriminators=True), features, "cpu", precision="bfloat16"
    )
    before = snapshot(updates)
    losses = updates.step(body_batch())
    assert "discriminators" in moved(before, snapshot(updates))
    assert all(torch.isfinite(value) for value in losses.values())
