"""Giving memory of the GPU back."""

from __future__ import annotations

import sys


def free_gpu_memory() -> None:
    """Give cached blocks back before trying again."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
