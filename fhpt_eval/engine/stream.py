"""Images decoded ahead of the networks, in batches that fit into memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor as Threads
from concurrent.futures import Future

from fhpt_eval.engine.contract import Work
from fhpt_eval.engine.opening import Opened, open_image

BATCH_SIZE = 16
"""Images in a batch where nothing else is asked for."""

AT_ONCE = 2**30
"""Bytes that the images of a batch may take, and those decoded ahead of it, whatever the batch size; one always may."""


def batches(work: Work, threads: Threads, size: int) -> Iterator[list[Opened]]:
    """Decode in threads, a batch ahead at the most, and yield batches in the order of the files.

    Args:
        work: What the images are wanted for.
        threads: Decode; Pillow lets go of the interpreter meanwhile.
        size: Images in a batch, at most.
    """
    memory = work.memory()
    batch: list[Opened] = []
    held = 0
    for image in _opened(work, memory, threads, size):
        taken = memory.get(image.key, 0)
        if batch and held + taken > AT_ONCE:
            yield batch
            batch, held = [], 0
        batch.append(image)
        held += taken
        if len(batch) >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _opened(work: Work, memory: Mapping[str, int], threads: Threads, ahead: int) -> Iterator[Opened]:
    views = work.views()
    waiting: deque[tuple[str, Future[Opened]]] = deque()
    held = 0
    for key, ref in work.files.items():
        while waiting and (len(waiting) > ahead or held + memory.get(key, 0) > AT_ONCE):
            before, image = waiting.popleft()
            held -= memory.get(before, 0)
            yield image.result()
        waiting.append((key, threads.submit(open_image, key, ref, views[key], work.max_pixels)))
        held += memory.get(key, 0)
    while waiting:
        yield waiting.popleft()[1].result()
