"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is going on, how many steps are done, and how many there are."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Show nothing."""
