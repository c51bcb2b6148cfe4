"""The images of some work in batches that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fhpt_eval.engine.contract import Work
from fhpt_eval.engine.opening import Opened

AT_ONCE = 2**30
"""Bytes that the images of a batch may take, whatever the batch size, and half of what those may that are under way."""

UNDER_WAY = 4
"""Batches under way at once: two at work, one that waits for them, one that is being decoded."""


@dataclass(eq=False)
class Batch:
    """Images that are decoded, and shown to each extractor, together.

    Attributes:
        keys: Of its images.
        bytes: That they take, at most.
        images: Those that are decoded.
        open: Pieces of work on them that are under way.
    """

    keys: list[str] = field(default_factory=list)
    bytes: int = 0
    images: list[Opened] = field(default_factory=list)
    open: int = 0


def batches(work: Work, size: int) -> Iterator[Batch]:
    """Yield batches of at most ``size`` images, in the order of the files; one image may always be held."""
    memory = work.memory()
    batch = Batch()
    for key in work.files:
        taken = memory.get(key, 0)
        if batch.keys and (len(batch.keys) == size or batch.bytes + taken > AT_ONCE):
            yield batch
            batch = Batch()
        batch.keys.append(key)
        batch.bytes += taken
    if batch.keys:
        yield batch
