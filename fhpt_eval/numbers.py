"""How numbers are shown: all values of a metric that stand together with the same decimals."""

from __future__ import annotations

import math
from collections.abc import Iterable

MOST_DECIMALS = 12


def decimals_of(values: Iterable[float | None]) -> int:
    """Return how many decimals some values are shown with.

    Four; where the largest is 10 or more two, from 1000 on one; where even the largest is below 0.001 as many as show
    three of its digits. What is below 1e-10 is what rounding leaves of 0.
    """
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if largest >= 1000:
        return 1
    if largest >= 10:
        return 2
    if largest >= 1e-3 or largest < 1e-10:
        return 4
    return min(2 - math.floor(math.log10(largest)), MOST_DECIMALS)


def fixed(value: float | None, decimals: int) -> str:
    """Return a value with its trailing zeros; ``–`` where there is none."""
    if value is None:
        return "–"
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def binary_size(size: int) -> str:
    """Return a number of bytes in powers of 1024, as the limit of the cache is given."""
    if size < 1024:
        return f"{size} bytes"
    power = min((size.bit_length() - 1) // 10, 4)
    return f"{size / 1024**power:.1f} {'KMGT'[power - 1]}iB"


def number(value: float | None) -> str:
    """Return a value that stands alone."""
    return fixed(value, decimals_of([value]))


def signed(value: float | None) -> str:
    """Return a difference that stands alone, with its sign."""
    text = number(value)
    return f"+{text}" if value is not None and value > 0 else text
