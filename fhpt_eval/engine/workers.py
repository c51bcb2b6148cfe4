"""Worker processes for detectors that hold the interpreter: started once a run, each loads a detector once."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from fhpt_eval.engine.processes import without_interrupts
from fhpt_eval.engine.serving import serve
from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.images.formats import NO_MEMORY
from fhpt_eval.memory import out_of_memory
from fhpt_eval.records import Missing, Result

_LOADING_TIMEOUT = 600.0
"""Seconds that a detector may take to be loaded, for which a machine under load needs a minute."""


class Workers:
    """Processes that survive what an image does to a detector: dlib and MediaPipe are native code.

    An image on which a detector takes too long is `Missing`, and its process is ended. An image whose process died is
    tried once more; if that one dies, too, it is `Missing`, or where no process lived to see the detector loaded, that
    is given up.

    Args:
        count: How many processes, at most; they are started when there is work for them.
        weights: The files of the detectors' weights by name.
        timeout: Seconds that a loaded detector may take for an image.
    """

    def __init__(self, count: int, weights: Mapping[str, Path], timeout: float) -> None:
        self._count = count
        self._context = Context(device="cpu", weights=weights)
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(count)
        self._of_thread = threading.local()
        self._processes: list[_Process] = []
        self._closed = False
        self._loaded: set[ImageExtractor] = set()
        self._given_up: dict[ImageExtractor, Unavailable] = {}
        self._jobs: dict[Future[Result], tuple[ImageExtractor, str]] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end()
        finally:  # a second Ctrl-C may have come in the middle
            self._end()

    def _end(self) -> None:
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.end()
        self._threads.shutdown()
        for process in self._processes:  # that was only about to start
            process.end()

    def submit(self, extractor: ImageExtractor, key: str, image: Pixels) -> None:
        """Queue one image."""
        self._jobs[self._threads.submit(self._extract, extractor, image)] = (extractor, key)

    def finished(self, *, all_of_them: bool = False) -> Iterator[tuple[ImageExtractor, str, Result | Exception]]:
        """Yield what is done; wait while more than a few jobs a worker are queued, or until all are done."""
        while self._jobs and (all_of_them or len(self._jobs) > 4 * self._count):
            done, _ = wait(self._jobs, return_when=FIRST_COMPLETED)
            for future in done:
                extractor, key = self._jobs.pop(future)
                error = future.exception()
                if isinstance(error, _CannotStart):
                    raise UserError(str(error))
                yield extractor, key, error if isinstance(error, Exception) else future.result()

    def _extract(self, extractor: ImageExtractor, image: Pixels) -> Result:
        """Have the process of this thread look at an image."""
        if extractor in self._given_up:
            raise self._given_up[extractor]
        for _ in range(2):
            process = self._process()
            try:
                process.ask(extractor, image)
                self._loaded.add(extractor)
                return process.answer(self._timeout)
            except _Died:
                process.end()
            except _TookTooLong:
                process.end()
                return Missing(f"{extractor.name} was stopped on this image after {self._timeout:g} s")
            except Exception as error:
                if out_of_memory(error) and (process.ended or extractor in self._loaded):
                    return Missing(NO_MEMORY)
                raise
        if extractor not in self._loaded:
            self._given_up[extractor] = Unavailable(
                f"{extractor.name} crashes where it is loaded: give fewer --workers if memory is short; otherwise a"
                " library of its does not fit this machine."
            )
            raise self._given_up[extractor]
        return Missing(f"{extractor.name} crashed on this image")

    def _process(self) -> _Process:
        process: _Process | None = getattr(self._of_thread, "process", None)
        if self._closed:
            raise _Died
        if process is None or process.ended:
            process = self._of_thread.process = _Process()
            self._processes.append(process)
            if self._closed:  # by now, so that it may not have been ended with the others
                raise _Died
            process.await_start(self._context)
        return process


class _Died(Exception):
    """The process of a worker ended."""


class _TookTooLong(Exception):
    """A detector did not answer in time."""


class _CannotStart(Exception):
    """A process ended before it could take work."""


class _Process:
    """A process and the line to it. One thread asks; another may end it, which looks like a death to the first."""

    def __init__(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._line, other_end = spawning.Pipe()
        self._process = spawning.Process(target=serve, args=(other_end,), daemon=True)
        self.ended = False
        with without_interrupts():
            self._process.start()
        other_end.close()

    def await_start(self, context: Context) -> None:
        """Say where detectors run, and wait until it can take work.

        Raises:
            _CannotStart: It ended before.
        """
        try:
            self._say(context)
            self._hear(_LOADING_TIMEOUT)
        except (_Died, _TookTooLong):
            self.end()
            raise _CannotStart(
                "worker processes cannot start: if this is a script of yours, put what it does under"
                " `if __name__ == '__main__':`, because each worker imports it."
            ) from None

    def ask(self, extractor: ImageExtractor, image: Pixels) -> None:
        """Have a detector, which is loaded first if need be, look at an image; return once it looks.

        Raises:
            _Died: The process ended.
            Exception: What the detector raised.
        """
        self._say((extractor, image))
        try:
            self._hear(_LOADING_TIMEOUT)
        except _TookTooLong:
            self.end()
            raise TimeoutError(f"{extractor.name} could not be loaded in {_LOADING_TIMEOUT:g} s") from None

    def answer(self, timeout: float) -> Result:
        """Return what the detector finds in the image.

        Raises:
            _Died: The process ended.
            _TookTooLong: The detector took longer than ``timeout`` seconds.
            Exception: What the detector raised.
        """
        result: Result = self._hear(timeout)
        return result

    def end(self) -> None:
        """Kill it."""
        self.ended = True
        self._process.kill()
        self._process.join()

    def _say(self, what: object) -> None:
        try:
            self._line.send(what)
        except OSError:
            raise _Died from None
        except MemoryError:
            self.end()  # half of it may be on the line
            raise

    def _hear(self, timeout: float) -> Any:
        """Return what the process says next, or raise the exception that it sends."""
        try:
            if not self._line.poll(timeout):
                raise _TookTooLong
            said = self._line.recv()
        except (EOFError, OSError):
            raise _Died from None
        if isinstance(said, Exception):
            raise said
        return said
