"""Which pairs come when, and their batches on the device: from memory where all pictures fit there, else read."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fhpt_eval.engine.processes import end_with_parent
from fhpt_eval.progress import Progress
from fhpt_eval.reference_models.drn.resident import Resident, fits
from fhpt_eval.reference_models.drn.samples import PairData

_MIRRORS = 1 << 40
"""Added to the seed of an epoch's order, for what else is drawn in it."""


def order_of_epoch(count: int, batch_size: int, seed: int, epoch: int) -> Tensor:
    """Return the indices of one epoch, seeded by (seed, epoch); the first ones again at the end, to fill the batch."""
    order = torch.randperm(count, generator=_random(seed, epoch))
    total = math.ceil(count / batch_size) * batch_size
    return order.repeat(math.ceil(total / count))[:total]


def mirrors_of_epoch(count: int, seed: int, epoch: int) -> Tensor:
    """Return which pairs of one epoch, in its order, are mirrored, seeded likewise: as many booleans."""
    return torch.rand(count, generator=_random(seed + _MIRRORS, epoch)) < 0.5


def _random(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


class Batches:
    """Batches of a data set on a device.

    Args:
        data: The pairs.
        device: Where batches are wanted.
        workers: Processes that read pictures where not all of them are kept; 0 reads in this one.
        progress: Shows how many pictures are kept already.

    Raises:
        UserError: A picture cannot be read.
    """

    def __init__(self, data: PairData, device: str, workers: int = 0, progress: Progress | None = None) -> None:
        self._data = data
        self._device = device
        self._workers = workers
        self._kept = Resident(data, device, progress) if fits(data, device) else None

    def __call__(self, batches: list[Tensor]) -> Iterator[dict[str, Tensor]]:
        """Yield what the data set says of the pairs of these numbers, one batch after the other."""
        if self._kept is not None:
            yield from map(self._kept.batch, batches)
            return
        reader = DataLoader(
            self._data,
            batch_sampler=[numbers.tolist() for numbers in batches],
            num_workers=self._workers,
            worker_init_fn=_start_reader,
            pin_memory=self._device.startswith("cuda"),
        )
        for batch in reader:
            yield {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}


def _start_reader(_number: int) -> None:
    end_with_parent()
