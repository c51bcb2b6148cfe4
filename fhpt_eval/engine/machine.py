"""What this machine has: cores and a device."""

from __future__ import annotations

import os
import sys

from fhpt_eval.errors import UserError
from fhpt_eval.libraries import load_error


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> None:
    """Keep torch from splitting one image's work over threads, which changes rounding with the number of cores."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def pick_device(device: str) -> str:
    """Resolve ``auto`` to ``cuda`` where there is one and to ``cpu`` otherwise; check any other.

    Raises:
        UserError: If the device does not exist here.
    """
    if device == "cpu":
        return device
    if device.split(":")[0] not in {"auto", "cuda", "mps", "xpu"}:
        raise UserError(f"there is no device '{device}': try auto, cpu, cuda or cuda:1.")
    if device == "auto" and load_error("torch"):
        return "cpu"  # for what runs without torch; what needs it will say why it cannot run
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device '{device}' cannot be used here ({error}): try auto or cpu.") from None
    return device
