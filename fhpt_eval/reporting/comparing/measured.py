"""One metric of one run, pair by pair, as it can be resampled."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.maths.differences import Pooled
from fhpt_eval.maths.statistics import Floats
from fhpt_eval.numbers import number

Mask = npt.NDArray[np.bool_]


def rows_of(run: Run, pairs: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return the row that each of some pairs has in a run."""
    rows = {pair: row for row, pair in enumerate(run.per_pair["pair"])}
    return np.array([rows[pair] for pair in pairs], dtype=np.intp)


def keeps_ranking(run: Run, metric: str) -> bool:
    """Whether a run has what retrieval found for each query."""
    return {"nearest", "relevant"} <= run.arrays.get(metric, {}).keys()


@dataclass(frozen=True, eq=False)
class Measured:
    """What a run knows of a metric.

    Attributes:
        value: The score; None where there is none.
        total: What each pair adds (n), float64; None for a metric of the whole set.
        count: What each pair counts (n), float64; 0 where it has no value.
        influence: How much each pair moves a metric of the whole set (n), float64; None for others.
    """

    value: float | None
    total: Floats | None = None
    count: Floats | None = None
    influence: Floats | None = None

    @classmethod
    def of(cls, run: Run, metric: str, pairs: Sequence[str] | None = None) -> Measured:
        """Read it from a run.

        Args:
            run: Any.
            metric: Which the run may lack.
            pairs: Ids of its pairs in the order that is wanted; None for the run's own.
        """
        score = run.scores.get(metric)
        if score is None or score.value is None:
            return cls(None)
        order = slice(None)
        own = run.per_pair["pair"]
        if pairs is not None and list(own) != list(pairs):
            order = rows_of(run, pairs)  # type: ignore[assignment]
        arrays = run.arrays.get(metric, {})
        if metric in run.per_pair:
            values = run.per_pair[metric].to_numpy(dtype=np.float64)[order]
            there = ~np.isnan(values)
            return cls(score.value, np.where(there, values, 0.0), there.astype(np.float64)).checked(run, metric)
        if "total" in arrays and "count" in arrays:
            total, count = (np.asarray(arrays[name], dtype=np.float64)[order] for name in ("total", "count"))
            return cls(score.value, total, count).checked(run, metric)
        if "influence" in arrays:
            return cls(score.value, influence=np.asarray(arrays["influence"], dtype=np.float64)[order])
        return cls(score.value)

    def checked(self, run: Run, metric: str) -> Measured:
        """Return it where its pairs come to its value.

        Raises:
            UserError: They come to another one.
        """
        whole = self.over(np.ones(len(self.total if self.total is not None else ()), dtype=np.bool_))
        if self.value is None or whole is None or not math.isclose(whole, self.value, rel_tol=1e-6, abs_tol=1e-9):
            raise UserError(
                f"run '{run.record.name}' is damaged: the pairs' values of {metric} come to {number(whole)}, its record"
                f" says {number(self.value)}; run it again, or `fhpt-eval verify` it."
            )
        return self

    @property
    def per_pair(self) -> Floats | None:
        """The value of each pair, NaN where there is none; None for a metric of the whole set."""
        if self.total is None or self.count is None:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            values: Floats = np.where(self.count > 0, self.total / self.count, np.nan)
        return values

    @property
    def there(self) -> Mask | None:
        """Which pairs have a value; None for a metric of the whole set."""
        return None if self.count is None else self.count > 0

    def over(self, pairs: Mask) -> float | None:
        """Return the value over some of the pairs; None where they have none. One of the whole set is not divided."""
        if self.total is None or self.count is None:
            return self.value
        count = self.count[pairs].sum()
        return float(self.total[pairs].sum() / count) if count else None

    def pooled(self, pairs: Mask, groups: Sequence[Hashable]) -> Pooled:
        """Return what the items of some pairs add up to.

        Args:
            pairs: Which of the n.
            groups: The item of each of the n.
        """
        chosen = [group for group, inside in zip(groups, pairs, strict=True) if inside]
        if self.total is not None and self.count is not None:
            return Pooled.of_values(self.total[pairs], self.count[pairs], chosen)
        if self.influence is not None and self.value is not None:
            return Pooled.of_influences(self.value, self.influence[pairs], chosen)
        return Pooled(np.zeros(0), np.zeros(0), math.nan)
