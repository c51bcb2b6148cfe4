"""How much memory computing a plan takes, at most; and giving that of the GPU back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.join import BUDGET
from fhpt_eval.engine.stream import AT_ONCE, BATCH_SIZE
from fhpt_eval.engine.todo import find_todo
from fhpt_eval.images.decoding import MAX_PIXELS, ImageRef

_PROCESS = 400 * 2**20
"""Bytes of a process with NumPy, OpenCV and SciPy, and of what scoring holds."""
_TORCH = 900 * 2**20
"""What torch and its libraries add."""
_DETECTOR = 900 * 2**20
"""Bytes of a worker process with its detectors."""


def memory_of(
    plan: Plan, weights: Mapping[str, Path], *, batch_size: int | None, workers: int, max_pixels: int = MAX_PIXELS
) -> int:
    """Return how many bytes of memory a plan takes, at most, when nothing of it is in the cache.

    The sizes of the images are read from the headers of their files. What is held of them is bounded whatever their
    number: by `AT_ONCE` for the images of a batch, as much for those decoded ahead, and `BUDGET` for encoded images
    whose pairs are not complete; one image may always be held, however large.

    Args:
        plan: What is to be computed.
        weights: The file of each weights name that an extractor of the plan asks for.
        batch_size: Images in a batch, at most; None for as many as the executor takes.
        workers: Threads for networks, and processes for detectors.
        max_pixels: Larger images are refused.
    """
    work = find_todo(plan, _name, _Nothing(), dict.fromkeys(plan.extractors(), ""), weights, max_pixels).work
    allowed = {key: size for key, size in work.sizes.items() if size[0] * size[1] <= max_pixels}
    images = [taken for key, taken in work.memory().items() if key in allowed]
    at_work = [(e, pixels * e.bytes_per_pixel) for e, key, pixels in work.shown() if key in allowed]
    here = max((taken for e, taken in at_work if not e.process), default=0)
    elsewhere = max((taken + _DETECTOR for e, taken in at_work if e.process), default=0)
    largest = max(images, default=0)
    batch = max(min(AT_ONCE, (batch_size or BATCH_SIZE) * largest), largest)
    held = min(sum(images), 2 * batch + (BUDGET if work.pairs else 0))
    networks = 2 * sum(path.stat().st_size for path in weights.values())
    torch = _TORCH if any("torch" in e.libraries for e in plan.extractors()) else 0
    return _PROCESS + torch + networks + held + min(workers, len(images)) * (here + elsewhere)


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


def free_gpu_memory() -> None:
    """Give cached blocks back before trying again."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
