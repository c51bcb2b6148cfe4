"""Processes and threads that end with the command that started them, whatever ends it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import connection
from pathlib import Path

_PR_SET_PDEATHSIG = 1
"""Of ``prctl`` in <linux/prctl.h>: the signal that the kernel sends to a process when its parent ends."""

_LATER = 10
"""A priority, as `nice` counts: a tenth of a core that others want, so that neither side comes to a stop."""


@contextmanager
def threads(count: int | None = None, initializer: Callable[[], None] | None = None) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of threads; where its user ends early, waiting work is dropped.

    Args:
        count: How many, at most.
        initializer: Is called in each.
    """
    pool = ThreadPoolExecutor(count, initializer=initializer)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """For processes that start now: Ctrl-C, which a terminal sends to all, is for this one, which then ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process when its parent ends, be it killed.

    On Linux the kernel sees to it, also while native code holds the interpreter; it looks at the thread that started
    this process. Where `multiprocessing` started it, a pipe that closes with the parent does so on other systems, and
    where the parent has ended by now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_await_end_of_parent, daemon=True).start()


def give_way() -> None:
    """Leave the cores to other processes while these want them; for this process and those that it starts."""
    if sys.platform == "linux":
        # There each thread has a priority of its own, and libraries that are loaded have started some.
        for thread in Path("/proc/self/task").iterdir():
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), _LATER)
    else:
        os.nice(_LATER)


def _await_end_of_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
