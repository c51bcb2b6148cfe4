"""How a GPU multiplies float32 while the DRN computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fhpt_eval.extract.numerics import Precision


@contextmanager
def float32_as(precision: Precision, device: str) -> Iterator[None]:
    """Let a GPU multiply float32 exactly, or as TF32 where that is the precision: by itself cuDNN takes TF32."""
    if not device.startswith("cuda"):
        yield
        return
    libraries: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    before = [library.allow_tf32 for library in libraries]
    try:
        for library in libraries:
            library.allow_tf32 = precision == "tf32"
        yield
    finally:
        for library, allowed in zip(libraries, before, strict=True):
            library.allow_tf32 = allowed
