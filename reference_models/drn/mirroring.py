"""Pairs seen in a mirror: left and right change places, in pictures and in the names of joints."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from fhpt_eval.maths.keypoints import MIRRORED_JOINTS


def mirrored(batch: Mapping[str, Tensor], which: Tensor) -> dict[str, Tensor]:
    """Mirror some pairs of a batch of `PairData`, source and target alike, on the device where they are.

    Args:
        batch: As `PairData` gives it, stacked.
        which: N booleans on the same device.
    """
    turned = {}
    for name, values in batch.items():
        role, _, what = name.partition("_")
        mirror = _MIRRORS[what](values) if what in _MIRRORS else _body(values, batch[f"{role}_image"].shape[2])
        turned[name] = torch.where(which.view(-1, *[1] * (values.dim() - 1)), mirror, values)
    return turned


_MIRRORS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"image": lambda image: image.flip(2), "face": lambda face: face.flip(3), "sketch": lambda sketch: sketch.flip(3)}
)
"""Of pictures with channels last, and first; a drawn sketch needs no names of its points."""


def _body(body: Tensor, width: int) -> Tensor:
    """N×18×3 joints, in images of a width."""
    swapped = body[:, _joints(body.device)]
    return torch.cat([width - swapped[..., :1], swapped[..., 1:]], -1)


@functools.cache
def _joints(device: torch.device) -> Tensor:
    """Bring the numbers of the joints to a device once: copying them there each time would wait for it."""
    return torch.tensor(MIRRORED_JOINTS, device=device)
