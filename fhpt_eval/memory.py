"""Telling a lack of memory from other errors."""

from __future__ import annotations

import errno

_SIGNS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "insufficient memory",
    "can't start new thread",
    "failed to allocate",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether torch, OpenCV, NumPy, Pillow, the system or Python itself ran out of memory."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)
