"""Who opens images: threads where Pillow alone keeps them busy, processes where a device asks for more than that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor as Threads
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from fhpt_eval.engine.opening import Opened, open_image, unopened
from fhpt_eval.engine.workers import Workers
from fhpt_eval.extract.extractor import Context
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Missing

Asked: TypeAlias = tuple[str, ImageRef, frozenset[Geometry]]
"""An image's key, its file, and the geometries that it is asked for in."""

Decoder: TypeAlias = Callable[[Sequence[Asked]], Sequence["Future[Opened]"]]
"""From images to as many futures of them."""

_TOGETHER = 4
"""Images that a process is handed at once: handing over costs the interpreter as much as many a network."""


def in_threads(threads: Threads, max_pixels: int) -> Decoder:
    """Open images here; Pillow lets go of the interpreter meanwhile."""
    return lambda asked: [threads.submit(open_image, *one, max_pixels) for one in asked]


class InProcesses:
    """Opens images in worker processes, because one interpreter cannot open thousands of images a second.

    Args:
        workers: The processes.
        max_pixels: Larger images are refused before they are decoded.
    """

    def __init__(self, workers: Workers, max_pixels: int) -> None:
        self._workers = workers
        self._job = _Opening(max_pixels)

    def __call__(self, asked: Sequence[Asked]) -> list[Future[Opened]]:
        """Have images opened, some by each process."""
        images: list[Future[Opened]] = [Future() for _ in asked]
        for start in range(0, len(asked), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            self._submit(asked[part], images[part])
        return images

    def _submit(self, asked: Sequence[Asked], images: Sequence[Future[Opened]]) -> None:
        self._workers.submit(self._job, asked).add_done_callback(partial(self._hand_on, asked, images))

    def _hand_on(self, asked: Sequence[Asked], images: Sequence[Future[Opened]], done: Future[Any]) -> None:
        found = None if done.cancelled() else done.exception() or done.result()
        for one, image in zip(asked, images, strict=True):
            if found is None:
                image.cancel()
            elif isinstance(found, BaseException):
                image.set_exception(found)
            elif not isinstance(found, Missing):
                image.set_result(found.pop(0))
            elif len(asked) == 1:
                image.set_result(unopened(one[0], found, one[2]))
            else:
                self._alone(one, image)

    def _alone(self, one: Asked, image: Future[Opened]) -> None:
        """Open an image by itself: one of those that it came with ended the process."""
        try:
            self._submit([one], [image])
        except RuntimeError:  # the pool was closed meanwhile
            image.cancel()


@dataclass(frozen=True)
class _Opening:
    """Opening images as what a worker does."""

    max_pixels: int
    name: str = "decoding"

    def load(self, context: Context) -> Callable[[Sequence[Any]], list[Any]]:  # noqa: ARG002 - the same anywhere
        return lambda parts: [[self._open(*one) for one in asked] for asked in parts]

    def _open(self, key: str, ref: ImageRef, geometries: frozenset[Geometry]) -> Opened:
        return open_image(key, ref, geometries, self.max_pixels)
