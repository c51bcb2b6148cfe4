"""Pairs whose distance decides whether they count: those next to the threshold, and the furthest from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fhpt_eval.evaluation.run import Run
from fhpt_eval.measuring.protocol import Threshold
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.numbers import number
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.reporting.chosen import places_of_smallest
from fhpt_eval.reporting.page.album import SMALL
from fhpt_eval.reporting.page.shown import Section, Shown

_NEAR, _FAR = 6, 3
"""Pairs of a run next to the threshold, and at each end."""


def section(shown: Shown) -> Section | None:
    """Return the pairs of each run by the distances that protocols hold to a threshold."""
    declared = {t.metric: t for protocol in find_protocols().classes.values() for t in protocol.thresholds}
    found = [
        (threshold, metric)
        for metric in shown.metrics
        if (threshold := declared.get(metric.partition("[")[0])) is not None
    ]
    if not found:
        return None
    parts = [_part(shown, threshold, metric) for threshold, metric in found]
    return Section("thresholds", " and ".join(dict.fromkeys(t.title for t, _ in found)), parts)


def _part(shown: Shown, threshold: Threshold, metric: str) -> dict[str, Any]:
    role: PairRole = "source" if "source" in metric.partition("[")[2] else "target"
    runs = [_of_run(shown, run, metric, threshold.at[0], role) for run in shown.runs]
    return {"metric": metric, "at": threshold.at, "real": role, "runs": [run for run in runs if run is not None]}


def _of_run(shown: Shown, run: Run, metric: str, at: float, role: PairRole) -> dict[str, Any] | None:
    if metric not in run.per_pair:
        return None
    values = run.per_pair[metric].to_numpy(dtype=np.float64)
    if np.isnan(values).all():
        return None
    groups = {
        "furthest below": places_of_smallest(np.where(values < at, values, np.nan), _FAR),
        f"next to {at}": sorted(places_of_smallest(np.abs(values - at), _NEAR), key=lambda row: values[row]),
        "furthest above": places_of_smallest(-np.where(values >= at, values, np.nan), _FAR)[::-1],
    }
    taken: set[int] = set()
    told = []
    for label, rows in groups.items():
        fresh = [row for row in rows if row not in taken]
        taken.update(fresh)
        told.append((label, [_pair(shown, run, row, float(values[row]), at, role) for row in fresh]))
    return {
        "run": run.record.name,
        "number": shown.runs.index(run),
        "n": int((~np.isnan(values)).sum()),
        "lost": int(np.isnan(values).sum()),
        "groups": [(label, pairs) for label, pairs in told if pairs],
    }


def _pair(shown: Shown, run: Run, row: int, value: float, at: float, role: PairRole) -> dict[str, Any]:
    return {
        "pair": run.per_pair["pair"].iloc[row],
        "value": number(value),
        "below": value < at,
        "generated": shown.album.take(run, row, "generated", SMALL),
        "real": shown.album.take(run, row, role, SMALL),
    }
