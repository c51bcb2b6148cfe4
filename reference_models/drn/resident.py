"""All pictures of a training in memory: decoded once, as uint8, on the device that trains."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from fhpt_eval.engine.machine import cpu_count, one_thread
from fhpt_eval.engine.processes import threads
from fhpt_eval.progress import Progress
from fhpt_eval.reference_models.drn.samples import PairData, paired

SHARE = 1 / 4
"""Of the free memory that pictures may take; networks need the rest."""

_AT_ONCE = 256
"""Pictures that are read before they are copied to the device together."""


def fits(data: PairData, device: str) -> bool:
    """Whether all pictures of a data set may be kept in the device's memory.

    Raises:
        UserError: The first one cannot be read.
    """
    bytes_each = sum(tensor.nbytes for tensor in data.read(0).values())
    return len(data.pictures) * bytes_each <= SHARE * free_memory(device)


def free_memory(device: str) -> int:
    """Bytes that are free on a GPU, or on this machine for each process of a run; 0 where nothing tells."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        (line,) = (x for x in Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if "MemAvailable" in x)
    except (OSError, ValueError):
        return 0
    return int(line.split()[1]) * 1024 // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


class Resident:
    """The pictures of a data set on a device, from which batches are put together there.

    Raises:
        UserError: A picture cannot be read.
    """

    def __init__(self, data: PairData, device: str, progress: Progress | None = None) -> None:
        self._pairs = data.pairs.to(device)
        self._pictures: dict[str, Tensor] = {}
        count = len(data.pictures)
        with threads(cpu_count(), one_thread) as pool:
            for start in range(0, count, _AT_ONCE):
                read = list(pool.map(data.read, range(start, min(start + _AT_ONCE, count))))
                for what, like in read[0].items():
                    if start == 0:
                        self._pictures[what] = torch.empty((count, *like.shape), dtype=like.dtype, device=device)
                    self._pictures[what][start : start + len(read)] = torch.stack([picture[what] for picture in read])
                if progress is not None:
                    progress("reading the pictures", start + len(read), count)

    def batch(self, indices: Tensor) -> dict[str, Tensor]:
        """Return what the data set says of the pairs of these numbers, stacked, on the device."""
        sources, targets = self._pairs[indices.to(self._pairs.device, non_blocking=True)].T
        return paired(*({what: of[numbers] for what, of in self._pictures.items()} for numbers in (sources, targets)))
