"""A protocol that does what a test wants of an evaluation in another process."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fhpt_eval import Need, Pairs, Protocol, Records, Score


@dataclass(frozen=True)
class Acting(Protocol):
    """Does what a test wants of an evaluation, once it finds a file of that name."""

    name: ClassVar[str] = "acting"
    group: ClassVar[Any] = "structural"
    title: ClassVar[str] = "acting"
    metrics: ClassVar[tuple[str, ...]] = ("pid", "nice")

    def needs(self) -> tuple[Need, ...]:
        return ()

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        if Path("die").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        Path("at-work").write_text(str(os.getpid()))
        while Path("hold").exists():
            time.sleep(0.02)
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        return [Score("pid", os.getpid(), "higher", 1), Score("nice", nice, "higher", 1)]


def await_file(name: str) -> None:
    end = time.monotonic() + 120
    while not Path(name).exists():
        assert time.monotonic() < end, f"no {name}"
        time.sleep(0.02)
