"""The gallery: source, target and every method of pairs that are worth a look by a metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from fhpt_eval.maths.statistics import Floats
from fhpt_eval.reporting.metrics import Metric
from fhpt_eval.reporting.numbers import number
from fhpt_eval.reporting.page.chosen import choices
from fhpt_eval.reporting.page.shown import Section, Shown

PAIRS = 4
"""For each metric and reason."""


def section(shown: Shown) -> Section | None:
    """Return the chosen pairs of each headline that tells pairs apart by more than yes and no."""
    metrics = {name: values for name, m in shown.metrics.items() if m.headline and len(values := _values(shown, m))}
    rows: dict[int, dict[str, Any]] = {}
    told: list[dict[str, Any]] = []
    for name, values in metrics.items():
        metric = shown.metrics[name]
        sign = 1 if metric.better == "higher" else -1
        chosen = choices(sign * values, shown.names, PAIRS)
        for pair in (pair for pairs in chosen.values() for pair in pairs):
            rows.setdefault(pair, _row(shown, pair))
        told.append(
            {
                "metric": f"{name} {metric.arrow}",
                "better": metric.better,
                "choices": [{"label": why, "pairs": pairs} for why, pairs in chosen.items()],
                "values": {
                    pair: [None if np.isnan(v) else number(float(v)) for v in values[:, pair]]
                    for pair in dict.fromkeys(pair for pairs in chosen.values() for pair in pairs)
                },
            }
        )
    told = [each for each in told if each["choices"]]
    if not told:
        return None
    script = {"runs": shown.names, "metrics": told, "rows": rows}
    return Section("gallery", "Gallery", {"metrics": told, "full": shown.album.full}, script)


def _values(shown: Shown, metric: Metric) -> Floats:
    """Return runs×pairs; nothing where there are no values per pair, or only two different ones."""
    per_run = [shown.per_pair(run, metric.name) for run in shown.runs]
    if all(values is None for values in per_run):
        return np.empty((0, 0))
    nothing = np.full(len(shown.pairs), np.nan)
    table: Floats = np.stack([nothing if values is None else values for values in per_run])
    return table if len(np.unique(table[~np.isnan(table)])) > 2 else np.empty((0, 0))


def _row(shown: Shown, pair: int) -> dict[str, Any]:
    first, album = shown.runs[0], shown.album
    at = [int(shown.order(run)[pair]) for run in shown.runs]
    return {
        "pair": shown.pairs[pair],
        "source": album.take(first, at[0], "source").plain,
        "target": album.take(first, at[0], "target").plain,
        "generated": [album.take(run, i, "generated").plain for run, i in zip(shown.runs, at, strict=True)],
    }
