"""Any function of two images as a pair extractor: what a library offers becomes a metric by naming the function."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from fhpt_eval.extract.extractor import Context, Encoded, PairExtractor, PairModel, Pixels, size_mismatch
from fhpt_eval.records import Missing, Result

Function: TypeAlias = Callable[[Pixels, Pixels], Any]
"""From two H×W×3 RGB images of one size, uint8 0…255 (or float32 where a geometry leaves it so), to a number.

Or to a `Missing` where there is none.
"""


@dataclass(frozen=True, kw_only=True)
class PairFunction(PairExtractor):
    """Records ``value`` (float64 scalar): a function of the first and the second image, which have one size."""

    one_size: ClassVar[bool] = True
    bytes_per_encoded_pixel: ClassVar[int] = 12

    @abstractmethod
    def function(self) -> Function:
        """Return the function; its library is imported here, where it is used."""

    def load(self, context: Context) -> PairModel:  # noqa: ARG002 - runs on the CPU, without weights
        """Return the model, with the library in memory."""
        return _Model(self.function())


class _Model(PairModel):
    def __init__(self, function: Function) -> None:
        self._function = function

    def encode(self, images: Sequence[Pixels]) -> list[Encoded]:
        return [(image,) for image in images]

    def compare(self, pairs: Sequence[tuple[Encoded, Encoded]]) -> list[Result]:
        return [self._value(x, y) for (x,), (y,) in pairs]

    def _value(self, x: Pixels, y: Pixels) -> Result:
        mismatch = size_mismatch((x.shape[1], x.shape[0]), (y.shape[1], y.shape[0]))
        if mismatch:
            return mismatch
        value = self._function(x, y)
        return value if isinstance(value, Missing) else {"value": np.array(float(value))}
