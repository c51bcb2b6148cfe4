"""Worker processes for detectors that hold the interpreter: started once a run, each loads a detector once."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.libraries import explained
from fhpt_eval.records import Missing, Result

_context = Context()
_loaded: dict[ImageExtractor, Callable[[Sequence[Pixels]], list[Result]]] = {}


def _start(context: Context) -> None:
    global _context
    _context = context
    # Native detectors log to the terminal from threads of their own; errors travel back as exceptions.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _extract(extractor: ImageExtractor, image: Pixels) -> Result:
    if extractor not in _loaded:
        try:
            _loaded[extractor] = extractor.load(_context)
        except Exception as error:
            raise explained(error) from error  # here, because the traceback does not travel to the main process
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(1)
    return _loaded[extractor]([image])[0]


class Workers:
    """A pool that survives the death of a worker: dlib and MediaPipe are native code and can be killed by an image.

    A job whose process died is tried again by itself; if it dies again, its result is `Missing`.
    """

    def __init__(self, count: int, weights: Mapping[str, Path]) -> None:
        self._count = count
        self._context = Context(device="cpu", weights=weights)
        self._pool: ProcessPoolExecutor | None = None
        self._jobs: dict[Future[Result], tuple[ImageExtractor, str, Pixels]] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def submit(self, extractor: ImageExtractor, key: str, image: Pixels) -> None:
        """Queue one image."""
        job = (extractor, key, image)
        try:
            future = self._running().submit(_extract, extractor, image)
        except BrokenProcessPool as error:
            # An earlier job killed a worker: `finished` finds out which when it comes to this one.
            future = Future()
            future.set_exception(error)
        self._jobs[future] = job

    def finished(self, *, all_of_them: bool = False) -> Iterator[tuple[ImageExtractor, str, Result | Exception]]:
        """Yield what is done; wait while more than a few jobs a worker are queued, or until all are done."""
        while self._jobs and (all_of_them or len(self._jobs) > 4 * self._count):
            done, _ = wait(self._jobs, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    yield from self._one_by_one()
                    break
                extractor, key, _ = self._jobs.pop(future)
                yield extractor, key, error if isinstance(error, Exception) else future.result()

    def _one_by_one(self) -> Iterator[tuple[ImageExtractor, str, Result | Exception]]:
        """Do what was queued again, one job at a time, to see which one kills its process."""
        jobs, self._jobs = list(self._jobs.values()), {}
        self._stop()
        for extractor, key, image in jobs:
            try:
                yield extractor, key, self._running().submit(_extract, extractor, image).result()
            except BrokenProcessPool:
                self._stop()
                yield extractor, key, Missing(f"{extractor.name} crashed on this image")
            except Exception as error:  # noqa: BLE001 - handed to the engine, which stops using the extractor
                yield extractor, key, error

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._count,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(self._context,),
            )
            try:
                self._pool.submit(os.getpid).result()
            except BrokenProcessPool:
                self._stop()
                raise UserError(
                    "worker processes cannot start: if this is a script of yours, put what it does under"
                    " `if __name__ == '__main__':`, because each worker imports it."
                ) from None
        return self._pool

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
