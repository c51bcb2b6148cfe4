"""95 % intervals of what items add up to, also of few, unequal and skewed ones: docs/intervals.md says why these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from fhpt_eval.maths.differences import LEVEL, Pooled
from fhpt_eval.maths.statistics import Floats, Interval

Range: TypeAlias = tuple[float, float]
"""The least and the largest that a number can be."""

ANYTHING: Range = (-math.inf, math.inf)
AT_LEAST_0: Range = (0.0, math.inf)
SHARE: Range = (0.0, 1.0)

METHOD = "jackknife"
"""How records name what `interval` does."""

_ROUNDING = 1e-13


def fewest(within: Range) -> int:
    """Return with how many items an interval covers at least 92 % in all simulations of docs/intervals.md."""
    return 4 if within == SHARE else 10


def interval(number: Pooled, within: Range = ANYTHING) -> Interval | None:
    """Return a 95 % interval that takes items to be drawn, with all that belongs to them.

    The standard error is the jackknife's, which leaves out an item at a time (CR3; Bell & McCaffrey 2002). It is
    multiplied by Student's t, with the degrees of freedom that the error itself has (Satterthwaite) where the values of
    an item go together: few where one item outweighs the others. Shares get Wilson's interval with that many degrees
    and with the number of independent values that the error amounts to (Dean & Pagano 2015); so it stays between 0 and
    1, and has a width where all values are 0 or 1. All other numbers are corrected for the skewness of the items (Hall
    1992), and cut at the ends of their range.

    Args:
        number: What the items add up to; those that count nothing are no items.
        within: The least and the largest that the number can be; `SHARE` for a mean of shares.

    Returns:
        The interval, or None when there are fewer than two items, or the number is infinite, and nothing can be said.
    """
    counts = number.count[number.count > 0]
    if len(counts) < 2 or not math.isfinite(number.value):
        return None
    ratio = number.value - number.offset
    part = counts / counts.sum()
    moved = (number.total[number.count > 0] - ratio * counts) / counts.sum()
    # What rounding leaves of items that are all alike.
    moved = np.where(np.abs(moved) <= _ROUNDING * max(abs(number.value), abs(ratio)), 0.0, moved)
    k = len(counts)
    variance = float(np.square(moved / (1 - part)).sum() * (k - 1) / k)
    reach = _student(_degrees(part))
    if within == SHARE:
        return _wilson(number.value, variance, float(np.square(part).sum()), reach)
    if variance == 0:
        return Interval(number.value, number.value)
    skewness = float((moved**3).sum() / np.square(moved).sum() ** 1.5)
    error = math.sqrt(variance)
    low, high = (number.value - error * _without_skewness(t, skewness) for t in (reach, -reach))
    return Interval(max(low, within[0]), min(high, within[1]))


def interval_of_mean(values: Sequence[float], intervals: Sequence[Interval | None]) -> Interval | None:
    """Return the interval of the mean of numbers over different items, from their own intervals.

    The distances from the numbers to the ends of their intervals add up as errors do (MOVER; Zou & Donner 2008).
    """
    there = [each for each in intervals if each is not None]
    if len(there) < len(values):
        return None
    mean = math.fsum(values) / len(values)
    below = math.hypot(*(value - each.low for value, each in zip(values, there, strict=True)))
    above = math.hypot(*(each.high - value for value, each in zip(values, there, strict=True)))
    return Interval(mean - below / len(values), mean + above / len(values))


def _degrees(part: Floats) -> float:
    """Return the degrees of freedom of the jackknife's variance, k − 1 for k equal items.

    Satterthwaite's 2 E² / Var for items whose totals are normal, with deviations in proportion to their counts. The
    variance is a sum of squares of w (e − part Σe) over items with w = 1 / (1 − part); with W for the covariance
    of these, it has (tr W)² / tr W² degrees. W is never written down: its entries off the diagonal are products.

    Args:
        part: Of each item in the count of all.
    """
    whole = np.square(part).sum()
    weight = np.square(part / (1 - part))
    own = weight * (1 + whole - 2 * part)
    moments = [(weight * part**power).sum() for power in range(3)]
    # The sum of weight_i weight_j (whole − part_i − part_j)² over all i and j …
    products = (
        np.square(whole * moments[0])
        - 4 * whole * moments[0] * moments[1]
        + 2 * moments[0] * moments[2]
        + 2 * np.square(moments[1])
    )
    # … in which the diagonal stands for what it is not.
    squares = products + (np.square(own) - np.square(weight * (whole - 2 * part))).sum()
    return float(np.clip(np.square(own.sum()) / squares, 1, len(part) - 1))


def _student(degrees: float) -> float:
    # What stats.t.ppf calls, without the second that importing scipy.stats takes.
    from scipy import special

    return float(special.stdtrit(degrees, 1 - LEVEL / 2))


def _without_skewness(t: float, skewness: float) -> float:
    """Return the value that Hall's cubic transformation makes a quantile ``t`` of."""
    if abs(skewness) < 1e-9:
        return t
    return float(np.cbrt(1 + skewness * (t - skewness / 6)) - 1) * 3 / skewness


def _wilson(share: float, variance: float, together: float, reach: float) -> Interval:
    """Return Wilson's interval of a share.

    Args:
        share: From 0 to 1.
        variance: Of it.
        together: What the variance is divided by share · (1 − share) if the values of an item are all the same: where
            all values are 0 or 1 nothing else is known.
        reach: Quantile.
    """
    spread = share * (1 - share)
    relative = reach**2 * (together if spread < _ROUNDING else variance / spread)
    middle = (share + relative / 2) / (1 + relative)
    half = math.sqrt(relative * max(spread, 0.0) + relative**2 / 4) / (1 + relative)
    return Interval(max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))
