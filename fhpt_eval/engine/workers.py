"""Worker processes for what holds the interpreter: started once a run, each loads a detector or a decoder once."""

from __future__ import annotations

import multiprocessing
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from fhpt_eval.engine.processes import without_interrupts
from fhpt_eval.engine.serving import serve
from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.extract.extractor import Context
from fhpt_eval.images.formats import NO_MEMORY
from fhpt_eval.memory import out_of_memory
from fhpt_eval.records import Missing

_LOADING_TIMEOUT = 600.0
"""Seconds that a detector may take to be loaded, for which a machine under load needs a minute."""


class Job(Protocol):
    """What a process does again and again: an image extractor, for example. A value, which a process is sent."""

    @property
    def name(self) -> str:
        """What it is called where it fails."""

    def load(self, context: Context) -> Callable[[Sequence[Any]], list[Any]]:
        """Return a function from what is given to what comes of it."""


_LISTENING_TIMEOUT = 60
"""Seconds that a process may take to take in an image."""


class Workers:
    """Processes that survive what an image does to a detector: dlib and MediaPipe are native code.

    An image on which a detector takes too long is `Missing`, and its process is ended. An image whose process died is
    tried once more; if that one dies, too, it is `Missing`, or where no process lived to see the detector loaded, that
    is given up.

    Args:
        count: How many processes, at most; they are started when there is work for them.
        context: How detectors compute, on the CPU, and the files of their weights.
        timeout: Seconds that a loaded detector may take for an image.
    """

    def __init__(self, count: int, context: Context, timeout: float) -> None:
        self._count = count
        self._context = context
        self._timeout = timeout
        self._threads = ThreadPoolExecutor(count)
        self._of_thread = threading.local()
        self._processes: list[_Process] = []
        self._closed = False
        self._started = False
        self._loaded: set[Job] = set()
        self._given_up: dict[Job, Unavailable] = {}

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

    def submit(self, job: Job, image: Any) -> Future[Any]:
        """Queue one image.

        Returns:
            What comes of it. It raises `CannotStart` where that is the matter, and else what the job raises.
        """
        return self._threads.submit(self._do, job, image)

    def _do(self, job: Job, image: Any) -> Any:
        """Have the process of this thread look at an image."""
        if job in self._given_up:
            raise self._given_up[job]
        for _ in range(2):
            try:
                process = self._process()
            except CannotStart:
                # Where one could, it is not the program that keeps this one from starting: memory may be short.
                if not self._started:
                    raise
                continue
            try:
                process.ask(job, image)
                self._loaded.add(job)
                return process.answer(self._timeout)
            except _Died:
                process.end()
            except _TookTooLong:
                process.end()
                return Missing(f"{job.name} was stopped on this image after {self._timeout:g} s")
            except Exception as error:
                if out_of_memory(error) and (process.ended or job in self._loaded):
                    return Missing(NO_MEMORY)
                raise
        if job not in self._loaded:
            self._given_up[job] = Unavailable(
                f"{job.name} crashes where it is loaded: give fewer --workers if memory is short; otherwise a"
                " library of its does not fit this machine."
            )
            raise self._given_up[job]
        return Missing(f"{job.name} crashed on this image")

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
            self._started = True
        return process


class _Died(Exception):
    """The process of a worker ended."""


class _TookTooLong(Exception):
    """A detector did not answer in time."""


class CannotStart(UserError):
    """A process ended before it could take work."""


class _Process:
    """A process and the line to it. One thread asks; another may end it, which looks like a death to the first."""

    def __init__(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._line, other_end = spawning.Pipe()
        self._process = spawning.Process(target=serve, args=(other_end,), daemon=True)
        self.ended = False
        self._loaded: set[Job] = set()
        with without_interrupts():
            self._process.start()
        other_end.close()
        with socket.socket(fileno=os.dup(self._line.fileno())) as line:
            # A process that does not listen any more is found out, too.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _LISTENING_TIMEOUT, 0))

    def await_start(self, context: Context) -> None:
        """Say where detectors run, and wait until it can take work.

        Raises:
            CannotStart: It ended before.
        """
        try:
            self._say(context)
            self._hear(_LOADING_TIMEOUT)
        except (_Died, _TookTooLong):
            self.end()
            raise CannotStart(
                "worker processes cannot start: if this is a script of yours, put what it does under"
                " `if __name__ == '__main__':`, because each worker imports it."
            ) from None

    def ask(self, job: Job, image: Any) -> None:
        """Have a detector look at an image; where it has to be loaded first, return once that is done.

        Raises:
            _Died: The process ended.
            Exception: What the detector raised.
        """
        self._say((job, image))
        if job in self._loaded:
            return
        try:
            self._hear(_LOADING_TIMEOUT)
            self._loaded.add(job)
        except _TookTooLong:
            self.end()
            raise TimeoutError(f"{job.name} could not be loaded in {_LOADING_TIMEOUT:g} s") from None

    def answer(self, timeout: float) -> Any:
        """Return what the detector finds in the image.

        Raises:
            _Died: The process ended.
            _TookTooLong: The detector took longer than ``timeout`` seconds.
            Exception: What the detector raised.
        """
        return self._hear(timeout)

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
