"""Iterations of the DRN on few seeded pixels, and what they move."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.updates import BodyUpdates, Updates

TINY = DrnConfig(width=4, max_width=8, transfer_blocks=2, style_code=6, discriminator_width=4)


def features(images: Tensor) -> list[Tensor]:
    """Two layers without parameters that stand in for VGG-19."""
    return [images, nn.functional.avg_pool2d(images, 4)]


def body_batch(seed: int = 0, count: int = 2) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    size = torch.tensor([24.0, 32.0, 1.0])
    return {
        f"{role}_{what}": value
        for role in ("source", "target")
        for what, value in {
            "image": torch.randint(0, 256, (count, 32, 24, 3), generator=random, dtype=torch.uint8),
            "body": torch.rand(count, 18, 3, generator=random) * size,
        }.items()
    }


def body(config: DrnConfig = TINY) -> BodyUpdates:
    torch.manual_seed(0)
    return BodyUpdates(config, features, "cpu")


def snapshot(updates: Updates) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, network in updates.networks.items()
        for key, value in network.state_dict().items()
    }


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """The parts with a parameter that changed."""
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    return {key.split(".")[0] if "network." not in key else ".".join(key.split(".")[:2]) for key in changed}
