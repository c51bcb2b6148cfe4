"""Vectors of the images that are there, as sums over all of them read them: never all at once in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths.statistics import Floats, Indices
from fhpt_eval.measuring.protocol import Results, present
from fhpt_eval.records import Missing, Result


class PresentRows:
    """One array of each record that is there, as `fhpt_eval.maths.statistics.Rows`.

    Sums go over them in the order of the results and in blocks of fixed sizes, so that no bit of a sum depends on who
    computed a record, or when.

    Args:
        results: Records, and what is missing; read once here, and again whenever rows are.
        key: Of the array.
        lacking: For each result why there is none, or None, where that is known without reading them.

    Attributes:
        there: Which of the results are there.
        missing: The others.
    """

    def __init__(self, results: Sequence[Result], key: str, lacking: Sequence[Missing | None] | None = None) -> None:
        self._results = results if isinstance(results, Results) else Results(range(len(results)), results.__getitem__)
        self._key = key
        self.missing: list[Missing] = []
        self.there: npt.NDArray[np.bool_] = np.ones(len(results), dtype=np.bool_)
        for i, result in enumerate(results if lacking is None else lacking):
            if isinstance(result, Missing):
                self.there[i] = False
                self.missing.append(result)
        self._numbers = np.flatnonzero(self.there)

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[npt.NDArray[np.generic]]:
        return (record[self._key] for record in present(self._results))

    def __getitem__(self, numbers: Indices) -> Floats:
        """Return some rows as float64."""
        asked = self._results.among(self._numbers[numbers])
        return np.array([record[self._key] for record in present(asked)], dtype=np.float64)

    def spread(self, values: Floats) -> Floats:
        """Return a value for each result: those given of the rows, and 0 for what is missing."""
        spread = np.zeros(len(self.there))
        spread[self.there] = values
        return spread
