"""Whether statistics are computed as their definitions stand, or in the fast way that the tests hold against those."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ASKED: ContextVar[bool] = ContextVar("by definition", default=False)


def definition_asked() -> bool:
    """Whether statistics are to be computed by their definitions here."""
    return _ASKED.get()


@contextmanager
def by_definition(*, on: bool = True) -> Iterator[None]:
    """Compute statistics by their definitions meanwhile, which ``--reference-math`` asks for."""
    before = _ASKED.set(on)
    try:
        yield
    finally:
        _ASKED.reset(before)
