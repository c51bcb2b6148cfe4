"""What a command costs: wall and CPU seconds of it and all its children, and the memory that they take at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_EVERY_S = 0.1


@dataclass(frozen=True)
class Measured:
    """What a command cost.

    Attributes:
        wall: Seconds from its start to its end.
        cpu: Seconds of user and system, of the command and of the children that it waited for.
        peak_mb: The most memory at once, in 10⁶ bytes: proportional sets, so that shared pages count once.
        code: Its exit code; negative where a signal, such as the time limit's, ended it.
        said: The end of what it printed.
    """

    wall: float
    cpu: float
    peak_mb: float
    code: int
    said: str


def measured(command: Sequence[str], env: Mapping[str, str], limit_s: float | None = None) -> Measured:
    """Run a command to its end; after the limit it is killed, with its children."""
    # Bytecode is kept, as on any user's machine.
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command], env={**kept, **env}, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        ended = threading.Event()
        watch = _Memory(process.pid, ended)
        watch.start()
        limit = threading.Timer(limit_s or threading.TIMEOUT_MAX, os.killpg, (process.pid, signal.SIGKILL))
        limit.daemon = True
        limit.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            limit.cancel()
            ended.set()
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.join()
        output.seek(0)
        said = output.read().decode(errors="replace")[-2000:]
    return Measured(wall, usage.ru_utime + usage.ru_stime, watch.peak / 1e6, process.returncode, said)


class _Memory(threading.Thread):
    """Samples; `ru_maxrss` would not do, which begins with the memory of the process that started the command."""

    def __init__(self, pid: int, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pid = pid
        self._ended = ended

    def run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            taken = 0
            try:
                first = psutil.Process(self._pid)
                processes = [first, *first.children(recursive=True)]
            except psutil.Error:
                continue
            for process in processes:
                try:
                    taken += process.memory_full_info().pss
                    self.peak = max(self.peak, _most(process.pid))
                except (psutil.Error, OSError):
                    continue
            self.peak = max(self.peak, taken)


def _most(pid: int) -> int:
    """Return the most bytes that a process has had, also between two samples."""
    kilobytes = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace"))
    return int(kilobytes[1]) * 1024 if kilobytes else 0
