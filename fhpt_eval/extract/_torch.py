"""Shared by the extractors that run a torch network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from fhpt_eval.extract.extractor import Pixels


def to_tensor(image: Pixels, device: str) -> Tensor:
    """H×W×3 in 0…255 to 1×3×H×W float32 in 0…255."""
    return torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1).unsqueeze(0).float()


def softened(images: Tensor) -> Tensor:
    """Filter by 1, 2, 1 in height and width, as twice a mean over 2×2: N×C×H×W to N×C×(H − 2)×(W − 2)."""
    return avg_pool2d(avg_pool2d(images, 2, stride=1), 2, stride=1)


def imagenet_normalisation(device: str) -> tuple[Tensor, Tensor]:
    """Mean and deviation of ImageNet's pixels on [0, 1], 1×3×1×1, as torchvision's weights expect them."""
    mean, std = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return torch.tensor(mean, device=device).view(1, 3, 1, 1), torch.tensor(std, device=device).view(1, 3, 1, 1)


def batches_of_one_size(images: Sequence[Pixels]) -> Iterator[list[int]]:
    """Yield lists of indices whose images share a size, so that each list can be stacked."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault(image.shape, []).append(index)
    yield from groups.values()


def load_features(network: Any, state: Mapping[str, Tensor]) -> Any:
    """Return the convolutions (``features``) of a torchvision network, with their part of its state dict loaded."""
    features = network.features
    features.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")})
    return features


def freeze(network: nn.Module, device: str) -> nn.Module:
    """Freeze a network for inference, in the memory layout that convolutions are fastest in."""
    to: Any = network.eval().requires_grad_(requires_grad=False)
    moved: nn.Module = to.to(device=device, memory_format=torch.channels_last)
    return moved


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """Concatenate 1×C×H×W tensors in channels-last layout."""
    return torch.cat(list(tensors)).contiguous(memory_format=torch.channels_last)


def exact_float32() -> None:
    """Keep GPU arithmetic in true float32: TF32 changes the third digit."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
