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

from fhpt_eval.extract._torch import in_bfloat16
from fhpt_eval.extract.numerics import Numerics, Precision
from fhpt_eval.reference_models.drn.arithmetic import float32_as
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
from fhpt_eval.reference_models.drn.pose import heatmaps
from fhpt_eval.reference_models.drn.samples import to_images

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

    def __init__(
        self, config: DrnConfig, features: FeatureMaps, device: str, *, precision: Precision = "float32"
    ) -> None:
        self.config = config
        self.features = features
        self.device = device
        self._precision = precision

    def step(self, batch: Mapping[str, Tensor]) -> Losses:
        """Update everything once on a batch of `PairData`, and return its losses; the device is not waited for."""
        with float32_as(self._precision, self.device):
            return {name: value.detach() for name, value in self._update(self._on_device(batch)).items()}

    @torch.no_grad()
    def pictures(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what there is to see of a batch by name, in true float32: N×3×H×W each, in [−1, 1]."""
        with float32_as("float32", self.device):
            return self._drawn(self._on_device(batch))

    @abstractmethod
    def _update(self, batch: Mapping[str, Tensor]) -> Losses:
        """Update everything once on a batch on the device."""

    @abstractmethod
    def _drawn(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``source``, ``target``, what was made, and what it was made by, in the order of a sample grid."""

    def set_learning_rate(self, rate: float) -> None:
        """Set it in all optimisers."""
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                if isinstance(group["lr"], Tensor):
                    # In its place on the device, where a captured iteration reads it.
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate

    def _layers(self) -> Any:
        """Of forward passes: what is computed from their results, φ too, is in float32."""
        return in_bfloat16(Numerics(self.device, self._precision))

    def _to_device(self, module: nn.Module) -> Any:
        to: Any = module
        return to.to(device=self.device, memory_format=torch.channels_last)

    def _optimiser(self, parameters: Iterable[nn.Parameter]) -> RAdam:
        on_gpu = self.device.startswith("cuda")
        rate: Any = self.config.learning_rate
        return RAdam(
            list(parameters),
            # On a GPU rate and counters are there, so that no step waits for it, and it can be captured.
            lr=torch.tensor(rate, device=self.device) if on_gpu else rate,
            capturable=on_gpu,
            betas=BETAS,
            weight_decay=self.config.weight_decay,
        )

    def _on_device(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}

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
            parts["style"] = style_loss(maps, true_maps)
        if self.config.adversarial_weight:
            with _frozen(discriminators), self._layers():
                scores = discriminators(image, appearance, pose)
            parts["adversarial"] = torch.stack([least_squares(s.float(), real=True) for s in scores]).sum()
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
            with self._layers():
                real = discriminators(target, appearance, pose)
                fake = discriminators(generated, appearance, pose)
            parts = [discriminator_loss(r.float(), f.float()) for r, f in zip(real, fake, strict=True)]
            self._descend(torch.stack(parts).sum(), "discriminators")
            losses = {"discriminator/appearance": parts[0].detach(), "discriminator/pose": parts[1].detach()}
        return losses

    def _true_maps(self, target: Tensor) -> list[Tensor]:
        """φ_l(I_t), once for all losses of an iteration; nothing where none of them needs it."""
        if not (self.config.perceptual_weight or self.config.style_weight):
            return []
        with torch.no_grad():
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

    def __init__(
        self, config: DrnConfig, features: FeatureMaps, device: str, *, precision: Precision = "float32"
    ) -> None:
        super().__init__(config, features, device, precision=precision)
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

    def _update(self, batch: Mapping[str, Tensor]) -> Losses:
        """One iteration of Algorithm 1."""
        source, target, poses = _seen(batch)
        pose = poses[:, poses.shape[1] // 2 :]
        true_maps = self._true_maps(target)
        losses: Losses = {}
        if self.config.alternate:
            with self._layers():
                coarse, _ = self.network.transfer(source, poses)
            loss, losses = self._coarse_loss(coarse.float(), target, true_maps)
            self._descend(loss, "transfer")
        with self._layers():
            refined = self.network(source, poses).refined
        refined = refined.float()
        loss, parts = self._full_loss(refined, target, true_maps, source, pose, self.discriminators)
        self._descend(loss, "network")
        judged = self._update_discriminators(refined.detach(), target, source, pose, self.discriminators)
        return {**losses, **parts, **judged}

    def _drawn(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Source, target, coarse and refined."""
        source, target, poses = _seen(batch)
        images = self.network(source, poses)
        return {"source": source, "target": target, "coarse": images.coarse, "refined": images.refined}


def _seen(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """I_s, I_t, and the heatmaps of both poses, N×36×H×W, of a batch of `BodyPairs`."""
    source, target = to_images(batch["source_image"]), to_images(batch["target_image"])
    return source, target, heatmaps(torch.cat([batch["source_body"], batch["target_body"]], 1), *source.shape[2:])


class FaceUpdates(Updates):
    """The face module by L_2 on face crops, with the sketch as the pose, and its discriminators (§IV-B)."""

    def __init__(
        self, config: DrnConfig, features: FeatureMaps, device: str, *, precision: Precision = "float32"
    ) -> None:
        super().__init__(config, features, device, precision=precision)
        self.face = self._to_device(face_module(config))
        self.discriminators: Discriminators = self._to_device(Discriminators(1, config))
        self.networks = {"face": self.face, "discriminators": self.discriminators}
        self.optimisers = {
            "face": self._optimiser(self.face.parameters()),
            "discriminators": self._optimiser(self.discriminators.parameters()),
        }

    def _update(self, batch: Mapping[str, Tensor]) -> Losses:
        """One iteration."""
        source, target, sketch = batch["source_face"], batch["target_face"], batch["target_sketch"]
        true_maps = self._true_maps(target)
        with self._layers():
            generated = self.face(source, sketch)
        generated = generated.float()
        loss, parts = self._full_loss(generated, target, true_maps, source, sketch, self.discriminators)
        self._descend(loss, "face")
        judged = self._update_discriminators(generated.detach(), target, source, sketch, self.discriminators)
        return {**parts, **judged}

    def _drawn(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Source face, sketch, target face and the generated one."""
        source, sketch = batch["source_face"], batch["target_sketch"]
        seen = {"source": source, "sketch": sketch.repeat(1, 3, 1, 1) * 2 - 1, "target": batch["target_face"]}
        return {**seen, "refined": self.face(source, sketch)}


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
