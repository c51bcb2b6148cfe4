"""How much memory computing takes, at most, and what that leaves room for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from fhpt_eval.engine.contract import Plan, Work
from fhpt_eval.engine.join import BUDGET
from fhpt_eval.engine.machine import free_device_memory
from fhpt_eval.engine.stream import AT_ONCE, UNDER_WAY
from fhpt_eval.engine.todo import find_todo
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.files.remote import RemotePath
from fhpt_eval.images.decoding import MAX_PIXELS, ImageRef

_PROCESS = 400 * 2**20
"""Bytes of a process with NumPy, OpenCV and SciPy, and of what scoring holds."""
_TORCH = 900 * 2**20
"""What torch and its libraries add."""
_CUDA = 3 * 2**30
"""What the libraries of a GPU take of the machine's memory."""
_DECODER = 100 * 2**20
"""Bytes of a worker process that decodes."""
_PER_IMAGE = 7000
"""Bytes of what is known of an image for the whole run."""
_DETECTOR = 900 * 2**20
"""Bytes of a worker process with its detectors."""


STREAMS = 2
"""Calls on a device at once: while one waits for what it computes, the other has the device begin what is next."""

_SHARE = 0.5
"""Of the free memory of a device, what batches may take; encoded images take of the rest."""


def usual_batch_size(device: str, workers: int) -> int:
    """Return how many images a batch has where nobody asks for fewer."""
    return max(16, workers) if device == "cpu" else 64


def fitting(work: Work, device: str) -> dict[Extractor, int]:
    """Return how many images of the largest size fit into a call of each extractor, as far as that is known."""
    free = free_device_memory(device) * _SHARE / STREAMS
    if math.isinf(free):
        return {}
    largest: dict[Extractor, int] = {}
    for extractor, _, pixels in work.shown():
        largest[extractor] = max(pixels, largest.get(extractor, 1))
    return {e: int(free / max(1, pixels * e.bytes_per_pixel)) for e, pixels in largest.items() if e.on_device}


def memory_of(
    plan: Plan,
    weights: Mapping[str, Path],
    *,
    batch_size: int | None,
    workers: int,
    max_pixels: int = MAX_PIXELS,
    device: str = "cpu",
) -> int | None:
    """Return how many bytes of memory a plan takes, at most, when nothing of it is in the cache.

    The sizes of the images are read from the headers of their files; None where some are at an address, whose sizes
    are not known.

    Args:
        plan: What is to be computed.
        weights: The file of each weights name that an extractor of the plan asks for.
        batch_size: As in `memory_of_work`, and so for what follows.
        workers: Threads and processes.
        max_pixels: Larger images are refused.
        device: The torch device.
    """
    if any(isinstance(ref.path, RemotePath) for ref in plan.refs()):
        return None
    work = find_todo(plan, _name, _Nothing(), dict.fromkeys(plan.extractors(), ""), weights, max_pixels).work
    return memory_of_work(work, batch_size=batch_size, workers=workers, device=device)


def memory_of_work(work: Work, *, batch_size: int | None, workers: int, device: str) -> int:
    """Return how many bytes of memory some work takes, at most.

    What is held of images is bounded whatever their number: by twice `AT_ONCE` for those that are under way, and
    `BUDGET` for encoded ones whose pairs are not complete; one image may always be held, however large. What grows with
    their number are names, keys and numbers.

    Args:
        work: What is to be computed.
        batch_size: Images in a batch, at most; None for as many as the executor takes.
        workers: Threads for networks, and processes for detectors.
        device: The torch device; another than the CPU has images decoded in worker processes.
    """
    allowed = {key: size for key, size in work.sizes.items() if size[0] * size[1] <= work.max_pixels}
    images = [taken for key, taken in work.memory().items() if key in allowed]
    at_work = [(e, pixels * e.bytes_per_pixel) for e, key, pixels in work.shown() if key in allowed]
    here = max((taken for e, taken in at_work if not e.process), default=0)
    elsewhere = max((taken + _DETECTOR for e, taken in at_work if e.process), default=0)
    largest = max(images, default=0)
    size = batch_size or usual_batch_size(device, workers)
    under_way = max(min(2 * AT_ONCE, UNDER_WAY * size * largest), largest)
    held = min(sum(images), under_way + (BUDGET if work.pairs else 0)) + _PER_IMAGE * len(work.files)
    decoders = 0 if device == "cpu" else _CUDA + min(workers, len(images)) * _DECODER
    networks = 2 * sum(path.stat().st_size for path in work.weights.values())
    torch = _TORCH if any("torch" in e.libraries for e in (*work.images, *work.pairs)) else 0
    return _PROCESS + torch + decoders + networks + held + min(workers, len(images)) * (here + elsewhere)


class _Nothing:
    """No result is known."""

    def known(self, fingerprint: str, keys: Iterable[str]) -> set[str]:  # noqa: ARG002
        return set()

    intact = known

    def get(self, fingerprint: str, key: str) -> None:
        """Return no result."""


def _name(ref: ImageRef) -> str:
    """Return a key of an image without reading it; equal files count twice."""
    return f"{ref.path}#{ref.panel}#{ref.mask.key if ref.mask else ''}"
