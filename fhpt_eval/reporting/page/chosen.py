"""Which pairs are worth a look: the worst, the best, the ordinary, and those that runs disagree on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fhpt_eval.maths.statistics import Floats


def choices(gains: Floats, names: Sequence[str], count: int) -> dict[str, list[int]]:
    """Return pairs by why they were chosen, ties in the order of the pairs.

    Args:
        gains: runs×pairs, larger is better; NaN where there is no value.
        names: Of the runs.
        count: How many pairs for each reason, at most.

    Returns:
        For worst, best and median, by the mean over the runs that have a value; for most disputed, by the largest less
        the smallest; and for each other run, where it is furthest behind the first.
    """
    there = ~np.isnan(gains)
    some = there.any(axis=0)
    if not some.any():
        return {}
    mean = np.full(gains.shape[1], np.nan)
    mean[some] = np.nanmean(gains[:, some], axis=0)
    found = {
        "worst": places_of_smallest(mean, count),
        "best": places_of_smallest(-mean, count),
        "median": places_of_smallest(np.abs(mean - np.nanmedian(mean)), count),
    }
    if len(gains) > 1:
        both = there.sum(axis=0) > 1
        spread = np.full(gains.shape[1], np.nan)
        spread[both] = np.nanmax(gains[:, both], axis=0) - np.nanmin(gains[:, both], axis=0)
        found["most disputed"] = [i for i in places_of_smallest(-spread, count) if spread[i] > 0]
    for name, own in zip(names[1:], gains[1:], strict=True):
        lead = own - gains[0]
        found[f"{name} furthest behind {names[0]}"] = [i for i in places_of_smallest(lead, count) if lead[i] < 0]
    return {why: pairs for why, pairs in found.items() if pairs}


def places_of_smallest(keys: Floats, count: int) -> list[int]:
    """Return the places of the smallest numbers, NaN never."""
    order = np.argsort(keys, kind="stable")[:count]
    return [int(i) for i in order if not np.isnan(keys[i])]
