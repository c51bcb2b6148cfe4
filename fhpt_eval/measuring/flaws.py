"""What can be wrong with the files of images, and what a protocol can say that it does to its scores."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

Flaw: TypeAlias = Literal[
    "fewer",
    "others",
    "sizes",
    "alignment",
    "borders",
    "compression",
    "reading",
    "duplicates",
    "target copies",
    "source copies",
    "leakage",
]
"""
``fewer``: images are left out or cannot be read; ``others``: they are others than the field evaluates; ``sizes``: they
differ in size; ``alignment``: they are of one size, but the picture lies elsewhere in it; ``borders``: the same white
borders are about all; ``compression``: they are stored with a loss; ``reading``: tools read other pixels from the same
file; ``duplicates``: one file under several names; ``target copies``, ``source copies``: generated images are files of
the real ones; ``leakage``: they show what was trained on.
"""

Effect: TypeAlias = Literal["better", "worse", "different", "missing"]
"""Scores look better or worse than they are, are others in a direction that is not known, or lack these images."""

ON_ANY: Mapping[Flaw, Effect] = MappingProxyType(
    {
        "fewer": "missing",
        "others": "different",
        "sizes": "different",
        "alignment": "different",
        "borders": "different",
        "compression": "different",
        "reading": "different",
        "target copies": "better",
        "leakage": "better",
    }
)
"""What holds for every protocol that judges generated images beside real ones."""
