"""Shared by the extractors that run a torch network: the way of images to it, and how it is made ready and computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fhpt_eval.extract import _geometry
from fhpt_eval.extract.extractor import Pixels
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.images.geometry import Geometry


def upload(images: Sequence[Pixels], device: str) -> Tensor:
    """Bring images of one size and type to a device: N×3×H×W of that type, channels-last, in one copy.

    The copy is not waited for: what follows on the same stream finds the images there.
    """
    kind = torch.from_numpy(np.empty(0, images[0].dtype)).dtype
    pinned = torch.device(device).type == "cuda"
    batch = torch.empty((len(images), *images[0].shape), dtype=kind, pin_memory=pinned)
    np.stack(images, out=batch.numpy())
    return batch.to(device, non_blocking=pinned).permute(0, 3, 1, 2)


def batches(images: Sequence[Pixels], numerics: Numerics) -> Iterator[tuple[list[int], Tensor]]:
    """Yield indices of images that share a size, and these images as a network takes them: float32 on 0…255."""
    for indices in batches_of_one_size(images):
        yield indices, _floats(upload([images[i] for i in indices], numerics.device), numerics)


def batch(images: Sequence[Pixels], numerics: Numerics, geometry: Callable[[Pixels], Geometry]) -> Tensor:
    """Bring images to a device and to one size, as a network takes them: N×3×H×W float32 on 0…255.

    Args:
        images: May differ in size.
        numerics: On a CPU, by reference, and where there is no float64, each image is resized by its library; otherwise
            all of a size together on the device (`_geometry.apply`).
        geometry: What is done to an image; it depends on size and type alone, and leaves all in one size.
    """
    if numerics.reference_math or numerics.device == "cpu" or torch.device(numerics.device).type == "mps":
        return _floats(upload([geometry(image).apply(image) for image in images], numerics.device), numerics)
    made: dict[int, Tensor] = {}
    for indices in batches_of_one_size(images):
        there = upload([images[i] for i in indices], numerics.device)
        made |= zip(indices, _geometry.apply(geometry(images[indices[0]]), there), strict=True)
    return _floats(torch.stack([made[i] for i in range(len(images))]), numerics)


def _floats(images: Tensor, numerics: Numerics) -> Tensor:
    return images.to(torch.float32, memory_format=_memory_format(numerics))


def _memory_format(numerics: Numerics) -> torch.memory_format:
    return torch.contiguous_format if numerics.reference_math else torch.channels_last


def softened(images: Tensor) -> Tensor:
    """Filter by 1, 2, 1 in height and width, as twice a mean over 2×2: N×C×H×W to N×C×(H − 2)×(W − 2)."""
    return avg_pool2d(avg_pool2d(images, 2, stride=1), 2, stride=1)


def channel_values(values: Sequence[float], device: str) -> Tensor:
    """One value a channel to a 1×C×1×1 tensor."""
    return torch.tensor(values).view(1, -1, 1, 1).to(device)


def imagenet_normalisation(device: str) -> tuple[Tensor, Tensor]:
    """Mean and deviation of ImageNet's pixels on [0, 1], 1×3×1×1, as torchvision's weights expect them."""
    return channel_values((0.485, 0.456, 0.406), device), channel_values((0.229, 0.224, 0.225), device)


def batches_of_one_size(images: Sequence[Pixels]) -> Iterator[list[int]]:
    """Yield lists of indices whose images share size and type, so that each list can be stacked."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, image in enumerate(images):
        groups.setdefault((image.shape, image.dtype), []).append(index)
    yield from groups.values()


def load_features(network: Any, state: Mapping[str, Tensor]) -> Any:
    """Return the convolutions (``features``) of a torchvision network, with their part of its state dict loaded."""
    features = network.features
    features.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")})
    return features


def ready(network: nn.Module, numerics: Numerics) -> nn.Module:
    """Make a network ready for inference: frozen, on its device, as fast as it computes there.

    Batch normalisation is folded into the convolutions and their memory layout is channels-last, unless references are
    asked for: then the network computes as it was published.
    """
    set_tf32(numerics)
    if not numerics.reference_math:
        fold_batch_norm(network.eval())
    return freeze(network, numerics.device, _memory_format(numerics))


def freeze(network: nn.Module, device: str, memory_format: torch.memory_format = torch.channels_last) -> nn.Module:
    """Freeze a network for inference, by default in the memory layout that convolutions are fastest in."""
    to: Any = network.eval().requires_grad_(requires_grad=False)
    moved: nn.Module = to.to(device=device, memory_format=memory_format)
    finish(device)
    return moved


class FloatMean(nn.Module):
    """Global average pooling in float32, whatever the maps are in."""

    def forward(self, maps: Tensor) -> Tensor:
        """N×C×H×W to N×C×1×1."""
        return maps.float().mean((2, 3), keepdim=True)


def fold_batch_norm(network: nn.Module) -> None:
    """Fold the batch normalisation that follows a convolution into its weights, in place: the same to 1e-6 relative.

    One follows the other where a module lists them so: in all of torchvision's networks.
    """
    for module in network.modules():
        for (name, layer), (following, norm) in pairwise(list(module.named_children())):
            if isinstance(layer, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
                setattr(module, name, fuse_conv_bn_eval(layer, norm))
                setattr(module, following, nn.Identity())


def set_tf32(numerics: Numerics) -> None:
    """Have GPUs multiply in TF32 where that is asked for, and else in true float32: a setting of the whole process."""
    tf32 = numerics.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def in_bfloat16(numerics: Numerics) -> AbstractContextManager[Any]:
    """Return what a network's forward pass runs within: in bfloat16 where that is asked for.

    What is made of its results is computed in float32 after ``.float()``.
    """
    asked = numerics.precision == "bfloat16"
    return torch.autocast(torch.device(numerics.device).type, torch.bfloat16, enabled=asked)


def finish(device: str) -> None:
    """Wait until what was begun on a device's current stream is done, so that other streams can use it."""
    if torch.device(device).type == "cuda":
        torch.cuda.current_stream(device).synchronize()
