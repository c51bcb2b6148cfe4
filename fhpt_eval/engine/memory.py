"""Telling a lack of memory from other errors."""

from __future__ import annotations

import sys

_SIGNS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "insufficient memory",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether torch, OpenCV, NumPy or Python itself ran out of memory."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)


def free_gpu_memory() -> None:
    """Give cached blocks back before trying again."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
