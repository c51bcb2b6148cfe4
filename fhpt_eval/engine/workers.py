"""Worker processes for detectors that hold the interpreter: started once a run, each loads a detector once."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.images.formats import NO_MEMORY
from fhpt_eval.libraries import explained
from fhpt_eval.memory import out_of_memory
from fhpt_eval.records import Missing, Result

_LOADING_TIMEOUT = 600.0
"""Seconds that a detector may take to be loaded, for which a machine under load needs a minute."""


class Workers:
    """Processes that survive what an image does to a detector: dlib and MediaPipe are native code.

    An image on which a detector takes too long is `Missing`, and its process is ended. An image whose process died is
    tried once more; if that one dies, too, it is `Missing`.

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
        self._jobs: dict[Future[Result], tuple[ImageExtractor, str]] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        for future in self._jobs:
            future.cancel()
        for process in self._processes:
            process.end()
        self._threads.shutdown()
        for process in self._processes:
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
        for _ in range(2):
            process = self._process()
            try:
                return process.extract(extractor, image, self._timeout)
            except _Died:
                process.end()
            except _TookTooLong:
                process.end()
                return Missing(f"{extractor.name} was stopped on this image after {self._timeout:g} s")
        return Missing(f"{extractor.name} crashed on this image")

    def _process(self) -> _Process:
        process: _Process | None = getattr(self._of_thread, "process", None)
        if self._closed:
            raise _Died
        if process is None or process.ended:
            process = self._of_thread.process = _Process(self._context)
            self._processes.append(process)
            if self._closed:  # by now, so that it may not have been ended with the others
                raise _Died
            process.await_start()
        return process


class _Died(Exception):
    """The process of a worker ended."""


class _TookTooLong(Exception):
    """A detector did not answer in time."""


class _CannotStart(Exception):
    """A process ended before it could take work."""


class _Process:
    """A process and the line to it. One thread asks; another may end it, which looks like a death to the first."""

    def __init__(self, context: Context) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._line, other_end = spawning.Pipe()
        self._process = spawning.Process(target=_serve, args=(other_end, context), daemon=True)
        self.ended = False
        self._process.start()
        other_end.close()

    def await_start(self) -> None:
        """Wait until it can take work.

        Raises:
            _CannotStart: It ended before.
        """
        try:
            self._hear(_LOADING_TIMEOUT)
        except (_Died, _TookTooLong):
            self.end()
            raise _CannotStart(
                "worker processes cannot start: if this is a script of yours, put what it does under"
                " `if __name__ == '__main__':`, because each worker imports it."
            ) from None

    def extract(self, extractor: ImageExtractor, image: Pixels, timeout: float) -> Result:
        """Return what a detector, which is loaded first if need be, finds in an image.

        Raises:
            _Died: The process ended.
            _TookTooLong: The detector took longer for the image than ``timeout`` seconds.
            Exception: What the detector raised.
        """
        try:
            self._line.send((extractor, image))
        except OSError:
            raise _Died from None
        except MemoryError:
            self.end()  # half of the image may be on the line
            return Missing(NO_MEMORY)
        try:
            self._hear(_LOADING_TIMEOUT)
        except _TookTooLong:
            self.end()
            raise TimeoutError(f"{extractor.name} could not be loaded in {_LOADING_TIMEOUT:g} s") from None
        try:
            result: Result = self._hear(timeout)
        except Exception as error:
            if out_of_memory(error):
                return Missing(NO_MEMORY)
            raise
        return result

    def end(self) -> None:
        """Kill it."""
        self.ended = True
        self._process.kill()
        self._process.join()

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


def _serve(line: Connection, context: Context) -> None:
    """Be a worker process: say so; then for each image, say that its detector is loaded, and what that found."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Native detectors log to the terminal from threads of their own; errors travel back as exceptions.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    loaded: dict[ImageExtractor, Callable[[Sequence[Pixels]], list[Result]]] = {}
    line.send(None)
    with contextlib.suppress(EOFError):
        while True:
            extractor, image = line.recv()
            try:
                if extractor not in loaded:
                    loaded[extractor] = _loaded(extractor, context)
                line.send(None)
                answer: Any = loaded[extractor]([image])[0]
            except Exception as error:  # noqa: BLE001 - handed to the main process, which stops using the extractor
                answer = error
            _say(line, answer)


def _loaded(extractor: ImageExtractor, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
    try:
        model = extractor.load(context)
    except Exception as error:
        raise explained(error) from error  # here, because the traceback does not travel to the main process
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    return model


def _say(line: Connection, answer: Any) -> None:
    try:
        line.send(answer)
    except (TypeError, AttributeError, ValueError, ArithmeticError) as error:
        line.send(RuntimeError(f"{type(answer).__name__}: {answer} ({error})"))
