"""What is found about an image: a record, or why there is none; and what images are to an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

Record: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""What an extractor found, as named arrays; dtypes and shapes are stated by each extractor."""


@dataclass(frozen=True)
class Missing:
    """No record, and why.

    Attributes:
        reason: One short phrase, the same for all cases alike, because it is counted.
        fault: Whether something is wrong with the input (an unreadable file, a size that does not fit). False where
            the absence is itself a finding, such as a face that is not there.
    """

    reason: str
    fault: bool = True


Result: TypeAlias = Record | Missing

Role: TypeAlias = Literal["generated", "target", "source", "reference", "given"]
"""``reference``: the reference set that is given, or else the unique targets; ``given``: only one that is given."""
