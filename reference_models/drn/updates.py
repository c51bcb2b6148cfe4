"""Algorithm 1: which parameters one iteration moves, in which order, by which loss."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer, RAdam

from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.discriminators import Discriminator
from fhpt_eval.reference_models.drn.losses import (
    discriminator_loss,
    least_squares,
    perceptual_loss,
    reconstruction_loss,
    style_loss,
)
from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork, face_module

FeatureMaps = Callable[[Tensor], list[Tensor]]
Losses = dict[str, Tensor]
"""Scalars by name, for curves; without gradients."""

BETAS = (0.5, 0.999)
"""RAdam's; the paper gives none, PATN's Adam has these."""


MAX_GRADIENT = 1.0
"""Longest gradient. RAdam's first five steps are plain gradient descent, which would wreck the network otherwise."""


class Discriminators(nn.Module):
    """D_A and D_P together."""

    def __init__(self, pose_channels: int, config: DrnConfig) -> None:
        super().__init__()
        self.appearance = Discriminator(6, config.discriminator_width, patch=config.patch)
        self.pose = Discriminator(3 + pose_channels, config.discriminator_width, patch=config.patch)

    def forward(self, image: Tensor, appearance: Tensor, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Score N×3×H×W images under the appearance image and the pose."""
        return self.appearance(torch.cat([image, appearance], 1)), self.pose(torch.cat([image, pose], 1))


class Updates(ABC):
    """The networks in training with their optimisers; `step` is one iteration.

    Attributes:
        networks: By name, all that a checkpoint keeps.
        optimisers: By name, likewise.
    """

    networks: Mapping[str, nn.Module]
    optimisers: Mapping[str, Optimizer]

    def __init__(self, config: DrnConfig, features: FeatureMaps, device: str, *, bfloat16: bool = False) -> None:
        self.config = config
        self.features = features
        self.device = device
        self._bfloat16 = bfloat16

    @abstractmethod
    def step(self, batch: Mapping[str, Tensor]) -> Losses:
        """Update everything once on a batch, and return its losses."""

    @abstractmethod
    def pictures(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """Columns of a sample grid: N×3×H×W each, in [−1, 1]."""

    def set_learning_rate(self, rate: float) -> None:
        """Set it in all optimisers."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def _autocast(self) -> Any:
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self._bfloat16)

    def _to_device(self, module: nn.Module) -> Any:
        to: Any = module
        return to.to(device=self.device, memory_format=torch.channels_last)

    def _optimiser(self, parameters: Iterable[nn.Parameter]) -> RAdam:
        rate, decay = self.config.learning_rate, self.config.weight_decay
        return RAdam(list(parameters), lr=rate, betas=BETAS, weight_decay=decay)

    def _on_device(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor.to(self.device, non_blocking=True, memory_format=torch.channels_last)
            for name, tensor in batch.items()
        }

    def _coarse_loss(self, coarse: Tensor, target: Tensor, true_maps: list[Tensor]) -> tuple[Tensor, Losses]:
        """L_1, eq. (5)."""
        parts = {"reconstruction": reconstruction_loss(coarse, target)}
        if self.config.perceptual_weight:
            parts["perceptual"] = perceptual_loss(self.features(coarse), true_maps)
        return self._weighted(parts), {f"coarse/{part}": value for part, value in parts.items()}

    def _full_loss(
        self,
        image: Tensor,
        target: Tensor,
        true_maps: list[Tensor],
        appearance: Tensor,
        pose: Tensor,
        discriminators: Discriminators,
    ) -> tuple[Tensor, Losses]:
        """L_2, eq. (7)."""
        parts = {"reconstruction": reconstruction_loss(image, target)}
        maps = self.features(image) if true_maps else []
        if self.config.perceptual_weight:
            parts["perceptual"] = perceptual_loss(maps, true_maps)
        if self.config.style_weight:
            parts["style"] = style_loss([m.float() for m in maps], [m.float() for m in true_maps])
        if self.config.adversarial_weight:
            with _frozen(discriminators):
                scores = discriminators(image, appearance, pose)
            parts["adversarial"] = torch.stack([least_squares(s, real=True) for s in scores]).sum()
        return self._weighted(parts), {f"refined/{part}": value for part, value in parts.items()}

    def _weighted(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of losses by their weights; what weighs 0 is not even computed."""
        return torch.stack([getattr(self.config, f"{part}_weight") * value for part, value in parts.items()]).sum()

    def _update_discriminators(
        self, generated: Tensor, target: Tensor, appearance: Tensor, pose: Tensor, discriminators: Discriminators
    ) -> Losses:
        """K steps on the images of this iteration; none where the adversarial loss weighs nothing."""
        losses: Losses = {}
        for _ in range(self.config.discriminator_steps if self.config.adversarial_weight else 0):
            with self._autocast():
                real = discriminators(target, appearance, pose)
                fake = discriminators(generated, appearance, pose)
                parts = [discriminator_loss(r, f) for r, f in zip(real, fake, strict=True)]
            self._descend(torch.stack(parts).sum(), "discriminators")
            losses = {"discriminator/appearance": parts[0].detach(), "discriminator/pose": parts[1].detach()}
        return losses

    def _true_maps(self, target: Tensor) -> list[Tensor]:
        """φ_l(I_t), once for all losses of an iteration; nothing where none of them needs it."""
        if not (self.config.perceptual_weight or self.config.style_weight):
            return []
        with torch.no_grad(), self._autocast():
            return self.features(target)

    def _descend(self, loss: Tensor, optimiser: str) -> None:
        chosen = self.optimisers[optimiser]
        chosen.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        parameters = [p for group in chosen.param_groups for p in group["params"]]
        average_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT)
        chosen.step()


class BodyUpdates(Updates):
    """Algorithm 1 on whole images: the transfer branch by L_1, then all by L_2, then the discriminators K times."""

    def __init__(self, config: DrnConfig, features: FeatureMaps, device: str, *, bfloat16: bool = False) -> None:
        super().__init__(config, features, device, bfloat16=bfloat16)
        self.network: DetailReplenishingNetwork = self._to_device(DetailReplenishingNetwork(config))
        self.discriminators: Discriminators = self._to_device(Discriminators(18, config))
        if config.freeze_transfer:
            self.network.transfer.requires_grad_(requires_grad=False)
        moved = [p for p in self.network.parameters() if p.requires_grad]
        self.networks = {"network": self.network, "discriminators": self.discriminators}
        self.optimisers = {
            "network": self._optimiser(moved),
            "discriminators": self._optimiser(self.discriminators.parameters()),
        }
        if config.alternate:
            self.optimisers["transfer"] = self._optimiser(self.network.transfer.parameters())

    def step(self, batch: Mapping[str, Tensor]) -> Losses:
        """One iteration of Algorithm 1."""
        there = self._on_device(batch)
        source, target, pose = there["source"], there["target"], there["target_pose"]
        both_poses = torch.cat([there["source_pose"], pose], 1)
        true_maps = self._true_maps(target)
        losses: Losses = {}
        if self.config.alternate:
            with self._autocast():
                coarse, _ = self.network.transfer(source, both_poses)
                loss, losses = self._coarse_loss(coarse, target, true_maps)
            self._descend(loss, "transfer")
        with self._autocast():
            images = self.network(source, both_poses)
            loss, parts = self._full_loss(images.refined, target, true_maps, source, pose, self.discriminators)
        self._descend(loss, "network")
        judged = self._update_discriminators(images.refined.detach(), target, source, pose, self.discriminators)
        return {name: value.detach() for name, value in {**losses, **parts, **judged}.items()}

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """Source, target, coarse and refined."""
        there = self._on_device(batch)
        images = self.network(there["source"], torch.cat([there["source_pose"], there["target_pose"]], 1))
        return [there["source"], there["target"], images.coarse, images.refined]


class FaceUpdates(Updates):
    """The face module by L_2 on face crops, with the sketch as the pose, and its discriminators (§IV-B)."""

    def __init__(self, config: DrnConfig, features: FeatureMaps, device: str, *, bfloat16: bool = False) -> None:
        super().__init__(config, features, device, bfloat16=bfloat16)
        self.face = self._to_device(face_module(config))
        self.discriminators: Discriminators = self._to_device(Discriminators(1, config))
        self.networks = {"face": self.face, "discriminators": self.discriminators}
        self.optimisers = {
            "face": self._optimiser(self.face.parameters()),
            "discriminators": self._optimiser(self.discriminators.parameters()),
        }

    def step(self, batch: Mapping[str, Tensor]) -> Losses:
        """One iteration."""
        there = self._on_device(batch)
        source, target, sketch = there["source"], there["target"], there["sketch"]
        true_maps = self._true_maps(target)
        with self._autocast():
            generated = self.face(source, sketch)
            loss, parts = self._full_loss(generated, target, true_maps, source, sketch, self.discriminators)
        self._descend(loss, "face")
        judged = self._update_discriminators(generated.detach(), target, source, sketch, self.discriminators)
        return {name: value.detach() for name, value in {**parts, **judged}.items()}

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """Source face, sketch, target face and the generated one."""
        there = self._on_device(batch)
        drawn = there["sketch"].repeat(1, 3, 1, 1) * 2 - 1
        return [there["source"], drawn, there["target"], self.face(there["source"], there["sketch"])]


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients over the processes of a distributed run; nothing in a run of one process."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without being kept in it."""
    module.requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        module.requires_grad_(requires_grad=True)
