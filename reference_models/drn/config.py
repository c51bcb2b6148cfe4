"""Every choice of the network and of its training as one value, and the named ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from fhpt_eval.errors import UserError, did_you_mean

Perceptual = Literal["vgg19", "efficientnet_lite0"]
TransferNorm = Literal["instance", "layer"]


_COUNTS = (
    *("width", "max_width", "down_samplings", "transfer_blocks", "style_blocks", "style_code", "discriminator_width"),
    *("discriminator_steps", "batch_size", "epochs", "face_epochs"),
)

_SIZES = (
    *("adversarial_weight", "perceptual_weight", "reconstruction_weight", "style_weight", "learning_rate"),
    *("weight_decay", "constant_epochs"),
)


@dataclass(frozen=True, kw_only=True)
class DrnConfig:
    """A configuration; the defaults are the paper's (§V, implementation details), or ours where it is silent.

    Attributes:
        width: Channels after the first convolution of the transfer branch; doubled by each down-sampling.
        max_width: Channels never exceed this.
        down_samplings: Of the transfer branch, each by 2.
        transfer_blocks: Cascaded pose-attentional transfer blocks.
        style_blocks: Residual blocks of the style encoder.
        style_code: Length of z_s.
        detail: Whether there is a detail replenishing branch (``pb-only`` has none).
        face: Whether the face module takes part in generation.
        discriminator_width: Channels after the first convolution of a discriminator.
        alternate: Algorithm 1's first step, L_1 on the coarse image; ``end2end`` leaves it out.
        freeze_transfer: Keep the transfer branch as it was loaded (``pb-fix``).
        discriminator_steps: K.
        perceptual: The network φ of the perceptual and the style loss.
        adversarial_weight: λ_GAN.
        perceptual_weight: λ_per.
        reconstruction_weight: λ_recon.
        style_weight: λ_sty.
        learning_rate: At the start.
        weight_decay: Of RAdam.
        batch_size: Over all devices. The paper's 200,000 iterations over 40 × 101,966 pairs make 20.
        epochs: Of the body; over them the learning rate is constant, then falls linearly to 0.
        constant_epochs: How many epochs the learning rate stays. Of a training by the clock, of the face too, it stays
            for ``constant_epochs / epochs`` of the time.
        face_epochs: Of the face module, at a constant learning rate.
        patch: The networks see squares of so many pixels a side as one pixel of more channels, and paint them so; with
            1, the paper's networks.
        transfer_norm: Of the transfer branch.
        mirrored: Whether half of the pairs, drawn by the seed in each epoch, are seen mirrored, joints swapped.
        attention: Whether the transfer branch begins with attention from the target's pose to the source's.
    """

    width: int = 64
    max_width: int = 256
    down_samplings: int = 3
    transfer_blocks: int = 9
    style_blocks: int = 6
    style_code: int = 128
    detail: bool = True
    face: bool = True
    discriminator_width: int = 64
    alternate: bool = True
    freeze_transfer: bool = False
    discriminator_steps: int = 3
    perceptual: Perceptual = "vgg19"
    adversarial_weight: float = 1.0
    perceptual_weight: float = 5.0
    reconstruction_weight: float = 10.0
    style_weight: float = 5.0
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    batch_size: int = 20
    epochs: int = 40
    constant_epochs: int = 10
    face_epochs: int = 200
    patch: int = 1
    transfer_norm: TransferNorm = "instance"
    attention: bool = False
    mirrored: bool = False

    def __post_init__(self) -> None:
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, and has to be at least 1")
        for name in _SIZES:
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} is {getattr(self, name)}, and has to be a number of at least 0")
        if self.patch not in (1, 2, 4):
            raise ValueError(f"patch is {self.patch}, and has to be 1, 2 or 4")
        if self.constant_epochs > self.epochs:
            raise ValueError(f"constant_epochs ({self.constant_epochs}) exceeds epochs ({self.epochs})")

    @property
    def divisor(self) -> int:
        """Height and width of images are multiples of this."""
        return self.patch << self.down_samplings


_FULL = DrnConfig()
SIZES = MappingProxyType(
    {
        "full": _FULL,
        "small": replace(
            _FULL,
            patch=2,
            transfer_norm="layer",
            attention=True,
            width=32,
            max_width=96,
            down_samplings=2,
            transfer_blocks=5,
            style_blocks=4,
            discriminator_width=16,
            discriminator_steps=1,
            perceptual="efficientnet_lite0",
            adversarial_weight=0.2,
            perceptual_weight=1.0,
            style_weight=1.0,
            learning_rate=1e-3,
            batch_size=4,
        ),
    }
)
"""``full``: the paper's. ``small``: for two cores, and for a checkpoint that can be shipped."""

_ABLATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "drn": {},
        "pb-only": {"detail": False, "alternate": False, "face": False},
        "texture64": {"style_code": 64},
        "pb-fix": {"freeze_transfer": True, "alternate": False},
        "end2end": {"alternate": False},
        "no-face": {"face": False},
    }
)

CONFIGS = tuple(_ABLATIONS)
"""``drn``: the full method. The others: §V-A's ablations 1 to 4, and §V-B.4's without the face module."""


def named_config(name: str = "drn", size: str = "full") -> DrnConfig:
    """Return a named configuration.

    Raises:
        UserError: If there is no such name or size.
    """
    if name not in _ABLATIONS:
        raise UserError(f"there is no configuration '{name}'.{did_you_mean(name, CONFIGS)}")
    if size not in SIZES:
        raise UserError(f"there is no size '{size}'.{did_you_mean(size, SIZES)}")
    return replace(SIZES[size], **_ABLATIONS[name])
