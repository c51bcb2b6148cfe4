"""What this machine has: cores and a device."""

from __future__ import annotations

import ctypes
import importlib
import math
import os
import platform
import sys
from pathlib import Path
from types import ModuleType

from fhpt_eval.errors import UserError
from fhpt_eval.libraries import load_error


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Of ``mallopt`` in <malloc.h>."""

_KEPT, _LARGE = 64 * 2**20, 16 * 2**20


def keep_freed_memory() -> None:
    """Have the C library keep the memory of one image for the next: given back, each page costs a fault once more.

    With its defaults that is half of the time of comparing pixels. Up to 64 MiB stay; single blocks of 16 MiB and more
    are given back as before.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _KEPT)


def loaded_torch() -> ModuleType | None:
    """Return torch where something here has loaded it; a thread that is just loading it is waited for."""
    if "torch" not in sys.modules:
        return None
    try:
        return importlib.import_module("torch")
    except ImportError:
        return None


def one_thread() -> None:
    """Keep torch from splitting one image's work over threads, which changes rounding with the number of cores.

    It counts for the thread that calls, and for those that use torch for the first time afterwards.
    """
    if (torch := loaded_torch()) is not None:
        torch.set_num_threads(1)


def own_stream(device: str) -> None:
    """Give this thread a CUDA stream of its own, in which its work follows what the main thread has queued so far."""
    torch = loaded_torch()
    if torch is not None and device.startswith("cuda") and torch.cuda.is_available():
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.default_stream(device))
        torch.cuda.set_stream(stream)


def await_stream(device: str) -> None:
    """Wait until what this thread had computed in its stream is there for others; they can compute meanwhile."""
    torch = loaded_torch()
    if torch is not None and device.startswith("cuda") and torch.cuda.is_available():
        torch.cuda.current_stream(device).synchronize()


def free_device_memory(device: str) -> float:
    """Bytes that are free on a CUDA device; infinitely many on any other, where that is not known."""
    torch = loaded_torch()
    if torch is None or not device.startswith("cuda") or not torch.cuda.is_available():
        return math.inf
    return float(torch.cuda.mem_get_info(device)[0])


def free_gpu_memory() -> None:
    """Give cached blocks back before trying again."""
    torch = loaded_torch()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


DEVICES = Path("/dev")

_GPU_FILES = ("nvidia[0-9]*", "nvidiactl", "kfd", "dxg")
"""What the drivers of GPUs that torch calls ``cuda`` put into /dev: NVIDIA's, AMD's, and Windows' for Linux."""


def gpu_possible() -> bool:
    """Whether this machine may have a GPU that torch calls ``cuda``; found out without torch, which takes seconds."""
    if sys.platform == "darwin" or os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}:
        return False
    return sys.platform != "linux" or any(any(DEVICES.glob(name)) for name in _GPU_FILES)


def check_device_name(device: str) -> None:
    """Refuse what is no device anywhere; nothing is asked of the device itself.

    Raises:
        UserError: It is none.
    """
    if device.split(":")[0] not in {"auto", "cpu", "cuda", "mps", "xpu"}:
        raise UserError(f"there is no device '{device}': try auto, cpu, cuda or cuda:1.")


def pick_device(device: str) -> str:
    """Resolve ``auto`` to ``cuda`` where there is one and to ``cpu`` otherwise; check any other.

    Raises:
        UserError: If the device does not exist here.
    """
    if device == "cpu":
        return device
    check_device_name(device)
    if device == "auto" and (not gpu_possible() or load_error("torch")):
        return "cpu"  # where torch is broken: for what runs without torch; what needs it will say why it cannot run
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device '{device}' cannot be used here ({error}): try auto or cpu.") from None
    return device


def hardware(device: str) -> str:
    """Return what a GPU or this machine's processor calls itself."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    try:
        about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        about = ""
    models = (line.partition(":")[2].strip() for line in about.splitlines() if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
