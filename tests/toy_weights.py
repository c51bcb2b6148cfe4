"""Networks of seeded weights, in files such as trainings write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from fhpt_eval.extract.gender_classifier import FORMAT, VERSION, shapes
from fhpt_eval.files.tensors import dump
from fhpt_eval.reference_models.drn import checkpoint
from fhpt_eval.reference_models.drn.config import DrnConfig
from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork, face_module

TINY = DrnConfig(width=4, max_width=8, transfer_blocks=1, style_code=4, perceptual="efficientnet_lite0")


def write_drn(folder: Path, config: DrnConfig = TINY, *, face: bool = True) -> Path:
    """A checkpoint with a detail branch that does something."""
    torch.manual_seed(0)
    folder.mkdir()
    network = DetailReplenishingNetwork(config)
    if network.detail is not None:
        torch.nn.init.normal_(network.detail.generator.output.weight, std=0.01)
    state = checkpoint.prefixed("network", network.state_dict())
    checkpoint.save(folder / "body.safetensors", state, checkpoint.card_of("body", config))
    if face:
        state = checkpoint.prefixed("face", face_module(config).state_dict())
        checkpoint.save(folder / "face.safetensors", state, checkpoint.card_of("face", config))
    return folder


def write_head(file: Path) -> Path:
    """A gender classifier on EfficientNet-Lite0's features."""
    random = np.random.default_rng(0)
    layer = {k: random.normal(size=shape).astype(np.float32) for k, shape in shapes("efficientnet_lite0").items()}
    file.write_bytes(dump(layer, {"format": FORMAT, "version": VERSION, "network": "efficientnet_lite0"}))
    return file
