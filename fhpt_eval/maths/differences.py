"""Whether two numbers over the same items differ: resampled differences, several tests at once, how many are needed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths.statistics import Floats, Interval

FEWEST_ITEMS = 5
"""With fewer nothing is said of a difference: the interval would be much too narrow or of no use."""

LEVEL, POWER = 0.05, 0.8
"""Of the tests, and of the counts that `Difference.needed` and `Difference.detectable` speak of."""

_RESAMPLES = 4999
_ROUNDING = 1e-13
_CANCELLED = 1e-12
"""Of a sum's terms: what is below is no more than their rounding."""

_AT_ONCE = 1_000_000
"""Entries of a resampling matrix in memory at once."""

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Pooled:
    """A number that items add up to: ``offset`` + Σ total / Σ count.

    Attributes:
        total: Of each item (k), float64.
        count: Of each item (k), float64.
        offset: Added to the ratio.
    """

    total: Floats
    count: Floats
    offset: float = 0.0

    @classmethod
    def of_values(cls, values: npt.ArrayLike, count: npt.ArrayLike, groups: Iterable[Hashable]) -> Pooled:
        """Sum what rows add up to, by the item of each row.

        Args:
            values: Of each row, 0 where its count is.
            count: Of each row.
            groups: The item of each row.
        """
        groups = list(groups)
        codes = {group: i for i, group in enumerate(dict.fromkeys(groups))}
        index = np.array([codes[group] for group in groups], dtype=np.intp)
        total, counted = (
            np.bincount(index, np.asarray(each, dtype=np.float64), len(codes)).astype(np.float64)
            for each in (values, count)
        )
        return cls(total, counted)

    @classmethod
    def of_influences(cls, value: float, influences: npt.ArrayLike, groups: Iterable[Hashable]) -> Pooled:
        """Return a number that is no ratio of sums, as far as it is linear in the weights of its rows.

        Args:
            value: The number.
            influences: Its derivative by the weight of each row.
            groups: The item of each row.
        """
        summed = cls.of_values(influences, np.zeros(np.shape(influences)), groups).total
        return cls(summed * len(summed), np.ones(len(summed)), value)

    @property
    def value(self) -> float:
        """The number; NaN where nothing is counted."""
        count = self.count.sum()
        return float(self.total.sum() / count) + self.offset if count else math.nan


@dataclass(frozen=True)
class Difference:
    """The second of two numbers less the first.

    Attributes:
        value: The difference.
        interval: 95 % interval, symmetric; None where there are fewer than `FEWEST_ITEMS` items.
        p: Chance of a difference of this size or more between two that do not differ; None likewise.
        error: Standard error; None likewise.
        items: How many were resampled.
    """

    value: float
    interval: Interval | None
    p: float | None
    error: float | None
    items: int

    def needed(self, level: float = LEVEL) -> int | None:
        """How many items would show a difference as large as this in four of five samples; None: cannot be told.

        Args:
            level: Of the test: smaller where several are made.
        """
        if self.error is None or not self.value:
            return None
        return _smallest(abs(self.value) / self.error / math.sqrt(self.items), level) if self.error else FEWEST_ITEMS

    def detectable(self, level: float = LEVEL) -> float | None:
        """Size of a difference that this many items show in four of five samples."""
        return None if self.error is None else self.error * _reach(self.items, level)


def differences(
    compared: Sequence[tuple[Pooled, Pooled]], *, resamples: int = _RESAMPLES, seed: int = 0
) -> list[Difference]:
    """Compare pairs of numbers over the same items by a bootstrap-t: the same items are drawn for all of them.

    Each resample's difference is divided by its own standard error (linearised ratios), and interval and p-value come
    of the absolute values of these (Efron & Tibshirani 1993, ch. 12 and 16): with few or unequal items that holds where
    percentiles do not. The two agree: p ≤ 0.05 just where the interval leaves 0 out. A difference further out than any
    resample has its p-value from the tail of Student's t, so that many tests can be adjusted for.

    Args:
        compared: Pairs of numbers, all of them over the same k items in the same order.
        resamples: How often k items are drawn with replacement.
        seed: Of the draws; they depend on it and on k alone.
    """
    k = len(compared[0][0].total) if compared else 0
    values = np.array([second.value - first.value for first, second in compared])
    told = np.flatnonzero(~np.isnan(values)) if k >= FEWEST_ITEMS else np.empty(0, np.intp)
    numbers = list(dict.fromkeys(each for i in told for each in compared[i]))
    place = {each: i for i, each in enumerate(numbers)}
    sides = [(place[compared[i][0]], place[compared[i][1]]) for i in told]
    found = [Difference(float(value), None, None, None, k) for value in values]
    if not sides:
        return found
    steps = [_Step(numbers[first], numbers[second]) for first, second in sides]
    errors = np.array([step.error for step in steps])
    sizes = np.array([abs(numbers[i].value) + abs(numbers[j].value) for i, j in sides])
    # What rounding leaves of numbers that differ by the same in every item.
    errors = np.where(errors <= _ROUNDING * sizes, 0.0, errors)
    random = np.random.default_rng(seed)
    batch = max(1, _AT_ONCE // k)
    t, unspread = [], np.zeros(len(sides), dtype=np.bool_)
    for start in range(0, resamples, batch):
        weights = _draw(random, min(batch, resamples - start), k)
        drawn, spread = (
            np.stack(each, axis=1) for each in zip(*(step.resampled(weights) for step in steps), strict=True)
        )
        still = spread <= errors * _ROUNDING
        unspread |= still.any(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            t.append(np.abs(drawn) / np.where(still, errors, spread))
    for i, error, own, few in zip(told, errors, np.concatenate(t).T, unspread, strict=True):
        found[i] = _judged(float(values[i]), float(error), own, k, few=bool(few))
    return found


def _draw(random: np.random.Generator, rows: int, k: int) -> Floats:
    """Return how often each of k items is drawn in each of several resamples of k: rows×k."""
    drawn = random.integers(0, k, size=(rows, k)) + k * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * k).reshape(rows, k).astype(np.float64)


def _judged(value: float, error: float, studentised: Floats, k: int, *, few: bool) -> Difference:
    """Return what the absolute studentised differences of the resamples tell.

    Args:
        value: The difference.
        error: Its standard error.
        studentised: Of each resample.
        k: How many items there are.
        few: So few items differ that some resample has none of them: Student's t is asked, too, and the more careful
            of the two counts, as a handful of successes is no bell.
    """
    from scipy import special

    resamples = len(studentised)
    if error == 0:
        # Every item differs by the same.
        return Difference(value, Interval(value, value), float(value == 0), 0.0, k)
    # The order statistic that makes interval and p-value agree.
    rank = math.ceil((1 - LEVEL) * (resamples + 1))
    reach = float(np.partition(studentised, rank - 1)[rank - 1])
    beyond = int((studentised >= abs(value) / error).sum())
    p = (1 + beyond) / (resamples + 1)
    usual = float(special.stdtrit(k - 1, 1 - LEVEL / 2))
    if few:
        reach = max(reach, usual)
        p = max(p, float(2 * special.stdtr(k - 1, -abs(value) / error)))
    elif not beyond:
        # Further out than any resample: the tail of Student's t, as wide as the resamples are at 95 %.
        p = min(p, float(2 * special.stdtr(k - 1, -abs(value) / error / max(1.0, reach / usual))))
    reach *= error
    return Difference(value, Interval(value - reach, value + reach), p, error, k)


class _Step:
    """The difference of two numbers, and what of its items tells the difference in a resample, and its standard error.

    A resample draws item k w times. With its counts C = Σwc, and totals t less the number's own share of the count, the
    number moves by ρ = Σwt / C, and its error is that of the residuals (t − ρc) / C (linearised ratios). Those of two
    numbers less each other are linear in four values of the item, of which two are 0 where both count alike; so the
    sum of their squares takes the sums of the products of these values, which one product of matrices gives for all
    resamples. Totals that are the same in both numbers cancel in the item, before they are squared.
    """

    def __init__(self, first: Pooled, second: Pooled) -> None:
        k = len(first.total)
        parts = [each.count / each.count.sum() for each in (first, second)]
        own, other = (
            each.total / each.count.sum() - each.total.sum() / each.count.sum() * part
            for each, part in zip((first, second), parts, strict=True)
        )
        alike = np.array_equal(first.count, second.count)
        values = [other - own, parts[0]] if alike else [other - own, parts[0], own, parts[1] - parts[0]]
        self._count = len(values)
        self._pairs = [(i, j) for i in range(self._count) for j in range(i, self._count)]
        products = [values[i] * values[j] * (1 if i == j else 2) for i, j in self._pairs]
        self._items = np.stack([*values, parts[1], *products], axis=1)
        self._scale = k / (k - 1)
        self.error = float(self.resampled(np.ones((1, k)))[1][0])

    def resampled(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return by how much the difference moves under each row of weights, and its standard errors: for B×k, B."""
        sums = weights @ self._items
        step, part, *more = sums[:, : self._count].T
        with np.errstate(invalid="ignore", divide="ignore"):
            # Divided by the share of the count that is drawn.
            if more:
                one, other = 1 / part, 1 / sums[:, self._count]
                own, moved = more[0] * one, (more[0] + step) * other
                factors = [other, own * one - moved * other, other - one, -moved * other]
                moved = moved - own
            else:
                moved = step / part
                factors = [1 / part, -moved / part]
            products = sums[:, self._count + 1 :].T
            terms = [each * factors[i] * factors[j] for each, (i, j) in zip(products, self._pairs, strict=True)]
            # What is left of terms that cancel is rounding.
            square = np.where(sum(terms) <= _CANCELLED * sum(map(np.abs, terms)), 0.0, sum(terms))
            return moved, np.sqrt(square * self._scale)


def holm(p: Mapping[K, float | None]) -> dict[K, float | None]:
    """Adjust p-values for being several (Holm 1979); None stays None and is not counted."""
    order = sorted((value, i, key) for i, (key, value) in enumerate(p.items()) if value is not None)
    adjusted: dict[K, float | None] = dict.fromkeys(p)
    largest = 0.0
    for done, (value, _, key) in enumerate(order):
        largest = max(largest, min(1.0, value * (len(order) - done)))
        adjusted[key] = largest
    return adjusted


def superiority(first: npt.ArrayLike, second: npt.ArrayLike, *, higher: bool) -> float | None:
    """Return how often the second is better on a pair that is drawn at random; half of the ties count.

    Args:
        first: n values.
        second: n values of the same pairs; a pair counts where neither is NaN.
        higher: Whether higher is better.
    """
    step = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    step = step[~np.isnan(step)] * (1 if higher else -1)
    return float(((step > 0) + 0.5 * (step == 0)).mean()) if len(step) else None


def _reach(items: int, level: float) -> float:
    """Return how many standard errors a difference is away from 0 that ``items`` items show with `POWER`."""
    # What stats.t calls, without the second that importing scipy.stats takes.
    from scipy import special

    return float(special.stdtrit(items - 1, 1 - level / 2) + special.stdtrit(items - 1, POWER))


def _smallest(ratio: float, level: float) -> int:
    """Return the smallest number of items k, at least `FEWEST_ITEMS`, with ratio·√k ≥ `_reach` (k)."""
    low, high = FEWEST_ITEMS - 1, FEWEST_ITEMS
    while ratio * math.sqrt(high) < _reach(high, level):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if ratio * math.sqrt(middle) >= _reach(middle, level) else (middle, high)
    return high
