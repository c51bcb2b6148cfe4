"""Which pairs are worth a look: the worst, the best, the ordinary, and those that runs disagree on."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np

from fhpt_eval.maths.statistics import Floats

Choice: TypeAlias = Literal["worst", "best", "median", "disputed"]
CHOICES: tuple[Choice, ...] = get_args(Choice)


def choose(gains: Floats, choice: Choice, count: int) -> list[int]:
    """Return the pairs to look at, the most telling first; of equal ones the first.

    Worst, best and nearest to the median are chosen by the mean over the runs that have a value; disputed are those on
    which two runs differ most, and none on which all agree.

    Args:
        gains: runs×pairs, larger is better; NaN where there is no value.
        choice: Why.
        count: How many at most.
    """
    there = ~np.isnan(gains)
    # Of infinite values, equal ones do not differ.
    with np.errstate(invalid="ignore"):
        if choice == "disputed":
            spread = np.where(there, gains, -np.inf).max(axis=0) - np.where(there, gains, np.inf).min(axis=0)
            return places_of_smallest(np.where((there.sum(axis=0) > 1) & (spread > 0), -spread, np.nan), count)
        some = there.any(axis=0)
        if not some.any():
            return []
        mean = np.full(gains.shape[1], np.nan)
        mean[some] = np.nanmean(gains[:, some], axis=0)
        if choice == "median":
            return places_of_smallest(np.abs(mean - np.nanmedian(mean)), count)
    return places_of_smallest(mean if choice == "worst" else -mean, count)


def places_of_smallest(keys: Floats, count: int) -> list[int]:
    """Return the places of the smallest numbers, NaN never."""
    order = np.argsort(keys, kind="stable")[:count]
    return [int(i) for i in order if not np.isnan(keys[i])]
