"""Every reason to look at pairs, and the pairs chosen for it."""

from __future__ import annotations

from collections.abc import Sequence

from fhpt_eval.maths.statistics import Floats
from fhpt_eval.reporting.chosen import CHOICES, choose, places_of_smallest


def choices(gains: Floats, names: Sequence[str], count: int) -> dict[str, list[int]]:
    """Return pairs by why they were chosen: as `choose` does, and for each other run, where it is furthest behind.

    Args:
        gains: runs×pairs, larger is better; NaN where there is no value.
        names: Of the runs.
        count: How many pairs for each reason, at most.
    """
    found = {"most disputed" if choice == "disputed" else choice: choose(gains, choice, count) for choice in CHOICES}
    for name, own in zip(names[1:], gains[1:], strict=True):
        lead = own - gains[0]
        found[f"{name} furthest behind {names[0]}"] = [i for i in places_of_smallest(lead, count) if lead[i] < 0]
    return {why: pairs for why, pairs in found.items() if pairs}
