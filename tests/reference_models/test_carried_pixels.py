"""Pixels are carried from the source to where the target's joints say, and a network begins without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from fhpt_eval.reference_models.drn.config import SIZES
from fhpt_eval.reference_models.drn.flow import CarriedPixels, JointFlow
from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork
from fhpt_eval.reference_models.drn.pose import heatmaps

HEIGHT, WIDTH = 64, 48
JOINTS = torch.tensor([[24.0, 14], [24, 20], [16, 20], [13, 28], [32, 20], [35, 28], [19, 40], [18, 50], [29, 40]])


def poses(source: Tensor, target: Tensor, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Heatmaps of two people with 18 joints, of which those that are given are found."""
    bodies = torch.zeros(2, 18, 3)
    for body, points in zip(bodies, (source, target), strict=True):
        body[: len(points)] = torch.cat([points, torch.ones(len(points), 1)], 1)
    return heatmaps(bodies, height, width).reshape(1, 36, height, width)


def middles() -> Tensor:
    """x and y of all pixels' middles, HEIGHT×WIDTH×2."""
    rows, columns = torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, (0.0, 0.0)), (1.0, (5.0, -3.0)), (0.75, (4.0, 6.0))])
def test_the_flow_undoes_a_shift_and_a_change_of_scale(scale: float, shift: tuple[float, float]) -> None:
    target = JOINTS * scale + torch.tensor(shift)
    flow = middles() + JointFlow(18)(poses(JOINTS, target), HEIGHT, WIDTH)[0].movedim(0, -1) * HEIGHT
    wanted = (middles() - torch.tensor(shift)) / scale
    # Heatmaps tell centres to a hundredth of a pixel.
    torch.testing.assert_close(flow, wanted, rtol=0, atol=0.05)


def test_the_flow_is_least_squares_about_each_place() -> None:
    generator = torch.Generator().manual_seed(0)
    target = JOINTS + 3 * torch.randn(JOINTS.shape, generator=generator)
    module = JointFlow(18)
    flow = module(poses(JOINTS, target), 8, 6)[0].detach().numpy() * HEIGHT
    counts = module.influence.exp().detach().numpy()[: len(JOINTS)]
    s, t = JOINTS.numpy(), target.numpy()
    for row, column in [(0, 0), (3, 2), (7, 5)]:
        at = np.array([(column + 0.5) * 8, (row + 0.5) * 8])
        w = counts / (((at - t) ** 2).sum(1) + (HEIGHT / 32) ** 2)
        w /= w.sum()
        come, go = s - w @ s, t - w @ t
        ridge = (HEIGHT / 50) ** 2
        even = np.sqrt((w @ (come**2).sum(1) + ridge) / (w @ (go**2).sum(1) + ridge))
        # The minimum over a of Σ w (come − a·go)² + ridge (a − even)².
        stretch = (w @ (come * go) + ridge * even) / (w @ go**2 + ridge)
        np.testing.assert_allclose(at + flow[:, row, column], w @ s + stretch * (at - w @ t), atol=0.05)


def test_front_to_back_mirrors() -> None:
    mirrored = JOINTS * torch.tensor([-1.0, 1.0]) + torch.tensor([float(WIDTH), 0])
    flow = middles()[..., 0] + JointFlow(18)(poses(JOINTS, mirrored), HEIGHT, WIDTH)[0, 0].detach() * HEIGHT
    across = flow[30, 16:32].diff()
    assert float(across.max()) < 0


def test_without_joints_pixels_stay_and_gradients_are_finite() -> None:
    nobody = torch.zeros(1, 36, HEIGHT, WIDTH)
    module = JointFlow(18)
    flow = module(nobody, HEIGHT, WIDTH)
    torch.testing.assert_close(flow, torch.zeros_like(flow))
    flow.sum().backward()
    assert module.influence.grad is not None
    assert bool(module.influence.grad.isfinite().all())


def carrier() -> CarriedPixels:
    """One that takes carried pixels alone."""
    torch.manual_seed(0)
    module = CarriedPixels(12, 8, patch=2)
    torch.nn.init.ones_(module.share.bias)  # type: ignore[arg-type]
    return module


def test_a_texture_is_carried_as_it_is() -> None:
    source = torch.rand(1, 3, HEIGHT, WIDTH) * 2 - 1
    guidance, features, painted = torch.rand(1, 12, 8, 6), torch.rand(1, 8, 32, 24), torch.zeros_like(source)
    pose = poses(JOINTS, JOINTS + torch.tensor([8.0, -4.0]))
    with torch.no_grad():
        carried = carrier()(source, pose, guidance, features, painted)
        rounded = carrier()(source, pose, guidance, features.bfloat16(), painted.bfloat16())
    # To a hundredth of a pixel and of a contrast of 2: the finest texture that there is, noise, comes whole.
    torch.testing.assert_close(carried[:, :, :56, 12:], source[:, :, 4:60, 4:40], rtol=0, atol=0.05)
    assert torch.equal(carried, rounded)


def test_the_network_begins_as_the_one_without() -> None:
    torch.manual_seed(0)
    small = replace(SIZES["small"], width=4, max_width=12)
    without = DetailReplenishingNetwork(replace(small, carry=False))
    network = DetailReplenishingNetwork(replace(small, carry=True))
    missing, unexpected = network.load_state_dict(without.state_dict(), strict=False)
    assert not unexpected
    assert {name.split(".")[1] for name in missing} == {"carry"}
    for height, width in ((64, 48), (128, 88)):
        source, pose = torch.rand(1, 3, height, width) * 2 - 1, poses(JOINTS, JOINTS + 3, height, width)
        with torch.no_grad():
            assert torch.equal(network(source, pose).coarse, without(source, pose).coarse)


def test_pixels_are_carried_image_by_image() -> None:
    source = torch.rand(3, 3, HEIGHT, WIDTH) * 2 - 1
    guidance, features = torch.rand(3, 12, 8, 6), torch.rand(3, 8, 32, 24)
    pose = torch.cat([poses(JOINTS, JOINTS + shift) for shift in range(3)])
    with torch.no_grad():
        together = carrier()(source, pose, guidance, features, source / 2)
        alone = [carrier()(*(x[i : i + 1] for x in (source, pose, guidance, features, source / 2))) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))
