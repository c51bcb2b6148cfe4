"""Images decoded ahead of the networks, in batches that fit into memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor as Threads
from concurrent.futures import Future

from fhpt_eval.engine.opening import Opened, open_image
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Missing

_BYTES = 512 * 2**20
"""Of decoded images in one batch, whatever the batch size."""


def batches(
    files: Mapping[str, ImageRef],
    views: Mapping[str, frozenset[Geometry]],
    threads: Threads,
    size: int,
    max_pixels: int,
) -> Iterator[list[Opened]]:
    """Decode in threads, a batch ahead at the most, and yield batches in the order of the files.

    Args:
        files: The images, by content key.
        views: The geometries of each.
        threads: Decode; Pillow lets go of the interpreter meanwhile.
        size: Images in a batch, at most.
        max_pixels: Larger images are refused.
    """
    batch: list[Opened] = []
    held = 0
    for image in _opened(files, views, threads, size, max_pixels):
        batch.append(image)
        held += sum(view.nbytes for view in image.views.values() if not isinstance(view, Missing))
        if len(batch) >= size or held > _BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _opened(
    files: Mapping[str, ImageRef],
    views: Mapping[str, Iterable[Geometry]],
    threads: Threads,
    ahead: int,
    max_pixels: int,
) -> Iterator[Opened]:
    waiting: deque[Future[Opened]] = deque()
    for key, ref in files.items():
        waiting.append(threads.submit(open_image, key, ref, views[key], max_pixels))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
