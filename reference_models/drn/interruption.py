"""What interrupts a training: signals that stop it after an iteration, and pauses that its clock leaves out."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


def stop_signals() -> list[int]:
    """Collect SIGINT and SIGTERM from now on, so that an iteration is finished and saved; a second one kills."""
    came: list[int] = []

    def collect(number: int, _frame: object) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, collect)
    return came


class Clock:
    """Counts the seconds of a training from what earlier calls took."""

    def __init__(self, before: float) -> None:
        self._start = time.monotonic() - before

    def seconds(self) -> float:
        """Return the seconds so far."""
        return time.monotonic() - self._start

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what goes on within."""
        began = time.monotonic()
        yield
        self._start += time.monotonic() - began
