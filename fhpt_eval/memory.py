"""Telling a lack of memory from other errors."""

from __future__ import annotations

import errno

from fhpt_eval.errors import Unavailable, UserError

_SIGNS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "insufficient memory",
    "can't start new thread",
    "failed to allocate",
    "failed to map segment",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether torch, OpenCV, NumPy, Pillow, the system or Python itself ran out of memory."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)


def no_memory_for(what: str, error: BaseException) -> Unavailable | None:
    """Return the sentence about what there is not enough memory for; None for any other error."""
    if isinstance(error, UserError) or not out_of_memory(error):
        return None
    return Unavailable(f"not enough memory for {what}: free some, or give fewer --workers and a smaller --batch-size")
