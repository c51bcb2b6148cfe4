"""What every part is given, how it says what it found, and how a rate is measured."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROW = "ROW "


@dataclass(frozen=True)
class Given:
    """What a part is given.

    Attributes:
        folder: With images and weights; what a part writes goes there, too.
        device: Of torch.
        seconds: That a rate is measured for.
    """

    folder: Path
    device: str
    seconds: float

    @property
    def home(self) -> Path:
        """The torch hub with seeded weights."""
        return self.folder / "torch"


def tell(what: str, value: float | str, unit: str = "", goal: str = "") -> None:
    """Print a row of the table."""
    print(ROW + json.dumps([what, f"{value:.4g}" if isinstance(value, float) else value, unit, goal]), flush=True)


def try_to(what: str, call: Callable[[], Any]) -> Any:
    """Return what a call gives; where it fails, the table says so and the part goes on."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - one row fewer, and the others are measured
        tell(what, f"failed: {type(error).__name__}: {' '.join(str(error).split())[:160]}")
        return None


def rate(call: Callable[[], Any], items: int, device: str, seconds: float) -> float:
    """Return items a second of a call, after two that are not counted."""
    for _ in range(2):
        call()
    synchronise(device)
    start = time.perf_counter()
    calls = 0
    while time.perf_counter() - start < seconds:
        call()
        synchronise(device)
        calls += 1
    return calls * items / (time.perf_counter() - start)


def synchronise(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
