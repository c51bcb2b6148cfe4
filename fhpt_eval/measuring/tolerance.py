"""How far a number may be from what was computed elsewhere, and still be the same number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Agreement(IntEnum):
    """How two things agree: the worst of their parts is the largest."""

    SAME = 0
    """To the bit."""
    WITHIN = 1
    """Within a tolerance."""
    DIFFERS = 2


@dataclass(frozen=True)
class Tolerance:
    """A number agrees where it is nearer than ``absolute`` + ``relative`` × the larger of both; docs/verify.md.

    Attributes:
        absolute: In the number's own unit.
        relative: As a share of it.
        arrays: As a share of the largest number of an array; None for ``relative``. What single images are worth is
            less exact than what comes of all.
    """

    absolute: float = 0.0
    relative: float = 0.0
    arrays: float | None = None

    def of_numbers(self, one: float, other: float) -> Agreement:
        """Return how two numbers agree; NaN is the same as NaN."""
        if one == other or (math.isnan(one) and math.isnan(other)):
            return Agreement.SAME
        near = abs(one - other) <= self.absolute + self.relative * max(abs(one), abs(other))
        return Agreement.WITHIN if math.isfinite(one) and math.isfinite(other) and near else Agreement.DIFFERS

    def of_values(self, one: object, other: object) -> Agreement:
        """Return how two plain values agree, as JSON has them; whole numbers count things and have no tolerance."""
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if one.keys() != other.keys():
                return Agreement.DIFFERS
            return max((self.of_values(one[key], other[key]) for key in one), default=Agreement.SAME)
        if isinstance(one, list | tuple) and isinstance(other, list | tuple):
            return self._of_sequences(one, other)
        if isinstance(one, float) and isinstance(other, float):
            return self.of_numbers(one, other)
        return Agreement.SAME if type(one) is type(other) and one == other else Agreement.DIFFERS

    def _of_sequences(self, one: Sequence[object], other: Sequence[object]) -> Agreement:
        if len(one) != len(other):
            return Agreement.DIFFERS
        return max((self.of_values(a, b) for a, b in zip(one, other, strict=True)), default=Agreement.SAME)

    def of_arrays(self, one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> Agreement:
        """Return how two arrays agree, whose numbers are as exact as the largest of them is."""
        if one.dtype != other.dtype or one.shape != other.shape:
            return Agreement.DIFFERS
        if np.array_equal(one, other, equal_nan=np.issubdtype(one.dtype, np.floating)):
            return Agreement.SAME
        if not np.issubdtype(one.dtype, np.floating):
            return Agreement.DIFFERS
        finite = np.isfinite(one)
        if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
            return Agreement.DIFFERS
        a, b = one[finite].astype(np.float64), other[finite].astype(np.float64)
        largest = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
        share = self.relative if self.arrays is None else self.arrays
        near = np.isfinite(b).all() and np.abs(a - b).max(initial=0) <= self.absolute + share * largest
        return Agreement.WITHIN if near else Agreement.DIFFERS


SUMMED = Tolerance(absolute=1e-12, relative=1e-9)
"""Of numbers that are the same but for the order in which they are added up."""
