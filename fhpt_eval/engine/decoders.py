"""Who opens images: threads where Pillow alone keeps them busy, processes where a device asks for more than that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor as Threads
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias

from fhpt_eval.engine.opening import Opened, open_image, unopened
from fhpt_eval.engine.workers import Workers
from fhpt_eval.extract.extractor import Context
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Missing

Decoder: TypeAlias = Callable[[str, ImageRef, frozenset[Geometry]], "Future[Opened]"]
"""From an image's key, its file and the geometries that it is asked for in, to the image."""


def in_threads(threads: Threads, max_pixels: int) -> Decoder:
    """Open images here; Pillow lets go of the interpreter meanwhile."""
    return lambda key, ref, geometries: threads.submit(open_image, key, ref, geometries, max_pixels)


def in_processes(workers: Workers, max_pixels: int) -> Decoder:
    """Open images in worker processes, because one interpreter cannot open thousands of images a second."""
    job = _Opening(max_pixels)

    def submit(key: str, ref: ImageRef, geometries: frozenset[Geometry]) -> Future[Opened]:
        image: Future[Opened] = Future()

        def hand_on(done: Future[Any]) -> None:
            if done.cancelled():
                image.cancel()
            elif (error := done.exception()) is not None:
                image.set_exception(error)
            else:
                found = done.result()
                image.set_result(unopened(key, found, geometries) if isinstance(found, Missing) else found)

        workers.submit(job, (key, ref, geometries)).add_done_callback(hand_on)
        return image

    return submit


@dataclass(frozen=True)
class _Opening:
    """Opening images as what a worker does."""

    max_pixels: int
    name: str = "decoding"

    def load(self, context: Context) -> Callable[[Sequence[Any]], list[Any]]:  # noqa: ARG002 - the same anywhere
        return lambda asked: [open_image(key, ref, views, self.max_pixels) for key, ref, views in asked]
